/** A notebook: Markdown and stages in reading order, a seed, and whatever differs from the default config. It is data: nothing in it runs by itself. */
import * as v from 'valibot';
import { InputError } from '../base/errors.ts';
import { type Config, type PartialConfig, configDifferences, resolveConfig } from '../rft/config.ts';
import { STAGES } from '../rft/events.ts';

export const NOTEBOOK_VERSION = 1;

const cellSchema = v.variant('kind', [
  v.strictObject({ kind: v.literal('markdown'), text: v.pipe(v.string(), v.maxLength(20_000)) }),
  v.strictObject({ kind: v.literal('stage'), stage: v.picklist(STAGES) }),
]);

const envelopeSchema = v.strictObject({
  v: v.literal(NOTEBOOK_VERSION),
  kind: v.literal('notebook'),
  title: v.pipe(v.string(), v.minLength(1), v.maxLength(200)),
  seed: v.number(),
  // Not v.record: that drops a key __proto__ in silence, and resolveConfig refuses it by name.
  config: v.custom<Record<string, unknown>>(
    (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
    'must be an object',
  ),
  cells: v.pipe(v.array(cellSchema), v.maxLength(200)),
});

export type Cell = v.InferOutput<typeof cellSchema>;

/** What is stored and shared. `config` holds the differences from the defaults, without the seed. */
export interface NotebookEnvelope {
  readonly v: typeof NOTEBOOK_VERSION;
  readonly kind: 'notebook';
  readonly title: string;
  readonly seed: number;
  readonly config: PartialConfig;
  readonly cells: readonly Cell[];
}

export interface Notebook {
  readonly title: string;
  /** Whole, the notebook's seed among it. */
  readonly config: Config;
  readonly cells: readonly Cell[];
}

/**
 * @param json the parsed JSON of a notebook.
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
  const result = v.safeParse(envelopeSchema, json);
  if (!result.success) {
    const problems = result.issues.map((issue) => `${v.getDotPath(issue) ?? 'the whole'}: ${issue.message}`);
    throw new InputError(
      `This is not a notebook of the lab: ${problems.join('; ')}.`,
      'Choose a file that the lab saved, or correct what is named.',
    );
  }
  const { title, seed, config, cells } = result.output;
  if ('seed' in config) throw new InputError('config.seed is not allowed in a notebook.', 'Give the seed once, beside the title.');
  return { title, config: resolveConfig({ ...config, seed }), cells };
}

/** The envelope that `parseNotebook` reads back as the same notebook. */
export function serializeNotebook({ title, config, cells }: Notebook): NotebookEnvelope {
  const { seed: _, ...differences } = configDifferences(config);
  return { v: NOTEBOOK_VERSION, kind: 'notebook', title, seed: config.seed, config: differences, cells };
}
