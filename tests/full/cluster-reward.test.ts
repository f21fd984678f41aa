/** The Python reward of the cluster's bundle against the lab's own, over every rule, f and credit. Needs python3. */
import { spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { resolveConfig } from '../../src/rft/config.ts';
import { outcomeReward, outcomeRules } from '../../src/rft/graders/outcome-reward.ts';
import { multipleChoice } from '../../src/rft/graders/multiple-choice.ts';
import { AGGREGATIONS } from '../../src/rft/reward/aggregation.ts';
import { CREDITS } from '../../src/rft/reward/credit.ts';
import { rolloutReward } from '../../src/rft/reward/reward.ts';
import { stepEnds } from '../../src/rft/reward/steps.ts';
import { record } from '../rft/fixtures.ts';

const TEXTS = ['Step 1: a\nAnswer: B', 'Answer: B', 'x\n\ny\nAnswer: C', 'x\nAnswer:B', 'x\nAnswer: B\nAnswer: A or C', 'x\ny', 'x\nAnswer: B\n', '\u0085\nAnswer: B', '']; // prettier-ignore
const SCORES = [[], [0.3], [0.9, 0.2, 0.7]];
const characters = { decode: (tokens: readonly number[]) => tokens.map((token) => (token ? String.fromCharCode(token) : '')).join('') };
const question = { ...record(0), answerKey: 'B' as const };

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
              return { arguments: [config, text, 'B', finished, tokens.length, scores], reward };
            }),
          ),
        );
      }),
    ),
  );
  const program = 'import json,sys,openrft_reward as r; print(json.dumps([r.reward(*c["arguments"]) for c in json.load(sys.stdin)]))';
  const python = spawnSync('python3', ['-c', program], {
    cwd: new URL('../../src/export/cluster/python/', import.meta.url),
    input: JSON.stringify(cases),
    encoding: 'utf8',
    env: { ...process.env, PYTHONDONTWRITEBYTECODE: '1' },
    maxBuffer: 1e8,
  });
  expect(python.error ?? python.stderr).toBe('');
  const rewards = JSON.parse(python.stdout) as number[];
  expect(rewards).toHaveLength(cases.length);
  cases.forEach(({ reward }, i) => expect(rewards[i], JSON.stringify(cases[i])).toBeCloseTo(reward, 12));
});
