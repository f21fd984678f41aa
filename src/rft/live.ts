/**
 * Settings of RL that may change between updates while a run goes on: asked for by a reader, or written down beforehand. Each change is
 * an event of the record, and the list of those events makes a replay change the same settings before the same updates.
 */
import { InputError } from '../base/errors.ts';
import { type Config, type ConfigValue, setPaths } from './config.ts';
import type { RunEvent } from './events.ts';

/** None of them decides what is loaded or how large anything is, so they change without a new start. */
export const LIVE_SETTINGS = ['ppo.alpha', 'prm.aggregation', 'ppo.kl_coef', 'ppo.actor_learning_rate', 'ppo.temperature'] as const;
export type LiveSetting = (typeof LIVE_SETTINGS)[number];

export interface SettingChange {
  readonly path: string;
  /** Text is read as the setting's own kind. */
  readonly value: ConfigValue;
}

export interface ScheduledChange extends SettingChange {
  /** The first update with the new value, from 1. */
  readonly update: number;
}

/** The config with changes made in order. @throws InputError for a value that the config can't have. */
export const withChanges = (config: Config, changes: readonly SettingChange[]): Config =>
  setPaths(config, changes.map(({ path, value }) => [path, value] as const)); // prettier-ignore

/** The changes that a run went through. */
export const changesOf = (events: readonly RunEvent[]): ScheduledChange[] =>
  events.flatMap((event) => (event.type === 'config_changed' ? [{ update: event.update, path: event.path, value: event.to }] : []));

/**
 * What changes before which update. What is asked for while the run goes on falls due at the next update that begins and stays there: a
 * run that goes back to a checkpoint makes the same changes again at the same updates.
 */
export class ChangeSchedule {
  private readonly scheduled: ScheduledChange[];
  private pending: readonly SettingChange[] = [];
  /** The update that was begun last. */
  private begun = 0;

  /** @throws InputError for a setting that can't change, an update that the run doesn't have, or a value out of bounds. */
  constructor(
    private readonly config: Config,
    scheduled: readonly ScheduledChange[] = [],
  ) {
    const { updates } = config.ppo;
    for (const { update, path } of scheduled) {
      checkLive(path);
      if (Number.isInteger(update) && update >= 1 && update <= updates) continue;
      throw new InputError(
        `${path} can't change at update ${update}: the run has updates 1 to ${updates}.`,
        'Name one of these; the change holds from that update on.',
      );
    }
    this.scheduled = [...scheduled].sort((a, b) => a.update - b.update);
    if (scheduled.length > 0) withChanges(config, this.scheduled);
  }

  /**
   * Takes effect at the next update that begins; of two values for one setting the later counts.
   * @returns that update, from 1.
   * @throws InputError for what can't change or is out of bounds, and when no update is left; then nothing of it is taken.
   */
  request(changes: readonly SettingChange[]): number {
    for (const { path } of changes) checkLive(path);
    if (!this.config.ppo.enabled || this.begun >= this.config.ppo.updates)
      throw new InputError('The last update has begun, so no setting of RL can change any more.', 'Start another run with the setting.');
    withChanges(this.config, [...this.scheduled.filter(({ update }) => update <= this.begun), ...this.pending, ...changes]);
    this.pending = [...this.pending, ...changes];
    return this.begun + 1;
  }

  /** What changes before this update, from 1; asked at the beginning of each. */
  due(update: number): readonly SettingChange[] {
    this.scheduled.push(...this.pending.map((change) => ({ ...change, update })));
    this.pending = [];
    this.begun = update;
    return this.scheduled.filter((change) => change.update === update);
  }
}

function checkLive(path: string): void {
  if (LIVE_SETTINGS.some((known) => known === path)) return;
  throw new InputError(
    `${path} can't change while RL goes on.`,
    `These can: ${LIVE_SETTINGS.join(', ')}. Set anything else for a whole run.`,
  );
}
