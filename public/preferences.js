// Before anything is painted: the theme and the motion that the reader chose (src/lab/shell/preferences.svelte.ts writes them).
try {
  const { theme, motion } = JSON.parse(localStorage.getItem('openrft.preferences') ?? '{}');
  Object.assign(document.documentElement.dataset, { theme, motion });
} catch {
  // A browser that keeps nothing has no choice to follow; the settings say so.
}
