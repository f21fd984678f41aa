import { InputError } from '../../base/errors.ts';
import { chemicalCalculation } from './chemical-calculation.ts';
import { diffusionRateAnalysis } from './diffusion-rate-analysis.ts';
import { gb1FitnessPrediction } from './gb1-fitness-prediction.ts';
import { highSchoolPhysicsCalculation } from './high-school-physics-calculation.ts';
import { materialCalculation } from './material-calculation.ts';
import { moleculeStructurePrediction } from './molecule-structure-prediction.ts';
import { perovskiteStabilityPrediction } from './perovskite-stability-prediction.ts';
import { retrosynthesis } from './retrosynthesis.ts';
import type { Question } from '../dataset.ts';
import type { Task } from './task.ts';

/** Every task that the lab has; adding one is one file and one line here. */
export const TASKS: readonly Task[] = [
  gb1FitnessPrediction,
  retrosynthesis,
  chemicalCalculation,
  moleculeStructurePrediction,
  highSchoolPhysicsCalculation,
  materialCalculation,
  diffusionRateAnalysis,
  perovskiteStabilityPrediction,
];

/** The tasks with the shortest texts, which the smallest model learns. */
export const PICO_TASKS: readonly Task[] = [moleculeStructurePrediction, highSchoolPhysicsCalculation];

/** Half of them, so that a model of half a million parameters has more room for each. */
export const NANO_TASKS: readonly Task[] = [
  retrosynthesis,
  moleculeStructurePrediction,
  highSchoolPhysicsCalculation,
  diffusionRateAnalysis,
];

export function taskById(id: string): Task {
  const task = TASKS.find((candidate) => candidate.id === id);
  if (!task) throw new InputError(`There is no task "${id}"`, `Choose one of ${TASKS.map(({ id }) => id).join(', ')}.`);
  return task;
}

/** The task that a record names in its details; undefined for questions from elsewhere, which have no checker. */
export const taskOfQuestion = ({ details }: Question): Task | undefined => TASKS.find(({ id }) => id === details?.task);

/** The task that reads a stem, whatever the record says of it: no stem is read by two. */
export const taskOfStem = (stem: string): Task | undefined => TASKS.find((task) => task.parseStem(stem) !== undefined);
