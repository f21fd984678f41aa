/**
 * The paper's future work (section 5): the policy and its process reward model improve in turns. Every `loop.every` updates a round
 * retrains the reward model on the policy's own responses, asks what is still unsolved again, and teaches what was solved.
 */
import type { PolicyCheckpoint } from '../policy.ts';
import type { RoundEvent } from '../events.ts';
import type { Prompt } from '../retrieve/compose.ts';
import type { Rollout } from '../rollouts.ts';
import type { StageContext } from '../stage.ts';
import { LOOP_JUDGE, reloadJudge, retrainJudge } from './judge.ts';
import { type Response, checkLabels } from './labels.ts';
import { EMPTY_POOL, type PoolState, askAgain, teach, updated } from './pool.ts';

/** What the loop remembers between updates. */
export interface LoopState {
  /** Rounds done. */
  readonly round: number;
  /** The latest responses since the last round, at most `loop.prm_responses`. */
  readonly responses: readonly SavedResponse[];
  readonly pool: PoolState;
  /** Training state of the reward model. */
  readonly prm?: PolicyCheckpoint;
}

interface SavedResponse {
  readonly question: number;
  readonly tokens: readonly number[];
  readonly prompt_length: number;
  readonly finished: boolean;
}

export class Loop {
  private constructor(
    private context: StageContext,
    private readonly prompts: readonly Prompt[],
    private now: LoopState,
  ) {}

  /** Undefined when the config has no loop. @throws InputError for questions whose steps nothing can check. */
  static async open(context: StageContext, prompts: readonly Prompt[], saved: LoopState | undefined): Promise<Loop | undefined> {
    if (context.config.loop.every === 0) return undefined;
    checkLabels(context);
    if (saved?.prm) await reloadJudge(context, saved.prm);
    return new Loop(context, prompts, saved ?? { round: 0, responses: [], pool: EMPTY_POOL });
  }

  get state(): LoopState {
    return this.now;
  }

  /** Settings that have changed between updates. */
  follow(config: StageContext['config']): void {
    this.context = { ...this.context, config };
  }

  /** The context with the latest reward model in its config. */
  get judging(): StageContext {
    const { context } = this;
    if (!this.now.prm) return context;
    return { ...context, config: { ...context.config, prm: { ...context.config.prm, model: LOOP_JUDGE } } };
  }

  /** Takes in the rollouts of an update. */
  collect(rollouts: readonly Rollout[]): void {
    const { prm, prm_responses, pool } = this.context.config.loop;
    const fresh = rollouts.map(({ question, generation: { tokens, prompt_length, finished } }) => ({
      question,
      tokens: [...tokens],
      prompt_length,
      finished,
    }));
    const asked = new Map<number, boolean>();
    for (const { question, grade } of rollouts) asked.set(question, (asked.get(question) ?? false) || grade.outcome === 'right');
    this.now = {
      ...this.now,
      ...(prm && { responses: [...this.now.responses, ...fresh].slice(-prm_responses) }),
      ...(pool && { pool: updated(this.now.pool, asked) }),
    };
  }

  isDue(update: number): boolean {
    const { loop, ppo } = this.context.config;
    return update % loop.every === 0 && update < ppo.updates;
  }

  /** A reward model from nothing, of responses of the policy as RL begins with it, where the config names none to begin with. */
  async *begin(): AsyncGenerator<RoundEvent, void> {
    const { context, prompts } = this;
    const { loop, prm, ppo } = context.config;
    if (!loop.prm || prm.model !== '') return;
    const seed = context.seed.derive('loop').derive(0);
    const order = seed
      .derive('order')
      .random()
      .shuffle([...prompts.keys()]);
    const asked = Array.from({ length: loop.prm_responses }, (_, i) => order[i % order.length]!);
    const generations = await context.policy.generate(
      {
        prompts: asked.map((question) => prompts[question]!.tokens),
        adapter: 'policy',
        sampling: { temperature: ppo.temperature, top_k: 0, top_p: 1, max_new_tokens: ppo.max_new_tokens },
        seed: seed.derive('responses'),
      },
      context.signal,
    );
    const responses = generations.map((generation, i) => ({ question: asked[i]!, generation }));
    const { state, report } = await retrainJudge(context, responses, { judge: undefined, state: undefined, seed });
    this.now = { ...this.now, prm: state };
    yield { type: 'round', stage: 'ppo', round: 0, update: 0, prm: report };
  }

  /** After `update` updates. */
  async *round(update: number): AsyncGenerator<RoundEvent, void> {
    const { context, prompts } = this;
    const { loop } = context.config;
    const round = this.now.round + 1;
    const seed = context.seed.derive('loop').derive(round);
    let event: RoundEvent = { type: 'round', stage: 'ppo', round, update };
    this.now = { ...this.now, round };
    if (loop.prm) {
      const judge = this.judging.config.prm.model;
      const { state, report } = await retrainJudge(context, this.now.responses.map(asResponse), {
        judge: judge === '' ? undefined : judge,
        state: this.now.prm,
        seed,
      });
      event = { ...event, prm: report };
      this.now = { ...this.now, prm: state, responses: [] };
    }
    if (loop.pool) {
      const { pool, report } = await askAgain(context, prompts, this.now.pool, seed);
      const taught = report.solved > 0 ? await teach(context, prompts, pool, seed) : undefined;
      event = { ...event, pool: { ...report, ...(taught && { taught }) } };
      this.now = { ...this.now, pool };
    }
    yield event;
  }
}

const asResponse = ({ question, tokens, prompt_length, finished }: SavedResponse): Response => ({
  question,
  generation: { tokens: Int32Array.from(tokens), prompt_length, finished },
});
