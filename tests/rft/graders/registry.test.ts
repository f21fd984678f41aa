import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type PartialConfig, configDifferences, resolveConfig, setPath } from '../../../src/rft/config.ts';
import { LABELS } from '../../../src/rft/dataset.ts';
import { BENCH_QUESTION } from '../../../src/rft/graders/bench.ts';
import { OUTCOMES, type Grade } from '../../../src/rft/graders/grader.ts';
import { OUTCOME_RULES, outcomeReward, outcomeRules } from '../../../src/rft/graders/outcome-reward.ts';
import { type GraderName, SINGLE_GRADERS, type SingleGraderName, makeGrader } from '../../../src/rft/graders/registry.ts';

type Options = NonNullable<PartialConfig['grader_options']>;
const whole = { input: '{{ sample.output_text }}' };
const VARIANTS: readonly (readonly [SingleGraderName, Options])[] = [
  ...SINGLE_GRADERS.map((name) => [name, {}] as const),
  ['exact', { exact: { ...whole, ignore_case: true, ignore_punctuation: true } }],
  ['exact', { exact: { input: '{{ sample.output_json }}' } }],
  ['numeric', { numeric: whole }],
  ...(['ne', 'like', 'ilike'] as const).map((operation) => ['string_check', { string_check: { ...whole, operation } }] as const),
  ['string_check', { string_check: { ...whole, operation: 'ilike', reference: '{{ item.answer_text }}' } }],
  ...(['fuzzy_match', 'bleu', 'gleu', 'rouge_l', 'cosine'] as const).map(
    (measure) => ['text_similarity', { text_similarity: { ...whole, measure } }] as const,
  ),
];
const make = (name: GraderName, options: Options) => makeGrader(name, resolveConfig({ grader_options: options }).grader_options);
const weights = Object.fromEntries(SINGLE_GRADERS.map((name) => [name, 0.1]));
const all = [
  ...VARIANTS.map(([name, options]) => ({ name: `${name} ${JSON.stringify(options)}`, grader: make(name, options) })),
  { name: 'multi', grader: make('multi', { multi: weights }) },
];

/** Texts of the pieces that graders look for, so that random ones come near to answers. */
const piece = fc.constantFrom('Answer: ', 'A', 'B', 'C', 'D', ' ', '\n', ' or ', ', ', '.', '24', '48', '\\boxed{', '}', '\\text{', '"', '{', 'e9', ' N', '/', '\u0000', '𝐁', '\ud800'); // prettier-ignore
const response = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.array(piece, { maxLength: 30 }).map((pieces) => pieces.join('')),
);

describe('any grader on any text', () => {
  test('gives a reward from 0 to 1, full only where it is right by its own rule, and never throws', () => {
    fc.assert(
      fc.property(response, fc.boolean(), fc.constantFrom(...LABELS), (text, finished, answerKey) => {
        for (const { name, grader } of all) {
          const { outcome, reward, sub_rewards = {} } = grader.grade({ ...BENCH_QUESTION, answerKey }, { text, finished });
          for (const value of [reward, ...Object.values(sub_rewards)]) {
            if (!(value >= 0 && value <= 1)) throw new Error(`${name}: ${value}`);
          }
          if (!OUTCOMES.includes(outcome)) throw new Error(`${name}: ${outcome}`);
          if ((outcome === 'truncated') === finished)
            throw new Error(`${name}: ${outcome} of a response that ${finished ? 'ended' : 'was cut'}`);
          if ((outcome === 'truncated' || outcome === 'unextractable') && reward !== 0)
            throw new Error(`${name}: ${outcome} earns ${reward}`);
        }
      }),
      { numRuns: 300 },
    );
  });

  // A line break is no separator here: it ends an answer line, and what follows it is another statement.
  test('never calls a list of options right, in whatever order and form', () => {
    const list = fc.tuple(
      fc.shuffledSubarray([...LABELS], { minLength: 2 }),
      fc.constantFrom(' or ', ', ', ' and ', '/', ' ', '', ' or, ', ' OR ', ' | '),
      fc.constantFrom('', 'Answer: ', 'The answer is '),
      fc.constantFrom('', '.', '\n', ' N'),
      fc.constantFrom<(label: (typeof LABELS)[number]) => string>(
        (label) => label,
        (label) => `\\boxed{${label}}`,
        (label) => `\\boxed{\\text{${label}}}`,
        (label) => BENCH_QUESTION.choices.text[LABELS.indexOf(label)]!,
      ),
    );
    fc.assert(
      fc.property(list, fc.constantFrom(...LABELS), ([labels, separator, before, after, form], answerKey) => {
        // Numbers run together are another number, and no list.
        fc.pre(!(separator === '' && form('A') === '10'));
        const text = before + labels.map(form).join(separator) + after;
        for (const { name, grader } of all) {
          const { outcome } = grader.grade({ ...BENCH_QUESTION, answerKey }, { text, finished: true });
          if (outcome === 'right' && !name.includes('"ne"')) throw new Error(`${name}: right`);
        }
      }),
      { numRuns: 500 },
    );
  });

  test.each([
    ['answer lines', 'Answer: B\n'],
    ['white space', ' '],
    ['letters', 'A B C D '],
    ['one letter', 'A'],
    ['boxes', '\\boxed{B} '],
    ['open boxes', '\\boxed{'],
    ['open braces', '{{'],
    ['quotes', '"'],
    ['digits', '24 '],
    ['punctuation', '.,'],
    ['open brackets', '['],
    ['words of the reference', '24 24 N '],
  ])('1 MB of %s takes linear time', (_, unit) => {
    const time = (bytes: number) => {
      const text = `Answer: ${unit.repeat(bytes / unit.length)}`;
      const start = performance.now();
      for (const { grader } of all) grader.grade(BENCH_QUESTION, { text, finished: true });
      return performance.now() - start;
    };
    time(2 ** 15);
    // Quadratic time would be minutes; a fixed bound leaves room for a busy machine.
    expect(time(2 ** 20)).toBeLessThan(10_000);
  });

  test('reads its own example as right, and as not right under another key', () => {
    for (const { name, grader } of all.filter(({ name }) => !/"ne"|output_json|^multi$/.test(name))) {
      const text = grader.example(BENCH_QUESTION);
      expect(grader.grade(BENCH_QUESTION, { text, finished: true }), `${name}: ${text}`).toMatchObject({ outcome: 'right', reward: 1 });
      expect(grader.grade({ ...BENCH_QUESTION, answerKey: 'D' }, { text, finished: true }).outcome, name).not.toBe('right');
    }
  });
});

