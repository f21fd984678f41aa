/** `distill --parallel N`: models in processes of their own, each begun when what it needs is made. Their bytes don't depend on N. */
import type { LabProcess } from '../processes.ts';
import { STOPPED } from '../interrupt.ts';
import type { NamedRecipe } from './recipes.ts';

export interface Making {
  /** Begins to make a model or adapter. */
  readonly start: (name: string) => LabProcess;
  readonly finished: (recipe: NamedRecipe) => Promise<void>;
  /** Whether nothing more is to begin. */
  readonly stopping: () => boolean;
  /** Takes what is to happen when the processes that run are to end. */
  readonly onStop: (stop: () => void) => void;
}

/** The model that a recipe starts from or learns from. */
const needOf = (recipe: NamedRecipe): string | undefined => (recipe.is === 'adapter' ? recipe.base : recipe.teacher?.model);

/**
 * @param recipes those that are still to be made: what none of them makes is there already.
 * @returns an exit code: 0 when all are made; a fault's before `STOPPED`.
 */
export async function makeInParallel(recipes: readonly NamedRecipe[], processes: number, making: Making): Promise<number> {
  const waiting = new Set(recipes);
  const running = new Map<NamedRecipe, { readonly stop: () => void; readonly ended: Promise<readonly [NamedRecipe, number]> }>();
  making.onStop(() => running.forEach(({ stop }) => stop()));
  const missing = new Set(recipes.map(({ name }) => name));
  let worst = 0;
  for (;;) {
    for (const recipe of waiting) {
      const need = needOf(recipe);
      const stays = running.size >= processes || worst !== 0 || making.stopping() || (need !== undefined && missing.has(need));
      if (stays) continue;
      waiting.delete(recipe);
      const { stop, ended } = making.start(recipe.name);
      running.set(recipe, { stop, ended: ended.then((code) => [recipe, code] as const) });
    }
    if (running.size === 0) return worst || (waiting.size > 0 ? STOPPED : 0);
    const [recipe, code] = await Promise.race([...running.values()].map(({ ended }) => ended));
    running.delete(recipe);
    if (code === 0) {
      missing.delete(recipe.name);
      await making.finished(recipe);
    } else if (worst === 0 || worst === STOPPED) worst = code;
  }
}
