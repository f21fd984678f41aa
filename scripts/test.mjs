/**
 * `npm test`: installs what is missing and runs the groups of tests one after the other, each with its time and budget.
 * `node scripts/test.mjs [group ...] [vitest arguments ...]`. A group still running at twice its budget is stopped and fails.
 * The last line is `N passed, N failed` over all groups.
 */
import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { ensurePackages } from './setup.mjs';
import { ensureBrowser } from './system/browser.mjs';
import { ensureDriver } from './system/driver.mjs';

/** @typedef {{ passed: number, failed: number, skipped?: number }} Count */

const REPORTS = '.cache/test';
const CHECKS = {
  types: ['typescript/bin/tsc', '-p', '.'],
  svelte: ['svelte-check/bin/svelte-check', '--tsconfig', './tsconfig.json', '--fail-on-warnings', '--output', 'human'],
  lint: ['eslint/bin/eslint.js', '.', '--max-warnings', '0'],
  format: ['prettier/bin/prettier.cjs', '--check', '.', '--log-level', 'warn'],
  unused: ['knip/bin/knip.js', '--no-progress', '--no-config-hints'],
};

/** @type {Record<string, { budget: number, run: (limit: number) => Promise<Count> }>} Budgets are seconds on 2 cores. */
const GROUPS = {
  'set-up': { budget: 90, run: setUp },
  check: { budget: 120, run: check },
  unit: { budget: 360, run: (limit) => vitest('unit', limit) },
  browser: { budget: 120, run: (limit) => vitest('browser', limit) },
  e2e: { budget: 290, run: (limit) => onBuiltSite('e2e', limit) },
  full: { budget: 3600, run: (limit) => onBuiltSite('full', limit) },
};

ensurePackages();
rmSync(REPORTS, { recursive: true, force: true });
mkdirSync(REPORTS, { recursive: true });

const args = process.argv.slice(2);
const split = args.findIndex((arg) => !Object.hasOwn(GROUPS, arg));
const named = split < 0 ? args : args.slice(0, split);
const forwarded = split < 0 ? [] : args.slice(split);
const chosen = named.length > 0 ? named : ['check', 'unit', 'browser', 'e2e'];
const needsDevice = chosen.some((name) => name !== 'check');

const total = { passed: 0, failed: 0 };
const lines = [];
let browserIsMissing = false;
let siteIsBuilt = false;
for (const name of needsDevice ? ['set-up', ...chosen] : chosen) {
  if (browserIsMissing && (name === 'browser' || name === 'e2e')) {
    lines.push(`${name.padEnd(8)} not run: there is no browser`);
    continue;
  }
  const { budget, run } = /** @type {typeof GROUPS[string]} */ (GROUPS[name]);
  console.log(`\n=== ${name} (budget ${budget} s)`);
  const start = performance.now();
  const count = await run(2 * budget).catch((error) => {
    console.error(error instanceof Error ? error.message : error);
    return { passed: 0, failed: 1 };
  });
  const seconds = (performance.now() - start) / 1000;
  if (name === 'set-up') browserIsMissing = count.failed > 0;
  total.passed += count.passed;
  total.failed += count.failed;
  const skipped = 'skipped' in count && count.skipped ? `, ${count.skipped} skipped` : '';
  const over = seconds > budget ? ', over budget' : '';
  lines.push(
    `${name.padEnd(8)} ${seconds.toFixed(1).padStart(6)} s of ${budget} s${over}: ${count.passed} passed, ${count.failed} failed${skipped}`,
  );
  console.log(`=== ${lines.at(-1)}`);
}
console.log(`\n${lines.join('\n')}`);
console.log(`${total.passed} passed, ${total.failed} failed`);
process.exitCode = total.failed > 0 ? 1 : 0;

/** The browser brings the software driver along, so it comes first. @returns {Promise<Count>} */
async function setUp() {
  console.log(`browser: ${await ensureBrowser()}`);
  ensureDriver();
  return { passed: 0, failed: 0 };
}

/** @param {number} limit @returns {Promise<Count>} */
async function check(limit) {
  const count = { passed: 0, failed: 0 };
  const results = Object.entries(CHECKS).map(async ([name, command]) => ({ name, ...(await node(command, limit, 'pipe')) }));
  for (const { name, code, output } of await Promise.all(results)) {
    count[code === 0 ? 'passed' : 'failed'] += 1;
    console.log(code === 0 ? `ok      ${name}` : `failed  ${name}\n${output}`);
  }
  return count;
}

/**
 * For tests that visit the site, which is built once for all groups.
 * @param {string} project @param {number} limit @returns {Promise<Count>}
 */
async function onBuiltSite(project, limit) {
  siteIsBuilt ||= (await node(['vite/bin/vite.js', 'build', '--logLevel', 'warn'], limit, 'inherit')).code === 0;
  return siteIsBuilt ? vitest(project, limit) : { passed: 0, failed: 1 };
}

/** @param {string} project @param {number} limit @returns {Promise<Count>} */
async function vitest(project, limit) {
  const report = `${REPORTS}/${project}.json`;
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`];
  const { code } = await node(['vitest/vitest.mjs', 'run', '--project', project, ...reporters, ...forwarded], limit, 'inherit');
  /** @type {{ numPassedTests: number, numPendingTests: number, testResults: { status: string, assertionResults: { status: string }[] }[] }} */
  let counts = { numPassedTests: 0, numPendingTests: 0, testResults: [] };
  try {
    counts = JSON.parse(readFileSync(report, 'utf8'));
  } catch {
    console.error(`vitest wrote no report (exit ${code})`);
  }
  // A file that fails without a failed test (it did not load, say) counts as one, and so does a run that broke off.
  const perFile = counts.testResults.map(({ status, assertionResults }) =>
    Math.max(assertionResults.filter((test) => test.status === 'failed').length, status === 'failed' ? 1 : 0),
  );
  const failed = Math.max(
    perFile.reduce((sum, n) => sum + n, 0),
    code === 0 ? 0 : 1,
  );
  return { passed: counts.numPassedTests, failed, skipped: counts.numPendingTests };
}

/**
 * Runs a script of node_modules; at `limit` seconds it is ended with all that it started.
 * @param {string[]} command
 * @param {number} limit
 * @param {'inherit' | 'pipe'} stdio
 * @returns {Promise<{ code: number, output: string }>}
 */
function node([script, ...args], limit, stdio) {
  const child = spawn(process.execPath, [`node_modules/${script}`, ...args], {
    stdio: ['ignore', stdio, stdio],
    detached: process.platform !== 'win32', // A process group of its own, so that it can be ended as a whole.
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk) => (output += String(chunk)));
  const end = () => {
    try {
      if (child.pid) process.kill(process.platform === 'win32' ? child.pid : -child.pid, 'SIGKILL');
    } catch (error) {
      if (/** @type {NodeJS.ErrnoException} */ (error).code !== 'ESRCH') throw error;
    }
  };
  const interrupted = () => {
    end();
    process.exit(130);
  };
  process.once('SIGINT', interrupted);
  return new Promise((resolve) => {
    const timer = setTimeout(() => {
      console.error(`${script} was stopped after ${limit} s`);
      end();
    }, limit * 1000);
    child.on('close', (code) => {
      clearTimeout(timer);
      process.off('SIGINT', interrupted);
      resolve({ code: code ?? 1, output });
    });
  });
}
