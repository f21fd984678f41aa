/**
 * What the site says of its bundled models in models/manifest.json: parameters, the licence on its card, size and SHA-256 of every file
 * that is loaded, and the shapes, by which the memory of a run is told before any of them is.
 * Frozen adapters of a base lie in its folder adapters/, each in a folder by its name, in PEFT's layout.
 */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

const LOADED = /^((config|tokenizer|tokenizer_config|generation_config)\.json|model.*\.safetensors(\.index\.json)?)$/;

const ADAPTER_FILES = ['adapter_config.json', 'adapter_model.safetensors'];

/**
 * @typedef {{ name: string, bytes: number, sha256: string }} ManifestFile
 * @typedef {{ name: string, rank: number, value_head: boolean, files: ManifestFile[] }} ManifestAdapter
 * @typedef {{ name: string, parameters: number, licence: string, config: unknown, files: ManifestFile[], adapters: ManifestAdapter[] }} ManifestModel
 */

/**
 * Every folder below `folder` with safetensors beside a config.json is a model that can be trained; an encoder in ONNX is none.
 * @param {string} folder
 * @returns {{ v: 1, models: ManifestModel[] }}
 */
export function modelsManifest(folder) {
  const folders = readdirSync(folder).filter((name) => existsSync(join(folder, name, 'config.json')));
  const models = folders.sort().flatMap((name) => {
    const loaded = readdirSync(join(folder, name)).filter((file) => LOADED.test(file));
    if (!loaded.some((file) => file.endsWith('.safetensors'))) return [];
    const contents = loaded.sort().map((file) => /** @type {const} */ ([file, readFileSync(join(folder, name, file))]));
    return [
      {
        name,
        parameters: contents.reduce((sum, [file, bytes]) => sum + (file.endsWith('.safetensors') ? countParameters(bytes) : 0), 0),
        licence: licenceOf(join(folder, name, 'README.md')),
        config: readJson(join(folder, name, 'config.json')),
        files: contents.map(([file, bytes]) => manifestFile(file, bytes)),
        adapters: adapters(join(folder, name, 'adapters')),
      },
    ];
  });
  return { v: 1, models };
}

/**
 * @param {string} name
 * @param {Buffer} bytes
 * @returns {ManifestFile}
 */
const manifestFile = (name, bytes) => ({ name, bytes: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') });

/**
 * @param {string} folder
 * @returns {ManifestAdapter[]}
 */
function adapters(folder) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .sort()
    .map((name) => {
      const { r, task_type } = readJson(join(folder, name, 'adapter_config.json'));
      const files = ADAPTER_FILES.map((file) => manifestFile(file, readFileSync(join(folder, name, file))));
      return { name, rank: r, value_head: task_type === 'TOKEN_CLS', files };
    });
}

/**
 * As the head of a model card has it. A model that says none is not passed on.
 * @param {string} card
 */
function licenceOf(card) {
  const licence = /^---\n(?:.*\n)*?license: *(.+)\n/.exec(readFileSync(card, 'utf8'))?.[1];
  if (!licence) throw new Error(`${card} names no licence in its head`);
  return licence.trim().toUpperCase();
}

/** @param {string} path */
const readJson = (path) => JSON.parse(readFileSync(path, 'utf8'));

/** @param {Buffer} safetensors */
function countParameters(safetensors) {
  const header = JSON.parse(safetensors.toString('utf8', 8, 8 + Number(safetensors.readBigUInt64LE())));
  delete header.__metadata__;
  /** @type {{ shape: number[] }[]} */
  const tensors = Object.values(header);
  return tensors.reduce((sum, { shape }) => sum + shape.reduce((product, n) => product * n, 1), 0);
}
