/** `lab ablate` as a reader runs it: a process of its own on the CPU policy, killed and interrupted, and several side by side. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';

const SMALL = {
  'data.train_questions': 6, 'synthesis.max_tries': 2, 'synthesis.tries_per_batch': 2, 'synthesis.max_new_tokens': 40, 'sft.epochs': 1,
  'ppo.questions_per_update': 3, 'ppo.samples_per_question': 2, 'ppo.max_new_tokens': 40, 'ppo.ppo_epochs': 1, 'evaluation.limit': 4,
  'evaluation.samples_per_question': 1, 'evaluation.max_new_tokens': 40, 'checkpoint.every': 1,
}; // prettier-ignore
const ARGS = [
  ...['ablate', '--model', 'pico', '--backend', 'cpu', '--tasks', 'T4,T5', '--rows', 'Vanilla,ReFT,SFT,SFT+RL+DA', '--seeds', '1', '--updates', '3'],
  ...Object.entries(SMALL).flatMap(([path, value]) => ['--set', `${path}=${value}`]),
]; // prettier-ignore

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lab-ablate-'));
});
afterAll(() => rm(folder, { recursive: true }));

function start(name: string, ...more: string[]): { child: ChildProcess; text: () => string; code: Promise<number | null> } {
  const places = ['--cache', join(folder, `${name}.cache`), '--out', join(folder, name)];
  const child = spawn(process.execPath, ['scripts/lab.mjs', ...ARGS, ...places, ...more], { stdio: ['ignore', 'ignore', 'pipe'] });
  let text = '';
  child.stderr.setEncoding('utf8').on('data', (part: string) => (text += part));
  return { child, text: () => text, code: once(child, 'close').then(([code]) => code as number | null) };
}

const tables = async (name: string) =>
  Object.fromEntries(
    await Promise.all(
      (await readdir(join(folder, name))).sort().map(async (file) => [file, await readFile(join(folder, name, file), 'utf8')] as const),
    ),
  );

const until = async (condition: () => boolean) => {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 50));
};

test('undisturbed, killed, interrupted, in slices and in two processes it writes the same table', async () => {
  const whole = start('whole');
  expect(await whole.code, whole.text()).toBe(0);
  const expected = await tables('whole');
  expect(Object.keys(expected)).toEqual(['table1.csv', 'table1.json', 'table1.md', 'table1.tex']);

  const killed = start('again');
  await until(() => killed.text().includes('[2 of 18]'));
  killed.child.kill('SIGKILL');
  await killed.code;
  const interrupted = start('again');
  await until(() => /\[\d+ of \d+\]/.test(interrupted.text()));
  interrupted.child.kill('SIGINT');
  expect(await interrupted.code, interrupted.text()).toBe(3);
  expect(interrupted.text()).toContain('the same command goes on from here');
  const slice = start('again', '--max-minutes', '0.05', '--pack', join(folder, 'part.tar'));
  expect([0, 3]).toContain(await slice.code);
  const rest = start('again');
  expect(await rest.code, rest.text()).toBe(0);
  expect(await tables('again')).toEqual(expected);

  const elsewhere = start('elsewhere', '--unpack', join(folder, 'part.tar'), '--parallel', '2');
  expect(await elsewhere.code, elsewhere.text()).toBe(0);
  expect(elsewhere.text()).toMatch(/^1\/2 {2}\[/m);
  expect(elsewhere.text()).toMatch(/^2\/2 {2}\[/m);
  expect(await tables('elsewhere')).toEqual(expected);
});

test.each<[string, string[], string]>([
  ['rows without their adapters', ['--rows', 'Vanilla,ReFT+PRM,SFT+'], 'SFT+ needs foreign-teacher'],
  ['an unknown row', ['--rows', 'Vanila'], 'no row Vanila'],
  ['an unknown task', ['--tasks', 'T9'], 'no task "T9"'],
  ['seeds that are no numbers', ['--seeds', '1,x'], '--seeds x'],
  ['an unknown sweep', ['--sweep', 'size'], 'no sweep size'],
  ['a rate of nothing', ['--rates', 'train=3'], '--rates has no train'],
  ['a setting that there is not', ['--set', 'ppo.nothing=1'], 'no setting ppo.nothing'],
])('%s: refused before anything is run, with the remedy', async (_, args, message) => {
  const refused = start('refused', ...args);
  expect(await refused.code).toBe(2);
  expect(refused.text()).toContain(message);
});
