import { describe, expect, test } from 'vitest';
import { LABELS, type Question } from '../../../src/rft/dataset.ts';
import { CHANCE, type ReportOptions, dataReport } from '../../../src/rft/import/report.ts';
import type { Tokenizer } from '../../../src/rft/policy.ts';
import { wilson } from '../../../src/rft/statistics.ts';
import { leadingNumber, shortcutBaselines } from '../../../src/rft/tasks/shortcuts.ts';

const question = (stem: string, options: readonly string[], answerKey: Question['answerKey']): Question => ({
  question: stem,
  choices: { text: options, label: LABELS },
  answerKey,
});
/** Number i, right at letter i mod 4, with options that tell nothing. */
const plain = (i: number) => question(`Question ${i}?`, ['ab', 'cd', 'ef', 'gh'], LABELS[i % 4]!);
const many = (n: number) => Array.from({ length: n }, (_, i) => plain(i));
const codes = (questions: readonly Question[], options: ReportOptions = {}) =>
  dataReport(questions, [], options).findings.map(({ code }) => code);

test('clean questions: nothing is warned of', () => {
  const report = dataReport(many(80), [], { train: { name: 'train', questions: [question('Other?', ['a', 'b', 'c', 'd'], 'A')] } });
  expect(report.findings.map(({ level }) => level)).not.toContain('warning');
  expect(report.letters).toMatchObject({ counts: { A: 20, B: 20, C: 20, D: 20 }, chi_square: 0, uneven: false });
  expect(report.leakage).toEqual({ train: 'train', questions: [] });
});

test('duplicates: same stem in other white space, same options in another order, keys that contradict', () => {
  const questions = [
    plain(0),
    question('Twice,  the same?', ['a', 'b', 'c', 'd'], 'A'),
    question(' Twice, the\nsame?', ['d', 'c', 'b', 'a'], 'D'),
    question('Other options?', ['a', 'b', 'c', 'd'], 'A'),
    question('Other options?', ['a', 'b', 'c', 'e'], 'B'),
    question('Contradictory?', ['a', 'b', 'c', 'd'], 'A'),
    question('Contradictory?', ['d', 'c', 'b', 'a'], 'A'),
    // A stem that differs in case is another one, as in SMILES.
    question('C1CC1', ['a', 'b', 'c', 'd'], 'A'),
    question('c1cc1', ['a', 'b', 'c', 'd'], 'B'),
  ];
  expect(dataReport(questions, []).duplicates).toEqual([
    { questions: [1, 2], same_options: true, contradictory: false },
    { questions: [3, 4], same_options: false, contradictory: false },
    { questions: [5, 6], same_options: true, contradictory: true },
  ]);
  expect(codes(questions)).toEqual(expect.arrayContaining(['duplicate-questions', 'contradictory-keys']));
});

test('leaks: a test stem that stands in the training file, with the same options or others', () => {
  const train = [plain(5), question('Known?', ['a', 'b', 'c', 'd'], 'A'), plain(5)];
  const test = [plain(1), question('Known?', ['w', 'x', 'y', 'z'], 'B'), plain(5)];
  const { leakage, findings } = dataReport(test, [], { train: { name: 'train.json', questions: train } });
  expect(leakage?.questions).toEqual([
    { question: 1, train: [1], same_options: false },
    { question: 2, train: [0, 2], same_options: true },
  ]);
  expect(findings.find(({ code }) => code === 'leaked-questions')?.text).toContain(
    'Stems that stand in train.json too: 2, with the same options 1',
  );
});

test('letters: 20 of 40 on one letter is uneven, 14 of 40 is not', () => {
  const withKeys = (counts: readonly number[]) =>
    counts.flatMap((n, k) => many(n).map((item, i) => ({ ...item, question: `${k} ${i}`, answerKey: LABELS[k]! })));
  expect(dataReport(withKeys([20, 7, 7, 6]), []).letters).toMatchObject({ uneven: true, chi_square: (100 + 9 + 9 + 16) / 10 });
  expect(dataReport(withKeys([14, 9, 9, 8]), []).letters.uneven).toBe(false);
});

