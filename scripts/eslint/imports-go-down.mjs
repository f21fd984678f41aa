/**
 * ESLint rule: imports go down only. Each room of src/ may import itself and what its row of the table names; a row that is a
 * list of packages too may import no other package. Types count as well.
 */
import { dirname, relative, resolve, sep } from 'node:path';

/** @type {Record<string, { rooms: string[], packages: string[] }>} */
const ROOMS = {
  base: { rooms: [], packages: [] },
  gpu: { rooms: ['base'], packages: [] },
  nn: { rooms: ['base', 'gpu', 'shaders'], packages: [] },
  // The engine implements the Policy that rft owns, and its CPU twin is composed of rft's reference mathematics.
  model: { rooms: ['base', 'gpu', 'nn', 'rft'], packages: ['@huggingface/tokenizers'] },
  // The readers of CSV and Parquet are plain functions over text and bytes, as valibot is over values.
  rft: { rooms: ['base'], packages: ['valibot', 'papaparse', 'hyparquet', 'hyparquet-compressors'] },
  // fflate and not the platform's streams: synchronous, the same bytes everywhere, and it can be stopped within a slice.
  notebook: { rooms: ['base', 'rft'], packages: ['valibot', 'fflate', 'idb'] },
  // Writers of formats are libraries' work; hyparquet-writer is loaded when a Parquet file is asked for.
  export: { rooms: ['base', 'nn', 'model', 'rft', 'notebook'], packages: ['fflate', 'papaparse', 'hyparquet', 'hyparquet-writer'] },
  workers: {
    rooms: ['base', 'gpu', 'nn', 'model', 'rft', 'notebook', 'export'],
    packages: ['comlink', 'valibot', '@xenova/transformers', 'onnxruntime-web'],
  },
  cli: {
    rooms: ['base', 'gpu', 'nn', 'model', 'rft', 'notebook', 'export', 'workers', 'scripts', 'bench'],
    packages: ['node', 'valibot', 'webgpu', 'onnxruntime-web', 'nanotar'],
  },
  lab: {
    rooms: ['base', 'rft', 'notebook', 'export', 'workers'],
    packages: ['svelte', 'uplot', 'valibot', 'comlink', 'marked', 'dompurify', 'temml', 'uqr', 'diff', 'virtual:pwa-register'],
  },
};

/** @type {import('eslint').Rule.RuleModule} */
export default {
  meta: { type: 'problem', schema: [], messages: { up: '{{from}} may not import {{to}}: imports go down only (ARCHITECTURE.md).' } },
  create(context) {
    const room = roomOf(context.filename, context.cwd);
    const row = room && Object.hasOwn(ROOMS, room) ? ROOMS[room] : undefined;
    if (!row) return {};
    /** @param {any} node @param {unknown} source */
    const check = (node, source) => {
      if (typeof source !== 'string') return;
      const local = source.startsWith('.');
      const to = local ? roomOf(resolve(dirname(context.filename), source), context.cwd) : packageOf(source);
      const allowed = local ? [room, ...row.rooms] : row.packages;
      if (!allowed.includes(to)) context.report({ node, messageId: 'up', data: { from: `src/${room}`, to } });
    };
    /** @param {any} node */
    const declaration = (node) => check(node, node.source?.value);
    return {
      ImportDeclaration: declaration,
      ExportNamedDeclaration: declaration,
      ExportAllDeclaration: declaration,
      ImportExpression: (node) => check(node, node.source.type === 'Literal' ? node.source.value : undefined),
      NewExpression(node) {
        const [url] = node.arguments;
        if (node.callee.type === 'Identifier' && node.callee.name === 'URL' && url?.type === 'Literal') {
          if (String(url.value).startsWith('.')) check(node, url.value);
        }
      },
    };
  },
};

/**
 * The folder under src/, or the top-level folder: "rft", "shaders".
 * @param {string} file
 * @param {string} root
 */
function roomOf(file, root) {
  const [top = '', room = ''] = relative(root, file).split(sep);
  return top === 'src' ? room : top;
}

/** @param {string} source */
function packageOf(source) {
  if (source.startsWith('node:')) return 'node';
  return source.startsWith('@') ? source.split('/').slice(0, 2).join('/') : (source.split('/')[0] ?? source);
}
