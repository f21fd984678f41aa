/**
 * A notebook that is too long for a link, named by where it lies: `#/gist/ID@REVISION?sha256=…` or `#/from/ENCODED-URL?sha256=…`. The hash is
 * that of the file's bytes, so that whoever opens the link gets what was shared. Nothing is fetched before the reader asks for it.
 */
import { InputError, LabError } from '../base/errors.ts';
import { sha256Hex } from '../base/sha256.ts';
import { LINK_LIMITS, isNotebookLink } from './link.ts';

export type RemoteSource = {
  /** SHA-256 of the file, if the link gives one. */
  readonly sha256?: string;
} & ({ readonly kind: 'gist'; readonly id: string; readonly revision?: string } | { readonly kind: 'url'; readonly url: string });

const FORM = /#\/(gist|from)\//;
const GIST = /^([0-9a-f]{20,64})(?:@([0-9a-f]{40}))?$/;
const HASH = /^[0-9a-f]{64}$/;
const OWN_COPY = 'Download the file yourself and open it in the notebook panel.';

/** Whether an address, or its fragment, names a notebook that lies elsewhere. */
const isRemoteLink = (text: string): boolean => FORM.test(text);

/** Whether an address holds a notebook or names one: a preview opens, and the page stays where it is. */
export const bringsNotebook = (text: string): boolean => isNotebookLink(text) || isRemoteLink(text);

/** The fragment, `#` included. */
export function remoteLink({ sha256, ...source }: RemoteSource): string {
  const place =
    source.kind === 'gist'
      ? `gist/${source.id}${source.revision ? `@${source.revision}` : ''}`
      : `from/${encodeURIComponent(checkedUrl(source.url))}`;
  return `#/${place}${sha256 ? `?sha256=${sha256}` : ''}`;
}

/** @throws InputError that says what is wrong with the link. */
export function parseRemoteLink(text: string): RemoteSource {
  const [, kind, place = '', query = ''] = /#\/(gist|from)\/([^?]*)\??(.*)$/.exec(text.trim()) ?? [];
  const sha256 = new URLSearchParams(query).get('sha256') ?? undefined;
  if (sha256 !== undefined && !HASH.test(sha256)) {
    throw new InputError('The hash in the link is not 64 hexadecimal digits.', 'The link was cut off or changed: ask for it again.');
  }
  const hash = sha256 === undefined ? {} : { sha256 };
  if (kind === 'from') return { kind: 'url', url: checkedUrl(decoded(place)), ...hash };
  const [, id, revision] = GIST.exec(place) ?? [];
  if (id === undefined) throw new InputError('The link names no gist: its form is #/gist/ID@REVISION.', 'Ask for the link again.');
  return { kind: 'gist', id, ...(revision && { revision }), ...hash };
}

/** What a reader pastes: the address of a gist, or of a file. @throws InputError for what is no address that the lab would fetch. */
export function sourceAt(address: string): RemoteSource {
  const url = checkedUrl(address.trim());
  const { host, pathname } = new URL(url);
  const [id, revision] = pathname.split('/').filter((part) => /^[0-9a-f]{20,64}$/.test(part));
  if (host !== 'gist.github.com' || id === undefined) return { kind: 'url', url };
  return { kind: 'gist', id, ...(revision?.length === 40 && { revision }) };
}

/** The host that is asked first. */
export const hostOf = (source: RemoteSource): string => (source.kind === 'gist' ? 'api.github.com' : new URL(source.url).host);

/** Where it lies, for the reader's eyes. */
export const placeOf = (source: RemoteSource): string =>
  source.kind === 'gist' ? `the gist ${source.id}${source.revision ? `, revision ${source.revision.slice(0, 7)}` : ''}` : source.url;

/**
 * @throws LabError 'network' when nothing arrives, InputError for an answer that is no notebook's file: too long, of another hash, or none.
 */
export async function fetchRemote(source: RemoteSource): Promise<{ readonly text: string; readonly bytes: number }> {
  const file = source.kind === 'gist' ? await fetchGist(source) : await fetchBytes(source.url);
  if (file.byteLength > LINK_LIMITS.bytes) throw tooLong(placeOf(source));
  const { sha256 } = source;
  const found = sha256 === undefined ? undefined : await sha256Hex(file);
  if (found !== sha256) {
    throw new InputError(
      `The file is not the one that the link was made for: its SHA-256 is ${found}, and the link says ${sha256}.`,
      'Whoever keeps it has changed it. Ask for a new link, or for the file itself.',
    );
  }
  return { text: new TextDecoder().decode(file), bytes: file.byteLength };
}

