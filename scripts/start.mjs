/** `npm start [-- port]`: installs what is missing, builds, and serves the lab as it is meant to be hosted. */
import { ensurePackages } from './setup.mjs';
import { serve } from './serve.mjs';

ensurePackages();
const { build } = await import('vite');
await build({ logLevel: 'warn' });

const port = Number(process.argv[2] ?? 4173);
const { url } = await serve('dist', port).catch((error) => {
  if (error.code !== 'EADDRINUSE') throw error;
  console.error(`Port ${port} is taken, so another one is used.`);
  return serve('dist');
});
console.log(`OpenRFT Lab is at ${url} (Ctrl+C ends it).`);
