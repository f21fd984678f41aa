import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { LABELS, type Question } from '../../src/rft/dataset.ts';
import { type PromptPart, lintPrompts, splitPrompt } from '../../src/rft/prompt-lint.ts';
import { END_OF_EXAMPLES, formatFewShotPrompt, formatPrompt } from '../../src/rft/tasks/format.ts';

const asked = (stem: string): Question => ({
  question: stem,
  choices: { text: ['1 N', '2 N', '3 N', '4 N'], label: LABELS },
  answerKey: 'C',
});
const question = asked('What force in N gives 1 kg an acceleration of 3 m/s2?');
const example = asked('Which mass?');
const worked = { ...example, solution: 'Step 1: m=F/a=6/2=3 kg\nAnswer: C' };

const plain = formatPrompt(question);
const shot = formatFewShotPrompt([example, worked], question);

describe('a prompt in parts', () => {
  test('alone, after an instruction, and with examples', () => {
    const alone = { instruction: '', examples: '', question: plain.replace('Solution:\n', ''), separators: 'Solution:\n' };
    expect(splitPrompt(plain)).toEqual(alone);
    expect(splitPrompt(`Pick the right letter.\n\n${plain}`)).toEqual({ ...alone, instruction: 'Pick the right letter.\n\n' });
    expect(splitPrompt(`Pick.\n${shot}`)).toEqual({
      instruction: 'Pick.\n',
      examples: shot.slice(0, shot.indexOf(END_OF_EXAMPLES)),
      question: alone.question,
      separators: `${END_OF_EXAMPLES}Solution:\n`,
    });
  });

  test('every character of whatever text is in one part', () => {
    const piece = fc.constantFrom('Question: ', 'Solution:', '[End of examples]', 'Answer: C', '\n', ' ', 'x', '\b', 'é');
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 14 }), (pieces) => {
        const text = pieces.join('');
        const parts = Object.values(splitPrompt(text)).join('');
        expect([...parts].sort()).toEqual([...text].sort());
      }),
      { numRuns: 300 },
    );
  });
});

describe('prompts compared', () => {
  const between = (left: string, right: string) => lintPrompts({ sft: [left], rl: [right] });

  test.each<[string, string, string, readonly PromptPart[]]>([
    ['another instruction', `Think.\n${plain}`, plain, ['instruction']],
    ['the backspace of the released RL prompts', `Write \\boxed.\n${plain}`, `Write \boxed.\n${plain}`, ['instruction']],
    ['examples on one side', shot, plain, ['examples', 'separators']],
    ['other examples', shot, formatFewShotPrompt([example], question), ['examples']],
    ['a line end more after the examples', shot, shot.replace(END_OF_EXAMPLES, `${END_OF_EXAMPLES}\n`), ['whitespace']],
    ['another mark after the examples', shot, shot.replace(END_OF_EXAMPLES, '[End]\n'), ['examples', 'separators']],
    ['another cue', plain, plain.replace('Solution:\n', 'Solution: \n'), ['whitespace']],
    ['a line end more', plain, `${plain}\n`, ['whitespace']],
    ['blanks in the question', plain, plain.replace('force in', 'force  in'), ['whitespace']],
    ['another option', plain, plain.replace('4 N', '5 N'), ['question']],
    ['options in another order', plain, formatPrompt({ ...question, choices: { ...question.choices, text: ['2 N', '1 N', '3 N', '4 N'] } }), ['question']],
    ['two things at once', `Think.\n${plain}`, `${plain}\n`, ['instruction', 'whitespace']],
  ])('%s', (_, left, right, parts) => {
    const found = between(left, right);
    expect(found.flatMap((difference) => difference.parts)).toEqual(parts);
    expect(between(left, left)).toEqual([]);
  }); // prettier-ignore

  test('are equal exactly if no difference is found, and part at the first byte that differs', () => {
    const text = fc.array(fc.constantFrom('a', 'é', ' ', '\n', '漢'), { maxLength: 8 }).map((letters) => letters.join(''));
    fc.assert(
      fc.property(text, text, (left, right) => {
        const found = between(left, right);
        expect(found.length === 0).toBe(left === right);
        for (const { first, parts } of found) {
          expect(parts.length).toBeGreaterThan(0);
          const [a, b] = [Buffer.from(left), Buffer.from(right)];
          expect(a.subarray(0, first.byte)).toEqual(b.subarray(0, first.byte));
          expect(a[first.byte]).not.toBe(b[first.byte]);
        }
      }),
    );
  });

  test('each pair of uses is named, with the questions that differ', () => {
    const found = lintPrompts({ sft: [plain, plain, plain], rl: [plain, shot, shot], evaluation: [plain, shot, plain] });
    expect(found.map(({ between: uses, questions }) => [...uses, ...questions])).toEqual([
      ['sft', 'rl', 1, 2],
      ['sft', 'evaluation', 1],
      ['rl', 'evaluation', 2],
    ]);
    expect(found[0]!.first).toEqual({ byte: 12, text: ['at force in N gives 1 kg', 'ich mass?\nA. 1 N\nB. 2 N\n'] });
    expect(lintPrompts({ evaluation: [plain] })).toEqual([]);
  });
});
