/** The state of the search for similar questions: which embedder, how far it has come, and what it found. */
import { type ErrorRecord, StoppedError, errorRecord } from '../base/errors.ts';
import type { Dataset, Question } from '../rft/dataset.ts';
import { type Embedder, nearest } from '../rft/embedder.ts';
import { minilmBytes } from '../workers/minilm-files.ts';
import type { LoadingMessage } from '../workers/protocol.ts';
import type { Lab } from './lab.svelte.ts';

export const EMBEDDERS = {
  policy: { label: 'The model’s own hidden states', bytes: 0 },
  wasm: { label: 'all-MiniLM-L6-v2, on the CPU', bytes: minilmBytes('wasm') },
  webgpu: { label: 'all-MiniLM-L6-v2, on the GPU', bytes: minilmBytes('webgpu') },
} as const;
export type EmbedderName = keyof typeof EMBEDDERS;

/** As many as the paper shows the model in context (section 3.1). */
const NEIGHBOURS = 3;

export interface Found {
  readonly question: Question;
  /** Place in the training file, from 1. */
  readonly number: number;
  readonly similarity: number;
}

/** The training questions as vectors of one embedder. */
interface Index {
  readonly embedder: Embedder;
  readonly data: Dataset;
  readonly vectors: readonly Float32Array[];
}

export class Retrieval {
  choice = $state<EmbedderName>('policy');
  status = $state<'idle' | 'loading' | 'searching'>('idle');
  loading = $state.raw<LoadingMessage | undefined>();
  problem = $state.raw<ErrorRecord | undefined>();
  found = $state.raw<{ readonly query: string; readonly questions: readonly Found[] } | undefined>();
  private index = $state.raw<Index | undefined>();
  private stop: AbortController | undefined;

  constructor(private readonly lab: Lab) {}

  readonly busy = $derived(this.status !== 'idle');
  /** How many questions can be searched; undefined until an embedder is loaded. */
  readonly size = $derived(this.index?.vectors.length);

  /** What was loaded goes away with its worker, and so does what it found. */
  choose(choice: EmbedderName): void {
    if (this.busy || choice === this.choice) return;
    this.choice = choice;
    this.problem = undefined;
    void this.drop();
  }

  /** Loads the embedder and embeds the training questions. */
  load(): Promise<void> {
    return this.work('loading', async (signal) => {
      await this.drop();
      await this.readyIndex(signal);
    });
  }

  search(query: string): Promise<void> {
    return this.work('searching', async (signal) => {
      const { embedder, data, vectors } = await this.readyIndex(signal);
      const [vector] = await embedder.embed([query], signal);
      const questions = nearest(vector!, vectors, NEIGHBOURS).map(({ index, similarity }) => ({
        question: data.questions[index]!,
        number: index + 1,
        similarity,
      }));
      this.found = { query, questions };
    });
  }

  cancel(): void {
    this.stop?.abort();
  }

  /** The index of today's training questions: another task or number of questions makes another one. */
  private async readyIndex(signal: AbortSignal): Promise<Index> {
    const data = await this.lab.trainingQuestions();
    if (this.index?.data.sha256 === data.sha256) return this.index;
    const embedder = this.index?.embedder ?? (await this.open(signal));
    try {
      const vectors = await embedder.embed(
        data.questions.map(({ question }) => question),
        signal,
      );
      return (this.index = { embedder, data, vectors });
    } catch (error) {
      await embedder.dispose();
      this.index = undefined;
      throw error;
    }
  }

  private async open(signal: AbortSignal): Promise<Embedder> {
    if (this.choice === 'policy') return this.lab.outside.openPolicyEmbedder(signal);
    return this.lab.outside.openMiniLm(this.choice, (message) => (this.loading = message));
  }

  private async drop(): Promise<void> {
    const { index } = this;
    this.index = undefined;
    this.found = undefined;
    await index?.embedder.dispose();
  }

  private async work(status: 'loading' | 'searching', task: (signal: AbortSignal) => Promise<void>): Promise<void> {
    if (this.busy) return;
    this.status = status;
    this.problem = undefined;
    this.loading = undefined;
    this.stop = new AbortController();
    try {
      await task(this.stop.signal);
    } catch (error) {
      if (!(error instanceof StoppedError)) this.problem = errorRecord(error);
    } finally {
      this.status = 'idle';
    }
  }
}
