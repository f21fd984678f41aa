/** Further questions of every task, as the page shows them. */
import { expect, test } from 'vitest';
import { another } from '../../src/lab/stages/data/portrait.ts';
import { TASKS } from '../../src/rft/tasks/registry.ts';
import { PHRASINGS } from '../../src/rft/tasks/task.ts';
import { extractAnswer } from '../../src/rft/tasks/format.ts';

test.each(TASKS.map(({ id }) => id))(
  'another question of %s is the same for a turn, another one for the next, and is solved by its key',
  (id) => {
    for (const phrasing of PHRASINGS) {
      const turns = [0, 1, 2].map((turn) => another(id, phrasing, turn));
      expect(another(id, phrasing, 0)).toEqual(turns[0]);
      expect(new Set(turns.map(({ question }) => question.question)).size).toBe(3);
      for (const { question, solution } of turns) {
        expect(question.details).toMatchObject({ task: id, phrasing });
        expect(extractAnswer(solution)).toBe(question.answerKey);
      }
    }
  },
);
