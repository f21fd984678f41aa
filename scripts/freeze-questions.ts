import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { InputError } from '../src/base/errors.ts';
import { TASKS } from '../src/rft/tasks/registry.ts';
import { SHORTCUTS, shortcutBaselines } from '../src/rft/tasks/shortcuts.ts';
import { QUESTIONS_PER_FILE, questionStream } from '../src/rft/tasks/stream.ts';
import type { Task, TaskQuestion } from '../src/rft/tasks/task.ts';

/**
 * Writes the frozen question files: per task 100 training questions in phrasing A and 100 test questions in all three phrasings
 * by turns, one record per line; prints what shortcuts score on them.
 *
 * Usage: freeze-questions [--out public/data]
 */
export function frozenQuestions(task: Task): { train: TaskQuestion[]; test: TaskQuestion[] } {
  const draw = (split: 'train' | 'test') => {
    const questions = questionStream(task, split, QUESTIONS_PER_FILE);
    if (questions.length === QUESTIONS_PER_FILE) return questions;
    throw new InputError(`${task.id} has only ${questions.length} problems for ${split}.`, 'Widen the draws of its kinds.');
  };
  return { train: draw('train'), test: draw('test') };
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
