/** The lab's side of check_gguf.mjs: a GGUF file, how the tokenizer splits texts, and what the engine answers greedily. */
import { createWriteStream } from 'node:fs';
import { once } from 'node:events';
import { Seed } from '../../src/base/random.ts';
import { nodeGpu } from '../../src/cli/dawn.ts';
import { readAdapter, readModelFolder, readTask } from '../../src/cli/models.ts';
import { ggufModel } from '../../src/export/gguf-model.ts';
import type { ExportDtype } from '../../src/export/kinds.ts';
import { mergedModel } from '../../src/export/merged.ts';
import { openPolicy } from '../../src/model/open.ts';
import { encodePrompt, responseText } from '../../src/rft/prompts.ts';
import { formatPrompt } from '../../src/rft/tasks/format.ts';

export interface Answered {
  readonly prompt: string;
  readonly promptTokens: readonly number[];
  /** Without the end token. */
  readonly text: string;
}

interface Request {
  /** Name or folder of the base; its adapter of that name is merged in. */
  readonly model: string;
  readonly adapter: string | undefined;
  readonly dtype: ExportDtype;
  readonly path: string;
  readonly tasks: readonly string[];
  /** Prompts of each task. */
  readonly prompts: number;
  readonly maxNewTokens: number;
}

/** Writes the GGUF file at `path`, and gives the engine's greedy answers with the adapter beside the base, not merged. */
export async function exportAndAnswer({ model, adapter, dtype, path, tasks, prompts, maxNewTokens }: Request): Promise<{
  readonly answered: Answered[];
  /** All questions of the tasks as prompts, with their ids. */
  readonly texts: { readonly text: string; readonly tokens: readonly number[] }[];
}> {
  const folder = await readModelFolder(model);
  const files = adapter === undefined ? undefined : await readAdapter(model, { name: adapter, setting: '--adapter', without: 'leave it out' });
  const out = createWriteStream(path);
  for await (const part of (await ggufModel(await mergedModel(model, folder, files), dtype, path)).parts()) out.write(part);
  out.end();
  await once(out, 'finish');

  const policy = await openPolicy(model, folder, { backend: 'webgpu', gpu: await nodeGpu() });
  if (files) await policy.loadAdapter(adapter!, files);
  const answered: Answered[] = [];
  const texts: { text: string; tokens: number[] }[] = [];
  for (const task of tasks) {
    const questions = [...(await readTask(task, 'test')).questions, ...(await readTask(task, 'train')).questions];
    const whole = questions.map(formatPrompt);
    texts.push(...whole.map((text) => ({ text, tokens: encodePrompt(policy.tokenizer, text) })));
    const asked = texts.slice(-whole.length).slice(0, prompts);
    const generations = await policy.generate({
      prompts: asked.map(({ tokens }) => tokens),
      adapter: adapter ?? 'base',
      sampling: { temperature: 0, top_k: 0, top_p: 1, max_new_tokens: maxNewTokens },
      seed: Seed.of(1).derive(task),
    });
    generations.forEach((generation, i) =>
      answered.push({ prompt: asked[i]!.text, promptTokens: asked[i]!.tokens, text: responseText(policy, generation) }),
    );
  }
  await policy.dispose();
  return { answered, texts };
}
