/** A run whose steps are judged by a process reward model that comes with its base, from the download to the reader's own weighing. */
import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { modelsManifest } from '../../scripts/models-manifest.mjs';
import { serve } from '../../scripts/serve.mjs';
import { trainAdapter } from '../../src/cli/distill/adapters.ts';
import { readModelFolder } from '../../src/cli/models.ts';
import { openPolicy } from '../../src/model/open.ts';
import { look } from './axe.ts';
import { Site } from './site.ts';

const SMALL = { base: 'pico', kind: 'prm', seed: 5, rank: 2, alpha: 4, steps: 2, batch: 3, documents: 12, learning_rate: 1e-3 } as const;
let site: Site;
let folder: string;
beforeAll(async () => {
  const policy = await openPolicy('pico', await readModelFolder('pico'), { backend: 'cpu' });
  const { files } = await trainAdapter(policy, SMALL, () => {});
  // The built site, and beside pico an adapter that it does not come with.
  folder = mkdtempSync(join(tmpdir(), 'site-'));
  const link = (from: string, to: string, but: string) => {
    mkdirSync(to, { recursive: true });
    for (const name of readdirSync(from)) if (name !== but) symlinkSync(resolve(from, name), join(to, name));
  };
  link('dist', folder, 'models');
  link('dist/models', join(folder, 'models'), 'pico');
  link('dist/models/pico', join(folder, 'models/pico'), 'adapters');
  const adapter = join(folder, 'models/pico/adapters/prm');
  mkdirSync(adapter, { recursive: true });
  for (const [name, content] of Object.entries<string | Uint8Array>({ ...files })) writeFileSync(join(adapter, name), content);
  rmSync(join(folder, 'models/manifest.json'));
  writeFileSync(join(folder, 'models/manifest.json'), JSON.stringify(modelsManifest(join(folder, 'models'))));
  site = await Site.open({ server: () => serve(folder) });
});
afterAll(async () => {
  await site.close();
  rmSync(folder, { recursive: true });
});

const RUN = `?${new URLSearchParams({
  notebook: 'smoke',
  'data.train_questions': '8',
  'sft.enabled': 'false',
  'prm.model': 'prm',
  'ppo.alpha': '0.7',
  'ppo.updates': '1',
  'ppo.minibatches': '1',
  'ppo.questions_per_update': '4',
  'ppo.samples_per_question': '2',
  'ppo.max_new_tokens': '32',
  'evaluation.limit': '4',
  'evaluation.greedy': 'false',
  'evaluation.max_new_tokens': '32',
}).toString()}`;

test('steps are scored, and the reader weighs outcome and steps otherwise', async () => {
  const { page, complaints, strangers } = await site.visit(RUN);
  page.setDefaultTimeout(90_000);
  await page.getByRole('button', { name: 'Run the experiment' }).click();
  await page.locator('.bar .title').filter({ hasText: /^Finished$/ }).waitFor(); // prettier-ignore

  await page.getByText('What the reward pays for').click();
  const worked = page.getByText(/^R = \d/);
  const first = () => worked.first().textContent();
  expect(await worked.count()).toBe(8);
  expect(await first()).toMatch(/^R = 0\.7 × [01] \+ 0\.3 × 0(\.\d+)? = /);
  const rows = page.getByRole('row').filter({ hasText: /weighs? them/ });
  expect(await rows.count()).toBe(1);

  await page.getByLabel('α, weight of the outcome').fill('1');
  expect(await first()).toMatch(/^R = 1 × ([01]) \+ 0 × 0(\.\d+)? = \1$/);
  expect(await rows.count()).toBe(2);
  await page.getByLabel('f, of the steps’ scores').selectOption('soft_min');
  await page.getByLabel('Temperature').waitFor();
  expect(await look(page, 'reward')).toEqual([]);
  await page.getByRole('button', { name: 'As in the run' }).click();
  expect(await first()).toMatch(/^R = 0\.7 × /);
  expect(complaints).toEqual([]);
  expect(strangers).toEqual([]);
}, 120_000);
