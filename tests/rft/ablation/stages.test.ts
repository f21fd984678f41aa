/** What rows share, and that a run in shared pieces is the run in one piece. */
import { beforeAll, describe, expect, test } from 'vitest';
import { InputError } from '../../../src/base/errors.ts';
import { neededAdapters } from '../../../src/rft/adapters.ts';
import { type Plan, type StageJob, planAblation } from '../../../src/rft/ablation/plan.ts';
import { OUTCOME_ROWS, type Row, TABLE_ROWS, type Variant, checkAdapters, rowConfig, rowsByName } from '../../../src/rft/ablation/rows.ts';
import { runStage } from '../../../src/rft/ablation/run-stage.ts';
import { stageConfig } from '../../../src/rft/ablation/stage-config.ts';
import type { PipelineCheckpoint } from '../../../src/rft/checkpoint.ts';
import { type Config, type PartialConfig, resolveConfig, setPaths } from '../../../src/rft/config.ts';
import { STAGES, type RunEvent, withoutTime } from '../../../src/rft/events.ts';
import { type PipelineData, runPipeline } from '../../../src/rft/pipeline.ts';
import type { Policy } from '../../../src/rft/policy.ts';
import { toyConfig, toyData } from '../fixtures.ts';
import { TabularPolicy } from '../tabular-policy.ts';

let data: PipelineData;
beforeAll(async () => {
  data = await toyData();
});

const ROWS = rowsByName(['Vanilla', 'ReFT', 'SFT', 'SFT+RL', 'SFT+RL+DA', 'SFT+RL+DA+ICL']);
const variants = (base: Config): Variant[] => ROWS.map((row) => ({ name: row.name, config: rowConfig(base, row) }));
const planOf = (list: readonly Variant[], seeds = [5], model = 'm'): Promise<Plan> =>
  planAblation(list, {
    tasks: ['T4'],
    seeds,
    modelHash: (adapters) => Promise.resolve([model, ...adapters.map(({ name }) => name)].join()),
    dataOf: () => Promise.resolve(data),
  });
const stagesOf = ({ jobs }: Plan) => jobs.map(({ stage }) => stage);
const base = () => resolveConfig({ model: 'pico' });

describe('rows', () => {
  test('are the paper’s, by these names and in this order', () => {
    expect(TABLE_ROWS.map(({ name }) => name)).toEqual(['Vanilla', 'ReFT', 'ReFT+PRM', 'SFT', 'SFT+', 'SFT+RL(PRM)', '+DA', '+DA+ICL']);
  });

  test('mean the same over every base: what rows differ in is turned off first', () => {
    const odd = resolveConfig({ model: 'pico', augment: { enabled: true }, icl: { k: 2, in_sft: true }, synthesis: { source: 'teacher' } });
    for (const row of ROWS) {
      const { sft, ppo, augment, icl, synthesis } = rowConfig(odd, row);
      const plain = rowConfig(base(), row);
      expect([sft, ppo, augment, icl.k, synthesis.source]).toEqual([
        plain.sft,
        plain.ppo,
        plain.augment,
        plain.icl.k,
        plain.synthesis.source,
      ]);
    }
  });

  test('with a process reward need prm, over every base, and the others don’t', () => {
    const odd = resolveConfig({ model: 'pico', prm: { model: 'prm' }, ppo: { alpha: 0.5 } });
    const names = (row: Row) => neededAdapters(rowConfig(odd, row)).map(({ name }) => name);
    expect(TABLE_ROWS.map(names)).toEqual([[], [], ['prm'], [], ['foreign-teacher'], ['prm'], ['prm'], ['prm']]);
    expect(OUTCOME_ROWS.map(names)).toEqual([[], [], []]);
  });

  test('of RL have one budget, and rewrites are for RL alone', () => {
    for (const row of [...TABLE_ROWS, ...OUTCOME_ROWS]) {
      expect(Object.keys(row.settings).filter((path) => /updates|per_question|per_update|epochs|train_questions/.test(path))).toEqual([]);
      if (row.settings['augment.enabled']) expect(row.settings['augment.use_in']).toBe('rl');
    }
  });

  test('that need what the model does not come with are refused by name, with the rows that are left', () => {
    const refusal = (adapters: readonly string[], rows = TABLE_ROWS, config = base()) => {
      const list = rows.map((row) => ({ name: row.name, config: rowConfig(config, row) }));
      try {
        checkAdapters(list, 'pico', adapters);
      } catch (error) {
        expect(error).toBeInstanceOf(InputError);
        return `${(error as InputError).message} ${(error as InputError).remedy}`;
      }
      return undefined;
    };
    expect(refusal([])).toContain(
      'ReFT+PRM needs prm; SFT+ needs foreign-teacher; SFT+RL(PRM) needs prm; +DA needs prm; +DA+ICL needs prm',
    );
    expect(refusal([])).toContain('Vanilla, ReFT, SFT can run');
    expect(refusal(['prm'])).toContain('pico lacks adapters that rows need: SFT+ needs foreign-teacher.');
    expect(refusal(['prm', 'foreign-teacher'])).toBeUndefined();
    const byAdapter = resolveConfig({ model: 'pico', augment: { rewriter: 'adapter' } });
    expect(refusal([], OUTCOME_ROWS, byAdapter)).toContain('SFT+RL+DA needs rewriter');
    expect(() => rowsByName(['ReFT', 'SFT++'])).toThrow('no row SFT++');
  });
});

