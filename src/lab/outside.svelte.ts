/** Work with the model that a run would take, outside a run. */
import { throwIfStopped } from '../base/errors.ts';
import type { Timing } from '../rft/ablation/estimate.ts';
import type { Question } from '../rft/dataset.ts';
import type { Stage } from '../rft/events.ts';
import type { Embedder } from '../rft/embedder.ts';
import type { InspectionRequest, RetrievalInspection } from '../rft/retrieve/inspection.ts';
import type { Interval } from '../rft/statistics.ts';
import type { TrainerClient } from '../workers/client.ts';
import { MiniLmEmbedder } from '../workers/embedder-client.ts';
import type { MiniLmDevice } from '../workers/minilm-files.ts';
import { openPolicyEmbedder } from '../workers/policy-embedder.ts';
import type { Needs } from '../workers/needs.ts';
import type { LoadingMessage, ModelRequest, TopTokens, TopTokensRequest } from '../workers/protocol.ts';
import { CPU_MODEL } from './choices.svelte.ts';
import type { Lab } from './lab.svelte.ts';
import type { Progress } from './progress.ts';

export class Outside {
  /** How far the untouched model has come with questions outside a run. */
  answered = $state.raw<Progress | undefined>();
  /** The stage that a short test is at. */
  timing = $state.raw<Stage | undefined>();
  /** Settles with the last question about a token. */
  private asked: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly lab: Lab,
    private readonly client: TrainerClient,
  ) {}

  /** The sentence encoder; `onProgress` hears of the bytes that are here while it loads. */
  openMiniLm(device: MiniLmDevice, onProgress: (message: LoadingMessage) => void): Embedder {
    return new MiniLmEmbedder({ device, base: this.lab.base }, onProgress);
  }

  /** The model that a run would take, as an embedder; without a GPU the one for the CPU. */
  async openPolicyEmbedder(signal: AbortSignal): Promise<Embedder> {
    return openPolicyEmbedder(this.client, await this.runsModel(), signal);
  }

  /** What the untouched model that a run would take makes of questions: one answer each, as the run's evaluation samples them. */
  async vanilla(questions: readonly Question[], signal: AbortSignal): Promise<Interval> {
    const { seed, evaluation } = await this.lab.settled();
    const { temperature, max_new_tokens } = evaluation;
    this.answered = undefined;
    this.lab.restartMeter();
    return this.client.vanilla(await this.runsModel(), { questions, seed, temperature, max_new_tokens }, signal);
  }

  /** How long the stages of the next run take here, by a short test. Its progress is the lab's `loading` and, after that, `timing`. */
  async shortTest(signal: AbortSignal): Promise<{ readonly model: string; readonly device: string; readonly timings: Timing[] }> {
    const { lab } = this;
    const config = await lab.settled();
    const [train, test] = await Promise.all([lab.questions(config, 'train'), lab.questions(config, 'test')]);
    this.timing = undefined;
    lab.restartMeter();
    const model = await this.runsModel();
    const timings = await this.client.shortTest(model, { config, train, test }, signal);
    const device = model.backend === 'webgpu' && lab.device.status === 'ready' ? lab.device.report.name : 'cpu';
    return { model: model.name, device, timings };
  }

  /** What the model in the worker finds likeliest in a token's place; one question after the other, and none that is given up meanwhile. */
  topTokens(request: TopTokensRequest, signal: AbortSignal): Promise<TopTokens> {
    const answer = this.asked.then(() => {
      throwIfStopped(signal);
      return this.client.topTokens(request);
    });
    this.asked = answer.catch(() => undefined); // Whoever asked hears of the error.
    return answer;
  }

  /** What retrieval would make of a training question in the next run. */
  async inspectRetrieval(request: InspectionRequest, signal: AbortSignal): Promise<RetrievalInspection> {
    const config = await this.lab.settled();
    return this.client.retrieve(await this.runsModel(), { ...request, config, train: await this.lab.questions(config, 'train') }, signal);
  }

  /** What a run of these stages will fetch and take. */
  async needs(stages: readonly Stage[]): Promise<Needs> {
    const { lab } = this;
    const config = await lab.settled();
    const [train, test] = await Promise.all([lab.questions(config, 'train'), lab.questions(config, 'test')]);
    const software = lab.backend === 'webgpu' && lab.device.status === 'ready' ? lab.device.report.adapter.software : undefined;
    const device = software === undefined ? undefined : { software };
    return this.client.needs({ model: await this.runsModel(), config, train, test, stages, ...(device && { device }) });
  }

  /** The model that a run would take. */
  private async runsModel(): Promise<ModelRequest> {
    const { model } = await this.lab.settled();
    const { lab } = this;
    return lab.device.status === 'missing' ? lab.request(CPU_MODEL, undefined, 'cpu') : lab.request(model, lab.files);
  }
}
