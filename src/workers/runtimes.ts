/** Addresses of ONNX Runtime's WebAssembly and of the module that goes with it, by device. */
import asyncifyFactory from 'onnxruntime-web/ort-wasm-simd-threaded.asyncify.mjs?url';
import asyncifyWasm from 'onnxruntime-web/ort-wasm-simd-threaded.asyncify.wasm?url';
import factory from 'onnxruntime-web/ort-wasm-simd-threaded.mjs?url';
import wasm from 'onnxruntime-web/ort-wasm-simd-threaded.wasm?url';
import type { MiniLmDevice } from './minilm-files.ts';

/** Addresses of assets are relative to this module, or to the server's root. */
const absolute = (url: string) => new URL(url, import.meta.url);

export const RUNTIMES: Readonly<Record<MiniLmDevice, { readonly factory: URL; readonly wasm: URL }>> = {
  wasm: { factory: absolute(factory), wasm: absolute(wasm) },
  webgpu: { factory: absolute(asyncifyFactory), wasm: absolute(asyncifyWasm) },
};
