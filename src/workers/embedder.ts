/** The embedder worker's side of its protocol: fetches all-MiniLM-L6-v2 and the runtime when first asked, and runs it. */
import { transfer } from 'comlink';
import { LabError } from '../base/errors.ts';
import { type Answer, answer } from './answer.ts';
import { type KnownFile, download } from './download.ts';
import { DownloadStore } from './download-store.ts';
import { MiniLm } from './minilm.ts';
import { MINILM_FILES, MINILM_NAME, type MiniLmDevice, RUNTIME_FILES, minilmBytes } from './minilm-files.ts';
import type { LoadingMessage } from './protocol.ts';
import { RUNTIMES } from './runtimes.ts';

export interface EmbedderRequest {
  readonly device: MiniLmDevice;
  /** Absolute address of the folder that the page lies in; models are below it, in `models/`. */
  readonly base: string;
}

export interface EmbedderApi {
  /** The port on which `LoadingMessage`s go out. */
  connect(port: MessagePort): void;
  load(request: EmbedderRequest): Promise<Answer<true>>;
  embed(texts: readonly string[]): Promise<Answer<Float32Array[]>>;
}

export class EmbedderService implements EmbedderApi {
  private port: MessagePort | undefined;
  private model: MiniLm | undefined;

  connect(port: MessagePort): void {
    this.port = port;
  }

  load({ device, base }: EmbedderRequest): Promise<Answer<true>> {
    return answer(async () => {
      const runtime = RUNTIMES[device];
      const total = minilmBytes(device);
      const store = new DownloadStore();
      let before = 0;
      const bytesOf = async (file: KnownFile, url: URL) => {
        const report = (done: number) => this.post({ type: 'loading', work: 'download', loaded: before + done, total });
        const blob = await download(file, url, store, report);
        before += blob.size;
        return new Uint8Array(await blob.arrayBuffer());
      };
      const files = new Map<string, Uint8Array<ArrayBuffer>>();
      for (const file of MINILM_FILES) files.set(file.path, await bytesOf(file, new URL(`models/${MINILM_NAME}/${file.path}`, base)));
      const binary = await bytesOf(RUNTIME_FILES[device], runtime.wasm);
      this.model = await MiniLm.open({ files, wasm: binary, factory: runtime.factory.href, device });
      return true as const;
    });
  }

  async embed(texts: readonly string[]): Promise<Answer<Float32Array[]>> {
    const result = await answer(() => {
      if (this.model) return this.model.embed(texts);
      throw new LabError('no-model', 'The sentence encoder is not loaded.', 'Load it first.');
    });
    return 'value' in result
      ? transfer(
          result,
          result.value.map(({ buffer }) => buffer),
        )
      : result;
  }

  private post(message: LoadingMessage): void {
    this.port?.postMessage(message);
  }
}
