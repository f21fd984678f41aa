/** What the next run will fetch and take of the GPU's memory, asked anew whenever that may have changed. */
import { type ErrorRecord, errorRecord } from '../base/errors.ts';
import { type Stage, STAGES } from '../rft/events.ts';
import type { Needs } from '../workers/needs.ts';
import { bytes } from './format.ts';
import type { Lab } from './lab.svelte.ts';
import { perLab } from './per-lab.svelte.ts';
import { shortTest } from './short-test.svelte.ts';
import { runs } from './shell/rail.ts';

/** Milliseconds that a change of the settings waits for the next one, and the first screen for its own. */
const PAUSE = 400;

class NextNeeds {
  private found = $state.raw<Needs | undefined>();
  problem = $state.raw<ErrorRecord | undefined>();
  /** Nothing is to be asked, since the answer takes the questions. */
  held = $state(false);

  constructor(private readonly lab: Lab) {
    $effect(() => {
      // What loads, runs or is tested keeps the page busy until its files are here: then it is asked again.
      const { busy, device, backend, config } = lab;
      if (this.held || busy || shortTest(lab).running || !config || (backend === 'webgpu' && device.status !== 'ready')) return;
      let late = false;
      const timer = setTimeout(() => {
        this.ask().then(
          (found) => {
            if (!late) [this.found, this.problem] = [found, undefined];
          },
          (error: unknown) => {
            if (!late) [this.found, this.problem] = [undefined, errorRecord(error)];
          },
        );
      }, PAUSE);
      return () => {
        late = true;
        clearTimeout(timer);
      };
    });
  }

  /** Adapters that the model of the next run comes without. */
  readonly missing = $derived(this.found?.missing ?? []);

  /** Bytes that these stages have yet to fetch; undefined until it is known. */
  downloadOf(stages: readonly Stage[]): number | undefined {
    return this.found?.downloads.filter(({ stage }) => stages.includes(stage)).reduce((sum, file) => sum + file.bytes - file.here, 0);
  }

  /** Bytes of that model or adapter that are yet to be fetched; undefined until it is known. */
  downloadOfFiles(name: string): number | undefined {
    const file = this.found?.downloads.find((wanted) => wanted.name === name);
    return file && file.bytes - file.here;
  }

  /** Bytes of the GPU's memory that the largest of these stages takes; undefined where they take none or it is not known. */
  memoryOf(stages: readonly Stage[]): number | undefined {
    const each = stages.flatMap((stage) => this.found?.memory?.stages[stage] ?? []);
    return each.length > 0 ? Math.max(...each) : undefined;
  }

  /** What these stages need, each in a few words. */
  partsOf(stages: readonly Stage[]): string[] {
    const [memory, download] = [this.memoryOf(stages), this.downloadOf(stages)];
    return [...(memory === undefined ? [] : [`${bytes(memory)} of memory`]), ...(download ? [`${bytes(download)} to fetch`] : [])];
  }

  /** Of the whole run, in a few words; empty until it is known. */
  readonly brief = $derived.by(() => {
    if (!this.found) return '';
    const { memory } = this.found;
    const download = this.downloadOf(STAGES)!;
    const parts = [download > 0 ? `${bytes(download)} to fetch` : 'nothing to fetch'];
    if (memory) parts.push(`${bytes(memory.run.total)} of GPU memory`);
    return parts.join(' · ');
  });

  /** A sentence; empty until there is something to say. */
  readonly text = $derived.by(() => {
    if (this.problem) return `What it needs can’t be told: ${this.problem.message}`;
    if (!this.found) return '';
    const { downloads, memory } = this.found;
    const missing = downloads.filter((file) => file.bytes > file.here);
    const files = missing.map(({ name, licence, bytes: all, here }) => `${name} (${bytes(all - here)}, licence ${licence})`);
    const fetches = files.length > 0 ? `It fetches ${list.format(files)}` : 'It fetches nothing, since all of it is in this browser';
    return `${fetches}${memory ? `, and takes up to ${bytes(memory.run.total)} of the GPU’s memory` : ''}.`;
  });

  private async ask(): Promise<Needs> {
    const config = await this.lab.settled();
    return this.lab.outside.needs(STAGES.filter((stage) => runs(stage, config)));
  }
}

const list = new Intl.ListFormat('en');

export const needs = perLab((lab) => new NextNeeds(lab));
