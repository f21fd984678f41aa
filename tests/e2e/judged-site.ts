/** The built site with a process reward model beside pico, which does not come with one. */
import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { modelsManifest } from '../../scripts/models-manifest.mjs';
import { serve } from '../../scripts/serve.mjs';
import { trainAdapter } from '../../src/cli/distill/adapters.ts';
import { readModelFolder } from '../../src/cli/models.ts';
import { openPolicy } from '../../src/model/open.ts';
import { Site } from './site.ts';

const SMALL = { base: 'pico', kind: 'prm', seed: 5, rank: 2, alpha: 4, steps: 2, batch: 3, documents: 12, learning_rate: 1e-3 } as const;

export async function openJudgedSite(): Promise<{ readonly site: Site; close(): Promise<void> }> {
  const policy = await openPolicy('pico', await readModelFolder('pico'), { backend: 'cpu' });
  const folder = mkdtempSync(join(tmpdir(), 'site-'));
  const whole = { checkpoint: join(folder, 'unfinished'), stopping: () => false };
  const { files } = (await trainAdapter(policy, SMALL, () => {}, whole))!;
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
  const site = await Site.open({ server: () => serve(folder) });
  return {
    site,
    close: async () => {
      await site.close();
      rmSync(folder, { recursive: true });
    },
  };
}
