/** Parts of downloads in the browser's Cache storage, which outlives the worker and the page. */
import type { PartStore } from './download.ts';

const NAME = 'openrft-parts';

/**
 * Without Cache storage (a private window's frame, plain http) parts live as long as this object.
 * @param base address of the folder that the page lies in; the keys are addresses below it.
 */
export async function openPartCache(base: string): Promise<PartStore> {
  const inMemory = new Map<string, Uint8Array>();
  const cache = await openCache();
  const address = (key: string) => new URL(`parts/${key}`, base);
  return {
    get: async (key) => {
      const kept = await cache?.match(address(key));
      return kept ? new Uint8Array(await kept.arrayBuffer()) : inMemory.get(key);
    },
    put: async (key, part) => {
      try {
        if (cache) {
          await cache.put(address(key), new Response(part));
          return;
        }
      } catch (error) {
        // A full disk costs the going on after a reload, not the download.
        if (!(error instanceof DOMException && error.name === 'QuotaExceededError')) throw error;
      }
      inMemory.set(key, part);
    },
    delete: async (key) => {
      inMemory.delete(key);
      await cache?.delete(address(key));
    },
  };
}

async function openCache(): Promise<Cache | undefined> {
  if (!('caches' in globalThis)) return undefined;
  try {
    return await caches.open(NAME);
  } catch (error) {
    if (error instanceof DOMException && error.name === 'SecurityError') return undefined;
    throw error;
  }
}
