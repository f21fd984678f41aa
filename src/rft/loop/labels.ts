/** What is right in the policy's own rollouts, step by step: the labels that a process reward model in the loop learns from. */
import { InputError } from '../../base/errors.ts';
import type { Seed } from '../../base/random.ts';
import type { Generation } from '../policy.ts';
import { responseText } from '../prompts.ts';
import { judgedSteps, stepEnds } from '../reward/steps.ts';
import { type PrmExample, prmExample } from '../reward/train-prm.ts';
import type { StageContext } from '../stage.ts';
import { mean } from '../statistics.ts';
import { taskOfQuestion } from '../tasks/registry.ts';

/** A response to a question of the training set. */
export interface Response {
  /** Index in the training set. */
  readonly question: number;
  readonly generation: Pick<Generation, 'tokens' | 'prompt_length' | 'finished'>;
}

export const STEP_LABELS = ['checker', 'monte_carlo'] as const;

/** @throws InputError when the config's labels need a checker that a question does not have. */
export function checkLabels({ config, train }: Pick<StageContext, 'config' | 'train'>): void {
  if (!config.loop.prm || config.loop.prm_labels !== 'checker') return;
  const odd = train.questions.findIndex((question) => !taskOfQuestion(question));
  if (odd < 0) return;
  throw new InputError(
    `Question ${odd + 1} of ${train.name} names no bundled task, so nothing can check the steps of its responses.`,
    'Set loop.prm_labels to monte_carlo, which judges a step by how often the policy comes right from there.',
  );
}

/** The responses with a label for each step: by the task's checker, or (Monte-Carlo) the share of continuations from the step that end right. */
export async function labelled(context: StageContext, responses: readonly Response[], seed: Seed): Promise<PrmExample[]> {
  const { config, policy, train } = context;
  return config.loop.prm_labels === 'checker'
    ? responses.map(({ question, generation }) =>
        prmExample(policy.tokenizer, train.questions[question]!, generation, config.prm.final_answer),
      )
    : monteCarlo(context, responses, seed);
}

/**
 * Math-Shepherd's soft estimation (Wang et al. 2023, arXiv 2312.08935, equation 3): a step is as right as the share of
 * `loop.prm_continuations` continuations, sampled from the policy after it, that reach the right answer.
 */
async function monteCarlo(context: StageContext, responses: readonly Response[], seed: Seed): Promise<PrmExample[]> {
  const { config, policy, train, grade, signal } = context;
  const { tokenizer } = policy;
  const samples = config.loop.prm_continuations;
  const steps = responses.map(({ generation }) => judgedSteps(stepEnds(tokenizer, generation), config.prm.final_answer));
  const right = ({ question, generation }: Response) => {
    const graded = grade(train.questions[question]!, { text: responseText(policy, generation), finished: generation.finished });
    return graded.outcome === 'right';
  };
  // After the answer line there is nothing to continue: the response is what it is.
  const continued = responses.flatMap((response, i) =>
    steps[i]!.filter(({ kind }) => kind === 'process').map(({ token }) => ({
      ...response,
      prefix: response.generation.tokens.slice(0, token + 1),
    })),
  );
  const generations = await policy.generate(
    {
      prompts: continued.flatMap(({ prefix }) => Array.from({ length: samples }, () => [...prefix])),
      adapter: 'policy',
      sampling: { temperature: config.ppo.temperature, top_k: 0, top_p: 1, max_new_tokens: config.ppo.max_new_tokens },
      seed: seed.derive('continuations'),
    },
    signal,
  );
  const shares = continued.map(({ question, generation: { prompt_length } }, at) =>
    mean(
      generations
        .slice(at * samples, (at + 1) * samples)
        .map(({ tokens, finished }) => Number(right({ question, generation: { tokens, prompt_length, finished } }))),
    ),
  );
  let next = 0;
  return responses.map((response, i) => {
    const { tokens, prompt_length } = response.generation;
    const answer_right = right(response);
    return {
      sequence: { tokens, prompt_length },
      positions: steps[i]!.map(({ token }) => token),
      labels: steps[i]!.map(({ kind }) => (kind === 'answer' ? Number(answer_right) : shares[next++]!)),
      checked: steps[i]!.filter(({ kind }) => kind === 'process').map(() => 'unparseable' as const),
      answer_right,
    };
  });
}
