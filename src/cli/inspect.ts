/**
 * `inspect FILE [--against TRAIN_FILE] [--answers FILE] [--model NAME|FOLDER [--vanilla N]] [--columns …] [--json]`: what a file of
 * questions holds, what is wrong with it, and what a run on it would be worth. With `--vanilla` the model answers the first N questions (0: all).
 */
import { InputError } from '../base/errors.ts';
import { Seed } from '../base/random.ts';
import { openPolicy, readTextSide } from '../model/open.ts';
import { resolveConfig } from '../rft/config.ts';
import type { ImportResult } from '../rft/import/import.ts';
import { type DataReport, type ReportModel, dataReport } from '../rft/import/report.ts';
import { ANSWER_FORMS, type AnswerForm, type ColumnMapping } from '../rft/import/types.ts';
import type { Question } from '../rft/dataset.ts';
import type { Interval } from '../rft/statistics.ts';
import { vanillaAccuracy } from '../rft/vanilla.ts';
import { nodeGpu } from './dawn.ts';
import { readModelFolder, readOwn } from './models.ts';
import { type Options, readOptions } from './options.ts';

export const INSPECT_OPTIONS = {
  against: { type: 'string', value: 'FILE', about: 'Training questions that must not stand in the file.' },
  answers: { type: 'string', value: 'FILE', about: 'Keys of the questions, where they lie apart.' },
  columns: { type: 'string', value: 'FIELD=COLUMN,…', about: 'Which columns hold what.' },
  model: { type: 'string', value: 'NAME|FOLDER', about: 'Whose tokens are counted.' },
  vanilla: { type: 'string', value: 'N', about: 'Questions that the untouched model answers, from the first.' },
  backend: { type: 'string', default: 'webgpu', value: 'webgpu|cpu', about: 'What computes.' },
  seed: { type: 'string', default: '1', value: 'N', about: 'Of those answers.' },
  json: { type: 'boolean', default: false, about: 'The report as JSON.' },
} as const satisfies Options;

export async function inspect(args: readonly string[]): Promise<number> {
  const { positionals, values } = readOptions(args, INSPECT_OPTIONS, true);
  const [path] = positionals;
  if (path === undefined)
    throw new InputError('inspect needs a file.', 'For example: lab inspect test.json --against train.json --model pico');
  const train = values.against === undefined ? undefined : await readOwn(values.against);
  const answers = values.answers === undefined ? undefined : (await readOwn(values.answers)).dataset.questions;
  const file = await readOwn(path, {
    ...(values.columns !== undefined && { columns: columnsOf(values.columns) }),
    ...(answers && { answers }),
  });
  const vanilla =
    values.vanilla === undefined ? undefined : await measureVanilla(file.dataset.questions, { ...values, vanilla: values.vanilla });
  const report = dataReport(file.dataset.questions, file.keyless, {
    ...(train && { train: { name: values.against!, questions: train.dataset.questions } }),
    ...(values.model !== undefined && { model: await reportModel(values.model) }),
    ...(vanilla && { vanilla }),
  });
  process.stdout.write(values.json ? `${JSON.stringify(asJson(file, report), null, 1)}\n` : asText(file, report));
  return 0;
}

async function measureVanilla(
  questions: readonly Question[],
  { model, vanilla, backend, seed }: { model?: string | undefined; vanilla: string; backend: string; seed: string },
): Promise<Interval> {
  const [count, number] = [Number(vanilla), Number(seed)];
  if (model === undefined) throw new InputError('--vanilla needs a model that answers.', 'Add --model, for example --model mini.');
  if (!Number.isInteger(count) || count < 0)
    throw new InputError(`--vanilla ${vanilla} is no number of questions.`, 'Give 0 for all of them.');
  const asked = count === 0 ? questions : questions.slice(0, count);
  if (asked.length === 0) throw new InputError('There is no question with a key to answer.', 'Give the keys with --answers.');
  const open = backend === 'cpu' ? ({ backend } as const) : ({ backend: 'webgpu', gpu: await nodeGpu() } as const);
  const policy = await openPolicy(model, await readModelFolder(model), open);
  try {
    const { temperature, max_new_tokens } = resolveConfig({}).evaluation;
    return await vanillaAccuracy(policy, asked, { seed: Seed.of(number), temperature, max_new_tokens });
  } finally {
    await policy.dispose();
  }
}

