/** The built lab, served under its real headers, and a browser that notes all that a reader should never see. */
import { existsSync } from 'node:fs';
import { type Browser, type BrowserContextOptions, type Page, chromium } from 'playwright';
import { serve } from '../../scripts/serve.mjs';
import { BROWSER_FLAGS, findBrowser } from '../../scripts/system/browser.mjs';

export interface Visit {
  readonly page: Page;
  /** Console messages of every level, uncaught errors and failed requests. */
  readonly complaints: readonly string[];
  /** Addresses of requests that left the origin. */
  readonly strangers: readonly string[];
}

/** Goes to a place of the lab by its link, and waits for what it loads. */
export async function go(page: Page, name: string): Promise<void> {
  await page.getByRole('navigation').getByRole('link', { name, exact: true }).click();
  await page.getByRole('heading', { level: 1, name: name === 'Start' ? /^Watch/ : name, exact: name !== 'Start' }).waitFor();
  await page.locator('main .loading').waitFor({ state: 'detached' });
}

export class Site {
  private constructor(
    readonly url: string,
    private readonly browser: Browser,
    private readonly stop: () => Promise<void>,
  ) {}

  static async open({ webgpu = true, server: start = () => serve('dist') } = {}): Promise<Site> {
    if (!existsSync('dist/index.html')) throw new Error('There is no dist/index.html: run `npm run build` first.');
    const executablePath = await findBrowser();
    if (!executablePath) throw new Error('There is no browser: run `npm run test:e2e`, which installs one.');
    const [server, browser] = await Promise.all([
      start(),
      chromium.launch({ executablePath, args: webgpu ? BROWSER_FLAGS : BROWSER_FLAGS.filter((flag) => !flag.includes('webgpu')) }),
    ]);
    return new Site(server.url, browser, server.close);
  }

  /** `url` is that of another server of the same files. */
  async visit(path = '', options: BrowserContextOptions = {}, url = this.url): Promise<Visit> {
    const context = await this.browser.newContext(options);
    const page = await context.newPage();
    const complaints: string[] = [];
    const strangers: string[] = [];
    page.on('console', (message) => complaints.push(`${message.type()}: ${message.text()}`));
    page.on('pageerror', (error) => complaints.push(`uncaught: ${error.message}`));
    page.on('response', (response) => {
      if (response.status() >= 400) complaints.push(`${response.status()}: ${response.url()}`);
    });
    context.on('request', (request) => {
      const { origin, protocol } = new URL(request.url());
      if (protocol !== 'data:' && protocol !== 'blob:' && origin !== new URL(url).origin) strangers.push(request.url());
    });
    await page.goto(url + path);
    return { page, complaints, strangers };
  }

  async close(): Promise<void> {
    await this.browser.close();
    await this.stop();
  }
}
