import { readFileSync, readdirSync } from 'node:fs';
import { expect, test } from 'vitest';
import { NOTEBOOKS } from '../../src/lab/notebooks.ts';
import { parseNotebook } from '../../src/notebook/schema.ts';
import { neededAdapters } from '../../src/rft/adapters.ts';

const folder = new URL('../../public/notebooks/', import.meta.url);
const files = readdirSync(folder);

test('the page offers the notebooks that are there, and no other', () => {
  expect(Object.keys(NOTEBOOKS).map((name) => `${name}.json`).sort()).toEqual([...files].sort()); // prettier-ignore
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
