/** What the rail says of each place: how far the run on show is there, and whether it still holds for the settings of the next one. */
import { type Config, getPath } from '../../rft/config.ts';
import { type Difference, differencesBetween } from '../../rft/differences.ts';
import { STAGES, type Stage } from '../../rft/events.ts';
import { augmentationFeeds, stageConfig } from '../../rft/ablation/stage-config.ts';
import { count, counted, percent, points, tick } from '../format.ts';
import type { PathValue } from '../overrides.svelte.ts';
import type { RunView } from '../view.ts';
import type { RouteId, STAGE_ROUTES } from './routes.ts';

export type StagePlace = (typeof STAGE_ROUTES)[number]['id'];

/** The stages of a run that a place shows; RL retrieves and is rewarded as it goes. */
const STAGES_OF: Readonly<Record<StagePlace, readonly Stage[]>> = {
  data: [],
  augment: ['augment'],
  synthesize: ['synthesize'],
  sft: ['sft'],
  retrieve: ['ppo'],
  reward: ['ppo'],
  ppo: ['ppo'],
  compare: ['evaluate_before', 'evaluate_after'],
};

/** One place alone says how long RL takes. */
export const timedStages = (id: StagePlace): readonly Stage[] => (id === 'retrieve' || id === 'reward' ? [] : STAGES_OF[id]);

export const isStagePlace = (id: RouteId): id is StagePlace => id in STAGES_OF;

/** A stage that can be left out: with what is left in, the rows of the paper's Table 1. */
export interface Switch {
  readonly label: string;
  readonly isOn: (config: Config) => boolean;
  readonly off: readonly PathValue[];
  /** Where the notebook has no such settings of its own. */
  readonly on: readonly PathValue[];
}

export const SWITCHES: Partial<Record<StagePlace, Switch>> = {
  augment: {
    label: 'Augmentation',
    isOn: ({ augment }) => augment.enabled,
    off: [['augment.enabled', false]],
    on: [['augment.enabled', true]],
  },
  sft: {
    label: 'Synthesis and SFT',
    isOn: ({ sft }) => sft.enabled,
    off: [['sft.enabled', false]],
    on: [['sft.enabled', true]],
  },
  retrieve: {
    label: 'Examples in context',
    isOn: ({ icl }) => icl.k > 0,
    off: [['icl.k', 0]],
    on: [['icl.k', 3]],
  },
  reward: {
    label: 'Process reward',
    isOn: ({ prm }) => prm.model !== '',
    off: [
      ['prm.model', ''],
      ['ppo.alpha', 1],
    ],
    on: [
      ['prm.model', 'prm'],
      ['ppo.alpha', 0.7],
    ],
  },
  ppo: {
    label: 'Reinforcement',
    isOn: ({ ppo }) => ppo.enabled,
    off: [['ppo.enabled', false]],
    on: [['ppo.enabled', true]],
  },
};

/** The settings of each place of which the paper says most. */
export const PAPER_SETTINGS: Readonly<Record<StagePlace, readonly string[]>> = {
  data: ['data.train_questions'],
  augment: ['augment.enabled', 'augment.variants', 'augment.use_in'],
  synthesize: ['synthesis.max_tries', 'synthesis.temperature', 'synthesis.source'],
  sft: ['lora.rank', 'sft.epochs', 'sft.batch_size', 'sft.learning_rate'],
  retrieve: ['icl.k', 'icl.in_rl', 'icl.embedder'],
  reward: ['ppo.alpha', 'ppo.outcome_rule', 'prm.model'],
  ppo: ['ppo.algorithm', 'ppo.actor_learning_rate', 'ppo.critic_learning_rate', 'ppo.kl_coef', 'ppo.temperature'],
  compare: ['evaluation.samples_per_question', 'evaluation.temperature'],
};

/** The settings that turn a switch: back to the notebook's own where those have it on. */
export function turned({ isOn, on, off }: Switch, to: boolean, notebook: Config): readonly PathValue[] {
  if (!to) return off;
  return isOn(notebook) ? on.map(([path]) => [path, getPath(notebook, path)] as const) : on;
}

/** Whether a config leaves a place out. Rewarding for the answer alone leaves out the process reward, not the reward. */
export function isOff(id: StagePlace, config: Config): boolean {
  if (id === 'synthesize') return !config.sft.enabled;
  if (id === 'reward') return !config.ppo.enabled;
  return SWITCHES[id]?.isOn(config) === false;
}

