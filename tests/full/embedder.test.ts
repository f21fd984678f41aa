/** The sentence encoder on the built page: from a folder of the host, with a download that is spoilt and one that breaks off. */
import { type IncomingMessage, type ServerResponse, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { CONTENT_SECURITY_POLICY } from '../../scripts/csp.mjs';
import { sendFile } from '../../scripts/serve.mjs';
import { look } from '../e2e/axe.ts';
import { Site } from '../e2e/site.ts';

const MODEL = '/models/all-MiniLM-L6-v2/onnx/model_quantized.onnx.gzip';
const FOLDER = '/some/folder';
const CUT = 5 * 2 ** 20 + 1000;

let mishap: 'spoilt' | 'broken off' | undefined;
let etag = '';
const ranges: (string | undefined)[] = [];

/** Serves the build below FOLDER; the model meets with the mishap. */
function answer(request: IncomingMessage, response: ServerResponse): void {
  response.setHeader('content-security-policy', CONTENT_SECURITY_POLICY);
  const path = request.url!.slice(FOLDER.length);
  if (path !== MODEL) return void sendFile('dist', path, request, response);
  ranges.push(request.headers.range);
  if (!mishap) return void sendFile('dist', path, request, response);
  const bytes = readFileSync(`dist${MODEL}`);
  response.writeHead(200, { 'content-type': 'application/octet-stream', 'content-length': bytes.length, etag });
  if (mishap === 'broken off') return void response.write(bytes.subarray(0, CUT), () => setTimeout(() => response.destroy(), 100));
  bytes[1000]! ^= 1;
  response.end(bytes);
}

async function serveWithMishaps(): Promise<{ url: string; close: () => Promise<void> }> {
  const server = createServer(answer);
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}${FOLDER}/`;
  etag = (await fetch(`${url}${MODEL.slice(1)}`, { method: 'HEAD' })).headers.get('etag')!;
  ranges.length = 0;
  return {
    url,
    close: async () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

let site: Site;
beforeAll(async () => {
  site = await Site.open({ server: serveWithMishaps });
});
afterAll(() => site.close());

test('the encoder comes when asked for, survives a broken-off download, refuses a spoilt one, and finds like questions', async () => {
  const { page, complaints, strangers } = await site.visit('?data.task=T4#/retrieve');
  const fetched: string[] = [];
  // What the service worker keeps of the app for use without a network is not what the page asked for.
  page.context().on('request', (request) => request.serviceWorker() === null && fetched.push(request.url()));
  page.setDefaultTimeout(20_000);
  await page.getByText('Find similar questions').click();
  await page.getByRole('radio', { name: 'all-MiniLM-L6-v2, on the CPU' }).check();
  await page.getByText(`35 MB from this site (${new URL(site.url).host}), once`).waitFor();
  expect(fetched.filter((url) => /MiniLM|embedder|ort-wasm/.test(url))).toEqual([]);
  const load = page.getByRole('button', { name: 'Download 35 MB and load' });

  mishap = 'spoilt';
  await load.click();
  await page.getByText('model_quantized.onnx.gzip is not the file that this lab was built with').waitFor();
  mishap = 'broken off';
  await load.click();
  await page.getByText(`${FOLDER}${MODEL} broke off at ${CUT} of`).waitFor();
  mishap = undefined;
  await load.click();
  await page.locator('p', { hasText: 'Ready: 100 training questions.' }).first().waitFor();
  expect(ranges).toEqual([undefined, undefined, `bytes=${CUT}-`, `bytes=${CUT}-`]);

  const questions = readFileSync('dist/data/T4.train.jsonl', 'utf8').trimEnd().split('\n').map((line) => JSON.parse(line) as { question: string }); // prettier-ignore
  await page.getByRole('textbox', { name: 'Question' }).fill(questions[41]!.question);
  await page.keyboard.press('Enter');
  const found = page.getByRole('region', { name: 'The nearest training questions' }).getByRole('listitem');
  await found.nth(2).waitFor();
  expect(await found.count()).toBe(3);
  expect(await found.first().textContent()).toContain(questions[41]!.question);
  expect(await found.first().getByTestId('similarity').textContent()).toBe('1');
  expect(await look(page, 'embedder')).toEqual([]);

  await page.getByRole('radio', { name: 'The model’s own hidden states' }).check();
  await page.getByRole('button', { name: 'Load', exact: true }).click();
  await page.getByRole('textbox', { name: 'Question' }).fill(questions[7]!.question);
  await page.getByRole('button', { name: 'Find the nearest' }).click();
  await found.nth(2).waitFor();
  expect(await found.first().textContent()).toContain(questions[7]!.question);

  // Requests of the worker are seen as well, so that no stranger among them could hide.
  expect(fetched.filter((url) => url.endsWith('.wasm'))).toHaveLength(1);
  expect(strangers).toEqual([]);
  expect(complaints.filter((text) => !text.includes('net::ERR_'))).toEqual([]);
}, 60_000);
