/**
 * A static file server without dependencies: right types, ranges, no index.html in place of a missing file.
 * `node scripts/serve.mjs [folder] [port]`; port 0 takes any free one.
 */
import { createReadStream, statSync } from 'node:fs';
import { createServer } from 'node:http';
import { extname, join, resolve, sep } from 'node:path';
import { pipeline } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { CONTENT_SECURITY_POLICY } from './csp.mjs';

/** @type {Record<string, string>} */
const TYPES = {
  '.css': 'text/css; charset=utf-8',
  '.gz': 'application/gzip',
  '.html': 'text/html; charset=utf-8',
  '.ico': 'image/x-icon',
  '.js': 'text/javascript; charset=utf-8',
  '.json': 'application/json; charset=utf-8',
  '.jsonl': 'application/jsonl; charset=utf-8',
  '.map': 'application/json; charset=utf-8',
  '.md': 'text/markdown; charset=utf-8',
  '.mjs': 'text/javascript; charset=utf-8',
  '.png': 'image/png',
  '.svg': 'image/svg+xml',
  '.txt': 'text/plain; charset=utf-8',
  '.wasm': 'application/wasm',
  '.webmanifest': 'application/manifest+json',
  '.woff2': 'font/woff2',
};

/**
 * Answers with the file that `path` (as in the request line) names under `folder`, or 404.
 * @param {string} folder
 * @param {string} path
 * @param {import('node:http').IncomingMessage} request
 * @param {import('node:http').ServerResponse} response
 */
export function sendFile(folder, path, request, response) {
  const fail = (/** @type {number} */ status, /** @type {string} */ text) =>
    response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8' }).end(text);
  if (request.method !== 'GET' && request.method !== 'HEAD') return fail(405, 'Only GET and HEAD are answered.\n');
  let name;
  try {
    name = decodeURIComponent(path.replace(/[?#].*$/, ''));
  } catch {
    return fail(400, 'The address is not valid.\n');
  }
  const base = resolve(folder);
  const file = resolve(join(base, name.endsWith('/') ? `${name}index.html` : name));
  const stat = name.includes('\0') || !file.startsWith(base + sep) ? undefined : statSync(file, { throwIfNoEntry: false });
  if (!stat?.isFile()) return fail(404, `There is no ${name} here.\n`);
  const etag = `"${stat.size.toString(36)}-${stat.mtimeMs.toString(36)}"`;
  response.setHeader('cache-control', 'no-cache');
  response.setHeader('etag', etag);
  if (request.headers['if-none-match'] === etag) return response.writeHead(304).end();
  response.setHeader('accept-ranges', 'bytes');
  response.setHeader('content-type', TYPES[extname(file)] ?? 'application/octet-stream');
  // A range of a file that has changed meanwhile would be glued to the wrong beginning.
  const current = request.headers['if-range'] === undefined || request.headers['if-range'] === etag;
  const range = current ? readRange(request.headers.range, stat.size) : undefined;
  if (range === 'outside') return response.writeHead(416, { 'content-range': `bytes */${stat.size}` }).end();
  const { start, end } = range ?? { start: 0, end: stat.size };
  if (range) response.setHeader('content-range', `bytes ${start}-${end - 1}/${stat.size}`);
  response.writeHead(range ? 206 : 200, { 'content-length': end - start });
  if (request.method === 'HEAD' || end === start) return response.end();
  pipeline(createReadStream(file, { start, end: end - 1 }), response, (error) => {
    if (error && error.code !== 'ERR_STREAM_PREMATURE_CLOSE') console.error(`${name}: ${error.message}`);
  });
}

/**
 * One range of bytes as [start, end), `outside` when the file ends before it; undefined sends the whole file, as several ranges do.
 * @param {string | undefined} header
 * @param {number} size
 * @returns {{ start: number, end: number } | 'outside' | undefined}
 */
function readRange(header, size) {
  const match = /^bytes=(\d*)-(\d*)$/.exec(header ?? '');
  if (!match || (match[1] === '' && match[2] === '')) return undefined;
  const [first, last] = [match[1], match[2]];
  const start = first === '' ? Math.max(0, size - Number(last)) : Number(first);
  const end = first === '' || last === '' ? size : Math.min(size, Number(last) + 1);
  return start < end ? { start, end } : 'outside';
}

/**
 * Serves `folder` on this machine only, under the lab's content security policy.
 * @param {string} folder
 * @param {number} [port]
 * @returns {Promise<{ url: string, close: () => Promise<void> }>}
 */
export function serve(folder, port = 0) {
  const server = createServer((request, response) => {
    response.setHeader('content-security-policy', CONTENT_SECURITY_POLICY);
    response.setHeader('x-content-type-options', 'nosniff');
    response.setHeader('referrer-policy', 'no-referrer');
    sendFile(folder, request.url ?? '/', request, response);
  });
  return new Promise((done, fail) => {
    server.once('error', fail);
    server.listen(port, '127.0.0.1', () => {
      const address = /** @type {import('node:net').AddressInfo} */ (server.address());
      const close = () =>
        new Promise((/** @type {(_: void) => void} */ closed) => {
          server.close(() => closed());
          server.closeAllConnections();
        });
      done({ url: `http://127.0.0.1:${address.port}/`, close });
    });
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { url } = await serve(process.argv[2] ?? 'dist', Number(process.argv[3] ?? 0));
  console.log(url);
}
