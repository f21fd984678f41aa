/**
 * `corpus NAME --documents N --out PREFIX`: the training text of a bundled model as tokens, for training elsewhere (see
 * bench/pytorch_pretrain.py): PREFIX.tok holds the ids of all documents and PREFIX.len their lengths, both u16.
 */
import { writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { InputError } from '../base/errors.ts';
import { buildCorpus, recipeOf } from './distill.ts';
import { readTokenizer } from './models.ts';

export async function corpus(args: readonly string[]): Promise<number> {
  const { positionals, values } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: { documents: { type: 'string' }, out: { type: 'string' } },
  });
  const recipe = recipeOf(positionals[0]);
  if (values.out === undefined) throw new InputError('corpus needs a place to write to.', 'Add --out PREFIX.');
  const { tokenizer } = await readTokenizer();
  const documents = Number(values.documents ?? recipe.documents);
  const { solutions } = await buildCorpus({ ...recipe, documents }, tokenizer, (line) => process.stderr.write(`${line}\n`));
  const sequences = solutions.flat();
  const ids = new Uint16Array(sequences.reduce((sum, { tokens }) => sum + tokens.length, 0));
  let at = 0;
  for (const { tokens } of sequences) {
    ids.set(tokens, at);
    at += tokens.length;
  }
  await writeFile(`${values.out}.tok`, ids);
  await writeFile(
    `${values.out}.len`,
    Uint16Array.from(sequences, ({ tokens }) => tokens.length),
  );
  return 0;
}
