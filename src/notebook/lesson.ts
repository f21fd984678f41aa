/**
 * A lesson in a notebook: what of the page a learner does not see or may not change, and what to do. It is a help and no lock: whoever
 * wants the whole page leaves the lesson.
 */
import * as v from 'valibot';

/** Places of the page that a lesson may leave out. */
export const LESSON_PLACES = [
  'data',
  'augment',
  'synthesize',
  'sft',
  'retrieve',
  'reward',
  'ppo',
  'compare',
  'gallery',
  'settings',
] as const;
export type LessonPlace = (typeof LESSON_PLACES)[number];

/** Controls that a lesson may lock: choices stay as the notebook has them. */
export const LESSON_CONTROLS = ['notebook', 'seed', 'model', 'live_settings'] as const;
export type LessonControl = (typeof LESSON_CONTROLS)[number];

export const LESSON_LIMITS = { prompts: 20, prompt: 1000 } as const;

export const lessonSchema = v.strictObject({
  hidden: v.pipe(v.array(v.picklist(LESSON_PLACES)), v.maxLength(LESSON_PLACES.length)),
  locked: v.pipe(v.array(v.picklist(LESSON_CONTROLS)), v.maxLength(LESSON_CONTROLS.length)),
  /** What the learner is to do, in order. */
  prompts: v.pipe(v.array(v.pipe(v.string(), v.minLength(1), v.maxLength(LESSON_LIMITS.prompt))), v.maxLength(LESSON_LIMITS.prompts)),
});
export type Lesson = v.InferOutput<typeof lessonSchema>;

export const NO_LESSON: Lesson = { hidden: [], locked: [], prompts: [] };
