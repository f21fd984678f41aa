/** Debian packages, where we may install them. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';

export const canInstallPackages = () => process.platform === 'linux' && process.getuid?.() === 0 && existsSync('/usr/bin/apt-get');

/**
 * Installs `packages` with apt. False where apt could not.
 * @param {string[]} packages
 */
export function installPackages(packages) {
  console.error(`Installing ${packages.join(', ')} with apt ...`);
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const apt = (/** @type {string[]} */ ...args) => {
    const { status, stdout, stderr } = spawnSync('apt-get', ['-q', ...args], { env, encoding: 'utf8' });
    if (status !== 0) console.error(`apt-get ${args.join(' ')} failed:\n${(stdout + stderr).trim().split('\n').slice(-8).join('\n')}`);
    return status === 0;
  };
  const install = () => apt('install', '--yes', '--no-install-recommends', ...packages);
  return apt('update') ? install() : false;
}
