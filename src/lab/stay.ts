/** Browsers delete what a page keeps when the disk runs full, unless they have promised not to. */

let asked = false;

/** Asks for that promise, once, when the first thing has been saved: Chromium decides by itself, Firefox asks the reader. */
export async function askToStay(): Promise<void> {
  // Where a page is not served securely there is nothing to ask.
  if (asked || !(navigator.storage as StorageManager | undefined)?.persist) return;
  asked = true;
  if (!(await navigator.storage.persisted())) await navigator.storage.persist();
}
