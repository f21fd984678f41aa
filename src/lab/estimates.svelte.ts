/** What the run on show, or the next one, will take. */
import { type Cost, type QuestionCounts, type Rates, ratesFrom } from '../rft/ablation/estimate.ts';
import { STAGES, type Stage } from '../rft/events.ts';
import { QUESTIONS_PER_FILE } from '../rft/tasks/stream.ts';
import { basisOf, costsOf, estimateOf, ratesOf, timeText } from './estimate.ts';
import { roughly } from './format.ts';
import type { Lab } from './lab.svelte.ts';
import { perLab } from './per-lab.svelte.ts';
import { shortTest } from './short-test.svelte.ts';

const NONE: ReadonlyMap<Stage, Cost> = new Map();

class Estimates {
  constructor(private readonly lab: Lab) {}

  /** As runs on it name it; undefined until it is known. */
  private readonly device = $derived.by(() => {
    const { backend, device } = this.lab;
    if (backend === 'cpu') return 'cpu';
    return device.status === 'ready' ? device.report.name : undefined;
  });

  private readonly questions = $derived.by<QuestionCounts | undefined>(() => {
    const { own, configOnShow } = this.lab;
    if (own) return { train: own.train.questions.length, test: own.test.questions.length };
    // Questions of a file that is not here: how many there are is in the file alone.
    return configOnShow?.data.file === '' ? { train: QUESTIONS_PER_FILE, test: QUESTIONS_PER_FILE } : undefined;
  });

  private readonly costs = $derived.by(() => {
    const { configOnShow } = this.lab;
    return configOnShow && this.questions ? costsOf(configOnShow, this.questions) : NONE;
  });

  /** In runs that are kept. */
  private readonly ran = $derived.by<Rates>(() => {
    const model = this.lab.configOnShow?.model;
    return model !== undefined && this.device !== undefined ? ratesOf(this.lab.kept.list, model, this.device) : {};
  });
  /** In a short test. */
  private readonly tested = $derived.by<Rates>(() => {
    const model = this.lab.configOnShow?.model;
    return model !== undefined && this.device !== undefined ? ratesFrom(shortTest(this.lab).of(model, this.device), {}) : {};
  });
  /** Real ones take the place of tested ones as they come. */
  private readonly rates = $derived.by<Rates>(() => ({ ...this.tested, ...this.ran }));

  /** Of these stages together; undefined where none of them is to be run, or one was not timed yet. */
  secondsOf(stages: readonly Stage[]): number | undefined {
    if (!stages.some((stage) => this.costs.has(stage))) return undefined;
    const { seconds, unknown } = estimateOf(stages, this.costs, this.rates);
    return unknown.length === 0 ? seconds : undefined;
  }

  /** Of the whole run, in a few words; empty where nothing like it was timed. */
  readonly brief = $derived.by(() => {
    const seconds = this.secondsOf(STAGES);
    return seconds === undefined ? '' : roughly(seconds);
  });

  /** A sentence; empty until there is something to say. */
  readonly text = $derived.by(() => {
    if (this.device === undefined || this.costs.size === 0) return '';
    const basis = basisOf(this.costs, this.ran, this.tested);
    return `A run with these settings takes ${timeText(estimateOf(STAGES, this.costs, this.rates), basis)}.`;
  });

  /** Some stage of the run was neither run nor tested on this device, which is known. */
  readonly incomplete = $derived.by(
    () => this.device !== undefined && this.costs.size > 0 && estimateOf(STAGES, this.costs, this.rates).unknown.length > 0,
  );
}

export const estimates = perLab((lab) => new Estimates(lab));
