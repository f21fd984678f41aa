/** A model's files from the folder that the page lies in. */
import { InputError, LabError } from '../base/errors.ts';
import type { ModelFiles } from '../model/open.ts';
import type { LoadingMessage, ModelRequest } from './protocol.ts';

const NAMES = ['config.json', 'tokenizer.json', 'tokenizer_config.json', 'model.safetensors'] as const;

/**
 * @param onProgress called as bytes arrive, with the sum over all files.
 * @throws InputError when there is no such model; LabError 'network' when a file does not arrive whole.
 */
export async function fetchModel({ name, base }: ModelRequest, onProgress: (message: LoadingMessage) => void): Promise<ModelFiles> {
  const loaded = NAMES.map(() => 0);
  const totals: (number | undefined)[] = NAMES.map(() => undefined);
  const report = () => {
    const total = totals.reduce<number | undefined>(
      (sum, bytes) => (sum === undefined || bytes === undefined ? undefined : sum + bytes),
      0,
    );
    onProgress({ type: 'loading', loaded: loaded.reduce((sum, bytes) => sum + bytes, 0), total });
  };
  const [config, tokenizer, tokenizerConfig, weights] = (await Promise.all(
    NAMES.map((file, i) =>
      fetchBytes(new URL(`models/${name}/${file}`, base), name, (done, total) => {
        loaded[i] = done;
        totals[i] = total;
        report();
      }),
    ),
  )) as [Uint8Array, Uint8Array, Uint8Array, Uint8Array];
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { config: text(config), tokenizer: text(tokenizer), tokenizerConfig: text(tokenizerConfig), weights };
}

/** The files that say how a model reads text; see `loadTextSide`. */
export async function fetchTextSide({ name, base }: Omit<ModelRequest, 'backend'>): Promise<Omit<ModelFiles, 'weights'>> {
  const file = async (part: string) =>
    new TextDecoder().decode(await fetchBytes(new URL(`models/${name}/${part}`, base), name, () => undefined));
  const [config, tokenizer, tokenizerConfig] = await Promise.all([
    file('config.json'),
    file('tokenizer.json'),
    file('tokenizer_config.json'),
  ]);
  return { config, tokenizer, tokenizerConfig };
}

async function fetchBytes(url: URL, model: string, onBytes: (done: number, total: number | undefined) => void): Promise<Uint8Array> {
  const response = await arrived(fetch(url), url);
  if (!response.ok) {
    throw new InputError(
      `There is no model ${model} here: ${url.pathname} answers ${response.status}.`,
      'Choose one of the bundled models, or put the model’s folder under models/.',
    );
  }
  // A compressed transfer tells the compressed length, which says nothing about the bytes that are read here.
  const length = response.headers.has('content-encoding') ? null : response.headers.get('content-length');
  const total = length === null ? undefined : Number(length);
  const chunks: Uint8Array[] = [];
  let done = 0;
  const reader = response.body!.getReader();
  for (;;) {
    const { value, done: ended } = await arrived(reader.read(), url);
    if (ended) break;
    chunks.push(value);
    done += value.length;
    onBytes(done, total);
  }
  const bytes = new Uint8Array(done);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}

async function arrived<T>(transfer: Promise<T>, url: URL): Promise<T> {
  try {
    return await transfer;
  } catch (cause) {
    throw new LabError('network', `${url.pathname} could not be fetched: ${String(cause)}.`, 'Check the connection and try again.', {
      cause,
    });
  }
}
