/** Rewriting one question by hand, and the endpoint that may do it: what a run would take, before any run. */
import { type ErrorRecord, InputError, StoppedError, errorRecord } from '../../../base/errors.ts';
import { Seed } from '../../../base/random.ts';
import { rewrittenQuestion } from '../../../rft/augment/augment.ts';
import { EndpointRewriter } from '../../../rft/augment/endpoint.ts';
import { type Rewriter, TemplateRewriter } from '../../../rft/augment/rewriter.ts';
import type { Question } from '../../../rft/dataset.ts';
import type { RewriteEvent } from '../../../rft/events.ts';
import type { Lab } from '../../lab.svelte.ts';
import { perLab } from '../../per-lab.svelte.ts';

/** Those that write without the model; an adapter of it writes in a run. */
export const HAND_WRITERS = { template: 'the task’s own templates', endpoint: 'the endpoint' } as const;
export type HandWriter = keyof typeof HAND_WRITERS;

/** Whoever waits at the page hears sooner than a run that nothing came. */
const PATIENCE = 30_000;

class ByHand {
  writer = $state<HandWriter>('template');
  /** Undefined takes what the settings say. */
  private typedUrl = $state<string | undefined>();
  private typedModel = $state<string | undefined>();
  /** Place in the training set, from 1. */
  number = $state(1);
  busy = $state(false);
  problem = $state.raw<ErrorRecord | undefined>();
  result = $state.raw<{ readonly rewrite: RewriteEvent; readonly by: string } | undefined>();
  /** What was last said of the endpoint. */
  heard = $state('');
  questions = $state.raw<readonly Question[]>([]);
  private stop: AbortController | undefined;

  constructor(private readonly lab: Lab) {}

  get url(): string {
    return this.typedUrl ?? this.lab.config?.augment.endpoint_url ?? '';
  }
  set url(url: string) {
    this.typedUrl = url;
    this.heard = '';
  }

  get model(): string {
    return this.typedModel ?? this.lab.config?.augment.endpoint_model ?? '';
  }
  set model(model: string) {
    this.typedModel = model;
    this.heard = '';
  }

  /** Asks the endpoint for one rewrite, and says how long it took. */
  test(): Promise<void> {
    this.heard = '';
    return this.work(async (signal) => {
      const start = performance.now();
      const rewriter = this.endpoint();
      const [question] = await this.trainingQuestions();
      const [rewriting] = await this.ask(rewriter, question!, signal);
      const { text } = rewriting!;
      const seconds = ((performance.now() - start) / 1000).toFixed(1);
      this.heard = `${rewriter.name} answered after ${seconds} s: “${text.slice(0, 80)}${text.length > 80 ? ' …' : ''}”`;
    });
  }

  rewrite(): Promise<void> {
    return this.work(async (signal) => {
      const { config } = this.lab;
      const questions = await this.trainingQuestions();
      const question = questions[this.number - 1];
      if (!config || !question)
        throw new InputError(`There is no training question ${this.number}.`, `Choose one from 1 to ${questions.length}.`);
      const rewriter = this.writer === 'template' ? new TemplateRewriter([question]) : this.endpoint();
      const [rewriting] = await this.ask(rewriter, question, signal);
      const rewrite = rewrittenQuestion({ config, seed: Seed.of(config.seed) }, question, this.number - 1, rewriting!);
      this.result = { rewrite, by: rewriter.name };
    });
  }

  cancel(): void {
    this.stop?.abort();
  }

  /** The next run asks the endpoint. */
  useInRun(): Promise<void> {
    return this.work(async () => {
      this.endpoint();
      this.lab.set([
        ['augment.enabled', 'true'],
        ['augment.rewriter', 'endpoint'],
        ['augment.endpoint_url', this.url],
        ['augment.endpoint_model', this.model],
      ]);
      this.heard = 'The next run has its questions rewritten by this endpoint.';
    });
  }

  private endpoint(): EndpointRewriter {
    const { url, model } = this;
    const { augment } = this.lab.config!;
    const { temperature, max_new_tokens } = augment;
    const rewriter = new EndpointRewriter({ url, model, key: this.lab.endpointKey, temperature, max_new_tokens, retries: 0, timeout_ms: PATIENCE }); // prettier-ignore
    const { protocol, hostname } = new URL(url);
    if (protocol !== 'https:' && !['localhost', '127.0.0.1'].includes(hostname)) {
      throw new InputError(
        `The page may not ask ${url}: only this computer may be asked without encryption.`,
        'Give an address that begins with https://, or with http://localhost. Headless, lab run asks any address.',
      );
    }
    return rewriter;
  }

  private ask(rewriter: Rewriter, { question }: Question, signal: AbortSignal) {
    const seed = Seed.of(this.lab.config!.seed).derive('augment').derive('by hand').derive(this.number);
    return rewriter.rewrite([question], { seed, signal, onProgress: () => undefined });
  }

  private async trainingQuestions(): Promise<readonly Question[]> {
    ({ questions: this.questions } = await this.lab.trainingQuestions());
    return this.questions;
  }

  private async work(job: (signal: AbortSignal) => Promise<void>): Promise<void> {
    if (this.busy) return;
    this.busy = true;
    this.problem = undefined;
    this.stop = new AbortController();
    try {
      await job(this.stop.signal);
    } catch (error) {
      if (!(error instanceof StoppedError)) this.problem = errorRecord(error);
    } finally {
      this.busy = false;
    }
  }
}

export const byHand = perLab((lab) => new ByHand(lab));
