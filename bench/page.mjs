/**
 * What the page's own thread has to do while a run trains: the CPU time of its longest tasks, by the browser's own trace, and frames per second.
 *
 *     npm run build && node bench/page.mjs [notebook=smoke&ppo.updates=4] [place]
 *
 * Prints JSON. `place` is where the reader looks meanwhile, e.g. ppo. CPU time, not wall-clock time: a busy machine doesn't change it.
 */
import { readFileSync } from 'node:fs';
import { chromium } from 'playwright';
import { serve } from '../scripts/serve.mjs';
import { BROWSER_FLAGS, findBrowser } from '../scripts/system/browser.mjs';

const [settings = 'notebook=smoke&ppo.updates=4&ppo.samples_per_question=2&evaluation.limit=20', place = 'ppo'] = process.argv.slice(2);
const TRACE = '.cache/page-trace.json';

const executablePath = await findBrowser();
if (!executablePath) throw new Error('There is no browser: run `npm run test:e2e`, which installs one.');
const server = await serve('dist');
const browser = await chromium.launch({ executablePath, args: BROWSER_FLAGS });
try {
  const page = await browser.newPage();
  page.setDefaultTimeout(600_000);
  await page.goto(`${server.url}?${settings}#/${place}`);
  await page.locator('main .loading').waitFor({ state: 'detached' });
  await browser.startTracing(page, { path: TRACE, categories: ['toplevel', 'cc', 'benchmark', 'blink.user_timing', 'devtools.timeline'] });
  /** @type {{ seconds: number }} */
  const frames = await page.evaluate(readFileSync(new URL('page-frames.js', import.meta.url), 'utf8'));
  await browser.stopTracing();
  /** @type {{ traceEvents: { name: string, pid: number, tid: number, ph: string, dur: number, tdur?: number, args?: { name?: string } }[] }} */
  const { traceEvents: events } = JSON.parse(readFileSync(TRACE, 'utf8'));
  const main = events.find(({ args }) => args?.name === 'CrRendererMain');
  if (!main) throw new Error(`${TRACE} names no main thread.`);
  const tasks = events
    .filter(({ name, pid, tid, ph }) => ph === 'X' && pid === main.pid && tid === main.tid && /RunTask/.test(name))
    .map(({ tdur = 0, dur }) => ({ cpu: tdur / 1000, wall: dur / 1000 }))
    .sort((a, b) => b.cpu - a.cpu);
  const round = (/** @type {number} */ value) => Math.round(value * 10) / 10;
  console.log(
    JSON.stringify(
      {
        settings,
        place,
        browser: browser.version(),
        ...frames,
        tasks: tasks.length,
        longest_tasks_cpu_ms: tasks.slice(0, 8).map(({ cpu }) => round(cpu)),
        tasks_above_50_ms: tasks.filter(({ cpu }) => cpu > 50).length,
        main_thread_share: round((100 * tasks.reduce((sum, { cpu }) => sum + cpu, 0)) / (frames.seconds * 1000)) / 100,
      },
      undefined,
      1,
    ),
  );
} finally {
  await browser.close();
  await server.close();
}
