/**
 * What was downloaded, whole or in part, by the hash of the whole file: in the browser's Cache, or only in memory where there is
 * none or it refuses (private windows, a full disk, Node). Nothing depends on it but time.
 */
export interface Kept {
  readonly blob: Blob;
  /** Of the response that a part belongs to; without one it can't be gone on with. */
  readonly etag: string;
}

const CACHE = 'openrft-models-1';

export class DownloadStore {
  private readonly memory = new Map<string, Kept>();
  private opened: Promise<Cache | undefined> | undefined;

  constructor(private readonly storage: CacheStorage | undefined) {}

  async get(key: string): Promise<Kept | undefined> {
    const remembered = this.memory.get(key);
    if (remembered) return remembered;
    const response = await this.attempt((cache) => cache.match(key));
    return response && { blob: await response.blob(), etag: response.headers.get('etag') ?? '' };
  }

  async put(key: string, kept: Kept): Promise<void> {
    const headers = kept.etag === '' ? {} : { etag: kept.etag };
    const written = await this.attempt(async (cache) => {
      await cache.put(key, new Response(kept.blob, { headers }));
      return true;
    });
    if (!written) this.memory.set(key, kept);
  }

  async delete(key: string): Promise<void> {
    this.memory.delete(key);
    await this.attempt((cache) => cache.delete(key));
  }

  /** Other versions of the file at this address, and its parts. */
  async deleteOthers(key: string): Promise<void> {
    const { pathname } = new URL(key);
    const others = await this.attempt(async (cache) => (await cache.keys()).map(({ url }) => url));
    for (const other of [...(others ?? []), ...this.memory.keys()]) {
      if (other !== key && new URL(other).pathname === pathname) await this.delete(other);
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
