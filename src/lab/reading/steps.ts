/** The sizes of a step in the run bar: pieces of the run, and pieces of the responses that it draws. */
import type { Stage } from '../../rft/events.ts';
import type { StepSize } from '../../workers/protocol.ts';
import type { Lab } from '../lab.svelte.ts';
import type { RouteId } from '../shell/routes.ts';
import type { Shell } from '../shell/shell.svelte.ts';
import type { ReadingStep } from './reading.svelte.ts';

export type LabStep = ReadingStep | StepSize;

/** From the smallest on. */
export const LAB_STEPS: Readonly<Record<LabStep, string>> = {
  token: 'one token',
  reasoning_step: 'one reasoning step',
  try: 'one try',
  micro_batch: 'one micro-batch',
  batch: 'one batch',
  update: 'one update',
};

/** The stages whose responses are read at a place. */
export const READ_AT = {
  synthesize: ['synthesize'],
  ppo: ['ppo'],
  compare: ['evaluate_before', 'evaluate_after'],
} as const satisfies Partial<Record<RouteId, readonly Stage[]>>;

type ReadingPlace = keyof typeof READ_AT;

export const isReading = (step: LabStep): step is ReadingStep => step === 'token' || step === 'reasoning_step';

/** What a step of this size does where a stage has no such piece; empty where it has. */
export function standsIn(step: LabStep, stage: Stage | undefined, backend: string): string {
  const trains = stage === 'sft' || stage === 'ppo';
  const cpu = backend === 'cpu';
  if (isReading(step) && (stage === 'sft' || stage === 'augment'))
    return `${stage === 'sft' ? 'SFT' : 'Augmentation'} is not read by the token: a step is one batch`;
  if (step === 'try' && stage === 'sft') return 'SFT tries nothing: a step is one batch';
  if (step === 'micro_batch' && cpu) return 'the CPU trains without micro-batches: a step is one batch';
  if (step === 'micro_batch' && stage !== undefined && !trains) return 'micro-batches are of training: a step is one batch of responses';
  return '';
}

/** One step of the run bar's size. Responses are read at the place of the stage that draws them, or, of a run that does not go on, where the reader is. */
export async function stepOf(lab: Lab, shell: Shell): Promise<void> {
  const size = lab.stepSize;
  if (!lab.canStep) return;
  if (!isReading(size)) return lab.step(size);
  const { reading } = await import('./reading.svelte.ts');
  const here = reading(lab);
  const goTo = (place: ReadingPlace) => {
    shell.go(place);
    here.of(READ_AT[place]);
  };
  const place = readingPlace(lab, shell);
  if (place) {
    goTo(place);
    if (here.stepped(size)) return;
  }
  here.expectMore((stage) => {
    const next = placeOf(stage);
    if (!next) return;
    goTo(next);
    here.fromFirst();
  });
  await lab.step('batch');
}

/** Where there is something to read: undefined at the stages that are not read, and between two of them. */
function readingPlace(lab: Lab, { route }: Shell): ReadingPlace | undefined {
  if (!lab.busy && route && route.id in READ_AT) return route.id as ReadingPlace;
  const { started, current } = lab.run.view;
  return placeOf(current ?? (lab.busy && started ? undefined : 'evaluate_before'));
}

const placeOf = (stage: Stage | undefined): ReadingPlace | undefined =>
  (Object.keys(READ_AT) as ReadingPlace[]).find((place) => READ_AT[place].some((one) => one === stage));
