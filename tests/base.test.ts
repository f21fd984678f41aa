import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { Seed, pcg4d, unitFloat } from '../src/base/random.ts';
import { APP_VERSION } from '../src/base/version.ts';

test('the version of a run record is that of the package', () => {
  const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string };
  expect(APP_VERSION).toBe(version);
});

test('a seed split by name gives the same stream for the same names, and others for other names', () => {
  const draw = (name: string | number) => Seed.of(1).derive('part').derive(name).random().uint32();
  expect(draw('a')).toBe(draw('a'));
  const drawn = new Set(Array.from({ length: 1000 }, (_, i) => draw(i)));
  expect(drawn.size).toBe(1000);
  expect(Seed.of(1).random().uint32()).not.toBe(Seed.of(2).random().uint32());
});

test('uniform draws fill (0, 1) evenly, and never reach its ends in f32', () => {
  for (const word of [0, 0xffff_ffff]) {
    expect(Math.fround(unitFloat(word))).toBe(unitFloat(word));
    expect(unitFloat(word)).toBeGreaterThan(0);
    expect(unitFloat(word)).toBeLessThan(1);
  }
  const buckets = new Array<number>(10).fill(0);
  for (let i = 0; i < 10_000; i++) buckets[Math.floor(10 * unitFloat(pcg4d(1, 2, 3, i)[0]))]! += 1;
  // 1000 expected in each, standard deviation 30.
  for (const count of buckets) expect(Math.abs(count - 1000)).toBeLessThan(150);
});

test('shuffling keeps every item', () => {
  const items = Array.from({ length: 50 }, (_, i) => i);
  const shuffled = Seed.of(3).random().shuffle(items);
  expect(shuffled).not.toEqual(items);
  expect(shuffled.toSorted((a, b) => a - b)).toEqual(items);
});
