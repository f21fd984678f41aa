/** `npm run build:cli`: the headless lab as the one file dist-cli/lab.mjs, in which only the WebGPU addon is left outside. */
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

if (process.argv[1] === fileURLToPath(import.meta.url)) await buildCli('dist-cli');
