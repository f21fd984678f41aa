/** The list of bundled models that the site serves beside them; scripts/models-manifest.mjs writes it. */
import * as v from 'valibot';
import { InputError, LabError, throwIfStopped } from '../base/errors.ts';

const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const filesSchema = v.array(
  v.object({
    name: v.pipe(v.string(), v.regex(/^[\w.-]+$/)),
    bytes: count,
    sha256: v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/)),
  }),
);
const manifestSchema = v.object({
  v: v.literal(1),
  models: v.array(
    v.object({
      name: v.string(),
      parameters: count,
      /** SPDX, of the weights and their adapters. */
      licence: v.string(),
      /** As its config.json has it. */
      config: v.unknown(),
      files: filesSchema,
      /** Frozen adapters over it. */
      adapters: v.array(
        v.object({ name: v.pipe(v.string(), v.regex(/^[\w-]+$/)), rank: count, value_head: v.boolean(), files: filesSchema }),
      ),
    }),
  ),
});
export type BundledModel = v.InferOutput<typeof manifestSchema>['models'][number];

/**
 * @param base the folder that the page lies in.
 * @throws LabError 'network' when the list does not arrive, InputError when it is none.
 */
export async function fetchManifest(base: string, signal?: AbortSignal): Promise<readonly BundledModel[]> {
  const url = new URL('models/manifest.json', base);
  let json: unknown;
  try {
    const response = await fetch(url, signal ? { signal } : {});
    if (!response.ok) throw new Error(`the server answers ${response.status}`);
    json = await response.json();
  } catch (cause) {
    throwIfStopped(signal);
    const what = cause instanceof Error ? cause.message : String(cause);
    throw new LabError(
      'network',
      `The list of bundled models, ${url.pathname}, could not be read: ${what}.`,
      'Check the connection and try again.',
      { cause },
    );
  }
  const parsed = v.safeParse(manifestSchema, json);
  if (!parsed.success) {
    throw new InputError(
      `${url.pathname} is no list of models that this lab reads.`,
      'Reload the page; the site may have been renewed meanwhile.',
    );
  }
  return parsed.output.models;
}
