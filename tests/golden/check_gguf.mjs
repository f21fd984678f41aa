/**
 * Runs a GGUF file that the lab exported in llama.cpp and compares with the lab's own engine: the ids of every question of the tasks, and
 * the greedy answers to some of them. llama.cpp comes ready-made in the npm package node-llama-cpp, which is no dependency of the
 * project and is installed in a folder of its own:
 *
 *     npm install --prefix .cache/llama --ignore-scripts node-llama-cpp@3.22.1
 *     node tests/golden/check_gguf.mjs [--model mini] [--adapter teacher] [--dtype f32] [--tasks T3,T4,T5,T6] [--prompts 8] [--llama .cache/llama]
 *
 * Prints a line of JSON; exit status 1 when an id or an answer differs. With --dtype f16 some answers may: llama.cpp then rounds activations as
 * well, which the engine does not.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { createServer } from 'vite';

const { values } = parseArgs({
  options: {
    model: { type: 'string', default: 'mini' },
    adapter: { type: 'string' },
    dtype: { type: 'string', default: 'f32' },
    tasks: { type: 'string', default: 'T3,T4,T5,T6' },
    prompts: { type: 'string', default: '8' },
    tokens: { type: 'string', default: '96' },
    llama: { type: 'string', default: '.cache/llama' },
  },
});

const folder = mkdtempSync(join(tmpdir(), 'gguf-'));
const path = join(folder, `${values.model}.gguf`);
const maxNewTokens = Number(values.tokens);
// The lab's own TypeScript, shaders and all, as Vite reads it.
const server = await createServer({
  configFile: false,
  appType: 'custom',
  cacheDir: join(folder, 'vite'),
  optimizeDeps: { noDiscovery: true },
  server: { middlewareMode: true, hmr: false, ws: false },
});
const lab = /** @type {typeof import('./gguf.ts')} */ (await server.ssrLoadModule(resolve('tests/golden/gguf.ts')));
const { answered, texts } = await lab.exportAndAnswer({
  model: values.model,
  adapter: values.adapter,
  dtype: values.dtype === 'f16' ? 'f16' : 'f32',
  path,
  tasks: values.tasks.split(','),
  prompts: Number(values.prompts),
  maxNewTokens,
});

const { getLlama } = await import(pathToFileURL(resolve(values.llama, 'node_modules/node-llama-cpp/dist/index.js')).href);
const llama = await getLlama({ gpu: false, build: 'never', logLevel: 'error', maxThreads: 1 });
const model = await llama.loadModel({ modelPath: path });
/** @type {(text: string) => number[]} */
const idsOf = (text) => [...model.tokenize(text, false, 'trimLeadingSpace')].map(Number);
const differentIds = texts.filter(({ text, tokens }) => idsOf(text).join() !== tokens.join());

// F32 keys and values, as the engine has them: rounded to halves they can turn a near tie.
const context = await model.createContext({ contextSize: 512, experimentalKvCacheKeyType: 'F32', experimentalKvCacheValueType: 'F32' });
const sequence = context.getSequence();
const differences = [];
for (const { prompt, promptTokens, text } of answered) {
  await sequence.clearHistory();
  const response = [];
  for await (const token of sequence.evaluate([...promptTokens], { temperature: 0 })) {
    if (model.isEogToken(token)) break;
    response.push(token);
    if (response.length === maxNewTokens) break;
  }
  const theirs = model.detokenize(response);
  if (theirs !== text) differences.push({ prompt, engine: text, llama_cpp: theirs });
}
console.log(
  JSON.stringify({
    model: values.model,
    adapter: values.adapter ?? null,
    dtype: values.dtype,
    llama_cpp: llama.llamaCppRelease,
    texts: texts.length,
    texts_with_other_ids: differentIds.length,
    answers: answered.length,
    answers_that_differ: differences.length,
  }),
);
for (const difference of differences.slice(0, 3)) console.log(JSON.stringify(difference, null, 1));
rmSync(folder, { recursive: true });
process.exit(differentIds.length + differences.length > 0 ? 1 : 0);
