/** Where links to a notebook lead, and what an address says of a frame. */

/** The public address that the build was made for (VITE_PUBLIC_URL), else the one that the page was opened at. */
export function linkAddress(): string {
  const built = import.meta.env.VITE_PUBLIC_URL as string | undefined;
  return built || location.origin + location.pathname;
}

/** Whether that address is of this machine, so that nobody else can open it. */
export const isLocal = (address: string): boolean => ['localhost', '127.0.0.1', '[::1]'].includes(new URL(address).hostname);

/** Whether an address asks for a page in a frame (`?embed=1`), and the same address without that. */
export function frameOf(address: string): { readonly embedded: boolean; readonly whole: string; readonly hash: string } {
  const url = new URL(address);
  const embedded = url.searchParams.get('embed') === '1';
  url.searchParams.delete('embed');
  return { embedded, whole: url.href, hash: url.hash };
}
