/** Many hostile links: through the decoder, and a thousand of them through the real page under its content security policy. */
import { expect, test } from 'vitest';
import { HostileLinks } from '../../bench/hostile-links.ts';
import { InputError } from '../../src/base/errors.ts';
import { Seed } from '../../src/base/random.ts';
import { decodeLink } from '../../src/notebook/link.ts';
import { follow } from '../e2e/hostile.ts';
import { Site } from '../e2e/site.ts';

test('20 000 hostile links are read or refused by name', async () => {
  const links = await HostileLinks.of(Seed.of(1));
  for (let i = 0; i < 20_000; i++) {
    const error = await decodeLink(await links.link(i)).then(() => undefined, (refusal: unknown) => refusal); // prettier-ignore
    if (error !== undefined) expect(error, `link ${i}`).toBeInstanceOf(InputError);
  }
  expect('polluted' in {}).toBe(false);
});

test('a thousand hostile links do nothing in the page', async () => {
  const site = await Site.open();
  const { page, complaints, strangers } = await site.visit();
  const links = await HostileLinks.of(Seed.of(2));
  const answers = await follow(page, await Promise.all(Array.from({ length: 1000 }, (_, i) => links.link(i))));
  expect(answers.filter((answer) => answer === 'refused').length).toBeGreaterThan(600);
  expect(await page.evaluate(() => 'polluted' in window || 'polluted' in {})).toBe(false);
  expect(complaints).toEqual([]);
  expect(strangers).toEqual([]);
  await site.close();
});
