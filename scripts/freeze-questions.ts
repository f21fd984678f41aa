import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { InputError } from '../src/base/errors.ts';
import { Seed } from '../src/base/random.ts';
import { TASKS } from '../src/rft/tasks/registry.ts';
import { problemKey } from '../src/rft/tasks/kinds.ts';
import { SHORTCUTS, shortcutBaselines } from '../src/rft/tasks/shortcuts.ts';
import { PHRASINGS, type Task, type TaskQuestion } from '../src/rft/tasks/task.ts';

/**
 * Writes the frozen question files: per task 100 training questions in phrasing A and 100 test questions in all three phrasings
 * by turns, one record per line; prints what shortcuts score on them.
 *
 * Usage: freeze-questions [--out public/data]
 */

export const QUESTIONS_PER_FILE = 100;

/**
 * No problem occurs twice, in whatever words; each letter, and each rank among the options, is right equally often.
 * The same task gives the same questions.
 */
export function frozenQuestions(task: Task): { train: TaskQuestion[]; test: TaskQuestion[] } {
  const draw = (split: 'train' | 'test') => {
    const seed = Seed.of(0).derive('questions').derive(task.id).derive(split);
    const problems = new Set<string>();
    const questions: TaskQuestion[] = [];
    for (let i = 0; questions.length < QUESTIONS_PER_FILE; i++) {
      if (i > 100 * QUESTIONS_PER_FILE)
        throw new InputError(`${task.id} has too few problems for ${split}`, 'Widen the draws of its kinds.');
      const phrasing = split === 'train' ? 'A' : PHRASINGS[questions.length % PHRASINGS.length]!;
      const question = task.generate(seed.derive(i).random(), { phrasing, split });
      const key = problemKey(task.id, task.parseStem(question.question)!);
      const full = [letterOf, rankOf].some(
        (of) => questions.filter((other) => of(other) === of(question)).length >= QUESTIONS_PER_FILE / 4,
      );
      if (full || problems.has(key)) continue;
      problems.add(key);
      questions.push(question);
    }
    return questions;
  };
  return { train: draw('train'), test: draw('test') };
}

const letterOf = ({ answerKey }: TaskQuestion) => answerKey;

/** How many options come before the key by size, or by the alphabet. */
function rankOf({ choices, answerKey }: TaskQuestion): number {
  const compare = (a: string, b: string) => Number(a) - Number(b) || (a < b ? -1 : 1);
  return [...choices.text].sort(compare).indexOf(choices.text[choices.label.indexOf(answerKey)]!);
}

export function main(args: readonly string[]): void {
  const out = args[args.indexOf('--out') + 1 || args.length] ?? 'public/data';
  mkdirSync(out, { recursive: true });
  for (const task of TASKS) {
    const { train, test } = frozenQuestions(task);
    for (const [split, questions] of Object.entries({ train, test })) {
      writeFileSync(join(out, `${task.id}.${split}.jsonl`), questions.map((question) => `${JSON.stringify(question)}\n`).join(''));
    }
    const baselines = shortcutBaselines(test, train);
    console.log(`${task.id} ${task.title}: ${SHORTCUTS.map((name) => `${name} ${baselines[name].toFixed(2)}`).join(', ')}`);
  }
}
