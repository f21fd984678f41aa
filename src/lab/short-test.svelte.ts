/** Short tests of this device: one goes on when the reader asks for it, and what they told is kept in this browser. */
import * as v from 'valibot';
import { type ErrorRecord, StoppedError, errorRecord } from '../base/errors.ts';
import { type Timing, costKinds } from '../rft/ablation/estimate.ts';
import type { Lab } from './lab.svelte.ts';
import { perLab } from './per-lab.svelte.ts';

const KEY = 'openrft.timings';
/** Those of so many models and devices are kept, the latest. */
const MOST = 20;

const amount = v.pipe(v.number(), v.finite(), v.minValue(0));
const schema = v.array(
  v.object({
    model: v.string(),
    device: v.string(),
    timings: v.array(v.object({ kind: v.picklist(costKinds), units: amount, seconds: amount })),
  }),
);

class ShortTest {
  private kept = $state.raw<v.InferOutput<typeof schema>>([]);
  problem = $state.raw<ErrorRecord | undefined>();
  private stop = $state.raw<AbortController | undefined>();
  readonly running = $derived(this.stop !== undefined);

  constructor(private readonly lab: Lab) {
    try {
      this.kept = v.parse(schema, JSON.parse(localStorage.getItem(KEY) ?? '[]'));
    } catch {
      // Unreadable, or a browser that keeps nothing: another test tells it again.
    }
  }

  /** What a test of that model on that device told; nothing where there was none. */
  of(model: string, device: string): readonly Timing[] {
    return this.kept.find((one) => one.model === model && one.device === device)?.timings ?? [];
  }

  async run(): Promise<void> {
    const { lab } = this;
    if (this.stop || lab.busy) return;
    this.problem = undefined;
    const stop = (this.stop = new AbortController());
    try {
      const found = await this.lab.outside.shortTest(stop.signal);
      const others = this.kept.filter(({ model, device }) => model !== found.model || device !== found.device);
      this.kept = [found, ...others].slice(0, MOST);
      keep(this.kept);
    } catch (error) {
      // A run that the reader has begun meanwhile takes the model, and tells the time by itself.
      if (!(error instanceof StoppedError) && !this.lab.busy) this.problem = errorRecord(error);
    } finally {
      this.stop = undefined;
      this.lab.outside.timing = undefined;
    }
  }

  cancel(): void {
    this.stop?.abort();
  }
}

function keep(timings: v.InferOutput<typeof schema>): void {
  try {
    localStorage.setItem(KEY, JSON.stringify(timings));
  } catch {
    // A browser that keeps nothing: until the page is closed they are here.
  }
}

export const shortTest = perLab((lab) => new ShortTest(lab));
