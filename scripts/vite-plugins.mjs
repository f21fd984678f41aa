/** What Vite does not do by itself: the top-level models/ with their manifest, the tables of docs/results/, the content security policy, and work without a network. */
import { cpSync, existsSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { VitePWA } from 'vite-plugin-pwa';
import { CONTENT_SECURITY_POLICY } from './csp.mjs';
import { modelsManifest } from './models-manifest.mjs';
import { sendFile } from './serve.mjs';

/**
 * Serves models/ in development, and copies it into the build; models/manifest.json is written from what is there.
 * @returns {import('vite').Plugin}
 */
export function models() {
  /** @type {import('vite').ResolvedConfig} */
  let config;
  return {
    name: 'openrft:models',
    configResolved: (resolved) => void (config = resolved),
    configureServer(server) {
      server.middlewares.use('/models/manifest.json', (_, response) => {
        response.setHeader('content-type', 'application/json; charset=utf-8');
        response.end(JSON.stringify(modelsManifest('models')));
      });
      server.middlewares.use('/models', (request, response) => sendFile('models', request.url ?? '/', request, response));
    },
    closeBundle() {
      if (config.command !== 'build' || !existsSync('models')) return;
      const out = join(config.build.outDir, 'models');
      cpSync('models', out, { recursive: true });
      writeFileSync(join(out, 'manifest.json'), `${JSON.stringify(modelsManifest('models'), null, 1)}\n`);
    },
  };
}

/**
 * The lab's own tables of ablations, which the page shows beside the paper's: docs/results/NAME.json as results/NAME.json.
 * @returns {import('vite').Plugin}
 */
export function results() {
  /** @type {import('vite').ResolvedConfig} */
  let config;
  return {
    name: 'openrft:results',
    configResolved: (resolved) => void (config = resolved),
    configureServer: (server) =>
      void server.middlewares.use('/results', (request, response) => sendFile('docs/results', request.url ?? '/', request, response)),
    closeBundle() {
      if (config.command !== 'build') return;
      const filter = (/** @type {string} */ path) => statSync(path).isDirectory() || path.endsWith('.json');
      cpSync('docs/results', join(config.build.outDir, 'results'), { recursive: true, filter });
    },
  };
}

/**
 * The policy as a meta tag, for hosts that send no headers. Not in development, where Vite puts styles inline.
 * @returns {import('vite').Plugin}
 */
export function contentSecurityPolicy() {
  return {
    name: 'openrft:content-security-policy',
    apply: 'build',
    transformIndexHtml: () => [
      { tag: 'meta', attrs: { 'http-equiv': 'Content-Security-Policy', content: CONTENT_SECURITY_POLICY }, injectTo: 'head-prepend' },
    ],
  };
}

/**
 * A service worker, by Workbox, that keeps the app, the questions, notebooks and recordings, and a manifest that makes it installable. Models
 * and the sentence encoder's runtime are not among what it fetches by itself: models have a store of their own, and the runtime is kept
 * when it is first used. A new version waits until the reader takes it.
 */
export const offline = () =>
  VitePWA({
    registerType: 'prompt',
    injectRegister: false,
    manifest: {
      name: 'OpenRFT Lab',
      short_name: 'OpenRFT Lab',
      description: 'Reinforcement fine-tuning of a small language model, live in a browser tab.',
      lang: 'en',
      start_url: './',
      scope: './',
      display: 'standalone',
      background_color: '#ffffff',
      theme_color: '#ffffff',
      icons: [
        { src: 'icon.svg', sizes: 'any', type: 'image/svg+xml' },
        { src: 'icon-192.png', sizes: '192x192', type: 'image/png' },
        { src: 'icon-512.png', sizes: '512x512', type: 'image/png' },
      ],
    },
    workbox: {
      globPatterns: ['**/*.{js,css,html,svg,png,json,jsonl,gz}'],
      globIgnores: ['models/*/*', 'models/*/*/**'],
      maximumFileSizeToCacheInBytes: 4 * 2 ** 20,
      // Settings stand in the query, and the page is the same.
      ignoreURLParametersMatching: [/.*/],
      cleanupOutdatedCaches: true,
      runtimeCaching: [
        {
          urlPattern: /\/assets\/.*\.(wasm|mjs)$/,
          handler: 'CacheFirst',
          options: { cacheName: 'runtimes', expiration: { maxEntries: 8 } },
        },
      ],
    },
  });
