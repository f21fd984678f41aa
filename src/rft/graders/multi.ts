/**
 * OpenAI's `multi` with a fixed formula: the weighted mean of named graders, sum(w r) / sum(w). A response is right when every
 * one of them says so; its outcome is theirs where they agree, and else wrong.
 */
import { type Grade, type Grader, GraderError } from './grader.ts';

export interface WeightedGrader {
  readonly name: string;
  readonly weight: number;
  readonly grader: Grader;
}

/** @throws GraderError 'no_sub_graders' when no weight is above 0. */
export function multiGrader(parts: readonly WeightedGrader[]): Grader {
  const used = parts.filter(({ weight }) => weight > 0);
  const total = used.reduce((sum, { weight }) => sum + weight, 0);
  if (used.length === 0)
    throw new GraderError(
      'no_sub_graders',
      'The grader multi has no part: every weight is 0.',
      'Give at least one of grader_options.multi a weight above 0.',
    );
  return {
    grade(question, response) {
      const grades = used.map(({ grader }) => grader.grade(question, response));
      const { outcome, answer } = grades[0]!;
      const earned = grades.reduce((sum, grade, i) => sum + used[i]!.weight * grade.reward, 0);
      return {
        outcome: grades.every((grade) => grade.outcome === outcome) ? outcome : 'wrong',
        reward: earned / total,
        ...(answer !== undefined && grades.every((grade) => grade.answer === answer) && { answer }),
        sub_rewards: Object.fromEntries(used.map(({ name }, i): [string, Grade['reward']] => [name, grades[i]!.reward])),
      };
    },
    check: (question) => used.forEach(({ grader }) => grader.check(question)),
    example: (question, change) => [...new Set(used.map(({ grader }) => grader.example(question, change)))].join('\n'),
    tolerates: used[0]!.grader.tolerates.filter((kind) => used.every(({ grader }) => grader.tolerates.includes(kind))),
  };
}
