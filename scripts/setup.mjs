/** What a fresh machine lacks. Runs before `npm ci`, so it imports nothing but Node. */
import { execSync } from 'node:child_process';
import { existsSync, lstatSync, readFileSync } from 'node:fs';

/** Installs the packages of the lock file unless exactly those are there. */
export function ensurePackages() {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  if (major < 20 || (major === 20 && minor < 19)) {
    throw new Error(`Node 20.19 or newer is needed; this is ${process.versions.node}. See https://nodejs.org.`);
  }
  if (packagesAreCurrent()) return;
  if (lstatSync('node_modules', { throwIfNoEntry: false })?.isSymbolicLink()) {
    console.error('node_modules is a link and differs from package-lock.json: left as it is.');
    return;
  }
  console.error('Installing packages (npm ci) ...');
  execSync('npm ci', { stdio: ['ignore', 'ignore', 'inherit'] });
}

function packagesAreCurrent() {
  const record = 'node_modules/.package-lock.json';
  if (!existsSync(record)) return false;
  const wanted = JSON.parse(readFileSync('package-lock.json', 'utf8')).packages;
  const installed = JSON.parse(readFileSync(record, 'utf8')).packages;
  return Object.entries(wanted).every(([path, { version, optional }]) => {
    if (path === '' || (optional && !installed[path])) return true; // Another platform's binary.
    return installed[path]?.version === version;
  });
}
