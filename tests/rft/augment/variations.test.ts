import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Seed } from '../../../src/base/random.ts';
import { formatVariations } from '../../../src/rft/augment/instruction.ts';
import { type Judgement, judge, splitVariations } from '../../../src/rft/augment/variations.ts';
import { TASKS } from '../../../src/rft/tasks/registry.ts';

const reason = (judgement: Judgement) => (judgement.accepted ? 'accepted' : judgement.reason);

describe('what a rewriter wrote', () => {
  test.each([
    ['What is x? <sep> Find x.', ['What is x?', 'Find x.']],
    ['What is x?\n<sep>\nFind x.\n<sep>\n', ['What is x?', 'Find x.']],
    ['1. What is x?\n<SEP>\n2) Find x.\n< sep >\n- Tell x.', ['What is x?', 'Find x.', 'Tell x.']],
    ['Here are five variations:\n\n"What is x?"<sep>“Find x.”', ['What is x?', 'Find x.']],
    ['Variation 1: What is x? <sep> Variation 2: Find x.', ['What is x?', 'Find x.']],
    ['<think>They want <sep> between.</think>\nWhat\n is x? <sep> Find x.', ['What is x?', 'Find x.']],
    ['2 mol of NaCl are in 4 L. What is the molarity? <sep> 3.5 g', ['2 mol of NaCl are in 4 L. What is the molarity?', '3.5 g']],
    ['', []],
    ['<sep> <sep>', []],
    ['What is x?', ['What is x?']],
  ])('%j', (text, expected) => expect(splitVariations(text)).toEqual(expected));

  test('variations come back as they were joined, for every task', () => {
    for (const task of TASKS) {
      for (let i = 0; i < 50; i++) {
        const wordings = task.wordings(task.parseStem(task.generate(Seed.of(i).random(), { phrasing: 'A' }).question)!);
        expect(splitVariations(formatVariations(wordings))).toEqual(wordings);
      }
    }
  });

  test('any text is read without an error, in time linear in it', () => {
    fc.assert(fc.property(fc.string({ unit: 'grapheme' }), (text) => splitVariations(text).every((piece) => piece.trim() === piece)));
    const start = performance.now();
    for (const piece of ['<sep>', '< ', ': \n', '" ', '1. ', '<think>']) splitVariations(piece.repeat(20_000));
    expect(performance.now() - start).toBeLessThan(2000);
  });
});

describe('a rewrite of a generated question', () => {
  const samples = TASKS.map((task) => ({ task, stems: [...Array(60).keys()].map((i) => task.generate(Seed.of(i).random(), { phrasing: 'A' }).question) })); // prettier-ignore

  test('the task’s own wordings are accepted and verified', () => {
    for (const { task, stems } of samples) {
      for (const stem of stems) {
        const others = task.wordings(task.parseStem(stem)!).filter((wording) => wording !== stem);
        others.forEach((wording, i) => expect(judge(wording, stem, others.slice(0, i), task)).toEqual({ accepted: true, verified: true }));
      }
    }
  });

  test('without the task they are accepted too, but for one that writes g/mol as g of one mol', () => {
    const rejected = new Set<string>();
    for (const { task, stems } of samples) {
      for (const stem of stems) {
        const problem = task.parseStem(stem)!;
        for (const wording of task.wordings(problem)) {
          const judgement = judge(wording, stem, [], undefined);
          if (wording !== stem && !judgement.accepted) rejected.add(`${task.id} ${problem.subtask} ${judgement.reason}`);
        }
      }
    }
    expect([...rejected]).toEqual(['T3 molar-mass units_changed']);
  });

  test.each([true, false])('another number in another wording is never accepted (checked by the task: %s)', (known) => {
    let tried = 0;
    for (const { task, stems } of samples) {
      for (const stem of stems) {
        const problem = task.parseStem(stem)!;
        for (const [name, text] of Object.entries(problem.quantities)) {
          if (!/^\d/.test(text)) continue;
          const changed = { ...problem, quantities: { ...problem.quantities, [name]: String(Number(text) + 3) } };
          for (const wording of task.wordings(changed)) {
            const found = reason(judge(wording, stem, [], known ? task : undefined));
            expect(['numbers_changed', 'formulas_changed', 'units_changed', 'another_problem'], wording).toContain(found);
            tried++;
          }
        }
      }
    }
    expect(tried).toBeGreaterThan(4000);
  });

  test('quantities that trade places are found by the task, and by it alone', () => {
    const t5 = TASKS.find(({ id }) => id === 'T5')!;
    const stem = 'A resistor of 4 ohm is on 12 V. What is the power in W?';
    const traded = 'How many W has a resistor with 4 V on 12 ohm?';
    expect(reason(judge(traded, stem, [], t5))).toBe('another_problem');
    expect(reason(judge(traded, stem, [], undefined))).toBe('accepted');
  });
});

