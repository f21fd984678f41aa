/** The pictures of the stages, as a reader comes by them: before any run, in one that is paused, at its end, and of its record. */
import { readFileSync } from 'node:fs';
import { type Server, type ServerResponse, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Page } from 'playwright';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { RunEvent } from '../../src/rft/events.ts';
import { look } from './axe.ts';
import { Site, type Visit, go } from './site.ts';

const SHORT = `?${new URLSearchParams({
  notebook: 'smoke',
  'data.train_questions': '8',
  'synthesis.max_tries': '4',
  'synthesis.tries_per_batch': '2',
  'synthesis.max_new_tokens': '24',
  'sft.epochs': '2',
  'ppo.updates': '1',
  'ppo.minibatches': '1',
  'ppo.questions_per_update': '4',
  'ppo.samples_per_question': '2',
  'ppo.max_new_tokens': '24',
  'evaluation.limit': '4',
  'evaluation.max_new_tokens': '24',
}).toString()}`;

const KEY = 'sk-only-in-memory-42';
/** As a chat model might write: the question itself behind other words, and one that asks something else. */
const rewrites = (stem: string) => ['Please answer:', 'Now then:', 'Tell me this:', 'A question:'].map((words) => `${words} ${stem}`).join(' <sep> ') + ` <sep> ${stem} And 7 more?`; // prettier-ignore

interface Asked {
  readonly authorization: string | undefined;
}

