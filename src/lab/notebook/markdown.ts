/**
 * Markdown of strangers as safe HTML. marked reads it (raw HTML stays text), Temml makes MathML of TeX (MathML needs no fonts and no
 * inline styles, which the content security policy forbids), DOMPurify lets nothing else through. Loaded when the first cell is shown.
 */
import DOMPurify from 'dompurify';
import { Marked, type RendererObject, type TokenizerAndRendererExtension, type Tokens } from 'marked';
import temml from 'temml';

const escaped = (text: string) => text.replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);

/** TeX runs with bounds: expansions and sizes are the reader's time and screen. */
function maths(tex: string, displayMode: boolean): string {
  const html = temml.renderToString(tex, { displayMode, throwOnError: false, maxExpand: 200, maxSize: [20, 20] });
  // Temml escapes quotes in texts, so this meets attributes alone; as attributes they would break the content security policy.
  return html.replace(/ style="[^"]*"/g, '');
}

/** @param start where one may begin: a block only at the start of a line, or it would cut a paragraph at every dollar. */
const extension = (name: string, level: 'block' | 'inline', start: RegExp, pattern: RegExp): TokenizerAndRendererExtension => ({
  name,
  level,
  start: (text) => start.exec(text)?.index,
  tokenizer(text) {
    const match = pattern.exec(text);
    return match ? { type: name, raw: match[0], text: match[1]! } : undefined;
  },
  renderer: ({ text }) => maths(text as string, level === 'block'),
});

/** Only where a browser goes by itself, and to nothing that runs. */
function address(href: string): string | undefined {
  if (!URL.canParse(href)) return undefined;
  const { protocol, href: whole } = new URL(href);
  return protocol === 'https:' || protocol === 'http:' ? whole : undefined;
}

const renderer: RendererObject = {
  html: ({ text, block }: Tokens.HTML | Tokens.Tag) => (block ? `<p>${escaped(text)}</p>` : escaped(text)),
  // The page has its own headings above these.
  heading({ tokens, depth }: Tokens.Heading) {
    const level = Math.min(6, depth + 2);
    return `<h${level}>${this.parser.parseInline(tokens)}</h${level}>\n`;
  },
  link({ href, tokens }: Tokens.Link) {
    const inner = this.parser.parseInline(tokens);
    const to = address(href);
    return to === undefined ? inner : `<a href="${escaped(to)}" target="_blank" rel="noopener noreferrer nofollow ugc">${inner}</a>`;
  },
  // An image from elsewhere would be fetched as soon as it is shown.
  image({ href, text }: Tokens.Image) {
    if (/^data:image\/(png|jpeg|gif|webp);base64,[\w+/=]+$/.test(href)) return `<img src="${href}" alt="${escaped(text)}">`;
    const to = address(href);
    const name = escaped(text || 'image');
    return to === undefined ? name : `<a href="${escaped(to)}" target="_blank" rel="noopener noreferrer nofollow ugc">${name}</a>`;
  },
  checkbox: ({ checked }: Tokens.Checkbox) => (checked ? '☑ ' : '☐ '),
};

const marked = new Marked({
  gfm: true,
  renderer,
  extensions: [
    extension('display-maths', 'block', /(?<=\n)\$\$/, /^\$\$([^$]{1,4000}?)\$\$[ \t]*(?:\n|$)/),
    extension('inline-maths', 'inline', /\$/, /^\$(?![\s$])((?:\\.|[^\\$\n]){1,1000}?)\$(?!\d)/),
  ],
});

/**
 * @returns HTML that runs, fetches and covers nothing.
 * @throws RangeError for text that nests so deep that it can't be read.
 */
export function renderMarkdown(text: string): string {
  return DOMPurify.sanitize(marked.parse(text, { async: false }), {
    USE_PROFILES: { html: true, mathMl: true },
    SANITIZE_NAMED_PROPS: true,
    FORBID_TAGS: ['style', 'form', 'input', 'button', 'select', 'textarea', 'dialog', 'audio', 'video', 'source', 'picture', 'map'],
    FORBID_ATTR: ['style', 'class', 'srcset', 'popover', 'tabindex', 'autofocus'],
    ALLOW_DATA_ATTR: false,
    ADD_ATTR: ['target'],
  });
}
