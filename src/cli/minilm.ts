/** all-MiniLM-L6-v2 in Node, on the WebAssembly of onnxruntime-web: no onnxruntime-node, whose install script downloads binaries. */
import { join } from 'node:path';
import { throwIfStopped } from '../base/errors.ts';
import type { Embedder } from '../rft/embedder.ts';
import { type KnownFile, verify } from '../workers/download.ts';
import { MINILM_DIMENSIONS, MINILM_FILES, MINILM_NAME, RUNTIME_FILES } from '../workers/minilm-files.ts';
import { readBytes } from './models.ts';

/** @throws InputError when a file is missing; LabError 'broken-file' when it is not the one that the lab knows. */
export async function openMiniLm(): Promise<Embedder> {
  const files = new Map<string, Uint8Array<ArrayBuffer>>();
  for (const file of MINILM_FILES) files.set(file.path, await known(file, join('models', MINILM_NAME)));
  const wasm = await known(RUNTIME_FILES.wasm, join('node_modules', 'onnxruntime-web', 'dist'));
  // transformers.js takes the runtime that stands here when it is imported; in Node it would look for onnxruntime-node otherwise.
  Object.assign(globalThis, { [Symbol.for('onnxruntime')]: await import('onnxruntime-web/wasm') });
  const { MiniLm } = await import('../workers/minilm.ts');
  const model = await MiniLm.open({ files, wasm, factory: undefined, device: 'wasm' });
  return {
    info: { name: MINILM_NAME, bytes: 0 },
    dimensions: MINILM_DIMENSIONS,
    embed: async (texts, signal) => {
      throwIfStopped(signal);
      return model.embed(texts);
    },
    dispose: () => model.dispose(),
  };
}

async function known(file: KnownFile, folder: string): Promise<Uint8Array<ArrayBuffer>> {
  const path = join(folder, file.path);
  const bytes = await readBytes(path, "Run this in the project's root, after `npm ci`.");
  await verify({ ...file, path }, bytes);
  return bytes;
}
