/** Questions that the policy never got right: they come back with more tries, and what is solved then is taught. */
import type { Seed } from '../../base/random.ts';
import type { Question } from '../dataset.ts';
import type { PoolRound } from '../events.ts';
import type { Generation, Sequence } from '../policy.ts';
import { responseText } from '../prompts.ts';
import type { Prompt } from '../retrieve/compose.ts';
import { optimizerStep } from '../sft.ts';
import { type StageContext, checkFinite } from '../stage.ts';
import { mean } from '../statistics.ts';
import { splitSteps } from '../tasks/format.ts';
import { taskOfQuestion } from '../tasks/registry.ts';

export interface PoolState {
  /** Questions in the pool, rising. */
  readonly unsolved: readonly number[];
  /** Verified solutions so far: questions of the training set, and the tokens of the response. */
  readonly solutions: readonly { readonly question: number; readonly response: readonly number[] }[];
}

export const EMPTY_POOL: PoolState = { unsolved: [], solutions: [] };

/** The pool after rollouts: of the questions asked, those without a right response join it, and the others leave it. */
export function updated({ unsolved, solutions }: PoolState, asked: ReadonlyMap<number, boolean>): PoolState {
  const now = new Set(unsolved);
  for (const [question, solved] of asked) {
    if (solved) now.delete(question);
    else now.add(question);
  }
  return { unsolved: [...now].sort((a, b) => a - b), solutions };
}

/** Asks each question of the pool `loop.pool_samples` times; the first verified solution of a question joins the solutions, and it leaves. */
export async function askAgain(
  context: StageContext,
  prompts: readonly Prompt[],
  { unsolved, solutions }: PoolState,
  seed: Seed,
): Promise<{ pool: PoolState; report: PoolRound }> {
  const { policy, config, train, signal } = context;
  const samples = config.loop.pool_samples;
  const generations = await policy.generate(
    {
      prompts: unsolved.flatMap((question) => Array.from({ length: samples }, () => prompts[question]!.tokens)),
      adapter: 'policy',
      sampling: { temperature: config.ppo.temperature, top_k: 0, top_p: 1, max_new_tokens: config.ppo.max_new_tokens },
      seed: seed.derive('pool'),
    },
    signal,
  );
  const found: PoolState['solutions'][number][] = [];
  let right = 0;
  unsolved.forEach((question, at) => {
    const answered = generations.slice(at * samples, (at + 1) * samples).filter((generation) => isRight(context, question, generation));
    right += answered.length;
    const solution = answered.find((generation) => isSound(train.questions[question]!, responseText(policy, generation)));
    if (solution) found.push({ question, response: Array.from(solution.tokens.subarray(solution.prompt_length)) });
  });
  const solved = new Set(found.map(({ question }) => question));
  const left = unsolved.filter((question) => !solved.has(question));
  return {
    pool: { unsolved: left, solutions: [...solutions, ...found] },
    report: { asked: unsolved.length, samples, right_responses: right, solved: solved.size, unsolved: left.length },
  };
}

/** Supervised passes over what the run's synthesis solved and what the pool gave since. @returns the mean loss of the last pass. */
export async function teach(context: StageContext, prompts: readonly Prompt[], { solutions }: PoolState, seed: Seed) {
  const { policy, config, solved, signal } = context;
  const { pool_epochs } = config.loop;
  const { batch_size, micro_batch } = config.sft;
  const known = solved.filter(({ question, fallback }) => !fallback && question < prompts.length);
  const examples: Sequence[] = [
    ...known.map(({ question, tokens, prompt_length }) => after(prompts[question]!, tokens.slice(prompt_length))),
    ...solutions.map(({ question, response }) => after(prompts[question]!, response)),
  ];
  const step = optimizerStep(config.sft, config.ppo.actor_learning_rate);
  let losses: number[] = [];
  for (let epoch = 0; epoch < pool_epochs; epoch++) {
    const order = seed.derive('teach').derive(epoch).random().shuffle(examples);
    losses = [];
    for (let at = 0; at < order.length; at += batch_size) {
      const batch = { sequences: order.slice(at, at + batch_size), loss_on: 'response', micro_batch } as const;
      const { loss, grad_norm } = await policy.sftStep(batch, step, seed.derive('dropout').derive(epoch).derive(at), signal);
      checkFinite('ppo', at, { loss, grad_norm });
      losses.push(loss);
    }
  }
  return { examples: examples.length, loss: mean(losses) };
}

const after = ({ tokens }: Prompt, response: readonly number[]): Sequence => ({
  tokens: Int32Array.of(...tokens, ...response),
  prompt_length: tokens.length,
});

function isRight({ policy, train, grade }: StageContext, question: number, generation: Generation): boolean {
  const text = responseText(policy, generation);
  return grade(train.questions[question]!, { text, finished: generation.finished }).outcome === 'right';
}

/** With many tries a letter is soon guessed: where the task can check steps, all of them have to be right; elsewhere the answer has to do. */
function isSound(question: Question, text: string): boolean {
  const task = taskOfQuestion(question);
  if (!task) return true;
  const steps = splitSteps(text);
  return steps.length > 0 && steps.every((step, i) => task.checkStep(question, steps.slice(0, i), step) === 'right');
}