describe('shortcuts', () => {
  const works = (questions: readonly Question[]) =>
    dataReport(questions, [])
      .shortcuts.filter((shortcut) => shortcut.works)
      .map(({ name }) => name);
  const rotated = (i: number, texts: readonly string[]): [string[], Question['answerKey']] => {
    // texts[0] is right.
    const options = texts.map((_, k) => texts[(k + i) % 4]!);
    return [options, LABELS[options.indexOf(texts[0]!)]!];
  };
  const made = (stem: (i: number) => string, texts: (i: number) => readonly string[]) =>
    Array.from({ length: 40 }, (_, i) => question(stem(i), ...rotated(i, texts(i))));

  test('the second-smallest number, with units and powers of ten', () => {
    expect(
      works(
        made(
          (i) => `How much ${i}?`,
          (i) => [`${i + 2} kN`, `${i + 1} kN`, `${i + 3}.5 kN`, `${i + 4} × 10^2 kN`],
        ),
      ),
    ).toContain('second-smallest number');
  });

  test('the longest option', () => {
    expect(
      works(
        made(
          (i) => `Why ${i}?`,
          () => ['because of all that', 'so', 'no', 'it'],
        ),
      ),
    ).toEqual(['longest option']);
  });

  test('the string most like one in the stem', () => {
    expect(
      works(
        made(
          (i) => `What makes "CCOC${'N'.repeat(i % 5)}c1ccccc1" ?`,
          (i) => [`CCO${'N'.repeat(i % 5)}c1ccccc1`, 'FFBrFFBrFFBrFF', 'ClClBrClClBrCl', 'SSPSSPSSPSSPSS'],
        ),
      ),
    ).toContain('nearest string of the stem');
  });

  test('the lowest number of the table in the stem', () => {
    const stem = (i: number) =>
      `Choose.\nHost 1: Al, in: Fe, barrier 1: ${i}.5 eV\nHost 2: Ge, in: Fe, barrier 2: ${i + 1} eV\nHost 3: As, in: Fe, barrier 3: ${i + 2} eV\nHost 4: Ir, in: Fe, barrier 4: ${i + 3} eV`;
    expect(works(made(stem, () => ['Fe in Al', 'Fe in Ge', 'Fe in As', 'Fe in Ir']))).toContain('lowest number beside it in the stem');
  });

  test('the most frequent letter of the questions themselves foretells nothing', () => {
    const questions = many(40).map((item) => ({ ...item, answerKey: 'C' as const }));
    expect(works(questions)).not.toContain('most frequent letter');
    const { shortcuts } = dataReport(questions, [], { train: { name: 'train', questions } });
    expect(shortcuts.find(({ works: does }) => does)?.name).toBe('most frequent letter');
  });

  test('the most frequent letter is that of the training file', () => {
    const questions = many(40);
    const train = many(40).map((item) => ({ ...item, answerKey: 'C' as const }));
    expect(shortcutBaselines(questions, train)['most frequent letter']).toBe(0.25);
    expect(shortcutBaselines(train, train)['most frequent letter']).toBe(1);
  });

  test('options that are no numbers give no rule of size anything', () => {
    const baselines = shortcutBaselines(many(40), []);
    expect(baselines['smallest number']).toBe(0.25);
    expect(baselines['largest number']).toBe(0.25);
  });

  test.each<[string, number]>([
    ['8.32 N', 8.32], ['-1,250', -1250], ['$2 \\times 10^{-9} \\mathrm{C}$', 2e-9], ['5*10^5', 5e5], ['≈ 1.5e3 m', 1500], ['3 cm', 3], ['−0.5', -0.5], ['.5', 0.5],
    ['2-methylpropane', NaN], ['H2O', NaN], ['', NaN], ['4-chloro', NaN],
  ])('%s is the number %d', (text, value) => {
    const number = leadingNumber(text);
    expect(Number.isNaN(value) ? Number.isNaN(number) : Math.abs(number / value - 1) < 1e-12).toBe(true);
  }); // prettier-ignore

  test('a rule that is right by luck on few questions does not count', () => {
    const lucky = Array.from({ length: 6 }, (_, i) =>
      question(`Why ${i}?`, i < 3 ? ['because', 'so', 'no', 'it'] : ['so', 'because', 'no', 'it'], 'A'),
    );
    expect(works(lucky)).toEqual([]);
  });
});

test('tokens: prompts beyond the context, prompts that leave too little, bytes per token', () => {
  /** A token per character. */
  const tokenizer: Tokenizer = { vocabSize: 1, eosId: 0, padId: 0, encode: (text) => [...text].map(() => 1), decode: () => '' };
  const questions = [plain(1), question('é'.repeat(60), ['a', 'b', 'c', 'd'], 'A'), question('x'.repeat(200), ['a', 'b', 'c', 'd'], 'A')];
  const { tokens, findings } = dataReport(questions, [], { model: { name: 'nano', tokenizer, context: 150, max_new_tokens: 60 } });
  expect(tokens).toMatchObject({ model: 'nano', too_long: [2], cramped: [1], max: 241 });
  expect(tokens!.bytes_per_token).toBeCloseTo(1 + 60 / (54 + 101 + 241), 2);
  expect(findings.map(({ code }) => code)).toEqual(expect.arrayContaining(['too-long', 'truncation']));
  expect(codes(many(4), { model: { name: 'nano', tokenizer, context: 150, max_new_tokens: 60 } })).toContain('fits');
});

test('the untouched model’s accuracy: said plainly whether chance lies inside its interval', () => {
  const at = (share: number) => dataReport(many(100), [], { vanilla: wilson(share, 100) });
  expect(at(0.3).vanilla?.chance_inside).toBe(true);
  expect(at(0.3).findings[0]).toMatchObject({ level: 'warning', code: 'vanilla-at-chance' });
  expect(at(0.3).findings[0]!.text).toContain('chance (25 %) lies inside that interval');
  expect(at(0.6).vanilla?.chance_inside).toBe(false);
  expect(at(0.1).vanilla?.chance_inside).toBe(false);
  expect(at(0.6).findings.map(({ code }) => code)).toContain('vanilla');
  expect(CHANCE).toBe(0.25);
});

test('prompts without a key are counted, and nothing else is claimed of them', () => {
  const report = dataReport([], many(3));
  expect(report).toMatchObject({ questions: 0, keyless: 3, shortcuts: [], letters: { chi_square: 0, uneven: false } });
  expect(report.findings[0]!.code).toBe('no-key');
});
