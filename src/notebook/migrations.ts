/**
 * Notebooks of every version that the lab ever wrote, brought to the newest one. Each step is a pure function from one version to the
 * next, applied in order; tests/notebook/fixtures/ keeps a notebook and a link of each version for ever.
 */
type Json = Readonly<Record<string, unknown>>;

/** Step i goes from version i + 1 to i + 2. */
const STEPS: readonly ((notebook: Json) => Json)[] = [
  // 1 to 2: data, results, view and app may be there; nothing that was there has changed.
  (notebook) => ({ ...notebook, v: 2 }),
  // 2 to 3: a lesson may be there.
  (notebook) => ({ ...notebook, v: 3 }),
];

export const NOTEBOOK_VERSION = 3;

/** @param json of a version from 1 to NOTEBOOK_VERSION, unchecked; what isn't a notebook comes back as it is and is refused by the schema. */
export function migrate(json: unknown): unknown {
  if (typeof json !== 'object' || json === null || !('v' in json) || typeof json.v !== 'number') return json;
  if (!Number.isInteger(json.v) || json.v < 1) return json;
  return STEPS.slice(json.v - 1).reduce<Json>((notebook, step) => step(notebook), json as unknown as Json);
}
