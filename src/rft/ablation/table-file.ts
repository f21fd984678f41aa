/** `table1.json` of an ablation, read again; `src/cli/ablate/output.ts` writes it. */
import * as v from 'valibot';
import { InputError } from '../../base/errors.ts';

const share = v.pipe(v.number(), v.finite());
const interval = v.object({ mean: share, lo: share, hi: share });
const name = v.pipe(v.string(), v.minLength(1), v.maxLength(200));
const intervals = v.object({ average: interval, tasks: v.record(name, interval) });
const text = v.pipe(v.string(), v.maxLength(10_000));

const schema = v.object({
  version: v.literal(1),
  title: text,
  command: text,
  adapter: text,
  tasks: v.pipe(v.array(name), v.minLength(1), v.maxLength(100)),
  seeds: v.pipe(v.array(v.number()), v.minLength(1), v.maxLength(1000)),
  rows: v.pipe(
    v.array(v.object({ ...intervals.entries, name, x: v.optional(share), versus_first: v.optional(intervals) })),
    v.minLength(1),
    v.maxLength(200),
  ),
  baselines: v.record(name, v.object({ best: v.object({ name: text, accuracy: interval }) })),
  intervals: text,
});

export type AblationFile = v.InferOutput<typeof schema>;

const REMEDY = 'Choose the table1.json that `npm run lab -- ablate` wrote, unchanged.';

/** @param file stands in the messages. @throws InputError for what is no such table, naming the place. */
export function readAblation(content: string, file: string): AblationFile {
  let json: unknown;
  try {
    json = JSON.parse(content);
  } catch (cause) {
    throw new InputError(`${file} is not JSON: ${(cause as Error).message}.`, REMEDY, { cause });
  }
  const result = v.safeParse(schema, json);
  if (!result.success) {
    const problems = result.issues.slice(0, 3).map((issue) => `${v.getDotPath(issue) ?? 'the whole'}: ${issue.message.slice(0, 200)}`);
    throw new InputError(`${file} is no table of an ablation: ${problems.join('; ')}.`, REMEDY);
  }
  const { tasks, rows } = result.output;
  for (const names of [tasks, rows.map((row) => row.name)]) {
    const twice = names.find((one, i) => names.indexOf(one) !== i);
    if (twice !== undefined) throw new InputError(`${file} has ${twice} twice.`, REMEDY);
  }
  for (const row of rows) {
    const missing = tasks.find((task) => !Object.hasOwn(row.tasks, task));
    if (missing !== undefined) throw new InputError(`${file}: the row ${row.name} has no figure for task ${missing}.`, REMEDY);
  }
  return result.output;
}
