/** The questions of an ablation: the frozen ones, and for more the stream that goes on after them. */
import { InputError } from '../../base/errors.ts';
import type { Config } from '../../rft/config.ts';
import { type Dataset, datasetOf, firstQuestions } from '../../rft/dataset.ts';
import type { PipelineData } from '../../rft/pipeline.ts';
import { taskById } from '../../rft/tasks/registry.ts';
import { QUESTIONS_PER_FILE, questionStream } from '../../rft/tasks/stream.ts';
import { readTask } from '../models.ts';

export class AblationQuestions {
  private readonly trains = new Map<string, Promise<Dataset>>();
  private readonly tests = new Map<string, Promise<Dataset>>();

  /** @throws InputError for more training questions than the task has problems. */
  readonly dataOf = async ({ data: { task, train_questions } }: Config): Promise<PipelineData> => ({
    train: await remembered(this.trains, `${task} ${train_questions}`, () => trainingSet(task, train_questions)),
    test: await remembered(this.tests, task, () => readTask(task, 'test')),
  });
}

function remembered<T>(known: Map<string, Promise<T>>, key: string, make: () => Promise<T>): Promise<T> {
  const value = known.get(key) ?? make();
  known.set(key, value);
  return value;
}

/** 0 is all of the frozen ones. */
async function trainingSet(task: string, count: number): Promise<Dataset> {
  const frozen = await readTask(task, 'train');
  if (count <= QUESTIONS_PER_FILE) return firstQuestions(frozen, count);
  const questions = questionStream(taskById(task), 'train', count);
  if (questions.length === count) return datasetOf(frozen.name, questions);
  throw new InputError(`${task} has ${questions.length} training problems, not ${count}.`, `Set data.train_questions to at most ${questions.length}.`); // prettier-ignore
}