/** Whether a run of these settings goes through a stage. */
export function runs(stage: Stage, config: Config): boolean {
  if (stage === 'augment') return augmentationFeeds(config, stage);
  if (stage === 'synthesize' || stage === 'sft') return config.sft.enabled;
  if (stage === 'ppo') return config.ppo.enabled;
  return stage === 'evaluate_before' || config.sft.enabled || config.ppo.enabled;
}

/** Stages of a finished run that would come out otherwise under other settings, or that build on one that would. */
export function staleStages(ran: Config, now: Config): ReadonlySet<Stage> {
  const stale = new Set<Stage>();
  for (const stage of STAGES.filter((one) => runs(one, ran) || runs(one, now))) {
    // The first evaluation is of the untouched model, so that nothing builds on it.
    const built = stage !== 'evaluate_before' && [...stale].some((before) => before !== 'evaluate_before');
    if (built || differencesBetween(stageConfig(ran, stage), stageConfig(now, stage)).length > 0) stale.add(stage);
  }
  return stale;
}

export type PlaceState = 'not run' | 'running' | 'held' | 'done' | 'off' | 'stale';

export interface PlaceStatus {
  readonly state: PlaceState;
  /** What it has come to, in a few words. */
  readonly figures: string;
  /** Of work. */
  readonly time_ms: number;
  /** Seconds that it will take; left out where it is not to be run, or nothing like it was timed. */
  readonly expected?: number;
  /** Memory that it will take and bytes that it has to fetch, in words; left out where it is not to be run, or needs none of its own. */
  readonly needs?: readonly string[];
}

interface Situation {
  readonly view: RunView;
  /** Of the run that goes on, else of the next one. */
  readonly config: Config;
  /** The run is at work, not paused. */
  readonly working: boolean;
  /** Of a finished run: in what the settings of the next one differ, and the stages that this outdates. */
  readonly differences: readonly Difference[];
  readonly stale: ReadonlySet<Stage>;
}

export function placeStatus(id: StagePlace, situation: Situation): PlaceStatus {
  const { view } = situation;
  const state = stateOf(id, situation);
  // Of what is only begun, as evaluation is before training, no time is told.
  const time_ms = state === 'not run' ? 0 : timedStages(id).reduce((sum, stage) => sum + view.stages[stage].time_ms, 0);
  return { state, figures: figuresOf(id, view), time_ms };
}

function stateOf(id: StagePlace, { view, config, working, differences, stale }: Situation): PlaceState {
  if (isOff(id, config)) return 'off';
  const stages = STAGES_OF[id];
  if (stages.some((stage) => view.stages[stage].status === 'running')) return working ? 'running' : 'held';
  const done = id === 'data' ? view.started !== undefined : view.stages[stages.at(-1)!].status === 'done';
  if (!done || (id === 'retrieve' && view.retrievals.length === 0)) return 'not run';
  const outdated =
    id === 'data' ? differences.some(({ path }) => path === 'model' || path.startsWith('data.')) : stages.some((stage) => stale.has(stage));
  return outdated ? 'stale' : 'done';
}

function figuresOf(id: StagePlace, view: RunView): string {
  switch (id) {
    case 'data':
      return view.started ? counted(view.started.dataset.train.questions, 'questions') : '';
    case 'augment':
      return view.augmentation ? counted(view.augmentation.accepted, 'variations') : '';
    case 'synthesize': {
      if (view.synthesis) return `${count(view.synthesis.solved)} of ${count(view.synthesis.questions)} solved`;
      return ongoing(view, 'synthesize');
    }
    case 'sft':
      return ongoing(view, 'sft');
    case 'retrieve':
      return view.retrievals.length > 0 ? counted(view.retrievals.reduce((sum, { questions }) => sum + questions.length, 0), 'prompts') : ''; // prettier-ignore
    case 'reward': {
      const last = view.ppo.at(-1);
      return last ? `mean ${tick(last.reward_mean)}` : '';
    }
    case 'ppo':
      return ongoing(view, 'ppo');
    case 'compare':
      return view.done ? `${points(view.done.accuracy.difference.mean)} points` : before(view);
  }
}

function before({ evaluations }: RunView): string {
  const first = evaluations.find(({ stage }) => stage === 'evaluate_before');
  return first ? `${percent(first.accuracy.mean)} before` : '';
}

function ongoing({ stages }: RunView, stage: Stage): string {
  const { progress, status } = stages[stage];
  if (!progress) return '';
  return status === 'done' ? counted(progress.total, progress.unit) : `${count(progress.done)}/${counted(progress.total, progress.unit)}`;
}