describe('multi', () => {
  const multi = (of: Record<string, number>) => makeGrader('multi', resolveConfig({ grader_options: { multi: of } }).grader_options);
  const grade = (of: Record<string, number>, text: string): Grade => multi(of).grade(BENCH_QUESTION, { text, finished: true });

  test('is the weighted mean of its parts, which it reports', () => {
    const of = { multiple_choice: 0.6, boxed: 0.2 };
    expect(grade(of, 'Answer: B')).toEqual({ outcome: 'wrong', reward: 0.6 / 0.8, sub_rewards: { multiple_choice: 1, boxed: 0 } });
    expect(grade(of, '\\boxed{B}\nAnswer: B')).toMatchObject({ outcome: 'right', reward: 1, answer: 'B' });
    expect(grade(of, 'nothing')).toEqual({ outcome: 'unextractable', reward: 0, sub_rewards: { multiple_choice: 0, boxed: 0 } });
  });

  test('without weights is refused, with the settings that lack them', () => {
    expect(() => multi({})).toThrow(
      expect.objectContaining({ type: 'no_sub_graders', remedy: expect.stringContaining('grader_options.multi') as string }),
    );
  });
});

describe('the config', () => {
  test('holds the options of every grader, and carries only what differs from the defaults', () => {
    const config = setPath(setPath(resolveConfig({}), 'grader', 'numeric'), 'grader_options.numeric.relative', '0.05');
    expect(configDifferences(config)).toEqual({ grader: 'numeric', grader_options: { numeric: { relative: 0.05 } } });
    expect(resolveConfig(configDifferences(config))).toEqual(config);
    expect(() => setPath(config, 'grader_options.numeric.relative', '2')).toThrow(
      'grader_options.numeric.relative must be a number from 0 to 1, not 2',
    );
    expect(() => resolveConfig({ grader_options: { boxed: {} } })).toThrow('there is no setting grader_options.boxed');
    expect(() => resolveConfig({ grader: 'best' })).toThrow('grader must be one of multiple_choice, boxed');
  });
});

describe('the reward of an outcome', () => {
  const grades: readonly Grade[] = [
    { outcome: 'right', reward: 1 },
    { outcome: 'wrong', reward: 0 },
    { outcome: 'unextractable', reward: 0 },
    { outcome: 'truncated', reward: 0 },
  ];
  test.each([
    ['paper', [1, 0, 0, 0]],
    ['repo', [1, 0.1, 0.1, 0.1]],
    ['reft', [1, 0.1, 0, 0]],
  ] as const)('%s pays %j for right, wrong, unextractable, truncated', (rule, rewards) =>
    expect(grades.map((grade) => outcomeReward(rule, grade))).toEqual(rewards),
  );

  test('partial credit counts where it is more, and the default changes nothing', () => {
    expect(outcomeReward('repo', { outcome: 'wrong', reward: 0.6 })).toBe(0.6);
    expect(outcomeReward('repo', { outcome: 'wrong', reward: 0.05 })).toBe(0.1);
    expect(outcomeReward('repo', { outcome: 'right', reward: 0.9 })).toBe(0.9);
    expect(resolveConfig({}).ppo.outcome_rule).toBe('paper');
    fc.assert(fc.property(fc.constantFrom(...OUTCOMES), fc.double({ min: 0, max: 1, noNaN: true }), (outcome, reward) => outcomeReward('paper', { outcome, reward }) === reward)); // prettier-ignore
    expect(Object.keys(OUTCOME_RULES)).toEqual([...outcomeRules]);
  });
});
