/** A run that is stopped from the terminal and goes on later, in the process that a reader has. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';

const folder = mkdtempSync(join(tmpdir(), 'stop-'));
afterAll(() => rmSync(folder, { recursive: true }));

const SETTINGS = [
  'sft.enabled=false',
  'ppo.updates=6',
  'ppo.questions_per_update=2',
  'ppo.samples_per_question=1',
  'ppo.max_new_tokens=24',
  'evaluation.limit=1',
  'evaluation.max_new_tokens=8',
  'ppo.minibatches=1',
  'checkpoint.every=4',
].flatMap((setting) => ['--set', setting]);

const lab = (...args: string[]): ChildProcess =>
  spawn(process.execPath, ['scripts/lab.mjs', ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
const run = (name: string, ...more: string[]) =>
  lab('run', 'public/notebooks/smoke.json', '--backend', 'cpu', ...SETTINGS, '--out', join(folder, `${name}.jsonl`), '--adapter', join(folder, name), ...more); // prettier-ignore

async function ended(child: ChildProcess, onLine?: (line: string) => void) {
  let text = '';
  child.stderr!.setEncoding('utf8').on('data', (part: string) => {
    text += part;
    part.split('\n').forEach((line) => onLine?.(line));
  });
  const [code] = (await once(child, 'close')) as [number];
  return { code, text };
}

/** Lines without their time fields. */
const events = (name: string) =>
  readFileSync(join(folder, `${name}.jsonl`), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line, (key, value: unknown) => (key.endsWith('time_ms') ? undefined : value)) as unknown);
const adapter = (name: string) => readFileSync(join(folder, name, 'adapter_model.safetensors'));

test('Ctrl-C ends a run at a checkpoint, and --resume goes on to the same events and the same adapter', async () => {
  expect(await ended(run('whole'))).toMatchObject({ code: 0 });
  const child = run('stopped');
  const first = await ended(child, (line) => line.includes('ppo 2:') && child.kill('SIGINT'));
  expect(first.code, first.text).toBe(3);
  expect(first.text).toContain('The same command with --resume goes on from');
  expect(existsSync(join(folder, 'stopped.jsonl.checkpoint'))).toBe(true);
  expect(events('stopped').length).toBeLessThan(events('whole').length);
  expect(await ended(run('stopped', '--resume'))).toMatchObject({ code: 0 });
  expect(events('stopped')).toEqual(events('whole'));
  expect(adapter('stopped')).toEqual(adapter('whole'));
  expect(existsSync(join(folder, 'stopped.jsonl.checkpoint'))).toBe(false);
  const again = await ended(run('stopped', '--resume'));
  expect(again).toMatchObject({ code: 2, text: expect.stringMatching(/There is nothing to resume/) as string });
});

test('every command has a help, and a flag that it has not is refused by name', async () => {
  const all = lab('--help');
  let text = '';
  all.stdout!.setEncoding('utf8').on('data', (part: string) => (text += part));
  expect((await ended(all)).code).toBe(0);
  const names = [...text.matchAll(/^ {2}([a-z-]+) +[A-Z]/gm)].map(([, name]) => name!);
  expect(names).toContain('ablate');
  const help = lab('ablate', '--help');
  expect((await ended(help)).code).toBe(0);
  expect(await ended(lab('eval', '--modle', 'pico'))).toMatchObject({
    code: 2,
    text: expect.stringMatching(/'--modle'[^]*--help/) as string,
  });
});
