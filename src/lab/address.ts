/** Where links to a notebook lead. */

/** The public address that the build was made for (VITE_PUBLIC_URL), else the one that the page was opened at. */
export function linkAddress(): string {
  const built = import.meta.env.VITE_PUBLIC_URL as string | undefined;
  return built || location.origin + location.pathname;
}

/** Whether that address is of this machine, so that nobody else can open it. */
export const isLocal = (address: string): boolean => ['localhost', '127.0.0.1', '[::1]'].includes(new URL(address).hostname);
