/** `distill --parallel N`: models in processes of their own, each begun when what it needs is made. Their bytes don't depend on N. */
import type { LabProcess } from '../processes.ts';
import { STOPPED } from '../interrupt.ts';
import type { NamedRecipe } from './recipes.ts';

export interface Making {
  /** Begins to make a model or adapter. */
  readonly start: (name: string) => LabProcess;
  readonly finished: (recipe: NamedRecipe) => Promise<void>;
  readonly minutesLeft: () => number;
}

/** The model that a recipe starts from or learns from. */
const needOf = (recipe: NamedRecipe): string | undefined => (recipe.is === 'adapter' ? recipe.base : recipe.teacher?.model);

/**
 * @param recipes those that are still to be made: what none of them makes is there already.
 * @returns an exit code: 0 when all are made; a fault's before `STOPPED`.
 */
export async function makeInParallel(recipes: readonly NamedRecipe[], processes: number, making: Making): Promise<number> {
  const waiting = new Set(recipes);
  const running = new Map<NamedRecipe, Promise<readonly [NamedRecipe, number]>>();
  const missing = new Set(recipes.map(({ name }) => name));
  let worst = 0;
  for (;;) {
    for (const recipe of waiting) {
      const need = needOf(recipe);
      const stays = running.size >= processes || worst !== 0 || making.minutesLeft() <= 0 || (need !== undefined && missing.has(need));
      if (stays) continue;
      waiting.delete(recipe);
      running.set(
        recipe,
        making.start(recipe.name).ended.then((code) => [recipe, code] as const),
      );
    }
    if (running.size === 0) return worst || (waiting.size > 0 ? STOPPED : 0);
    const [recipe, code] = await Promise.race(running.values());
    running.delete(recipe);
    if (code === 0) {
      missing.delete(recipe.name);
      await making.finished(recipe);
    } else if (worst === 0 || worst === STOPPED) worst = code;
  }
}
