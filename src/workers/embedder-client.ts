/** The page's side: all-MiniLM-L6-v2 behind the Embedder interface, in a worker that starts with the first text. */
import { StoppedError, throwIfStopped } from '../base/errors.ts';
import type { Embedder, EmbedderInfo } from '../rft/embedder.ts';
import { unwrap } from './answer.ts';
import { type Connection, openConnection, openPort } from './connection.ts';
import type { EmbedderApi, EmbedderRequest } from './embedder.ts';
import { MINILM_DIMENSIONS, MINILM_NAME, minilmBytes } from './minilm-files.ts';
import type { LoadingMessage } from './protocol.ts';

interface EmbedderConnection extends Connection<EmbedderApi> {
  readonly loaded: Promise<true>;
}

export class MiniLmEmbedder implements Embedder {
  readonly info: EmbedderInfo;
  readonly dimensions = MINILM_DIMENSIONS;
  private connection: EmbedderConnection | undefined;

  /** @param onProgress called with the bytes that are here while the model loads. */
  constructor(
    private readonly request: EmbedderRequest,
    private readonly onProgress: (message: LoadingMessage) => void = () => undefined,
  ) {
    this.info = { name: MINILM_NAME, bytes: minilmBytes(request.device) };
  }

  /**
   * A stop ends the worker at once, in the middle of a download or of a text; what was downloaded is kept, and the next call starts
   * another worker.
   * @throws LabError 'network' or 'broken-file' when the model can't be had.
   */
  async embed(texts: readonly string[], signal?: AbortSignal): Promise<Float32Array[]> {
    throwIfStopped(signal);
    const connection = (this.connection ??= this.connect());
    const stop = () => connection.end(new StoppedError());
    signal?.addEventListener('abort', stop);
    try {
      await Promise.race([connection.loaded, connection.ended]);
      return unwrap(await Promise.race([connection.api.embed(texts), connection.ended]));
    } finally {
      signal?.removeEventListener('abort', stop);
    }
  }

  async dispose(): Promise<void> {
    this.connection?.end(new StoppedError());
  }

  private connect(): EmbedderConnection {
    const worker = new Worker(new URL('./embedder.worker.ts', import.meta.url), { type: 'module', name: 'embedder' });
    const failure = { who: "The sentence encoder's worker", remedy: 'Try again, which starts a new worker.' };
    const open = openConnection<EmbedderApi>(worker, failure, () => {
      if (this.connection === connection) this.connection = undefined;
      port.close();
    });
    const port = openPort(
      (other) => open.api.connect(other),
      ({ data }: MessageEvent<LoadingMessage>) => this.onProgress(data),
    );
    const loaded = open.api.load(this.request).then((result) => unwrap(result));
    const connection = { ...open, loaded };
    // A runtime that failed to start stays failed, so the next call gets a new worker. Whoever embeds hears of the error.
    loaded.catch(() => connection.end(new StoppedError()));
    return connection;
  }
}
