/** `npm run build:cli`: the headless lab as the one file dist-cli/lab.mjs, in which only the WebGPU addon is left outside. */
import { execFileSync } from 'node:child_process';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ensurePackages } from './setup.mjs';

/** @param {string} outDir */
export async function buildCli(outDir) {
  ensurePackages();
  const { build } = await import('vite');
  await build({
    configFile: false,
    logLevel: 'warn',
    publicDir: false,
    // For Node the package has a build of its own, which wants onnxruntime-node beside it at run time; the web's runs on what it is given.
    resolve: { alias: { '@xenova/transformers': resolve('node_modules/@xenova/transformers/dist/transformers.web.js') } },
    ssr: { noExternal: true, external: ['webgpu'] },
    build: {
      ssr: 'src/cli/main.ts',
      outDir,
      emptyOutDir: true,
      target: 'node20',
      rolldownOptions: { output: { entryFileNames: 'lab.mjs', codeSplitting: false } },
    },
  });
}

/** Of this checkout, with a plus where it has changes; empty where there is none. */
function commit() {
  /** @param {string[]} args */
  const git = (...args) => execFileSync('git', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  try {
    return git('rev-parse', 'HEAD') + (git('status', '--porcelain', '--untracked-files=no') === '' ? '' : '+');
  } catch {
    return ''; // No git, or an archive of the sources.
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  // Vite writes it into the code: the file runs anywhere, and its results still say what they come from.
  process.env.VITE_COMMIT = commit();
  await buildCli('dist-cli');
}
