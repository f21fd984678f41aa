/** What the code, the card and the pinned runtime say of the sentence encoder's files is what lies there. */
import { createHash } from 'node:crypto';
import { readFileSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { MINILM_DIMENSIONS, MINILM_FILES, MINILM_NAME, RUNTIME_FILES } from '../../src/workers/minilm-files.ts';
import golden from '../golden/minilm.json';

const folder = `models/${MINILM_NAME}`;
const describeFile = (path: string, root: string) => {
  const data = readFileSync(join(root, path));
  return { path, bytes: data.length, sha256: createHash('sha256').update(data).digest('hex') };
};

test('the card lists every file with its size and sha256', () => {
  const rows = readFileSync(join(folder, 'README.md'), 'utf8').matchAll(/^\| (\S+) \| (\d+) \| `([0-9a-f]{64})` \|$/gm);
  const listed = [...rows].map(([, path, bytes, sha256]) => ({ path: path!, bytes: Number(bytes), sha256 }));
  const there = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((path) => statSync(join(folder, path)).isFile());
  expect(listed.map(({ path }) => path).sort()).toEqual(there.map((path) => path.replaceAll('\\', '/')).filter((path) => path !== 'README.md').sort()); // prettier-ignore
  for (const row of listed) expect(row).toEqual(describeFile(row.path, folder));
});

test('the code knows the files that it fetches, and the runtime’s', () => {
  for (const file of MINILM_FILES) expect(file).toEqual(describeFile(file.path, folder));
  for (const file of Object.values(RUNTIME_FILES)) expect(file).toEqual(describeFile(file.path, 'node_modules/onnxruntime-web/dist'));
  expect(MINILM_FILES.reduce((sum, { bytes }) => sum + bytes, 0)).toBeLessThan(23e6);
});

test('transformers.js runs the ONNX Runtime whose WebAssembly is served', () => {
  const { dependencies } = JSON.parse(readFileSync('node_modules/@xenova/transformers/package.json', 'utf8')) as {
    dependencies: Record<string, string>;
  };
  const { version } = JSON.parse(readFileSync('node_modules/onnxruntime-web/package.json', 'utf8')) as { version: string };
  expect(dependencies['onnxruntime-web']).toBe(version);
});

test('the golden vectors are of this file, of unit length, and as close to the original’s as the card says', () => {
  const packed = readFileSync(join(folder, 'onnx/model_quantized.onnx.gzip'));
  expect(createHash('sha256').update(gunzipSync(packed)).digest('hex')).toBe(golden.int8_sha256);
  const card = readFileSync(join(folder, 'README.md'), 'utf8');
  for (const hash of [golden.int8_sha256, golden.f32_sha256]) expect(card).toContain(hash);
  golden.int8.forEach((vector, i) => {
    expect(vector).toHaveLength(MINILM_DIMENSIONS);
    expect(Math.hypot(...vector)).toBeCloseTo(1, 4);
    expect(vector.reduce((sum, value, j) => sum + value * golden.f32[i]![j]!, 0)).toBeGreaterThan(0.99);
  });
});
