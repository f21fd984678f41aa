/**
 * `grade --grader NAME|all --question FILE.jsonl --response TEXT|--bench`: what a grader makes of one response, or of the test bench's
 * deliberately bad ones. `--number N` takes another question than the first, `--unfinished` a response that was cut off, `--set
 * grader_options.x.y=value` changes an option, `--json` prints JSON. The exit code of a bench is 1 when a case isn't as expected.
 */
import { InputError, errorRecord } from '../base/errors.ts';
import { resolveConfig, setPath } from '../rft/config.ts';
import { type Question, parseDataset } from '../rft/dataset.ts';
import { type BenchReport, type ByGrader, byEach, runBench } from '../rft/graders/bench.ts';
import type { Grade, Grader } from '../rft/graders/grader.ts';
import { type GraderName, graderNames } from '../rft/graders/registry.ts';
import { readText } from './models.ts';
import { type Options, readOptions } from './options.ts';

export const GRADE_OPTIONS = {
  grader: { type: 'string', default: 'multiple_choice', value: 'NAME|all', about: 'The rule.' },
  question: { type: 'string', value: 'FILE', about: 'File that holds the question.' },
  number: { type: 'string', default: '1', value: 'N', about: 'Which question of the file.' },
  response: { type: 'string', about: 'What is graded.' },
  unfinished: { type: 'boolean', default: false, about: 'As if the length limit had cut it off.' },
  bench: { type: 'boolean', default: false, about: 'Deliberately bad outputs in place of a response.' },
  set: { type: 'string', multiple: true, default: [] as string[], value: 'PATH=VALUE', about: 'An option of the grader.' },
  json: { type: 'boolean', default: false, about: 'As JSON.' },
} as const satisfies Options;

export async function grade(args: readonly string[]): Promise<number> {
  const { values } = readOptions(args, GRADE_OPTIONS);
  if (values.question === undefined)
    throw new InputError('grade needs a question.', 'For example: lab grade --question public/data/T5.test.jsonl --response "Answer: B"');
  if ((values.response === undefined) !== values.bench)
    throw new InputError('grade needs a response or --bench, and not both.', 'Give --response "Answer: B", or --bench.');
  const chosen = values.grader === 'all' ? resolveConfig({}) : setPath(resolveConfig({}), 'grader', values.grader);
  const { grader, grader_options } = values.set.reduce((config, setting) => {
    const [path = '', ...value] = setting.split('=');
    if (value.length === 0) throw new InputError(`--set ${setting} has no value.`, 'Write it as path=value.');
    return setPath(config, path, value.join('='));
  }, chosen);
  const names: readonly GraderName[] = values.grader === 'all' ? graderNames : [grader];
  const question = await readQuestion(values.question, values.number);

  const { response: text } = values;
  const each = <T>(work: (grader: Grader) => T): readonly ByGrader<T>[] => {
    const all = byEach(names, grader_options, question, work);
    if (all.length === 1 && all[0]?.error) throw all[0].error;
    return all;
  };
  if (text !== undefined) {
    print(
      each((by) => by.grade(question, { text, finished: !values.unfinished })),
      values.json,
      gradeText,
    );
    return 0;
  }
  const reports = each((by) => runBench(by, question));
  print(reports, values.json, benchText);
  return reports.some(({ result }) => result && result.unexpected > 0) ? 1 : 0;
}

async function readQuestion(path: string, number: string): Promise<Question> {
  const { questions } = await parseDataset(path, await readText(path));
  const question = /^\d{1,7}$/.test(number) ? questions[Number(number) - 1] : undefined;
  if (question) return question;
  throw new InputError(`${path} has no question number ${number}.`, `Give a number from 1 to ${questions.length}.`);
}

function print<T extends object>(items: readonly ByGrader<T>[], json: boolean, text: (name: string, result: T) => string): void {
  const plain = items.map(({ name, result, error }) => ({
    name,
    ...result,
    ...(error && { error: { type: error.type, ...errorRecord(error) } }),
  }));
  const lines = items.map(({ name, result, error }) => (result ? text(name, result) : columns(name, '', 'no grade', error?.message ?? '')));
  process.stdout.write(json ? `${JSON.stringify(plain.length === 1 ? plain[0] : plain, null, 1)}\n` : lines.join(''));
}

const columns = (name: string, reward: number | '', outcome: string, rest: string) =>
  `${name.padEnd(20)} ${(reward === '' ? '' : reward.toFixed(3)).padEnd(5)}  ${outcome.padEnd(13)} ${rest}`.trimEnd() + '\n';

function gradeText(name: string, { outcome, reward, answer, sub_rewards, error }: Grade): string {
  const parts = Object.entries(sub_rewards ?? {}).map(([part, value]) => `${part} ${value.toFixed(3)}`);
  const rest = [answer !== undefined && `answer ${JSON.stringify(answer)}`, error?.message, ...parts].filter((part) => part).join('; ');
  return columns(name, reward, outcome, rest);
}

function benchText(name: string, { cases, unexpected, best_bad_reward }: BenchReport): string {
  const lines = cases.map((item) => {
    const rest = item.as_expected ? '' : `expected ${item.expected.join(' or ')}: ${item.why} ${JSON.stringify(item.text)}`;
    return columns(item.name, item.grade.reward, item.grade.outcome, rest);
  });
  return `${name}: ${unexpected} of ${cases.length} cases not as expected; the most that a bad output earns is ${best_bad_reward.toFixed(3)}\n${lines.join('')}\n`;
}
