import { readFileSync } from 'node:fs';
import { strFromU8, unzipSync } from 'fflate';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ClusterRow } from '../../src/export/cluster/data.ts';
import { look } from '../e2e/axe.ts';
import { Site } from '../e2e/site.ts';

let site: Site;
beforeAll(async () => {
  site = await Site.open();
});
afterAll(() => site.close());

test('a run leaves for a cluster as an archive, its questions rewritten; what was trained stays', async () => {
  const query = new URLSearchParams({
    backend: 'cpu',
    notebook: 'smoke',
    'data.train_questions': '4',
    'augment.enabled': 'true',
    'augment.variants': '1',
    'sft.enabled': 'false',
    'ppo.algorithm': 'grpo',
    'ppo.updates': '1',
    'ppo.minibatches': '1',
    'ppo.questions_per_update': '2',
    'ppo.samples_per_question': '2',
    'ppo.max_new_tokens': '8',
    'evaluation.limit': '2',
    'evaluation.max_new_tokens': '8',
  });
  const { page, complaints, strangers } = await site.visit(`?${query.toString()}`);
  page.setDefaultTimeout(60_000);
  await page.getByRole('button', { name: 'Run the experiment' }).click();
  await page.locator('.bar .title').filter({ hasText: /^Finished$/ }).waitFor(); // prettier-ignore
  await page.getByRole('button', { name: /Export/ }).first().click(); // prettier-ignore
  const dialog = page.getByRole('dialog', { name: 'Export' });
  await dialog.getByRole('radio', { name: /For a cluster/ }).check();
  await dialog.getByText('-cluster.zip').waitFor();
  expect(await look(page, 'export-cluster')).toEqual([]);
  const [download] = await Promise.all([page.waitForEvent('download'), dialog.getByRole('button', { name: 'Download' }).click()]);
  const files = unzipSync(readFileSync(await download.path()));
  expect(Object.keys(files)).toEqual(
    expect.arrayContaining(['README.md', 'UNMAPPED.md', 'trl/train.py', 'openrlhf/launch.sh', 'data/updates.jsonl']),
  );
  const rows = strFromU8(files['data/train.jsonl']!).trimEnd().split('\n').map((line) => JSON.parse(line) as ClusterRow); // prettier-ignore
  expect(rows.map(({ is_rewrite }) => is_rewrite).filter(Boolean).length).toBeGreaterThan(0);
  expect(JSON.parse(strFromU8(files['trl/arguments.json']!))).toMatchObject({
    model: 'pico',
    arguments: { num_generations: 2, max_steps: 1 },
  });

  await dialog.getByRole('radio', { name: /^Adapter/ }).check();
  await dialog.getByText('-adapter.zip').waitFor();
  expect(complaints).toEqual([]);
  expect(strangers).toEqual([]);
}, 180_000);
