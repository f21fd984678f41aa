/** What strangers may send, and a page that is made to open it. */
import type { Page } from 'playwright';

/** Markdown that would run, fetch, cover or break something if it were let through. */
export const HOSTILE_MARKDOWN: readonly string[] = [
  '<script>window.polluted = 1</script><img src=x onerror="window.polluted = 1">',
  '<img src="https://example.org/pixel.png"> ![p](https://example.org/pixel.png) ![q](//example.org/q.png) ![r](icon.svg)',
  '[a](javascript:window.polluted=1) [b](JaVaScRiPt:window.polluted=1) [c](data:text/html,<script>1</script>) [d](vbscript:x) <javascript:alert(1)>',
  '[e]( java\nscript:x) [f](&#106;avascript:window.polluted=1) [g](file:///etc/passwd) [h](blob:x) [i](#/notebook/2d.1.A.AAAAAAz)',
  '<style>body{display:none}</style><div style="position:fixed;inset:0;z-index:9">over</div><form action="https://example.org"><button>go</button></form>',
  '<iframe src="https://example.org"></iframe><object data="https://example.org/x"></object><embed src="https://example.org/x"><base href="https://example.org/">',
  '<a id="app" name="lab">clobber</a><form id="document"><input name="body"></form> <svg onload="window.polluted=1"><use href="https://example.org/x#a"/></svg>',
  '<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src=1 onerror=window.polluted=1&gt;">',
  '$\\href{javascript:window.polluted=1}{x}$ $\\url{javascript:x}$ $\\includegraphics{https://example.org/p.png}$ $\\style{background:url(https://example.org)}{x}$',
  '$\\class{" onclick="window.polluted=1}{x}$ $\\id{app}{x}$ $\\text{ style="color:red"}$ $\\color{red} x$ $$\\begin{array}{c|c} a & b \\\\ \\hline c & d \\end{array}$$',
  `$$\\def\\a{\\a\\a}\\a$$ $\\rule{1000000em}{1000000em}$ $${'{'.repeat(500)}$ $${'\\frac{'.repeat(200)}1$`,
  '>'.repeat(5000),
  `${'['.repeat(5000)}a${']('.repeat(5000)}`,
  `${'*a '.repeat(3000)}${'_b'.repeat(3000)}`,
  `${'- '.repeat(300)}x\n\n|a|b|\n|-|-|\n|<b onclick=window.polluted=1>|$x$|\n\n- [ ] task\n- [x] done`,
  '```<script>\n</code></pre><script>window.polluted=1</script>\n```\n\n`<img src=x onerror=window.polluted=1>`',
  '![x](data:image/svg+xml;base64,PHN2ZyBvbmxvYWQ9ImFsZXJ0KDEpIi8+) ![ok](data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAA=)',
];

/**
 * Opens each link in the page as a reader does who follows it, and closes what it showed. Texts that are meant as no notebook's link
 * leave the page as it is.
 */
export async function follow(page: Page, links: readonly string[]): Promise<('preview' | 'refused' | 'ignored')[]> {
  const answers: ('preview' | 'refused' | 'ignored')[] = [];
  for (const link of links) {
    const answer = await page.evaluate(async (hash) => {
      history.replaceState(null, '', location.pathname);
      location.hash = hash;
      if (!/#(\/|%2f)notebook(\/|%2f)/i.test(location.hash)) return 'ignored';
      for (let turn = 0; turn < 500; turn++) {
        await new Promise((resolve) => setTimeout(resolve, 10));
        const shown = document.querySelector('[data-testid="preview"]');
        const button = [...document.querySelectorAll('button')].find(({ textContent }) =>
          ['Close without using it', 'Dismiss'].includes(textContent.trim()),
        );
        if (!button) continue;
        button.click();
        await new Promise((resolve) => setTimeout(resolve, 0));
        return shown ? 'preview' : 'refused';
      }
      throw new Error('The page showed nothing of the link.');
    }, link);
    answers.push(answer);
  }
  return answers;
}
