/** The tour of the lab: steps that tick themselves when the reader has done what they ask for, in any order. */
import type { RouteId } from '../shell/routes.ts';

/** What the tour sees of the lab at a moment. */
export interface Seen {
  readonly place: RouteId | undefined;
  /** The run on show, a recording or the reader's own, is at its end. */
  readonly finished: boolean;
  /** The tokens of a response are open beside the place. */
  readonly inspecting: boolean;
  /** The palette of places and actions is open. */
  readonly finding: boolean;
  /** The control that was just worked, by its `data-tour`. */
  readonly worked: string | undefined;
}

export interface TourStep {
  readonly place: RouteId;
  /** What there is to do, in a sentence. */
  readonly what: string;
  readonly done: (seen: Seen) => boolean;
}

const steps = {
  run: {
    place: 'start',
    what: 'Watch a run to its end: play the recording, or run the experiment yourself.',
    done: ({ finished }) => finished,
  },
  question: {
    place: 'data',
    what: 'Have the generator make another question: press Another question under One question.',
    done: ({ worked }) => worked === 'question',
  },
  tokens: {
    place: 'ppo',
    what: 'Open the tokens of a response that the model wrote: press Token by token below one.',
    done: ({ inspecting }) => inspecting,
  },
  beat: {
    place: 'ppo',
    what: 'Open “One update in seven beats” and go to another beat.',
    done: ({ worked }) => worked === 'beat',
  },
  alpha: {
    place: 'reward',
    what: 'Move α and see which response the reward prefers.',
    done: ({ worked }) => worked === 'alpha',
  },
  compare: {
    place: 'compare',
    what: 'Open Compare: did the model get better, and how sure is that?',
    done: ({ place }) => place === 'compare',
  },
  find: {
    place: 'compare',
    what: 'Find any place by its name: press Find at the top, or Ctrl or Cmd K.',
    done: ({ finding }) => finding,
  },
  share: {
    place: 'notebook',
    what: 'Share the notebook: press Share, and its whole text is in a link.',
    done: ({ worked }) => worked === 'share',
  },
} satisfies Readonly<Record<string, TourStep>>;

export type StepId = keyof typeof steps;
export const TOUR: Readonly<Record<StepId, TourStep>> = steps;
export const STEP_IDS = Object.keys(steps) as readonly StepId[];

/** The steps that are done with what is seen now; the same list where nothing is new. */
export function advanced(done: readonly StepId[], seen: Seen): readonly StepId[] {
  const fresh = STEP_IDS.filter((id) => !done.includes(id) && TOUR[id].done(seen));
  return fresh.length === 0 ? done : [...done, ...fresh];
}

/** The first step that is not done yet; undefined when all are. */
export const nextStep = (done: readonly StepId[]): StepId | undefined => STEP_IDS.find((id) => !done.includes(id));
