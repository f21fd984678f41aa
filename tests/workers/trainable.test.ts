/** The count of trainable parameters against adapters that were trained. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { trainableParameters } from '../../src/workers/trainable.ts';

const read = (path: string) => readFileSync(new URL(`../../models/mini/${path}`, import.meta.url));
const json = (path: string) => JSON.parse(read(path).toString()) as Record<string, unknown>;

test.each(['teacher', 'rewriter'])('as many as the tensors of the adapter %s hold', (name) => {
  const { r, target_modules } = json(`adapters/${name}/adapter_config.json`) as { r: number; target_modules: string[] };
  const file = read(`adapters/${name}/adapter_model.safetensors`);
  const header = JSON.parse(file.subarray(8, 8 + Number(file.readBigUInt64LE())).toString()) as Record<string, { shape?: number[] }>;
  const held = Object.values(header).reduce((sum, { shape }) => sum + (shape?.reduce((a, b) => a * b) ?? 0), 0);
  const targets = target_modules as Parameters<typeof trainableParameters>[1]['targets'];
  expect(trainableParameters({ name: 'mini', config: json('config.json') }, { rank: r, targets })).toBe(held);
});
