/**
 * Parts of what was downloaded: in the browser's Cache storage, which outlives the worker and the page, or in this object where there
 * is none or it refuses (private windows, a full disk, Node). Nothing depends on it but time.
 */
export interface Part {
  readonly blob: Blob;
  /** Of the response that brought it; empty when that had none to go by. */
  readonly etag: string;
}

/** The hash is of the whole file, so another version's parts are never taken for this one's. */
export interface PartKey {
  readonly url: URL;
  /** Hexadecimal. */
  readonly sha256: string;
}

const CACHE = 'openrft-downloads-1';

export class DownloadStore {
  private readonly memory = new Map<string, Part>();
  private opened: Promise<Cache | undefined> | undefined;

  constructor(private readonly storage = (globalThis as { caches?: CacheStorage }).caches) {}

  /** The part that begins at byte `from` of the file. */
  async get(key: PartKey, from: number): Promise<Part | undefined> {
    const address = addressOf(key, from);
    const remembered = this.memory.get(address);
    if (remembered) return remembered;
    const response = await this.attempt((cache) => cache.match(address));
    return response && { blob: await response.blob(), etag: response.headers.get('etag') ?? '' };
  }

  async put(key: PartKey, from: number, part: Part): Promise<void> {
    const address = addressOf(key, from);
    const headers = part.etag === '' ? {} : { etag: part.etag };
    const written = await this.attempt(async (cache) => {
      await cache.put(address, new Response(part.blob, { headers }));
      return true;
    });
    if (!written) this.memory.set(address, part);
  }

  /** Bytes that are kept, by path and hash with a space between. */
  async sizes(): Promise<ReadonlyMap<string, number>> {
    const sizes = new Map<string, number>();
    const add = (address: string, bytes: number) => {
      const { pathname, searchParams } = new URL(address);
      const key = `${pathname} ${searchParams.get('sha256')}`;
      sizes.set(key, (sizes.get(key) ?? 0) + bytes);
    };
    await this.attempt(async (cache) => {
      for (const request of await cache.keys()) add(request.url, (await (await cache.match(request))?.blob())?.size ?? 0);
    });
    for (const [address, { blob }] of this.memory) add(address, blob.size);
    return sizes;
  }

  /** All parts of that version of the file. */
  delete({ url, sha256 }: PartKey): Promise<void> {
    return this.deleteWhere(url, (other) => other === sha256);
  }

  deleteOtherVersions(url: URL, sha256: string): Promise<void> {
    return this.deleteWhere(url, (other) => other !== sha256);
  }

  private async deleteWhere({ pathname }: URL, doomed: (sha256: string | null) => boolean): Promise<void> {
    const cached = await this.attempt(async (cache) => (await cache.keys()).map(({ url }) => url));
    for (const address of [...(cached ?? []), ...this.memory.keys()]) {
      const url = new URL(address);
      if (url.pathname !== pathname || !doomed(url.searchParams.get('sha256'))) continue;
      this.memory.delete(address);
      await this.attempt((cache) => cache.delete(address));
    }
  }

  /** Undefined where the cache refuses: then memory serves. */
  private async attempt<T>(work: (cache: Cache) => Promise<T>): Promise<T | undefined> {
    try {
      this.opened ??= this.storage?.open(CACHE) ?? Promise.resolve(undefined);
      const cache = await this.opened;
      return cache && (await work(cache));
    } catch (error) {
      if (error instanceof DOMException) return undefined;
      throw error;
    }
  }
}

/** Addresses need not exist: they are names in the cache. */
const addressOf = ({ url: { origin, pathname }, sha256 }: PartKey, from: number): string =>
  `${origin}${pathname}?${new URLSearchParams({ sha256, from: String(from) }).toString()}`;