async function reportModel(name: string): Promise<ReportModel> {
  const { config, tokenizer } = await readTextSide(name, await readModelFolder(name));
  const context = config.max_position_embeddings;
  return { name, tokenizer, context, max_new_tokens: resolveConfig({}).evaluation.max_new_tokens };
}

/** `question=Q,options=A|B|C|D,answer=Key,answer_as=letter`: each may be left out. */
function columnsOf(text: string): Partial<ColumnMapping> {
  const pairs = text.split(',').map((part) => part.split('=').map((side) => side.trim()));
  const known = ['question', 'options', 'answer', 'answer_as'];
  const odd = pairs.find(([key = '', value]) => !known.includes(key) || !value);
  if (odd)
    throw new InputError(
      `--columns does not understand ${odd.join('=')}.`,
      'Write question=Q,options=A|B|C|D,answer=Key, with the names of your columns.',
    );
  const { options, answer_as, ...names } = Object.fromEntries(pairs) as Record<string, string>;
  if (answer_as !== undefined && !ANSWER_FORMS.includes(answer_as as AnswerForm))
    throw new InputError(`Answers can't be read as ${answer_as}.`, `Use one of ${ANSWER_FORMS.join(', ')}.`);
  return {
    ...names,
    ...(options !== undefined && { options: options.split('|') }),
    ...(answer_as !== undefined && { answer_as: answer_as as AnswerForm }),
  };
}

function asJson({ dataset, places: _, keyless, ...file }: ImportResult, report: DataReport) {
  return { ...file, questions: dataset.questions.length, keyless: keyless.length, report };
}

/** Lines of each list that the text shows; `--json` has all. */
const SHOWN = 10;

function asText(file: ImportResult, report: DataReport): string {
  const { letters, shortcuts, characters, tokens } = report;
  const percent = (share: number) => `${(share * 100).toFixed(1).padStart(5)} %`;
  const list = <T>(title: string, items: readonly T[], line: (item: T) => string) => {
    const more = items.length > SHOWN ? [`  … and ${items.length - SHOWN} more (--json lists all)`] : [];
    return items.length === 0 ? [] : ['', `${title}: ${items.length}`, ...items.slice(0, SHOWN).map((item) => `  ${line(item)}`), ...more];
  };
  const keyless = file.keyless.length > 0 ? `, ${file.keyless.length} prompts without a key` : '';
  return [
    `${file.name}: ${file.dataset.questions.length} questions of ${file.records} records${keyless}, ${file.format}, read as ${file.adapter}`,
    `sha256 ${file.sha256}`,
    ...(file.columns ? [`columns: question ${file.columns.question}, options ${file.columns.options.join(' | ')}, answer ${file.columns.answer} as ${file.columns.answer_as}`] : []),
    ...list('Refused', file.refused, ({ where, reason }) => `${where}: ${reason}`),
    ...list('Read otherwise', file.repairs, ({ where, what }) => `${where}: ${what}`),
    '',
    'Findings',
    ...report.findings.map(({ level, text }) => `  ${level === 'warning' ? '!' : '-'} ${text}`),
    '',
    `Right letters: ${Object.entries(letters.counts).map(([letter, count]) => `${letter} ${count}`).join(', ')}`,
    `Characters, stem and options: mean ${characters.mean.toFixed(0)}, longest ${characters.max}`,
    ...(tokens ? [`Prompt tokens for ${tokens.model}: mean ${tokens.mean.toFixed(0)}, longest ${tokens.max}, ${tokens.bytes_per_token.toFixed(2)} bytes per token`] : []),
    ...(shortcuts.length > 0 ? ['', 'Accuracy without reading (95 % interval)'] : []),
    ...shortcuts.map(({ name, accuracy: { mean, lo, hi }, works }) => `  ${percent(mean)} (${percent(lo)} to ${percent(hi)})  ${name}${works ? '  beats chance' : ''}`),
    '',
  ].join('\n'); // prettier-ignore
}
