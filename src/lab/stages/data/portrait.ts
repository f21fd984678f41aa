/** The questions of a run in figures, and further ones from the generator of its task. */
import { Seed } from '../../../base/random.ts';
import { LABELS, type Dataset, type Question } from '../../../rft/dataset.ts';
import type { DataReport } from '../../../rft/import/report.ts';
import { taskById } from '../../../rft/tasks/registry.ts';
import type { Phrasing, TaskQuestion } from '../../../rft/tasks/task.ts';
import type { DataClient } from '../../../workers/data-client.ts';

export interface SplitPortrait {
  readonly data: Dataset;
  /** Of the data worker. */
  readonly report: DataReport;
  readonly letters: readonly Share[];
  /** Wordings that the records name; empty where they name none. */
  readonly phrasings: readonly Share[];
  /** Steps of the solution; empty where the records don't say. */
  readonly steps: readonly Share[];
}

export interface Share {
  readonly name: string;
  readonly questions: number;
}

/** Test questions are looked at beside the training questions: for leaks, and for the most frequent letter. */
export async function portraitOf(client: DataClient, data: Dataset, train?: Dataset): Promise<SplitPortrait> {
  const { name, questions } = data;
  const report = await client.report(name, { questions, prompts: [], ...(train && { train }) });
  return {
    data,
    report,
    letters: LABELS.map((letter) => ({ name: letter, questions: report.letters.counts[letter] })),
    phrasings: sharesOf(questions, 'phrasing'),
    steps: sharesOf(questions, 'difficulty'),
  };
}

function sharesOf(questions: readonly Question[], detail: string): Share[] {
  const counts = new Map<string, number>();
  for (const { details } of questions) {
    const value = details?.[detail];
    if (typeof value === 'string' || typeof value === 'number') counts.set(String(value), (counts.get(String(value)) ?? 0) + 1);
  }
  return [...counts]
    .map(([name, count]) => ({ name, questions: count }))
    .sort((a, b) => a.name.localeCompare(b.name, 'en', { numeric: true }));
}

export interface Generated {
  readonly question: TaskQuestion;
  readonly solution: string;
}

/** The `turn`th further question of a task, from 0: not of its files, though it may ask what they ask. */
export function another(id: string, phrasing: Phrasing, turn: number): Generated {
  const task = taskById(id);
  const question = task.generate(Seed.of(0).derive('another').derive(id).derive(phrasing).derive(turn).random(), { phrasing });
  const { steps, answer } = task.solve(question);
  return { question, solution: [...steps, `Answer: ${answer}`].join('\n') };
}
