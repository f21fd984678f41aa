/** What a reader waits for: the scripts of the built page, within their budgets (.size-limit.mjs). */
import { execFileSync } from 'node:child_process';
import { expect, test } from 'vitest';

test('the scripts of the page keep to their budgets', () => {
  const output = execFileSync(process.execPath, ['node_modules/size-limit/bin.js', '--json'], { encoding: 'utf8' });
  const sizes = JSON.parse(output) as { name: string; size: number; sizeLimit: number; passed: boolean }[];
  expect(sizes.map(({ name }) => name)).toContain('Before the first paint');
  for (const { name, size, sizeLimit } of sizes) {
    expect(size, name).toBeGreaterThan(10_000);
    expect(size, name).toBeLessThanOrEqual(sizeLimit);
  }
});