/** A server of chat completions; `answer` writes the reply. Without `open` no page of another origin may read it. */
async function endpoint(answer: (response: ServerResponse, stem: string, headers: Record<string, string>) => void, open = true) {
  const asked: Asked[] = [];
  const cors = open ? { 'access-control-allow-origin': '*', 'access-control-allow-headers': '*' } : {};
  const server = createServer((request, response) => {
    if (request.method !== 'POST') return void response.writeHead(204, cors).end();
    let body = '';
    request.on('data', (part: Buffer) => (body += part.toString()));
    request.on('end', () => {
      asked.push({ authorization: request.headers.authorization });
      const { messages } = JSON.parse(body) as { messages: { content: string }[] };
      answer(response, /Question:\n([^]*)\n$/.exec(messages[0]!.content)![1]!, cors);
    });
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`, asked };
}
const servers: Server[] = [];

let site: Site;
let visit: Visit;
let page: Page;
beforeAll(async () => {
  site = await Site.open();
  visit = await site.visit(`${SHORT}#/data`);
  ({ page } = visit);
  page.setDefaultTimeout(100_000);
});
afterAll(async () => {
  await site.close();
  for (const server of servers) {
    server.closeAllConnections();
    server.close();
  }
});

const runBar = (name: string) => page.getByRole('region', { name: 'Run' }).getByRole('button', { name, exact: true });
const figure = (text: string | null) => Number(/\d+/.exec(text ?? '')![0]);

test('the questions: one as a record, more from the generator, the split in figures beside chance', async () => {
  await page.getByRole('heading', { name: 'To train on: 8 questions' }).waitFor();
  const one = page.getByRole('region', { name: 'One question' });
  const [first] = readFileSync('dist/data/T4.train.jsonl', 'utf8').split('\n').map((line) => JSON.parse(line || '{}') as { question: string }); // prettier-ignore
  await one.getByText(first!.question, { exact: true }).waitFor();
  await one.getByRole('button', { name: 'Another question' }).click();
  const made = await one.locator('.question > p').textContent();
  await one.getByText(/^Answer: [A-D]$/m).waitFor();
  await page.keyboard.press('Enter');
  await expect.poll(() => one.locator('.question > p').textContent()).not.toBe(made);
  expect(await page.getByRole('region', { name: 'How far one gets without reading' }).getByRole('row').count()).toBe(13);
  expect(await look(page, 'data-picture')).toEqual([]);
});

test('a question is rewritten by hand, by templates and by an endpoint whose key goes there and nowhere else', async () => {
  const { url, asked } = await endpoint((response, stem, cors) =>
    response
      .writeHead(200, { 'content-type': 'application/json', ...cors })
      .end(JSON.stringify({ choices: [{ message: { content: rewrites(stem) }, finish_reason: 'stop' }] })),
  );
  await go(page, 'Augment');
  await page.getByRole('button', { name: 'Rewrite it' }).click();
  await page.getByText('5 of 5 variations can be used, written by templates of the task.').waitFor();
  expect(await page.locator('mark').count()).toBeGreaterThan(0);
  // The line that carries the key is there for each, between two marked options.
  expect(await page.locator('.shuffle path.right').count()).toBe(5);

  await page.getByLabel('Address, up to the version').fill(url);
  await page.getByRole('textbox', { name: 'Model' }).fill('writer');
  await page.getByLabel('Key, where it needs one').fill(KEY);
  await page.getByRole('button', { name: 'Test it' }).click();
  await page.getByText(/writer at 127\.0\.0\.1:\d+ answered after/).waitFor();
  await page.getByLabel('Written by').selectOption('the endpoint');
  await page.getByRole('button', { name: 'Rewrite it' }).click();
  await page.getByText('4 of 5 variations can be used').waitFor();
  await page.getByText('Refused, numbers changed').waitFor();
  expect(await look(page, 'augment-by-hand')).toEqual([]);
  await page.getByRole('button', { name: 'Use it in the next run' }).click();
  await page.getByText('The next run has its questions rewritten by this endpoint.').waitFor();
  expect(asked).toEqual([{ authorization: `Bearer ${KEY}` }, { authorization: `Bearer ${KEY}` }]);
});

test('retrieval shows neighbours, what the leak guard leaves out, and how prompts differ, before any run', async () => {
  await go(page, 'Retrieve');
  await page.getByLabel('k, examples in a prompt').fill('2');
  await page.getByLabel('RL', { exact: true }).check();
  await page.getByRole('button', { name: 'Find its neighbours' }).click();
  const neighbours = page.getByRole('region', { name: 'Its neighbours' }).getByRole('listitem');
  await neighbours.first().waitFor();
  expect(await neighbours.filter({ hasText: 'excluded by the leak guard, training question 1, similarity 1' }).count()).toBe(1);
  expect(await neighbours.filter({ hasText: 'among the 2 nearest' }).count()).toBe(2);
  const parts = page.getByRole('region', { name: 'The prompt', exact: true }).getByRole('listitem');
  expect(await parts.count()).toBe(4);
  await page.getByText('SFT and RL differ in: examples, separators').waitFor();
  expect(await look(page, 'retrieve-picture')).toEqual([]);

  await page.getByLabel('asked in other words').check();
  await page.getByRole('button', { name: 'Find its neighbours' }).click();
  const excluded = neighbours.filter({ hasText: 'excluded by the leak guard, training question 1,' });
  await expect.poll(async () => (await excluded.textContent())!.includes('similarity 1') && excluded.count()).toBe(false);

  await page.getByLabel('SFT', { exact: true }).check();
  await page.getByLabel('evaluation', { exact: true }).check();
  await page.getByText('All three are the same, byte for byte.').waitFor();
  await page.getByLabel('SFT', { exact: true }).uncheck();
  await page.getByLabel('evaluation', { exact: true }).uncheck();
  await page.getByText('RL and evaluation differ in: examples, separators').waitFor();
}, 60_000);

test('a run is read along, and paused it shows its tries and its tokens', async () => {
  await go(page, 'Synthesise');
  await page.getByText('Each training question becomes a row here').waitFor();
  await page.getByText('Read along').click();
  await runBar('Run').click();
  const reader = page.getByRole('group').filter({ hasText: 'Read along' });
  await page.getByText('As the run draws them; reading holds nothing up.').waitFor();
  await expect.poll(() => reader.locator('pre').first().textContent(), { interval: 20 }).toMatch(/\S/);
  await page.getByRole('grid').waitFor();
  await runBar('Pause').click();
  await page.locator('.bar .title').filter({ hasText: 'Paused' }).waitFor();

  await reader.getByRole('button', { name: 'One token' }).click();
  const at = async () => figure(await reader.getByText(/^Token \d+ of/).textContent());
  const before = await at();
  await page.keyboard.press('Enter');
  expect(await at()).toBe(before + 1);
  await reader.getByRole('button', { name: 'One step' }).press('Enter');
  expect(await at()).toBeGreaterThan(before + 1);

  const cells = page.getByRole('gridcell').filter({ hasText: 'Question' });
  await cells.first().focus();
  await page.keyboard.press('ArrowDown');
  expect(await page.evaluate(() => document.activeElement!.textContent)).toContain('Question 2, try 1');
  await page.keyboard.press('Enter');
  const inspector = page.getByRole('complementary', { name: 'Question 2, try 1' });
  await inspector.getByRole('listbox').waitFor();
  expect(await inspector.getByRole('option').count()).toBeGreaterThan(2);
  await inspector.getByText('What else could have stood here').click();
  await inspector.getByRole('row').filter({ hasText: 'taken' }).waitFor();
  expect(await look(page, 'synthesize-picture')).toEqual([]);
  await inspector.getByRole('button', { name: 'Close the inspector' }).click();
}, 100_000);

test('SFT shows what it learns and how the adapter grows; the finished run’s record shows it all again, and no key', async () => {
  await go(page, 'SFT');
  await runBar('Resume').click();
  await page.locator('.bar .title').filter({ hasText: /^Finished$/ }).waitFor(); // prettier-ignore
  await page.getByText('Epoch 2 of 2').waitFor();
  await page.getByText(/^B and A, coloured: [\d,]+ parameters, against [\d,]+ frozen$/).waitFor();
  const mean = () => page.getByText(/^Mean loss/).textContent();
  const after = await mean();
  const cells = page.getByRole('region', { name: 'Norms by layer and matrix' }).getByRole('cell');
  const norms = async () => (await cells.allTextContents()).map(Number);
  expect((await norms()).every((norm) => norm > 0)).toBe(true);
  await page.getByRole('slider', { name: 'Epoch 2' }).press('Home');
  await page.getByText('Epoch 0 of 2, before the first step').waitFor();
  expect((await norms()).every((norm) => norm === 0)).toBe(true);
  expect(await mean()).not.toBe(after);
  expect(await look(page, 'sft-picture')).toEqual([]);

  await go(page, 'Augment');
  expect(await page.getByTestId('rewrites').locator('.sum').textContent()).toMatch(/8\s+questions → 40/);
  await page.getByText('written by writer at 127.0.0.1').first().waitFor();
  expect(await look(page, 'augment-picture')).toEqual([]);

  await go(page, 'Retrieve');
  const retrieved = page.getByRole('region', { name: 'What the run retrieved' });
  expect(await retrieved.getByRole('listitem').filter({ hasText: 'shown with its letter' }).count()).toBe(2);
  await go(page, 'Compare');
  const [download] = await Promise.all([
    page.waitForEvent('download'),
    page.getByRole('button', { name: 'Run record (JSON lines)' }).click(),
  ]);
  const record = readFileSync(await download.path(), 'utf8');
  const events = record.trimEnd().split('\n').map((line) => JSON.parse(line) as RunEvent); // prettier-ignore
  expect(events.filter(({ type }) => type === 'epoch')).toHaveLength(3);
  const kept = await page.evaluate(async () => {
    const texts = [location.href, JSON.stringify(localStorage), JSON.stringify(sessionStorage)];
    for (const { name } of await indexedDB.databases()) {
      const database = await new Promise<IDBDatabase>((resolve) => {
        const opening = indexedDB.open(name!);
        opening.onsuccess = () => resolve(opening.result);
      });
      for (const store of database.objectStoreNames) {
        const all = await new Promise<unknown[]>((resolve) => {
          const asking = database.transaction(store).objectStore(store).getAll();
          asking.onsuccess = () => resolve(asking.result as unknown[]);
        });
        texts.push(JSON.stringify(all));
      }
      database.close();
    }
    return texts.join('\n');
  });
  expect(kept.length).toBeGreaterThan(1000);
  expect(record + kept).not.toContain(KEY);

  await page
    .getByRole('region', { name: 'Kept runs' })
    .getByRole('button', { name: /^Show / })
    .first()
    .click();
  await go(page, 'Synthesise');
  expect(await page.getByRole('grid').getByRole('row').count()).toBe(8);
  await go(page, 'SFT');
  await page.getByText('Epoch 2 of 2').waitFor();
  expect(visit.complaints).toEqual([]);
}, 120_000);

test('an endpoint that is closed to pages, down, or no endpoint is told apart', async () => {
  const closed = await endpoint((response) => response.writeHead(200).end('{}'), false);
  const website = await endpoint((response, _, cors) => response.writeHead(200, { 'content-type': 'text/html', ...cors }).end('<html>'));
  const { page: other } = await site.visit(`${SHORT}#/augment`);
  const asks = async (url: string, says: RegExp) => {
    await other.getByLabel('Address, up to the version').fill(url);
    await other.getByRole('textbox', { name: 'Model' }).fill('writer');
    await other.getByRole('button', { name: 'Test it' }).click();
    await other.getByRole('alert').filter({ hasText: says }).waitFor();
  };
  await asks(closed.url, /is there, but does not let this page read its answers \(CORS\)/);
  await asks(website.url, /answered, but not with a chat completion: it sent a web page/);
  await asks('http://127.0.0.1:9999/v1', /can't be reached/);
  await asks('http://example.org/v1', /only this computer may be asked without encryption/);
  await asks('nonsense', /is no address/);
});
