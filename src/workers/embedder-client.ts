/** The page's side: all-MiniLM-L6-v2 behind the Embedder interface, in a worker that starts with the first text. */
import { type Remote, releaseProxy, transfer, wrap } from 'comlink';
import { LabError, StoppedError, throwIfStopped } from '../base/errors.ts';
import type { Embedder, EmbedderInfo } from '../rft/embedder.ts';
import { unwrap } from './answer.ts';
import type { EmbedderApi, EmbedderRequest } from './embedder.ts';
import { MINILM_DIMENSIONS, MINILM_NAME, minilmBytes } from './minilm-files.ts';
import type { LoadingMessage } from './protocol.ts';

interface Connection {
  readonly worker: Worker;
  /** Lives as long as the worker: a proxy that is collected leaves its calls unanswered. */
  readonly api: Remote<EmbedderApi>;
  readonly port: MessagePort;
  readonly loaded: Promise<true>;
  /** Rejects when the worker ends, whatever it was doing. */
  readonly ended: Promise<never>;
  end(reason: LabError): void;
}

export class MiniLmEmbedder implements Embedder {
  readonly info: EmbedderInfo;
  readonly dimensions = MINILM_DIMENSIONS;
  private connection: Connection | undefined;

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

  private connect(): Connection {
    const worker = new Worker(new URL('./embedder.worker.ts', import.meta.url), { type: 'module', name: 'embedder' });
    const api = wrap<EmbedderApi>(worker);
    const { port1: port, port2 } = new MessageChannel();
    let reject: (reason: LabError) => void;
    const ended = new Promise<never>((_, fail) => (reject = fail));
    ended.catch(() => undefined); // It is raced against; nobody has to be waiting when the worker ends.
    port.onmessage = ({ data }: MessageEvent<LoadingMessage>) => this.onProgress(data);
    void api.connect(transfer(port2, [port2]));
    const loaded = api.load(this.request).then((result) => unwrap(result));
    const connection: Connection = {
      worker,
      api,
      port,
      loaded,
      ended,
      end: (reason) => {
        if (this.connection === connection) this.connection = undefined;
        reject(reason);
        port.close();
        api[releaseProxy]();
        worker.terminate();
      },
    };
    // A runtime that failed to start stays failed, so the next call gets a new worker. Whoever embeds hears of the error.
    loaded.catch(() => connection.end(new StoppedError()));
    worker.onerror = ({ message }) =>
      connection.end(
        new LabError(
          'worker-failed',
          `The sentence encoder's worker failed: ${message || 'its program could not be loaded'}.`,
          'Try again, which starts a new worker.',
        ),
      );
    return connection;
  }
}
