/** What the page shows of a run, folded from its events. */
import { STAGES } from '../rft/events.ts';
import type {
  AugmentMetricEvent,
  BestEvent,
  ConfigChangedEvent,
  DoneEvent,
  EpochEvent,
  EvaluationMetricEvent,
  ProgressEvent,
  RetrievalEvent,
  RoundEvent,
  RewriteEvent,
  RlMetricEvent,
  RunEvent,
  RunStartedEvent,
  SampleEvent,
  SftMetricEvent,
  Stage,
  SynthesisBatchEvent,
  SynthesisSummaryEvent,
  TriesEvent,
  WarningEvent,
} from '../rft/events.ts';

export interface StageView {
  readonly status: 'waiting' | 'running' | 'done' | 'skipped';
  readonly progress: ProgressEvent | undefined;
  /** Of work, without pauses. */
  readonly time_ms: number;
}

/** Responses that belong together: an update of PPO, or a stage. */
export interface RolloutGroup {
  readonly key: string;
  readonly stage: Stage;
  readonly update: number | undefined;
  readonly samples: readonly SampleEvent[];
}

export interface RunView {
  readonly started: RunStartedEvent | undefined;
  readonly stages: Readonly<Record<Stage, StageView>>;
  readonly current: Stage | undefined;
  readonly ppo: readonly RlMetricEvent[];
  readonly sft: readonly SftMetricEvent[];
  readonly evaluations: readonly EvaluationMetricEvent[];
  readonly augmentation: AugmentMetricEvent | undefined;
  readonly rewrites: readonly RewriteEvent[];
  readonly batches: readonly SynthesisBatchEvent[];
  readonly tries: readonly TriesEvent[];
  readonly synthesis: SynthesisSummaryEvent | undefined;
  readonly epochs: readonly EpochEvent[];
  readonly retrievals: readonly RetrievalEvent[];
  readonly bests: readonly BestEvent[];
  readonly rounds: readonly RoundEvent[];
  /** Of settings of RL, between its updates. */
  readonly changes: readonly ConfigChangedEvent[];
  readonly rollouts: readonly RolloutGroup[];
  readonly warnings: readonly WarningEvent[];
  readonly done: DoneEvent | undefined;
  readonly time_ms: number;
}

const WAITING: StageView = { status: 'waiting', progress: undefined, time_ms: 0 };

export const emptyView = (): RunView => ({
  started: undefined,
  stages: Object.fromEntries(STAGES.map((stage) => [stage, WAITING])) as Record<Stage, StageView>,
  current: undefined,
  ppo: [],
  sft: [],
  evaluations: [],
  augmentation: undefined,
  rewrites: [],
  batches: [],
  tries: [],
  synthesis: undefined,
  epochs: [],
  retrievals: [],
  bests: [],
  rounds: [],
  changes: [],
  rollouts: [],
  warnings: [],
  done: undefined,
  time_ms: 0,
});

/** A new view; lists that did not change are the same objects as before, so that what shows them stays still. */
export function foldEvents(view: RunView, events: readonly RunEvent[]): RunView {
  const lists = new Map<ListName, unknown[]>();
  const push = <K extends ListName>(name: K, item: RunView[K][number]) => {
    const list = lists.get(name) ?? [...view[name]];
    lists.set(name, list);
    list.push(item);
  };
  const stages = { ...view.stages };
  const groups = new Map<string, { group: RolloutGroup; added: SampleEvent[] }>();
  let { started, current, augmentation, synthesis, done, time_ms } = view;

  for (const event of events) {
    // A resumed run counts from zero again.
    const spent = event.time_ms === undefined ? 0 : Math.max(0, event.time_ms - time_ms);
    time_ms = event.time_ms ?? time_ms;
    if (current) stages[current] = { ...stages[current], time_ms: stages[current].time_ms + spent };

    switch (event.type) {
      case 'run':
        started = event;
        break;
      case 'stage':
        stages[event.stage] = { ...stages[event.stage], status: event.status };
        current = event.status === 'running' ? event.stage : undefined;
        break;
      case 'progress':
        if (event.stage !== 'evaluate_during') stages[event.stage] = { ...stages[event.stage], progress: event };
        break;
      case 'metric':
        if (event.stage === 'ppo') push('ppo', event);
        else if (event.stage === 'sft') push('sft', event);
        else if (event.stage === 'augment') augmentation = event;
        else if (event.stage !== 'synthesize') push('evaluations', event);
        else if ('tries_histogram' in event) synthesis = event;
        else push('batches', event);
        break;
      case 'sample': {
        const key = groupKey(event);
        const known = groups.get(key) ?? {
          group: view.rollouts.find((group) => group.key === key) ?? { key, stage: event.stage, update: event.update, samples: [] },
          added: [],
        };
        known.added.push(event);
        groups.set(key, known);
        break;
      }
      case 'rewrite':
        push('rewrites', event);
        break;
      case 'tries':
        push('tries', event);
        break;
      case 'epoch':
        push('epochs', event);
        break;
      case 'warning':
        push('warnings', event);
        break;
      case 'done':
        done = event;
        break;
      case 'retrieval':
        push('retrievals', event);
        break;
      case 'best':
        push('bests', event);
        break;
      case 'round':
        push('rounds', event);
        break;
      case 'config_changed':
        push('changes', event);
        break;
      case 'prompts':
      case 'checkpoint':
        break;
    }
  }

  const grown = new Map([...groups].map(([key, { group, added }]) => [key, { ...group, samples: [...group.samples, ...added] }]));
  const old = view.rollouts.map((group) => grown.get(group.key) ?? group);
  const rollouts =
    grown.size === 0 ? view.rollouts : [...old, ...[...grown.values()].filter(({ key }) => !old.some((group) => group.key === key))];
  return {
    ...view,
    started,
    stages,
    current,
    augmentation,
    synthesis,
    done,
    time_ms,
    rollouts,
    ...(Object.fromEntries(lists) as Partial<RunView>),
  };
}

type ListName =
  'ppo' | 'sft' | 'evaluations' | 'rewrites' | 'batches' | 'tries' | 'epochs' | 'retrievals' | 'bests' | 'rounds' | 'changes' | 'warnings';

export const groupKey = ({ stage, update }: Pick<SampleEvent, 'stage' | 'update'>): string =>
  update === undefined ? stage : `${stage}:${update}`;
