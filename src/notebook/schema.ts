/**
 * A notebook: Markdown and stages in reading order, a seed, whatever differs from the default config, which questions it is about, and
 * perhaps the figures of a run. It is data: nothing in it runs by itself.
 */
import * as v from 'valibot';
import { InputError } from '../base/errors.ts';
import { type Config, type PartialConfig, configDifferences, resolveConfig } from '../rft/config.ts';
import { LABELS } from '../rft/dataset.ts';
import { STAGES } from '../rft/events.ts';
import { canonicalJson, readJson } from './json.ts';
import { type Lesson, lessonSchema } from './lesson.ts';
import { NOTEBOOK_VERSION, migrate } from './migrations.ts';
import { type Results, dataHashes, resultsSchema } from './results.ts';

export const NOTEBOOK_LIMITS = { cells: 200, cell: 20_000, title: 200, questions: 2000 } as const;

/** Counted before any item is looked at: that of a bomb would take long. */
const listOf = <T extends v.GenericSchema>(item: T, most: number) => v.pipe(v.array(v.unknown()), v.maxLength(most), v.array(item));

const cellSchema = v.variant('kind', [
  v.strictObject({ kind: v.literal('markdown'), text: v.pipe(v.string(), v.maxLength(NOTEBOOK_LIMITS.cell)) }),
  v.strictObject({ kind: v.literal('stage'), stage: v.picklist(STAGES) }),
]);

const short = v.pipe(v.string(), v.maxLength(4000));
const questionSchema = v.strictObject({
  question: short,
  choices: v.strictObject({ text: v.pipe(v.array(short), v.length(4)), label: v.pipe(v.array(v.picklist(LABELS)), v.length(4)) }),
  answerKey: v.picklist(LABELS),
  /** As JSON: the order of its names is part of the hash of the questions. */
  details: v.exactOptional(short),
});
const questions = v.pipe(listOf(questionSchema, NOTEBOOK_LIMITS.questions), v.minLength(1));
const fileName = v.pipe(v.string(), v.minLength(1), v.maxLength(200));

const dataSchema = v.variant('kind', [
  /** Questions that are elsewhere, a bundled task's or in a file, known by their hashes. */
  v.strictObject({ kind: v.literal('reference'), ...dataHashes.entries }),
  /** The questions themselves. */
  v.strictObject({ kind: v.literal('inline'), name: fileName, train: questions, test: questions }),
]);

const viewSchema = v.strictObject({
  /** Group of rollouts on show, e.g. "ppo:3". */
  rollouts: v.exactOptional(v.pipe(v.string(), v.regex(/^[a-z_]{1,20}(:\d{1,6})?$/))),
});

const envelopeSchema = v.strictObject({
  v: v.literal(NOTEBOOK_VERSION),
  kind: v.literal('notebook'),
  app: v.exactOptional(v.pipe(v.string(), v.maxLength(32))),
  title: v.pipe(v.string(), v.minLength(1), v.maxLength(NOTEBOOK_LIMITS.title)),
  seed: v.number(),
  // Not v.record: that drops a key __proto__ in silence, and resolveConfig refuses it by name.
  config: v.custom<Record<string, unknown>>(
    (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
    'must be an object',
  ),
  data: v.exactOptional(dataSchema),
  cells: listOf(cellSchema, NOTEBOOK_LIMITS.cells),
  results: v.exactOptional(resultsSchema),
  view: v.exactOptional(viewSchema),
  lesson: v.exactOptional(lessonSchema),
});

export type Cell = v.InferOutput<typeof cellSchema>;
export type InlineQuestion = v.InferOutput<typeof questionSchema>;
export type NotebookData = v.InferOutput<typeof dataSchema>;
export type NotebookView = v.InferOutput<typeof viewSchema>;

interface Contents {
  readonly title: string;
  readonly cells: readonly Cell[];
  /** Version of the lab that saved it. */
  readonly app?: string;
  readonly data?: NotebookData;
  /** Of a run of these settings; who reads them from elsewhere has not run them. */
  readonly results?: Results;
  readonly view?: NotebookView;
  readonly lesson?: Lesson;
}

/** What is stored and shared. `config` holds the differences from the defaults, without the seed. */
export interface NotebookEnvelope extends Contents {
  readonly v: typeof NOTEBOOK_VERSION;
  readonly kind: 'notebook';
  readonly seed: number;
  readonly config: PartialConfig;
}

export interface Notebook extends Contents {
  /** Whole, the notebook's seed among it. */
  readonly config: Config;
}

/**
 * @param json the parsed JSON of a notebook, of this version or an older one.
 * @throws InputError naming the place and what is allowed there; a notebook of a newer version is not guessed at.
 */
export function parseNotebook(json: unknown): Notebook {
  const version: unknown = typeof json === 'object' && json !== null && 'v' in json ? json.v : undefined;
  if (typeof version === 'number' && version > NOTEBOOK_VERSION) {
    throw new InputError(
      `This notebook has version ${version}, and this lab reads up to ${NOTEBOOK_VERSION}.`,
      'Open it with a newer version of the lab.',
    );
  }
  const result = v.safeParse(envelopeSchema, migrate(json));
  if (!result.success) {
    const problems = result.issues.slice(0, 5).map((issue) => `${v.getDotPath(issue) ?? 'the whole'}: ${issue.message.slice(0, 200)}`);
    throw new InputError(
      `This is not a notebook of the lab: ${problems.join('; ')}.`,
      'Choose a file that the lab saved, or correct what is named.',
    );
  }
  const { v: _, kind: __, seed, config, ...contents } = result.output;
  if ('seed' in config) throw new InputError('config.seed is not allowed in a notebook.', 'Give the seed once, beside the title.');
  return { ...contents, config: resolveConfig({ ...config, seed }) };
}

/** The envelope that `parseNotebook` reads back as the same notebook. */
export function serializeNotebook({ config, ...contents }: Notebook): NotebookEnvelope {
  const { seed, ...differences } = { ...configDifferences(config), seed: config.seed };
  return { v: NOTEBOOK_VERSION, kind: 'notebook', seed, config: differences, ...contents };
}

/** The one text of a notebook: equal notebooks have equal bytes, in a link and in the store. */
export const notebookText = (notebook: Notebook): string => canonicalJson(serializeNotebook(notebook));

/** The same, laid out to be read. */
export const notebookFile = (notebook: Notebook): string => `${canonicalJson(serializeNotebook(notebook), 1)}\n`;

/**
 * A notebook's file, or the Jupyter notebook that the lab made of one, which holds it in its metadata.
 * @param what stands in the messages. @throws InputError for what is no notebook.
 */
export function readNotebook(text: string, what: string): Notebook {
  const json = readJson(text.replace(/^\uFEFF/, ''), what);
  if (typeof json !== 'object' || json === null || !('nbformat' in json)) return parseNotebook(json);
  const { openrft_lab: inside } = ('metadata' in json ? json.metadata : {}) as { openrft_lab?: unknown };
  if (inside !== undefined) return parseNotebook(inside);
  throw new InputError(
    `${what} is a Jupyter notebook that was not made by the lab.`,
    'Choose one that the lab exported, or a notebook of the lab.',
  );
}
