import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test, vi } from 'vitest';
import { InputError } from '../../../src/base/errors.ts';
import { grade } from '../../../src/cli/grade.ts';
import { type PartialConfig, resolveConfig } from '../../../src/rft/config.ts';
import { LABELS, type Question } from '../../../src/rft/dataset.ts';
import { BENCH_QUESTION, type BenchReport, byEach, runBench } from '../../../src/rft/graders/bench.ts';
import { GraderError } from '../../../src/rft/graders/grader.ts';
import { type GraderName, SINGLE_GRADERS, graderNames, makeGrader } from '../../../src/rft/graders/registry.ts';
import { jsonl } from '../fixtures.ts';

type Options = NonNullable<PartialConfig['grader_options']>;
const optionsOf = (options: Options = {}) => resolveConfig({ grader_options: options }).grader_options;
const bench = (name: GraderName, options: Options = {}, question: Question = BENCH_QUESTION) =>
  runBench(makeGrader(name, optionsOf(options)), question);
const surprises = (report: BenchReport) => report.cases.filter(({ as_expected }) => !as_expected).map(({ name }) => name);

describe('the bench', () => {
  test.each(SINGLE_GRADERS.filter((name) => name !== 'sciknoweval_lenient'))(
    'finds nothing to object to in %s, whatever the key',
    (name) => {
      for (const answerKey of LABELS) expect(surprises(bench(name, {}, { ...BENCH_QUESTION, answerKey }))).toEqual([]);
      expect(bench(name).cases.length).toBeGreaterThan(25);
    },
  );

  test('finds what the lenient rule pays for', () => {
    const report = bench('sciknoweval_lenient');
    expect(surprises(report)).toEqual(['middle only', 'huge']);
    expect(report.best_bad_reward).toBe(1);
  });

  test('finds graders that are set badly', () => {
    expect(surprises(bench('string_check', { string_check: { operation: 'ne' } }))).toEqual(
      expect.arrayContaining(['right answer', 'another option']),
    );
    const contains = {
      string_check: { operation: 'like' as const, input: '{{ sample.output_text }}', reference: '{{ item.answer_text }}' },
    };
    expect(surprises(bench('string_check', contains))).toContain('huge');
    const low = { text_similarity: { pass_threshold: 0.3 } };
    expect(surprises(bench('text_similarity', low))).toContain('another option');
    expect(surprises(bench('multi', { multi: { multiple_choice: 0.5, numeric: 0.5 } }))).toContain('right answer');
  });

  test('a combination of two forms is shown both, and pays part of the reward for one', () => {
    const report = bench('multi', { multi: { multiple_choice: 0.7, boxed: 0.3 } });
    expect(surprises(report)).toEqual([]);
    expect(report.cases[0]!.grade).toMatchObject({ outcome: 'right', reward: 1 });
    expect(report.best_bad_reward).toBe(0.3);
  });

  test('a question that the grader can’t grade is refused with the reason', () => {
    const question = { ...BENCH_QUESTION, choices: { ...BENCH_QUESTION.choices, text: ['a', 'cubic', 'b', 'c'] } };
    expect(() => makeGrader('numeric', optionsOf()).check(question)).toThrow(GraderError);
    const graded = byEach(graderNames, optionsOf(), question, (grader) => grader.grade(question, { text: 'Answer: B', finished: true }));
    expect(graded.filter(({ error }) => error).map(({ name, error }) => [name, error?.type])).toEqual([
      ['numeric', 'reference_parse'],
      ['multi', 'no_sub_graders'],
    ]);
    expect(graded.find(({ name }) => name === 'multiple_choice')?.result?.outcome).toBe('right');
  });
});

describe('lab grade', () => {
  const folder = mkdtempSync(join(tmpdir(), 'openrft-grade-'));
  const file = join(folder, 'questions.jsonl');
  writeFileSync(file, jsonl([BENCH_QUESTION, { ...BENCH_QUESTION, answerKey: 'D' }]));
  afterAll(() => rmSync(folder, { recursive: true }));

  async function lab(...args: string[]) {
    let out = '';
    const write = vi.spyOn(process.stdout, 'write').mockImplementation((text) => ((out += String(text)), true));
    try {
      return { code: await grade(['--question', file, ...args]), out };
    } finally {
      write.mockRestore();
    }
  }

  test('grades a response to the question of a number', async () => {
    expect(JSON.parse((await lab('--response', 'Answer: B', '--json')).out)).toEqual({
      name: 'multiple_choice',
      outcome: 'right',
      reward: 1,
      answer: 'B',
    });
    expect(JSON.parse((await lab('--response', 'Answer: B', '--json', '--number', '2')).out)).toMatchObject({ outcome: 'wrong' });
    expect(JSON.parse((await lab('--response', 'Answer: B', '--json', '--unfinished')).out)).toMatchObject({ outcome: 'truncated' });
    const set = ['--set', 'grader_options.numeric.unit=N', '--grader', 'numeric', '--response', 'Answer: 0.024 kN'];
    expect((await lab(...set)).out).toBe('numeric              1.000  right         answer "0.024 kN"\n');
  });

  test('shows all graders side by side, those that can’t grade with the reason', async () => {
    const { out, code } = await lab('--grader', 'all', '--response', '\\boxed{B}');
    expect(code).toBe(0);
    expect(out.split('\n').slice(0, 2)).toEqual([
      'multiple_choice      0.000  unextractable',
      'boxed                1.000  right         answer "B"',
    ]);
    expect(out).toContain('multi                       no grade      The grader multi has no part');
  });

  test('runs the bench, and its exit code says whether a case surprised', async () => {
    expect(await lab('--bench')).toMatchObject({ code: 0, out: expect.stringContaining('multiple_choice: 0 of ') as string });
    const { code, out } = await lab('--bench', '--json', '--grader', 'sciknoweval_lenient');
    expect(code).toBe(1);
    expect(JSON.parse(out)).toMatchObject({ name: 'sciknoweval_lenient', unexpected: 2, best_bad_reward: 1 });
    const every = JSON.parse((await lab('--bench', '--json', '--grader', 'all')).out) as { name: string; error?: { type: string } }[];
    expect(every.map(({ name }) => name)).toEqual(graderNames);
    expect(every.at(-1)?.error?.type).toBe('no_sub_graders');
  });

  test.each([
    [['--grader', 'best', '--bench'], 'grader must be one of multiple_choice'],
    [['--bench', '--response', 'x'], 'grade needs a response or --bench'],
    [[], 'grade needs a response or --bench'],
    [['--bench', '--number', '3'], 'has no question number 3'],
    [['--bench', '--number', '0'], 'has no question number 0'],
    [['--bench', '--set', 'grader'], '--set grader has no value'],
  ])('%j is refused', async (args, message) => {
    const failure: unknown = await lab(...args).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(InputError);
    expect((failure as InputError).message).toContain(message);
  });

  test('a grader that can’t work is an error of its own kind', async () => {
    const failing = lab('--bench', '--grader', 'multi');
    await expect(failing).rejects.toMatchObject({ code: 'grader-no-sub-graders' });
  });
});
