/** How the page looks and behaves in this browser: kept there, and followed by public/preferences.js before the first paint. */
import * as v from 'valibot';
import { STEP_IDS } from '../tour/steps.ts';

const KEY = 'openrft.preferences';

export const THEMES = { system: 'As the system', light: 'Light', dark: 'Dark' } as const;
/** Most memory on the GPU, in binary megabytes; 0 is no cap. */
export const MEMORY_CAPS = [0, 128, 256, 512, 1024, 2048, 4096] as const;
export const MOTIONS = { system: 'As the system', less: 'Less' } as const;

const schema = v.object({
  theme: v.fallback(v.picklist(Object.keys(THEMES) as (keyof typeof THEMES)[]), 'system'),
  motion: v.fallback(v.picklist(Object.keys(MOTIONS) as (keyof typeof MOTIONS)[]), 'system'),
  shortcuts: v.fallback(v.boolean(), true),
  memory_cap: v.fallback(v.picklist(MEMORY_CAPS), 0),
  /** Whether the tour is on, and which of its steps are done. */
  tour: v.fallback(v.object({ on: v.boolean(), done: v.array(v.picklist(STEP_IDS)) }), { on: false, done: [] }),
});
type Kept = v.InferOutput<typeof schema>;

export class Preferences {
  private kept = $state.raw<Kept>(v.parse(schema, {}));
  /** This browser refuses to keep them. */
  refused = $state(false);

  constructor() {
    try {
      this.kept = v.parse(schema, JSON.parse(localStorage.getItem(KEY) ?? '{}'));
    } catch {
      this.refused = true;
    }
  }

  readonly theme = $derived.by(() => this.kept.theme);
  readonly motion = $derived.by(() => this.kept.motion);
  readonly shortcuts = $derived.by(() => this.kept.shortcuts);
  readonly memory_cap = $derived.by(() => this.kept.memory_cap);
  /** In bytes. */
  readonly memoryCap = $derived(this.memory_cap === 0 ? undefined : this.memory_cap * 2 ** 20);
  readonly tour = $derived.by(() => this.kept.tour);

  set(changes: Partial<Kept>): void {
    this.kept = { ...this.kept, ...changes };
    const { theme, motion } = this.kept;
    Object.assign(document.documentElement.dataset, { theme, motion });
    try {
      localStorage.setItem(KEY, JSON.stringify(this.kept));
    } catch {
      this.refused = true;
    }
  }

  reset(): void {
    this.set(v.parse(schema, {}));
  }
}

/** The system asks for less motion, or the reader does. */
export const lessMotion = (): boolean =>
  matchMedia('(prefers-reduced-motion: reduce)').matches || document.documentElement.dataset.motion === 'less';
