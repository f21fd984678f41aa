/** What all-MiniLM-L6-v2 consists of, for those who show its size or check it; the code that runs it is in minilm.ts. */
import type { KnownFile } from './download.ts';

/** ONNX Runtime's backends that run it: one thread of WebAssembly, or WebGPU. */
export type MiniLmDevice = 'wasm' | 'webgpu';

export const MINILM_NAME = 'all-MiniLM-L6-v2';
/** Of the weights, and of the runtime. */
export const MINILM_LICENCE = 'Apache-2.0, its runtime MIT';
export const MINILM_DIMENSIONS = 384;

/** At the end of a path: gzip, under a name by which no server unpacks it on its way. */
export const PACKED = '.gzip';

/** Below models/all-MiniLM-L6-v2/, as they are fetched; its card says where they come from. */
export const MINILM_FILES: readonly KnownFile[] = [
  { path: 'config.json', bytes: 612, sha256: '953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41' },
  { path: `tokenizer.json${PACKED}`, bytes: 192569, sha256: 'a9ac4f1024478d8337866487193abf24af09fb0c110fa545291ff9958f77985e' },
  { path: 'tokenizer_config.json', bytes: 350, sha256: 'acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b' },
  {
    path: `onnx/model_quantized.onnx${PACKED}`,
    bytes: 20917330,
    sha256: '54f8bc3c171e80a01ebb889a12b9efbdf8ec68cdd642ad70f48ce636219a1df5',
  },
];

/** The runtime's WebAssembly, as the pinned onnxruntime-web brings it along in dist/. The one with WebGPU is nearly twice as large. */
export const RUNTIME_FILES: Readonly<Record<MiniLmDevice, KnownFile>> = {
  wasm: {
    path: 'ort-wasm-simd-threaded.wasm',
    bytes: 14264838,
    sha256: '06ba057753da3847e4c24f02d91ab133455b0817c69a44993a9a53a2146df9e3',
  },
  webgpu: {
    path: 'ort-wasm-simd-threaded.asyncify.wasm',
    bytes: 26861777,
    sha256: '49871f5a4409519797e127440868a6d1923339d9185907f301a5b2a1d90af082',
  },
};

/** All that a device needs, in bytes. */
export const minilmBytes = (device: MiniLmDevice): number =>
  [...MINILM_FILES, RUNTIME_FILES[device]].reduce((sum, { bytes }) => sum + bytes, 0);
