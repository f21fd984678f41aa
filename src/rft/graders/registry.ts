/** Every grader by its name, and the part of the config tree that holds their options. Adding one is adding a file and a line here. */
import * as v from 'valibot';
import { number } from '../fields.ts';
import { boxed } from './boxed.ts';
import { exact } from './exact.ts';
import type { Grader } from './grader.ts';
import { multiGrader } from './multi.ts';
import { multipleChoice } from './multiple-choice.ts';
import { numeric } from './numeric.ts';
import { sciknowevalLenient } from './sciknoweval-lenient.ts';
import { stringCheck } from './string-check.ts';
import { textSimilarity } from './text-similarity.ts';

/** Graders that stand alone, in the order in which a reader meets them. */
export const SINGLE_GRADERS = [
  'multiple_choice',
  'boxed',
  'sciknoweval_lenient',
  'exact',
  'numeric',
  'string_check',
  'text_similarity',
] as const;
export type SingleGraderName = (typeof SINGLE_GRADERS)[number];
export const graderNames = [...SINGLE_GRADERS, 'multi'] as const;
export type GraderName = (typeof graderNames)[number];

const weight = (name: SingleGraderName) =>
  number(0, {
    title: `Weight of ${name}`,
    description: 'Share of this grader in multi, beside the other weights; 0 leaves it out.',
    min: 0,
    max: 1,
  });

export const graderOptionsSchema = v.strictObject({
  exact: v.optional(v.strictObject(exact.options), {}),
  numeric: v.optional(v.strictObject(numeric.options), {}),
  string_check: v.optional(v.strictObject(stringCheck.options), {}),
  text_similarity: v.optional(v.strictObject(textSimilarity.options), {}),
  multi: v.optional(
    v.strictObject({
      multiple_choice: weight('multiple_choice'),
      boxed: weight('boxed'),
      sciknoweval_lenient: weight('sciknoweval_lenient'),
      exact: weight('exact'),
      numeric: weight('numeric'),
      string_check: weight('string_check'),
      text_similarity: weight('text_similarity'),
    }),
    {},
  ),
});
export type GraderOptions = v.InferOutput<typeof graderOptionsSchema>;

export const graderSummaries: Readonly<Record<GraderName, string>> = {
  multiple_choice: multipleChoice.summary,
  boxed: boxed.summary,
  sciknoweval_lenient: sciknowevalLenient.summary,
  exact: exact.summary,
  numeric: numeric.summary,
  string_check: stringCheck.summary,
  text_similarity: textSimilarity.summary,
  multi: 'The weighted mean of the graders that have a weight in grader_options.multi; right when all of them say so.',
};

const makers: Readonly<Record<GraderName, (options: GraderOptions) => Grader>> = {
  multiple_choice: multipleChoice.make,
  boxed: boxed.make,
  sciknoweval_lenient: sciknowevalLenient.make,
  exact: (options) => exact.make(options.exact),
  numeric: (options) => numeric.make(options.numeric),
  string_check: (options) => stringCheck.make(options.string_check),
  text_similarity: (options) => textSimilarity.make(options.text_similarity),
  multi: (options) =>
    multiGrader(
      SINGLE_GRADERS.filter((name) => options.multi[name] > 0).map((name) => ({
        name,
        weight: options.multi[name],
        grader: makers[name](options),
      })),
    ),
};

/** @throws GraderError for options that can't work; see `checkQuestions` for what a grader asks of the data. */
export const makeGrader = (name: GraderName, options: GraderOptions): Grader => makers[name](options);
