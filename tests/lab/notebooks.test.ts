import { readFileSync, readdirSync } from 'node:fs';
import { expect, test } from 'vitest';
import { NOTEBOOKS } from '../../src/lab/notebooks.ts';
import { readRecordingIndex } from '../../src/notebook/recording.ts';
import { parseNotebook } from '../../src/notebook/schema.ts';
import { neededAdapters } from '../../src/rft/adapters.ts';

const folder = new URL('../../public/notebooks/', import.meta.url);
const files = readdirSync(folder);

test('the page offers the notebooks that are there, and no other', () => {
  expect(Object.keys(NOTEBOOKS).map((name) => `${name}.json`).sort()).toEqual([...files].sort()); // prettier-ignore
});

test('each has a recorded run, and a link in the README', () => {
  const recorded = readRecordingIndex(readFileSync(new URL('../recordings/index.json', folder), 'utf8')).map(({ notebook }) => notebook);
  const readme = readFileSync(new URL('../../README.md', folder), 'utf8');
  expect([...recorded].sort()).toEqual(Object.keys(NOTEBOOKS).sort());
  for (const file of files) expect(readme).toContain(`public/notebooks/${file}`);
});

test.each(files)('%s: a title, text to read, and adapters that its model has', (file) => {
  const { title, cells, config } = parseNotebook(JSON.parse(readFileSync(new URL(file, folder), 'utf8')));
  expect(title).not.toBe('');
  const texts = cells.flatMap((cell) => (cell.kind === 'markdown' ? [cell.text] : []));
  expect(texts.join('').length).toBeGreaterThan(100);
  for (const { name } of neededAdapters(config)) {
    expect(readdirSync(new URL(`../../models/${config.model}/adapters/${name}`, folder))).toContain('adapter_model.safetensors');
  }
});
