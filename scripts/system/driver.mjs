/**
 * Vulkan for WebGPU in Node: the loader, and SwiftShader as the driver of a machine without a graphics card.
 * macOS and Windows bring their own graphics API, so nothing here concerns them.
 */
import { existsSync, readdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { canInstallPackages, installPackages } from './apt.mjs';

const ICD = 'vk_swiftshader_icd.json';
const BROWSER_FOLDERS = ['/usr/lib/chromium', '/usr/lib/chromium-browser', '/opt/google/chrome', '/opt/chromium.org/chromium'];

/** The description file of SwiftShader, which every Chromium for Linux carries; undefined where there is none. */
export function softwareDriver() {
  return [...BROWSER_FOLDERS, ...playwrightFolders()].map((folder) => join(folder, ICD)).find((file) => existsSync(file));
}

function playwrightFolders() {
  const cache = process.env.PLAYWRIGHT_BROWSERS_PATH ?? join(homedir(), '.cache/ms-playwright');
  if (!existsSync(cache)) return [];
  const builds = readdirSync(cache).filter((name) => /^chromium-\d+$/.test(name));
  return builds.flatMap((build) => ['chrome-linux64', 'chrome-linux'].map((folder) => join(cache, build, folder)));
}

function hasLoader() {
  const folders = ['/usr/lib', '/usr/lib64', '/usr/local/lib', '/usr/lib/x86_64-linux-gnu', '/usr/lib/aarch64-linux-gnu'];
  return [...folders, ...(process.env.LD_LIBRARY_PATH ?? '').split(':')].some((folder) => existsSync(join(folder, 'libvulkan.so.1')));
}

function hasHardware() {
  const { VK_ICD_FILENAMES, VK_DRIVER_FILES } = process.env;
  const renderNodes = existsSync('/dev/dri') && readdirSync('/dev/dri').some((name) => name.startsWith('renderD'));
  return Boolean(VK_ICD_FILENAMES ?? VK_DRIVER_FILES) || renderNodes || existsSync('/dev/nvidiactl');
}

/** Installs the loader and the software driver where they are missing and we may; otherwise says on stderr what is missing. */
export function ensureDriver() {
  if (process.platform !== 'linux') return;
  const missing = [...(hasLoader() ? [] : ['libvulkan1']), ...(hasHardware() || softwareDriver() ? [] : ['chromium'])];
  if (missing.length === 0) return;
  if (canInstallPackages() && installPackages(missing)) return;
  console.error(
    `WebGPU in Node needs ${missing.join(' and ')} (Debian's names; chromium carries the software driver). Install them as root.`,
  );
}
