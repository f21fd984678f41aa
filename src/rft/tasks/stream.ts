/** The stream of questions that the frozen files are the beginning of. */
import { Seed } from '../../base/random.ts';
import { problemKey } from './kinds.ts';
import { PHRASINGS, type Task, type TaskQuestion } from './task.ts';

/** Questions of a frozen file. The stream is balanced block by block of so many. */
export const QUESTIONS_PER_FILE = 100;

/** Draws in a row without a new question after which a task is taken to have no more; the smallest has about 140 training problems. */
const FRUITLESS_DRAWS = 4000;

/**
 * The first `count` questions of a task's training stream, all in phrasing A, or of its test stream, in all three by turns; all that the
 * task has, where those are fewer. No problem occurs twice, in whatever words; within each block each letter, and each rank among the
 * options, is right equally often. The same task gives the same questions, and fewer are the beginning of more.
 */
export function questionStream(task: Task, split: 'train' | 'test', count: number): TaskQuestion[] {
  const seed = Seed.of(0).derive('questions').derive(task.id).derive(split);
  const problems = new Set<string>();
  const questions: TaskQuestion[] = [];
  for (let i = 0, fruitless = 0; questions.length < count && fruitless < FRUITLESS_DRAWS; i++, fruitless++) {
    const phrasing = split === 'train' ? 'A' : PHRASINGS[questions.length % PHRASINGS.length]!;
    const question = task.generate(seed.derive(i).random(), { phrasing, split });
    const key = problemKey(task.id, task.parseStem(question.question)!);
    const block = questions.slice(questions.length - (questions.length % QUESTIONS_PER_FILE));
    const full = [letterOf, rankOf].some((of) => block.filter((other) => of(other) === of(question)).length >= QUESTIONS_PER_FILE / 4);
    if (full || problems.has(key)) continue;
    problems.add(key);
    questions.push(question);
    fruitless = 0;
  }
  return questions;
}

const letterOf = ({ answerKey }: TaskQuestion) => answerKey;

/** How many options come before the key by size, or by the alphabet. */
function rankOf({ choices, answerKey }: TaskQuestion): number {
  const compare = (a: string, b: string) => Number(a) - Number(b) || (a < b ? -1 : 1);
  return [...choices.text].sort(compare).indexOf(choices.text[choices.label.indexOf(answerKey)]!);
}
