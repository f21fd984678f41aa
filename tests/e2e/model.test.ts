/** Models on the page: a reader's own, and bundled ones over connections that break. */
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type Server, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Page } from 'playwright';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { sendFile } from '../../scripts/serve.mjs';
import { picoBytes } from '../model/pico.ts';
import { type Files, shardName, shardedPico } from '../model/shards.ts';
import { look } from './axe.ts';
import { Site, go } from './site.ts';

/** One evaluation of a few questions, and little else. */
const SHORT = `?${new URLSearchParams({
  notebook: 'smoke',
  'data.train_questions': '2',
  'synthesis.max_tries': '1',
  'synthesis.max_new_tokens': '16',
  'sft.epochs': '1',
  'ppo.enabled': 'false',
  'evaluation.limit': '2',
  'evaluation.greedy': 'false',
  'evaluation.max_new_tokens': '16',
}).toString()}`;

const scratch = mkdtempSync(join(tmpdir(), 'models-'));
let site: Site;
beforeAll(async () => {
  site = await Site.open();
});
afterAll(async () => {
  await site.close();
  rmSync(scratch, { recursive: true });
});

function folder(name: string, files: Files): string {
  const path = join(scratch, name);
  mkdirSync(path);
  for (const [file, content] of Object.entries(files)) writeFileSync(join(path, file), content);
  return path;
}

const panel = (page: Page) => page.locator('details.models');
async function openPanel(page: Page): Promise<void> {
  await go(page, 'Start');
  await page.getByText('Largest buffer').waitFor();
  await go(page, 'Data');
  await panel(page).locator('summary').click();
  await panel(page)
    .getByText(/bundled, 117,168 parameters/)
    .waitFor();
}
const saysExactly = (page: Page, text: string) => page.locator('.bar .title').filter({ hasText: new RegExp(`^${text}$`) }).waitFor(); // prettier-ignore

test('a folder in three bf16 shards is looked at, loaded and trained, and the page says which model it is', async () => {
  const { page, complaints, strangers } = await site.visit(SHORT);
  page.setDefaultTimeout(60_000);
  await openPanel(page);
  await page.getByTestId('model-folder').setInputFiles(folder('My model', shardedPico('BF16')));
  const memory = page.getByTestId('memory');
  await memory.waitFor();
  expect(await memory.textContent()).toMatch(/Needs up to [\d.]+ [kM]B of GPU memory for this run: weights 486 kB/);
  expect(
    await panel(page)
      .getByRole('radio', { name: /own\/My-model/ })
      .isChecked(),
  ).toBe(true);
  expect(await look(page, 'model')).toEqual([]);

  await panel(page).getByRole('button', { name: 'Load now' }).click();
  await panel(page).getByRole('button', { name: 'Loaded' }).waitFor();
  await go(page, 'Start');
  await page.locator('section', { hasText: 'Where it computes' }).getByText('own/My-model, 117,168 parameters').waitFor();
  await page.getByRole('button', { name: 'Run the experiment' }).click();
  await saysExactly(page, 'Finished');
  const [saved] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: 'Run record' }).click()]);
  const [run] = readFileSync(await saved.path(), 'utf8').split('\n', 1);
  expect(JSON.parse(run!)).toMatchObject({
    type: 'run',
    config: { model: 'own/My-model' },
    policy: { model: 'own/My-model', parameters: 117_168 },
  });
  expect(complaints).toEqual([]);
  expect(strangers).toEqual([]);
}, 120_000);

test('what can’t be used is refused by name and leaves the choice as it was; dropped files work as chosen ones', async () => {
  const { page, complaints } = await site.visit(SHORT);
  await openPanel(page);
  const { [shardName(2)]: _, ...lacking } = shardedPico('F16');
  await page.getByTestId('model-folder').setInputFiles(folder('lacking', lacking));
  const alert = panel(page).getByRole('alert');
  await alert.getByText(`own/lacking lacks ${shardName(2)}, which model.safetensors.index.json names.`).waitFor();
  expect(await look(page, 'model-refused')).toEqual([]);
  expect(await panel(page).getByRole('radio', { name: /pico/ }).isChecked()).toBe(true);
  await page.getByTestId('model-files').setInputFiles({ name: 'tiny.gguf', mimeType: '', buffer: Buffer.from('GGUF') });
  await alert.getByText('own/model/tiny.gguf is GGUF').waitFor();
  await alert.getByRole('button', { name: 'Dismiss' }).click();

  const files = Object.entries(shardedPico('F16')).map(([name, content]) => ({ name, base64: Buffer.from(content).toString('base64') }));
  await panel(page)
    .locator('.drop')
    .evaluate(async (target, list) => {
      const dataTransfer = new DataTransfer();
      for (const { name, base64 } of list) {
        const bytes = Uint8Array.from(atob(base64), (char) => char.charCodeAt(0));
        dataTransfer.items.add(new File([bytes], name));
      }
      target.dispatchEvent(new DragEvent('drop', { dataTransfer, bubbles: true, cancelable: true }));
    }, files);
  await panel(page)
    .getByRole('radio', { name: /own\/model/ })
    .waitFor();
  await panel(page).getByRole('button', { name: 'Load now' }).click();
  await panel(page).getByRole('button', { name: 'Loaded' }).waitFor();
  // Other files of the same name are not the model that is loaded.
  const others = Object.entries(shardedPico('F32')).map(([name, content]) => ({ name, mimeType: '', buffer: Buffer.from(content) }));
  await page.getByTestId('model-files').setInputFiles(others);
  await panel(page).getByRole('button', { name: 'Load now' }).click();
  await panel(page).getByRole('button', { name: 'Loaded' }).waitFor();
  expect(complaints).toEqual([]);
}, 60_000);

