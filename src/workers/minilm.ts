/**
 * all-MiniLM-L6-v2 by transformers.js: bytes in, vectors out, without a request of its own. Runs in the embedder's worker and, headless, in
 * Node. Whoever imports this module loads transformers.js.
 */
import {
  AutoModel,
  AutoTokenizer,
  type PreTrainedModel,
  type PreTrainedTokenizer,
  type Tensor,
  env,
  mean_pooling,
} from '@xenova/transformers';
import { checkTexts } from '../rft/embedder.ts';
import { MINILM_NAME, type MiniLmDevice, PACKED } from './minilm-files.ts';

export interface MiniLmParts {
  /** By path below the model's folder, as they were fetched and already checked. */
  readonly files: ReadonlyMap<string, Uint8Array<ArrayBuffer>>;
  /** ONNX Runtime's WebAssembly. */
  readonly wasm: Uint8Array<ArrayBuffer>;
  /** Address of the module that goes with it; undefined where the runtime has it built in. */
  readonly factory: string | undefined;
  readonly device: MiniLmDevice;
}

/** As sentence-transformers runs this model; the position table would hold 512. */
const MAX_TOKENS = 256;

export class MiniLm {
  private constructor(
    private readonly tokenizer: PreTrainedTokenizer,
    private readonly model: PreTrainedModel,
  ) {}

  /** One for each thread: transformers.js and ONNX Runtime keep their settings in globals. */
  static async open({ files, wasm, factory, device }: MiniLmParts): Promise<MiniLm> {
    // What is not in the cache can't be had: transformers.js would ask huggingface.co, ONNX Runtime jsdelivr.net.
    Object.assign(env, {
      allowLocalModels: true,
      allowRemoteModels: false,
      useFS: false,
      useFSCache: false,
      useBrowserCache: false,
      useWasmCache: false,
      useCustomCache: true,
      customCache: new GivenFiles(await unpacked(files)),
      fetch: (address: unknown) => Promise.reject(new Error(`transformers.js asked for ${String(address)}`)),
    });
    // Threads would need cross-origin isolation, and one thread gives the same bytes everywhere.
    Object.assign(env.backends.onnx.wasm!, { numThreads: 1, wasmBinary: wasm.buffer, wasmPaths: factory && { mjs: factory } });
    const tokenizer = await AutoTokenizer.from_pretrained(MINILM_NAME);
    // The device is named to the runtime itself, since transformers.js in Node knows no `wasm`.
    const options = { dtype: 'q8', device: 'auto', session_options: { executionProviders: [device] } } as const;
    return new MiniLm(tokenizer, await AutoModel.from_pretrained(MINILM_NAME, options));
  }

  /** The mean of the last hidden states, of unit length; one text at a time, so that padding can't change a bit of it. */
  async embed(texts: readonly string[]): Promise<Float32Array[]> {
    checkTexts(texts);
    const vectors: Float32Array[] = [];
    for (const text of texts) {
      const inputs = this.tokenizer(text, { truncation: true, max_length: MAX_TOKENS });
      const { last_hidden_state } = (await this.model(inputs)) as { last_hidden_state: Tensor };
      const mean = mean_pooling(last_hidden_state, inputs.attention_mask); // [1, 384]
      vectors.push(Float32Array.from(mean.normalize(2, -1).data as Float32Array));
    }
    return vectors;
  }

  async dispose(): Promise<void> {
    await this.model.dispose();
  }
}

/** The files by the names that transformers.js asks for. */
async function unpacked(files: MiniLmParts['files']): Promise<MiniLmParts['files']> {
  const entries = [...files].map(async ([path, bytes]) => {
    if (!path.endsWith(PACKED)) return [path, bytes] as const;
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('gzip'));
    return [path.slice(0, -PACKED.length), new Uint8Array(await new Response(stream).arrayBuffer())] as const;
  });
  return new Map(await Promise.all(entries));
}

/** A cache in the sense of transformers.js that holds exactly the given files, whatever address they are asked by. */
class GivenFiles {
  constructor(private readonly files: ReadonlyMap<string, Uint8Array<ArrayBuffer>>) {}

  /** Asked by the local path and by the address on huggingface.co, whose path goes on after the branch. */
  async match(address: string): Promise<Response | undefined> {
    const path = address.split(`${MINILM_NAME}/`)[1]?.replace('resolve/main/', '');
    const bytes = path && this.files.get(path);
    return bytes ? new Response(bytes) : undefined;
  }

  /** Part of the interface; without fetching there is nothing to keep. */
  async put(address: string): Promise<void> {
    throw new Error(`transformers.js wants to keep ${address}`);
  }
}