describe('a plan', () => {
  test('shares the Vanilla evaluation, SFT and the rewrites among rows, and nothing among seeds', async () => {
    const plan = await planOf(variants(base()));
    expect(stagesOf(plan)).toEqual([
      'evaluate_before', // Vanilla, and the before of all but the last row
      ...['ppo', 'evaluate_after'], // ReFT
      ...['synthesize', 'sft', 'evaluate_after'], // SFT
      ...['ppo', 'evaluate_after'], // SFT+RL
      ...['augment', 'ppo', 'evaluate_after'], // +DA
      ...['evaluate_before', 'ppo', 'evaluate_after'], // +ICL, whose evaluations show examples
    ]);
    const both = await planOf(variants(base()), [5, 6]);
    expect(both.jobs).toHaveLength(2 * plan.jobs.length);
    expect(new Set(both.jobs.map(({ key }) => key)).size).toBe(both.jobs.length);
  });

  test('has every job after those that it goes on from', async () => {
    const { jobs } = await planOf(variants(base()));
    const seen = new Set<StageJob>();
    for (const job of jobs) {
      for (const input of Object.values(job.inputs)) expect(seen.has(input)).toBe(true);
      seen.add(job);
    }
  });

  test('another model, other questions or another setting of the stage make other keys; a setting of another stage does not', async () => {
    const keys = async (changes: readonly (readonly [string, unknown])[], model?: string) => {
      const { jobs } = await planOf(
        [{ name: 'SFT+RL', config: setPaths(rowConfig(base(), rowsByName(['SFT+RL'])[0]!), changes) }],
        [5],
        model,
      );
      return Object.fromEntries(jobs.map(({ stage, key }) => [stage, key]));
    };
    const differ = (a: Record<string, string>, b: Record<string, string>) => STAGES.filter((stage) => a[stage] !== b[stage]);
    const plain = await keys([]);
    expect(differ(plain, await keys([['ppo.updates', 3]]))).toEqual(['ppo', 'evaluate_after']);
    expect(differ(plain, await keys([['sft.epochs', 3]]))).toEqual(['sft', 'ppo', 'evaluate_after']);
    expect(differ(plain, await keys([['synthesis.max_tries', 3]]))).toEqual(['synthesize', 'sft', 'ppo', 'evaluate_after']);
    expect(differ(plain, await keys([['evaluation.limit', 3]]))).toEqual(['evaluate_before', 'evaluate_after']);
    expect(differ(plain, await keys([['lora.rank', 3]]))).toEqual(['sft', 'ppo', 'evaluate_after']);
    expect(differ(plain, await keys([['data.train_questions', 9]]))).toHaveLength(5);
    expect(differ(plain, await keys([], 'another'))).toHaveLength(5);
    // Held-out questions are missing in every stage.
    expect(differ(plain, await keys([['evaluation.every', 2]]))).toHaveLength(5);
    expect(differ(plain, await keys([['evaluation.every', 2], ['evaluation.during', 'test']]))).toEqual(['ppo', 'evaluate_after']); // prettier-ignore
  });

  test('a stage’s config is its own config’s: nothing is left in it that a further cut would remove', () => {
    for (const { config } of variants(base())) {
      for (const stage of STAGES) expect(stageConfig(stageConfig(config, stage), stage)).toEqual(stageConfig(config, stage));
    }
  });
});

/** Runs a plan in memory. */
async function execute({ jobs, cells }: Plan, policy: Policy) {
  const ends = new Map<string, PipelineCheckpoint | undefined>();
  const events = new Map<string, RunEvent[]>();
  for (const job of jobs) {
    const inputs = Object.fromEntries(Object.entries(job.inputs).map(([name, { key }]) => [name, ends.get(key)!]));
    const stage = runStage(() => Promise.resolve(policy), job, inputs, data);
    const seen: RunEvent[] = [];
    let next = await stage.next();
    for (; !next.done; next = await stage.next()) seen.push(next.value);
    ends.set(job.key, next.value);
    events.set(job.key, seen);
  }
  return cells.map(({ variant, result }) => ({ variant, last: events.get(result.key)! }));
}

const done = (events: readonly RunEvent[]) => events.flatMap((event) => (event.type === 'done' ? [withoutTime(event)] : []));

test.each<[string, PartialConfig]>([
  ['as it is', {}],
  ['with held-out questions', { evaluation: { samples_per_question: 4, max_new_tokens: 22, every: 3 } }],
  ['with solutions as examples in SFT and evaluation', { icl: { k: 2, in_sft: true, in_evaluation: true, show: 'solution' } }],
])('a run in shared pieces ends as the pipeline does in one piece, %s', async (_, changes) => {
  const start = toyConfig({ ppo: { updates: 3 }, ...changes });
  const list = (['SFT', 'ReFT', 'SFT+RL'] as const).map((name) => {
    const config = rowConfig(start, rowsByName([name])[0]!);
    return { name, config: resolveConfig({ ...config, icl: start.icl, data: { ...config.data, task: 'T4' } }) };
  });
  const results = await execute(await planOf(list), new TabularPolicy());
  for (const { name, config } of list) {
    const whole: RunEvent[] = [];
    for await (const event of runPipeline(new TabularPolicy(), config, data)) whole.push(event);
    expect(done(results.find(({ variant }) => variant === name)!.last)).toEqual(done(whole));
    expect(done(whole)).toHaveLength(1);
  }
});
