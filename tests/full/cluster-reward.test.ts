/** The Python reward of the cluster's bundle against the lab's own, over every rule, f and credit. Needs python3. */
import { spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { resolveConfig } from '../../src/rft/config.ts';
import { outcomeReward, outcomeRules } from '../../src/rft/graders/outcome-reward.ts';
import { multipleChoice } from '../../src/rft/graders/multiple-choice.ts';
import { AGGREGATIONS } from '../../src/rft/reward/aggregation.ts';
import { CREDITS } from '../../src/rft/reward/credit.ts';
import { rolloutReward } from '../../src/rft/reward/reward.ts';
import { STEP_SPLITS, judgedSteps, stepEnds } from '../../src/rft/reward/steps.ts';
import { record } from '../rft/fixtures.ts';

const TEXTS = ['Step 1: a\nAnswer: B', 'Answer: B', 'x\n\ny\nAnswer: C', 'x\nAnswer:B', 'x\nAnswer: B\nAnswer: A or C', 'x\ny', 'x\nAnswer: B\n', '\u0085\nAnswer: B', '']; // prettier-ignore
const SCORES = [[], [0.3], [0.9, 0.2, 0.7]];
const characters = { decode: (tokens: readonly number[]) => tokens.map((token) => (token ? String.fromCharCode(token) : '')).join('') };
const question = { ...record(0), answerKey: 'B' as const };

const PAY = `
decode = lambda ids: "".join(chr(i) for i in ids if i)
ends = [r.step_ends(decode, c["tokens"], c["arguments"][3]) for c in given]
result = [[e, r.reward(*c["arguments"], e, c["scores"])] for c, e in zip(given, ends)]`;
const STEPS = `
decode = lambda ids: "".join(PIECES[i] for i in ids)
PIECES = given["pieces"]
result = [r.judged_steps(r.step_ends(decode, c["tokens"], c["finished"]), c["final_answer"], c["split_at"]) for c in given["cases"]]`;

/** What a program leaves in \`result\`, of what it finds in \`given\`. */
function python(program: string, given: unknown): unknown {
  const run = spawnSync(
    'python3',
    ['-c', `import json, sys\nimport openrft_reward as r\ngiven = json.load(sys.stdin)${program}\nprint(json.dumps(result))`],
    {
      cwd: new URL('../../src/export/cluster/python/', import.meta.url),
      input: JSON.stringify(given),
      encoding: 'utf8',
      env: { ...process.env, PYTHONDONTWRITEBYTECODE: '1' },
      maxBuffer: 1e8,
    },
  );
  expect(run.error ?? run.stderr).toBe('');
  return JSON.parse(run.stdout);
}

test('Python pays what the lab pays, to 1e-12', () => {
  const cases = outcomeRules.flatMap((outcome_rule) =>
    AGGREGATIONS.flatMap((aggregation) =>
      CREDITS.flatMap((credit) => {
        const config = resolveConfig({
          ppo: { alpha: 0.7, outcome_rule, max_new_tokens: 30, overlong_buffer: 0.5, overlong_penalty: 0.4 },
          prm: { model: 'prm', aggregation, credit },
          reward: { format_weight: 0.3 },
        });
        return TEXTS.flatMap((text) =>
          SCORES.flatMap((scores) =>
            [true, false].map((finished) => {
              const tokens = Int32Array.from([...[...text].map((character) => character.charCodeAt(0)), ...(finished ? [0] : [])]);
              const ends = stepEnds(characters, { tokens, prompt_length: 0, finished });
              const grade = multipleChoice.make({}).grade(question, { text, finished });
              const outcome_reward = outcomeReward(outcome_rule, grade);
              const form = { length: tokens.length, maxLength: 30, finished, ends };
              const { reward } = rolloutReward({ ...form, outcome_reward, scores }, config);
              return { arguments: [config, 'B', text, finished, tokens.length], tokens: [...tokens], ends, scores, reward };
            }),
          ),
        );
      }),
    ),
  );
  const judged = python(PAY, cases) as [ends: [string, number, number][], reward: number][];
  expect(judged).toHaveLength(cases.length);
  cases.forEach(({ ends, reward }, i) => {
    const [theirs, paid] = judged[i]!;
    expect(theirs).toEqual(ends.map(({ kind, token, paragraph }) => [kind, token, paragraph]));
    expect(paid, JSON.stringify(cases[i])).toBeCloseTo(reward, 12);
  });
});

test('steps end at the same tokens where one token holds several newlines, and a paragraph counts as one step', () => {
  const pieces = ['', 'x', '\n', 'a\nb\n', '\n\nz', 'Answer: B', ' '];
  const rows = [[1, 2, 1, 2, 5, 0], [3, 4, 2, 5, 0], [1, 4, 2, 2, 3, 5, 2, 1], [6, 2, 6, 4, 3, 3, 5, 2, 5, 0], [0], [2, 2]]; // prettier-ignore
  const cases = rows.flatMap((tokens) =>
    STEP_SPLITS.flatMap((split_at) =>
      [true, false].map((final_answer) => ({ tokens, finished: tokens.at(-1) === 0, final_answer, split_at })),
    ),
  );
  const tokenizer = { decode: (ids: readonly number[]) => ids.map((id) => pieces[id]).join('') };
  const ours = cases.map(({ tokens, finished, final_answer, split_at }) => {
    const ends = stepEnds(tokenizer, { tokens: Int32Array.from(tokens), prompt_length: 0, finished });
    return judgedSteps(ends, final_answer, split_at).map(({ kind, token, paragraph }) => [kind, token, paragraph]);
  });
  expect(python(STEPS, { pieces, cases })).toEqual(ours);
});
