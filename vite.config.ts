import { svelte } from '@sveltejs/vite-plugin-svelte';
import { playwright } from '@vitest/browser-playwright';
import { defineConfig } from 'vitest/config';
import { BROWSER_FLAGS, findBrowser } from './scripts/system/browser.mjs';
import { contentSecurityPolicy, models, offline, results } from './scripts/vite-plugins.mjs';

const executablePath = process.env.VITEST ? await findBrowser() : undefined;

// One process for all files that use the GPU: two software adapters would only fight for the same cores.
// Kernels may not rely on zeroed workgroup memory, and the software adapter compiles the zeroing for seconds a kernel: it is off here.
const inNode = {
  environment: 'node',
  pool: 'forks',
  maxWorkers: 1,
  testTimeout: 60_000,
  hookTimeout: 60_000,
  env: { DAWN_OPTIONS: 'enable-dawn-features=disable_workgroup_init' },
} as const;

export default defineConfig({
  base: './',
  appType: 'mpa', // A missing file is a 404, never index.html.
  plugins: [svelte(), models(), results(), contentSecurityPolicy(), offline()],
  build: {
    target: 'es2022',
    assetsInlineLimit: 0,
    license: { fileName: 'LICENSES.md' },
    rolldownOptions: { checks: { bundlerTimings: false } },
  },
  worker: { format: 'es' },
  test: {
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: ['tests/**/*.test.ts'],
          exclude: ['tests/browser/**', 'tests/e2e/**', 'tests/full/**'],
          ...inNode,
        },
      },
      {
        extends: true,
        // Found later, it would reload the test page in the middle of a run.
        optimizeDeps: { include: ['@huggingface/tokenizers', '@xenova/transformers'] },
        test: {
          name: 'browser',
          include: ['tests/browser/**/*.test.ts'],
          testTimeout: 60_000,
          browser: {
            enabled: true,
            headless: true,
            instances: [{ browser: 'chromium' }],
            provider: playwright({ launchOptions: { ...(executablePath ? { executablePath } : {}), args: BROWSER_FLAGS } }),
            screenshotDirectory: 'screenshots',
          },
        },
      },
      { extends: true, test: { name: 'e2e', include: ['tests/e2e/**/*.test.ts'], ...inNode } },
      { extends: true, test: { name: 'full', include: ['tests/full/**/*.test.ts'], ...inNode, testTimeout: 600_000 } },
    ],
  },
});