describe('a rewrite of any question', () => {
  const stem = 'A solution holds 0.5 mol of NaCl in 2 L of water at 25 °C. What is its concentration in mol/L?';
  test.each([
    ['What is the concentration in mol/L if 2 L of water at 25 °C hold 0.5 mol of NaCl?', 'accepted'],
    ['Find the concentration, in mol/L, of 0.5 mol of NaCl (in 2 L of water, at 25 °C).', 'accepted'],
    ['Find the concentration in mol/L of 0.5 mol of NaCl in 2 L of water.', 'numbers_changed'],
    ['Find the concentration in mol/L of 0.05 mol of NaCl in 2 L of water at 25 °C.', 'numbers_changed'],
    ['Find the concentration in mol/L of 0.5 mol of NaCl in 2 L of water at 25 °C, 1 bar.', 'numbers_changed'],
    ['Find the concentration in mol/L of 0.5 mol of KCl in 2 L of water at 25 °C.', 'formulas_changed'],
    ['Find the concentration in mol/L of 0.5 mol of salt in 2 L of water at 25 °C.', 'formulas_changed'],
    ['Find the concentration in mol/L of 0.5 mol of NaCl in 2 mL of water at 25 °C.', 'units_changed'],
    ['Find the concentration in g/L of 0.5 mol of NaCl in 2 L of water at 25 °C.', 'units_changed'],
    ['In 2 L of water at 25 °C there are 0.5 mol of NaCl, a concentration in mol/L.', 'question_dropped'],
    ['a solution holds 0.5 mol of NaCl in 2 L of water at 25 °C; what is its concentration in mol/L', 'repeated'],
  ])('%s: %s', (variation, expected) => expect(reason(judge(variation, stem, [], undefined))).toBe(expected));

  test('SMILES, charges and mathematics stay as they are', () => {
    const question = 'What is the product of CC(=O)O with CCO and a trace of H+ at k_1 = 3?';
    expect(reason(judge('Which product do CC(=O)O and CCO give with a trace of H+ at k_1 = 3?', question, [], undefined))).toBe('accepted');
    expect(reason(judge('Which product do CC(=O)N and CCO give with a trace of H+ at k_1 = 3?', question, [], undefined))).toBe('formulas_changed'); // prettier-ignore
    expect(reason(judge('Which product do CC(=O)O and CCO give with a trace of H+ at k_2 = 3?', question, [], undefined))).toBe('formulas_changed'); // prettier-ignore
  });

  test.each([
    ['A 5-fold excess costs 10% at 25°C, 1,000 Pa and 3:1. What is it?', 'What is a 5-fold excess that costs 10 % at 25 °C, 1,000 Pa and 3:1?', 'accepted'],
    ['A 5-fold excess. What is it?', 'What is a 6-fold excess?', 'formulas_changed'],
    ['It costs 10%. What is it?', 'What costs 20%?', 'numbers_changed'],
    ['It is at 25°C. What is it?', 'What is at 25 K?', 'units_changed'],
    ['The ratio is 3:1. What is it?', 'What has the ratio 1:3?', 'formulas_changed'],
    ['At 1,000 Pa, what is it?', 'What is it at 1,001 Pa?', 'numbers_changed'],
    ['What does NaCl, a salt, do?', 'What does the salt (NaCl) do?', 'accepted'],
    ['What does Fe(III) do?', 'What (with Fe(III)) is done?', 'accepted'],
    ['What does Fe(III) do?', 'What is done by Fe(II)?', 'formulas_changed'],
    ['In water, what does K do?', 'What does K do in water?', 'accepted'],
    ['What is the pH at -5 °C?', 'At 5 °C, what is the pH?', 'numbers_changed'],
  ])('%s / %s: %s', (original, variation, expected) => expect(reason(judge(variation, original, [], undefined))).toBe(expected)); // prettier-ignore

  test('a stem that asks nothing need not become a question', () => {
    const cloze = 'The powerhouse of the cell is the';
    expect(reason(judge('In a cell, the powerhouse is the', cloze, [], undefined))).toBe('accepted');
  });

  test('an earlier variation is not accepted again', () => {
    const [first, again] = ['What is the colour of the sky?', 'what is the colour, of the sky'];
    expect(reason(judge(again, 'Name the colour of the sky.', [], undefined))).toBe('accepted');
    expect(reason(judge(again, 'Name the colour of the sky.', [first], undefined))).toBe('repeated');
  });

  test('any two texts are judged without an error, and the same text is a repetition', () => {
    const text = fc.string({ unit: 'grapheme' });
    fc.assert(fc.property(text, text, (a, b) => typeof judge(a, b, [], undefined).accepted === 'boolean'));
    fc.assert(fc.property(text, (a) => reason(judge(a, a, [], undefined)) === 'repeated'));
  });
});