/** The built site behind a server that can break connections to the weights, or change them. */
class Unreliable {
  /** The range that each request for the weights asked for. */
  asked: (string | undefined)[] = [];
  /** Bytes that a connection brings before it breaks. */
  cut = Infinity;
  wrong = false;
  /** What breaks stays open and silent instead. */
  stall = false;
  url = '';
  private etag = '';
  private server: Server | undefined;

  async open(): Promise<void> {
    const server = (this.server = createServer((request, response) => {
      const url = request.url ?? '/';
      const weights = url.endsWith('pico/model.safetensors');
      if (weights) this.asked.push(request.headers.range);
      if (weights && (this.cut < Infinity || this.wrong)) {
        const body = picoBytes('model.safetensors');
        const from = Number(/^bytes=(\d+)-/.exec(request.headers.range ?? '')?.[1] ?? 0);
        if (this.wrong) body[body.length - 1]! ^= 1;
        const end = Math.min(from + this.cut, body.length);
        if (from > 0) response.setHeader('content-range', `bytes ${from}-${body.length - 1}/${body.length}`);
        // The tag of the very file that the good server sends.
        response.writeHead(from > 0 ? 206 : 200, { etag: this.etag, 'content-length': body.length - from });
        response.write(body.subarray(from, end), () =>
          setTimeout(() => (end === body.length ? response.end() : this.stall || response.destroy()), 50),
        );
        return;
      }
      sendFile('dist', url, request, response);
    }));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
    this.etag = (await fetch(`${this.url}models/pico/model.safetensors`, { method: 'HEAD' })).headers.get('etag')!;
    this.asked = [];
  }

  close(): void {
    this.server?.closeAllConnections();
    this.server?.close();
  }
}

const CACHE = 'openrft-downloads-1';

/** SHA-256 of the weights that the page keeps, part after part; undefined when they are not all there. */
const keptHash = (page: Page) =>
  page.evaluate(
    async ({ name, size }) => {
      const cache = await caches.open(name);
      const addresses = (await cache.keys()).map(({ url }) => url).filter((url) => url.includes('model.safetensors'));
      const from = (address: string) => Number(new URL(address).searchParams.get('from'));
      addresses.sort((a, b) => from(a) - from(b));
      const parts = await Promise.all(addresses.map(async (address) => (await cache.match(address))!.blob()));
      const blob = new Blob(parts);
      if (blob.size < size) return undefined;
      const digest = await crypto.subtle.digest('SHA-256', await blob.arrayBuffer());
      return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, '0')).join('');
    },
    { name: CACHE, size: picoBytes('model.safetensors').length },
  );

test('a download that breaks is taken up where it broke, also after the page was opened anew, to the same hash; then it is kept', async () => {
  const server = new Unreliable();
  await server.open();
  const hash = createHash('sha256').update(picoBytes('model.safetensors')).digest('hex');
  const { page } = await site.visit(SHORT, {}, server.url);
  const load = panel(page).getByRole('button', { name: 'Load now' });
  const loaded = panel(page).getByRole('button', { name: 'Loaded' });

  const files = (name: string) =>
    panel(page)
      .getByRole('list', { name: 'Files' })
      .getByRole('listitem')
      .filter({ hasText: new RegExp(`^\\s*${name}`) });

  // Four connections of 20,000 bytes each do not bring all of it.
  server.cut = 20_000;
  await openPanel(page);
  await panel(page).getByText('117,168 parameters, 254 kB, licence MIT').waitFor();
  await files('model.safetensors').getByText('to fetch').waitFor();
  await load.click();
  await page.getByText(`/models/pico/model.safetensors broke off at 80000 of ${picoBytes('model.safetensors').length} bytes`).waitFor();
  await page.getByText('the download goes on from there').waitFor();
  expect(server.asked).toEqual([undefined, 'bytes=20000-', 'bytes=40000-', 'bytes=60000-']);
  expect(await keptHash(page)).toBeUndefined();

  server.asked = [];
  server.cut = 100_000;
  await page.reload();
  await openPanel(page);
  await load.click();
  await loaded.waitFor();
  expect(server.asked).toEqual(['bytes=80000-', 'bytes=180000-']);
  expect(await keptHash(page)).toBe(hash);

  // Nothing is fetched a second time.
  await page.reload();
  await openPanel(page);
  await load.click();
  await loaded.waitFor();
  expect(server.asked).toHaveLength(2);

  // Given up on a silent connection, and taken up again.
  await page.evaluate((name) => caches.delete(name), CACHE);
  server.asked = [];
  server.stall = true;
  await page.reload();
  await openPanel(page);
  await load.click();
  await panel(page)
    .getByText(/10[01] kB of 254 kB/)
    .waitFor();
  // Which of the files is on its way, too.
  expect(await files('config.json').textContent()).toContain('here');
  expect(await files('model.safetensors').getByRole('progressbar').getAttribute('value')).toMatch(/^1000\d\d$/);
  await panel(page).getByRole('button', { name: 'Cancel loading' }).click();
  server.cut = Infinity;
  await load.click();
  await loaded.waitFor();
  expect(server.asked).toEqual([undefined, 'bytes=100000-']);
  expect(await keptHash(page)).toBe(hash);

  // A wrong byte is an error with its remedy, and is not kept.
  await page.evaluate((name) => caches.delete(name), CACHE);
  server.wrong = true;
  await page.reload();
  await openPanel(page);
  await load.click();
  await page.getByText('/models/pico/model.safetensors is not the file that this lab was built with').waitFor();
  await page.getByText('Reload the page and try again').waitFor();
  expect(await keptHash(page)).toBeUndefined();
  server.close();
}, 60_000);
