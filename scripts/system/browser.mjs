/** A Chromium with WebGPU for the tests: the one that is here, or one that we install. */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { canInstallPackages, installPackages } from './apt.mjs';

const { env, platform } = process;

const USUAL_PLACES =
  platform === 'darwin'
    ? ['/Applications/Google Chrome.app/Contents/MacOS/Google Chrome', '/Applications/Chromium.app/Contents/MacOS/Chromium']
    : platform === 'win32'
      ? [env.PROGRAMFILES, env['PROGRAMFILES(X86)'], env.LOCALAPPDATA].flatMap((root) =>
          root ? [join(root, 'Google/Chrome/Application/chrome.exe'), join(root, 'Microsoft/Edge/Application/msedge.exe')] : [],
        )
      : ['/usr/bin/chromium', '/usr/bin/google-chrome', '/usr/bin/google-chrome-stable', '/snap/bin/chromium', '/usr/bin/chromium-browser'];

/** Path of the browser; CHROME_PATH comes first, Playwright's own download last. Undefined where there is none. */
export async function findBrowser() {
  if (env.CHROME_PATH) {
    if (!existsSync(env.CHROME_PATH)) throw new Error(`CHROME_PATH names ${env.CHROME_PATH}, which does not exist.`);
    return env.CHROME_PATH;
  }
  const { chromium } = await import('playwright');
  return [...USUAL_PLACES, chromium.executablePath()].find((path) => existsSync(path));
}

/** Finds the browser, or installs one: Debian's where we are root, else Playwright's. Needs `node_modules`. */
export async function ensureBrowser() {
  const found = await findBrowser();
  if (found) return found;
  if (canInstallPackages()) installPackages(['chromium', 'libvulkan1', 'fonts-dejavu-core']);
  if (!(await findBrowser())) {
    console.error('Installing a Chromium with Playwright ...');
    try {
      execFileSync(process.execPath, ['node_modules/playwright/cli.js', 'install', '--no-shell', 'chromium'], { stdio: 'inherit' });
    } catch {
      console.error('Playwright could not install one.');
    }
  }
  const installed = await findBrowser();
  if (!installed) throw new Error('The tests need Chrome or Chromium 113 or newer. Install one, or let CHROME_PATH name it.');
  return installed;
}

/** Flags that give WebGPU in a headless browser without a graphics card; the page sees an adapter called SwiftShader. */
export const BROWSER_FLAGS = [
  '--enable-unsafe-webgpu',
  '--use-webgpu-adapter=swiftshader',
  ...(platform === 'linux' && process.getuid?.() === 0 ? ['--no-sandbox'] : []),
];
