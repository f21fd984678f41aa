/** What Vite does not do by itself: the top-level models/ with their manifest, and the content security policy. */
import { cpSync, existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
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
