/** What the site says of its bundled models in models/manifest.json: parameters, and size and SHA-256 of every file that is loaded. */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

const LOADED = /^((config|tokenizer|tokenizer_config|generation_config)\.json|model.*\.safetensors(\.index\.json)?)$/;

/**
 * @typedef {{ name: string, bytes: number, sha256: string }} ManifestFile
 * @typedef {{ name: string, parameters: number, files: ManifestFile[] }} ManifestModel
 */

/**
 * Every folder below `folder` that holds a config.json is a model.
 * @param {string} folder
 * @returns {{ v: 1, models: ManifestModel[] }}
 */
export function modelsManifest(folder) {
  const names = readdirSync(folder).filter((name) => existsSync(join(folder, name, 'config.json')));
  const models = names.sort().map((name) => {
    const loaded = readdirSync(join(folder, name)).filter((file) => LOADED.test(file));
    const contents = loaded.sort().map((file) => /** @type {const} */ ([file, readFileSync(join(folder, name, file))]));
    return {
      name,
      parameters: contents.reduce((sum, [file, bytes]) => sum + (file.endsWith('.safetensors') ? countParameters(bytes) : 0), 0),
      files: contents.map(([file, bytes]) => ({
        name: file,
        bytes: bytes.length,
        sha256: createHash('sha256').update(bytes).digest('hex'),
      })),
    };
  });
  return { v: 1, models };
}

/** @param {Buffer} safetensors */
function countParameters(safetensors) {
  const header = JSON.parse(safetensors.toString('utf8', 8, 8 + Number(safetensors.readBigUInt64LE())));
  delete header.__metadata__;
  /** @type {{ shape: number[] }[]} */
  const tensors = Object.values(header);
  return tensors.reduce((sum, { shape }) => sum + shape.reduce((product, n) => product * n, 1), 0);
}
