/** The rail of one lab: the status of each stage's place, as the run on show and the settings of the next one have it. */
import type { Stage } from '../../rft/events.ts';
import { estimates } from '../estimates.svelte.ts';
import type { Lab } from '../lab.svelte.ts';
import { needs } from '../needs.svelte.ts';
import { type PlaceStatus, type StagePlace, placeStatus, staleStages, timedStages } from './rail.ts';
import { STAGE_ROUTES } from './routes.ts';

const NONE: ReadonlySet<Stage> = new Set();

export class Rail {
  constructor(
    private readonly lab: Lab,
    private readonly estimated = estimates(lab),
    private readonly needed = needs(lab),
  ) {}

  private readonly stale = $derived.by(() => {
    const { changed, config, run } = this.lab;
    return changed && config && run.view.started ? staleStages(run.view.started.config, config) : NONE;
  });

  readonly status = $derived.by<Readonly<Record<StagePlace, PlaceStatus>> | undefined>(() => {
    const { lab, stale } = this;
    const { view } = lab.run;
    const { configOnShow: config } = lab;
    if (!config) return undefined;
    const situation = {
      view,
      config,
      working: ['running', 'pausing', 'stopping'].includes(lab.status) || lab.player.playing,
      differences: lab.changed ? lab.differences : [],
      stale,
    };
    return Object.fromEntries(STAGE_ROUTES.map(({ id }) => [id, this.expecting(id, placeStatus(id, situation))])) as Record<
      StagePlace,
      PlaceStatus
    >;
  });

  private expecting(id: StagePlace, status: PlaceStatus): PlaceStatus {
    if (status.state !== 'not run') return status;
    const expected = this.estimated.secondsOf(timedStages(id));
    return { ...status, ...(expected !== undefined && { expected }), needs: this.needed.partsOf(timedStages(id)) };
  }
}
