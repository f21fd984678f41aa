/** Budgets of the built page's scripts, packed; `tests/e2e/size.test.ts` holds them after a build. */
import { readFileSync } from 'node:fs';

const first = [...readFileSync('dist/index.html', 'utf8').matchAll(/(?:src|href)="\.\/([^"]+\.js)"/g)].map(([, path]) => `dist/${path}`);

export default [
  { name: 'Before the first paint', path: first, limit: '150 kB', gzip: true },
  { name: 'The places of the lab and what they share', path: ['dist/assets/*.js', '!dist/assets/*worker*'], limit: '600 kB', gzip: true },
];
