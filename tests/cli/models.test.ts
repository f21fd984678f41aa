/** Folders of one's own on the command line. */
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { evaluateTask } from '../../src/cli/eval.ts';
import { readModelFolder } from '../../src/cli/models.ts';
import { openPolicy } from '../../src/model/open.ts';
import { shardedPico } from '../model/shards.ts';

const scratch = mkdtempSync(join(tmpdir(), 'folder-'));
afterAll(() => rmSync(scratch, { recursive: true }));

test('a folder of shards, linked as in Hugging Face’s cache, answers as the bundled model does', async () => {
  const [blobs, snapshot] = [join(scratch, 'blobs'), join(scratch, 'snapshot')];
  for (const folder of [blobs, snapshot, join(snapshot, 'onnx')]) mkdirSync(folder);
  for (const [name, content] of Object.entries(shardedPico('F16'))) {
    writeFileSync(join(blobs, name), content);
    symlinkSync(join(blobs, name), join(snapshot, name));
  }
  const accuracy = async (name: string) => {
    const policy = await openPolicy(name, await readModelFolder(name), { backend: 'cpu' });
    return evaluateTask(policy, 'T5', { questions: 3, samples: 1, temperature: 0, seed: 1 });
  };
  expect(await accuracy(snapshot)).toEqual(await accuracy('pico'));
});

test('a folder that is not there is refused by name, with the remedy', async () => {
  await expect(readModelFolder(join(scratch, 'none'))).rejects.toMatchObject({
    code: 'bad-input',
    message: expect.stringContaining('none') as string,
    remedy: expect.stringContaining('path of a model folder') as string,
  });
});
