/** What an untouched model makes of questions before anything is trained on them: the paper's row Vanilla, from one answer each. */
import type { Seed } from '../base/random.ts';
import type { Question } from './dataset.ts';
import { multipleChoice } from './graders/multiple-choice.ts';
import type { Policy } from './policy.ts';
import { encodePrompts, fitsContext, responseText } from './prompts.ts';
import { type Interval, mean, wilson } from './statistics.ts';

export interface VanillaOptions {
  readonly seed: Seed;
  /** Of the sampling, and tokens of a response at most. */
  readonly temperature: number;
  readonly max_new_tokens: number;
  /** Called now and then with the number of questions answered. */
  readonly onProgress?: (done: number) => void;
  readonly signal?: AbortSignal | undefined;
}

/** Accuracy of the bare base by the letter it answers, with a Wilson 95 % interval. A question that fills the context counts as wrong. */
export async function vanillaAccuracy(policy: Policy, questions: readonly Question[], options: VanillaOptions): Promise<Interval> {
  const { seed, temperature, max_new_tokens, onProgress, signal } = options;
  const asked = questions.filter((question) => fitsContext(policy, question));
  const generations = await policy.generate(
    {
      prompts: encodePrompts(policy, asked),
      adapter: 'base',
      sampling: { temperature, top_k: 0, top_p: 1, max_new_tokens },
      seed: seed.derive('vanilla'),
      ...(onProgress && { onProgress }),
    },
    signal,
  );
  const { grade } = multipleChoice.make({});
  const right = generations.map((generation, i) => {
    const { outcome } = grade(asked[i]!, { text: responseText(policy, generation), finished: generation.finished });
    return Number(outcome === 'right');
  });
  return wilson(mean([...right, ...Array<number>(questions.length - asked.length).fill(0)]), questions.length);
}
