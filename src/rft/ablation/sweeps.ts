/** Sweeps: one thing varied over the rows of the table, by the same machinery. */
import { InputError } from '../../base/errors.ts';
import { type Config, setPaths } from '../config.ts';
import { AGGREGATIONS } from '../reward/aggregation.ts';
import { type Row, type Settings, type Variant, rowConfig, rowsByName } from './rows.ts';

export const sweepNames = ['data-size', 'teacher', 'alpha', 'aggregation', 'prompts'] as const;
export type SweepName = (typeof sweepNames)[number];

interface SweepRow extends Row {
  /** Where the row stands along the sweep; left out, it is what the others are held against. */
  readonly x?: number;
  /** Laid over the row for its SFT alone. */
  readonly sftSettings?: Settings;
}

interface Sweep {
  readonly title: string;
  /** What x counts, and whether it grows by factors. */
  readonly axis?: { readonly label: string; readonly log?: boolean };
  /** Of the table that the sweep varies, where they can be chosen. */
  readonly rows?: readonly string[];
  /** Tasks that are swept unless others are named. */
  readonly tasks: 'all' | readonly string[];
  /** @param questions how many training questions the task has. */
  readonly points: (rows: readonly Row[], questions: number) => readonly SweepRow[];
}

const SIZES = [25, 50, 100, 200, 400];
/** To how many questions a sweep of their number goes, of a task that has as many. */
export const LARGEST_SIZE = SIZES.at(-1)!;
const ALPHAS = [0, 0.3, 0.5, 0.7, 0.9, 1];
const SHARES = [0.25, 0.5, 0.75];
const OFF_ON = [false, true];

const [SFT, FOREIGN, OUTCOME_RL, PRM_RL] = rowsByName(['SFT', 'SFT+', 'SFT+RL', 'SFT+RL(PRM)']) as [Row, Row, Row, Row];

/** Sizes up to what there is, and all that there is in place of those above. */
function sizesUpTo(questions: number): number[] {
  const sizes = SIZES.filter((size) => size <= questions);
  return questions < LARGEST_SIZE && !sizes.includes(questions) ? [...sizes, questions] : sizes;
}

export const sweeps: Readonly<Record<SweepName, Sweep>> = {
  'data-size': {
    title: 'Size of the training set (Figure 3): SFT on 100 questions throughout, RL on more or fewer',
    axis: { label: 'questions for RL', log: true },
    rows: ['ReFT', 'SFT+RL(PRM)', '+DA'],
    tasks: ['T8'],
    points: (rows, questions) => [
      { ...SFT, name: 'SFT, 100', settings: { ...SFT.settings, 'data.train_questions': 100 } },
      ...rows.flatMap((row) =>
        sizesUpTo(questions).map((size) => ({
          ...row,
          name: `${row.name}, ${size}`,
          x: size,
          settings: { ...row.settings, 'data.train_questions': size },
          sftSettings: { 'data.train_questions': 100 },
        })),
      ),
    ],
  },
  teacher: {
    title: 'Alignment of teacher and student (Table 2), and mixtures of both',
    axis: { label: 'share of foreign solutions' },
    tasks: 'all',
    points: () => [
      ...rowsByName(['Vanilla', 'SFT']),
      ...SHARES.map((share) => ({
        ...FOREIGN,
        name: `SFT+, share ${share}`,
        x: share,
        settings: { ...FOREIGN.settings, 'synthesis.source_share': share },
      })),
      { ...FOREIGN, x: 1 },
      {
        name: 'SFT by teacher',
        about: 'SFT on solutions of a stronger teacher that takes the same steps.',
        settings: { ...FOREIGN.settings, 'synthesis.source': 'teacher' },
      },
    ],
  },
  alpha: {
    title: 'Weight of the outcome: R = alpha · outcome + (1 - alpha) · process',
    axis: { label: 'alpha' },
    tasks: 'all',
    points: () =>
      ALPHAS.map((alpha) => ({ ...PRM_RL, name: `alpha ${alpha}`, x: alpha, settings: { ...PRM_RL.settings, 'ppo.alpha': alpha } })),
  },
  aggregation: {
    title: 'f() of the process reward: how the scores of the steps become one',
    tasks: 'all',
    points: () =>
      AGGREGATIONS.map((name) => ({ ...PRM_RL, name: `f = ${name}`, settings: { ...PRM_RL.settings, 'prm.aggregation': name } })),
  },
  prompts: {
    title: 'Examples in the prompts of SFT, RL and evaluation: all eight combinations',
    tasks: 'all',
    points: () =>
      OFF_ON.flatMap((in_sft) =>
        OFF_ON.flatMap((in_rl) =>
          OFF_ON.map((in_evaluation) => {
            const shown = Object.entries({ SFT: in_sft, RL: in_rl, evaluation: in_evaluation }).filter(([, on]) => on);
            return {
              ...OUTCOME_RL,
              name: shown.length === 0 ? 'no examples' : `examples in ${shown.map(([use]) => use).join(', ')}`,
              settings: {
                ...OUTCOME_RL.settings,
                'icl.k': 3,
                'icl.in_sft': in_sft,
                'icl.in_rl': in_rl,
                'icl.in_evaluation': in_evaluation,
              },
            };
          }),
        ),
      ),
  },
};

/**
 * The rows of a sweep.
 * @param rows names from --rows; undefined takes the sweep's own.
 * @throws InputError for rows that the sweep does not vary.
 */
export function sweepRows(name: SweepName, rows: readonly string[] | undefined, questions: number): SweepRow[] {
  const sweep = sweeps[name];
  if (rows && !sweep.rows) throw new InputError(`The sweep ${name} has rows of its own.`, 'Leave --rows out.');
  return [...sweep.points(rowsByName(rows ?? sweep.rows ?? []), questions)];
}

/** @throws InputError for settings that the config does not have. */
export function variantsOf(base: Config, rows: readonly SweepRow[]): Variant[] {
  return rows.map((row) => {
    const config = rowConfig(base, row);
    return {
      name: row.name,
      config,
      ...(row.x !== undefined && { x: row.x }),
      ...(row.sftSettings && { sftConfig: setPaths(config, Object.entries(row.sftSettings)) }),
    };
  });
}
