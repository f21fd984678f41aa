/** Intervals of what was run on several tasks with several seeds. */
import type { Seed } from '../../base/random.ts';
import { type Interval, mean, quantile } from '../statistics.ts';

/** A number for each question of a task, by seed: `[seed][question]`. The questions are the same for all seeds. */
export type SeedsByQuestions = readonly (readonly number[])[];

export interface TaskIntervals {
  /** Of the mean over tasks, each weighing the same. */
  readonly average: Interval;
  readonly tasks: Readonly<Record<string, Interval>>;
}

export const RESAMPLES = 10_000;

/**
 * Means with the percentile intervals of a hierarchical bootstrap (Efron 1979; Davison and Hinkley 1997, section 3.8): each resample
 * draws seeds with replacement, and of each task questions with replacement, and takes the mean over the drawn seeds and questions.
 * Seeds are drawn once for all tasks, as a seed begins every task with the same adapter; questions once for all seeds, which all answered
 * the same ones. With few seeds it makes their part of the spread too small, by a factor of about sqrt((n - 1) / n).
 * Of differences between two rows, question by question and seed by seed, it is the paired bootstrap.
 */
export function hierarchicalBootstrap(tasks: Readonly<Record<string, SeedsByQuestions>>, seed: Seed, resamples = RESAMPLES): TaskIntervals {
  const entries = Object.entries(tasks);
  const seeds = entries[0]?.[1].length ?? 0;
  for (const [task, values] of entries) {
    if (values.length !== seeds || seeds === 0)
      throw new RangeError(`${task} has ${values.length} seeds, and not the ${seeds} of the others`);
  }
  const random = seed.random();
  const averages = new Float64Array(resamples);
  const means = entries.map(() => new Float64Array(resamples));
  const weights = new Float64Array(seeds);
  for (let r = 0; r < resamples; r++) {
    weights.fill(0);
    for (let s = 0; s < seeds; s++) weights[random.int(seeds)]! += 1 / seeds;
    for (const [t, [, values]] of entries.entries()) {
      const questions = values[0]!.length;
      let sum = 0;
      for (let q = 0; q < questions; q++) {
        const drawn = random.int(questions);
        for (let s = 0; s < seeds; s++) sum += weights[s]! * values[s]![drawn]!;
      }
      means[t]![r] = sum / questions;
      averages[r]! += sum / questions / entries.length;
    }
  }
  const interval = (centre: number, drawn: Float64Array): Interval => {
    drawn.sort();
    return { mean: centre, lo: quantile(drawn, 0.025), hi: quantile(drawn, 0.975) };
  };
  const centres = entries.map(([, values]) => mean(values.map(mean)));
  return {
    average: interval(mean(centres), averages),
    tasks: Object.fromEntries(entries.map(([task], t) => [task, interval(centres[t]!, means[t]!)])),
  };
}
