/** The order in which `distill --parallel` makes models: each after what it needs, as many at a time as there are processes. */
import { expect, test } from 'vitest';
import { makeInParallel } from '../../src/cli/distill/parallel.ts';
import { DISTILLED, recipeOf } from '../../src/cli/distill/recipes.ts';
import { STOPPED } from '../../src/cli/interrupt.ts';

/** Processes that end when the test says so. */
function workshop({ stopping = (): boolean => false } = {}) {
  const ends = new Map<string, (code: number) => void>();
  const made: string[] = [];
  const stopped: string[] = [];
  let interrupt = () => {};
  return {
    made,
    stopped,
    interrupt: () => interrupt(),
    running: () => [...ends.keys()],
    end: async (name: string, code = 0) => {
      ends.get(name)!(code);
      ends.delete(name);
      await new Promise(setImmediate);
    },
    making: {
      start: (name: string) => ({
        stop: () => void stopped.push(name),
        ended: new Promise<number>((resolve) => ends.set(name, resolve)),
      }),
      finished: ({ name }: { name: string }) => Promise.resolve(void made.push(name)),
      stopping,
      onStop: (handler: () => void) => void (interrupt = handler),
    },
  };
}
const recipes = (names: readonly string[] = DISTILLED) => names.map(recipeOf);

test('what needs no other begins at once, the rest when mini is made, never more than the processes', async () => {
  const shop = workshop();
  const code = makeInParallel(recipes(), 3, shop.making);
  expect(shop.running()).toEqual(['pico', 'mini']);
  await shop.end('mini');
  expect(shop.running()).toEqual(['pico', 'nano', 'teacher']);
  await shop.end('pico');
  expect(shop.running()).toEqual(['nano', 'teacher', 'foreign-teacher']);
  for (const name of ['nano', 'teacher', 'foreign-teacher', 'rewriter', 'prm']) await shop.end(name);
  expect(await code).toBe(0);
  expect([...shop.made].sort()).toEqual([...DISTILLED].sort());
});

test('a base that is not among those to be made is there already', async () => {
  const shop = workshop();
  const code = makeInParallel(recipes(['teacher', 'prm']), 4, shop.making);
  expect(shop.running()).toEqual(['teacher', 'prm']);
  await shop.end('teacher');
  await shop.end('prm');
  expect(await code).toBe(0);
});

test('after a fault nothing else begins, what runs ends, and the fault is told, not that something was stopped', async () => {
  const shop = workshop();
  const code = makeInParallel(recipes(), 2, shop.making);
  await shop.end('pico', STOPPED);
  expect(shop.running()).toEqual(['mini']);
  await shop.end('mini', 1);
  expect(await code).toBe(1);
  expect(shop.made).toEqual([]);
});

test('when it is to stop, what runs is asked to end, and the rest is left for the same command', async () => {
  let asked = false;
  const shop = workshop({ stopping: () => asked });
  const code = makeInParallel(recipes(), 3, shop.making);
  await shop.end('pico');
  asked = true;
  shop.interrupt();
  expect(shop.stopped).toEqual(['mini']); // And no process that has ended.
  await shop.end('mini', STOPPED);
  expect(await code).toBe(STOPPED);
  expect(shop.made).toEqual(['pico']);
});