interface GistFile {
  readonly filename: string;
  readonly truncated?: boolean;
  readonly raw_url: string;
  readonly content: string;
}

/** GitHub's interface tells the files of a gist; a long one it cuts off, and gives its address. */
async function fetchGist({ id, revision }: Extract<RemoteSource, { kind: 'gist' }>): Promise<Uint8Array<ArrayBuffer>> {
  const answer = new TextDecoder().decode(await fetchBytes(`https://api.github.com/gists/${id}${revision ? `/${revision}` : ''}`));
  let files: readonly GistFile[];
  try {
    files = Object.values((JSON.parse(answer) as { files: Record<string, GistFile> }).files);
  } catch (cause) {
    throw new InputError('GitHub did not answer with a gist.', OWN_COPY, { cause });
  }
  const notebooks = files.filter(({ filename }) => filename.endsWith('.json'));
  const [file] = notebooks;
  if (!file || notebooks.length > 1) {
    throw new InputError(
      `The gist has ${notebooks.length} files that end in .json, and the lab takes a gist with one.`,
      'Ask for a gist that holds the notebook alone.',
    );
  }
  if (!file.truncated) return new TextEncoder().encode(file.content);
  if (new URL(file.raw_url).host !== 'gist.githubusercontent.com') {
    throw new InputError(`The gist names ${file.raw_url}, which is not GitHub’s.`, OWN_COPY);
  }
  return fetchBytes(file.raw_url);
}

/** GitHub's answer about a gist holds its file as a string of JSON, which is longer. */
const MOST = 2 * LINK_LIMITS.bytes;
const PATIENCE_MS = 15_000;

/** Without cookies and without a word of where the reader comes from; given up when it is too long or takes too long. */
async function fetchBytes(url: string): Promise<Uint8Array<ArrayBuffer>> {
  const { host } = new URL(url);
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(new Error(`no answer within ${PATIENCE_MS / 1000} seconds`)), PATIENCE_MS);
  try {
    const response = await fetch(url, { credentials: 'omit', referrerPolicy: 'no-referrer', signal: stop.signal });
    if (!response.ok) throw refused(host, response.status);
    const parts: Uint8Array<ArrayBuffer>[] = [];
    let length = 0;
    for (const reader = response.body!.getReader(); ;) {
      const { done, value } = await reader.read();
      if (done) break;
      length += value.byteLength;
      if (length > MOST) {
        stop.abort();
        throw tooLong(host);
      }
      parts.push(value);
    }
    return new Uint8Array(await new Blob(parts).arrayBuffer());
  } catch (cause) {
    if (cause instanceof LabError) throw cause;
    throw new LabError(
      'network',
      `${host} could not be read: ${cause instanceof Error ? cause.message : String(cause)}.`,
      `It can’t be reached, or it lets no other site read its files (CORS). ${OWN_COPY}`,
      { cause },
    );
  } finally {
    clearTimeout(timer);
  }
}

const tooLong = (what: string) =>
  new InputError(`What ${what} gives is longer than the ${LINK_LIMITS.bytes} bytes of a notebook.`, OWN_COPY);

const refused = (host: string, status: number): InputError =>
  status === 404
    ? new InputError(
        `There is nothing at this address: ${host} answers 404.`,
        'It was moved or deleted. Ask for a new link, or for the file.',
      )
    : new InputError(`${host} answers ${status}.`, `Try again later. ${OWN_COPY}`);

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch (cause) {
    throw new InputError('The address in the link is not encoded rightly.', 'Ask for the link again.', { cause });
  }
}

/** @throws InputError for any other than an https address, or one of this machine. */
function checkedUrl(address: string): string {
  const url = URL.canParse(address) ? new URL(address) : undefined;
  const local = url?.protocol === 'http:' && ['localhost', '127.0.0.1'].includes(url.hostname);
  if (!url || (url.protocol !== 'https:' && !local) || url.username !== '' || url.password !== '') {
    throw new InputError(
      `${address.slice(0, 200) || 'Nothing'} is no address that the lab would fetch a notebook from.`,
      'Give one that begins with https:// and holds no name and password.',
    );
  }
  return url.href;
}
