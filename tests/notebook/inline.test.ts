import { expect, test } from 'vitest';
import { InputError } from '../../src/base/errors.ts';
import { inlineDataset, inlineQuestions } from '../../src/notebook/inline.ts';
import { decodeLink, encodeLink } from '../../src/notebook/link.ts';
import { parseNotebook } from '../../src/notebook/schema.ts';
import { parseDataset } from '../../src/rft/dataset.ts';

const record = (i: number) => ({ question: `Q${i}`, choices: { text: ['a', 'b', 'c', 'd'], label: ['A', 'B', 'C', 'D'] }, answerKey: 'B', ...(i % 2 && { details: { z: 1, phrasing: 'A', a: [i] } }) }); // prettier-ignore
const notebook = (train: unknown) =>
  parseNotebook({
    v: 2,
    kind: 'notebook',
    title: 't',
    seed: 1,
    config: {},
    cells: [],
    data: { kind: 'inline', name: 'mine', train, test: train },
  });

test('questions come out of a link with the hash that they went in with, details and their order included', async () => {
  const dataset = await parseDataset('mine', JSON.stringify([0, 1, 2, 3].map(record)));
  const { notebook: back } = await decodeLink(await encodeLink(notebook(inlineQuestions(dataset))));
  if (back.data?.kind !== 'inline') throw new Error('The questions did not travel.');
  const again = await inlineDataset(back.data.name, back.data.train);
  expect(again.sha256).toBe(dataset.sha256);
  expect(again.questions).toEqual(dataset.questions);
});

test('what is no question is refused by its record', async () => {
  const [question] = inlineQuestions(await parseDataset('mine', JSON.stringify([record(1)])));
  const twice = { ...question!, choices: { ...question!.choices, text: ['a', 'a', 'c', 'd'] } };
  await expect(inlineDataset('mine', [question!, twice])).rejects.toThrow('mine, record 2: option B repeats');
  await expect(inlineDataset('mine', [{ ...question!, details: '{"__proto__":1}' }])).rejects.toThrow('details uses the name __proto__');
  expect(() => notebook([{ ...question!, script: 'x' }])).toThrow(InputError);
  expect(() => notebook([])).toThrow(InputError);
});
