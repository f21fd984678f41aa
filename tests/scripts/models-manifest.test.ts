import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { modelsManifest } from '../../scripts/models-manifest.mjs';
import { inspectModel } from '../../src/model/open.ts';
import { parameterCount } from '../../src/model/config.ts';
import { PICO_FILES, picoBytes, picoFiles } from '../model/pico.ts';

test('the manifest lists the bundled models with what is loaded of them, and its figures are those of the engine', async () => {
  const { models } = modelsManifest('models');
  const pico = models.find(({ name }) => name === 'pico')!;
  const others = ['tokenizer', 'all-MiniLM-L6-v2']; // No weights, and weights of another kind.
  expect(models.filter(({ name }) => others.includes(name))).toEqual([]);
  expect(pico.parameters).toBe(parameterCount((await inspectModel('pico', picoFiles())).config));
  expect(pico.licence).toBe('MIT');
  expect(pico.files.map(({ name }) => name)).toEqual([...PICO_FILES].sort());
  for (const { name, bytes, sha256 } of pico.files) {
    const content = picoBytes(name as (typeof PICO_FILES)[number]);
    expect([content.length, createHash('sha256').update(content).digest('hex')]).toEqual([bytes, sha256]);
  }
});
