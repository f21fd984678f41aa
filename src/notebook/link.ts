/**
 * A notebook as a link: `#/notebook/3d.<length>.<payload>.<check>z`. 3 is the version of the notebook, `d` the codec (deflate-raw; `j` is plain
 * JSON), length that of the payload in characters, the payload base64url without padding, and the check the first 6 characters of
 * base64url(SHA-256) of its bytes, so that a link that was cut or changed on its way says so. It ends in a letter, because chats drop
 * punctuation from the end of links. In the fragment, it is sent to no server.
 */
import { deflateSync } from 'fflate';
import { InputError, type LabError } from '../base/errors.ts';
import { inflate } from './inflate.ts';
import { NOTEBOOK_VERSION } from './migrations.ts';
import { type Notebook, notebookText, readNotebook } from './schema.ts';

export const LINK_LIMITS = {
  /** Characters of a link that is read. */
  text: 256 * 1024,
  /** Bytes of JSON. */
  bytes: 2 * 1024 * 1024,
  /** Characters of a link that is made. */
  made: 60_000,
} as const;

/** Up to how many characters a link survives where. */
export const LINK_REACH = { chat: 1900, anywhere: 8000, browsers: LINK_LIMITS.made } as const;
export type LinkReach = keyof typeof LINK_REACH | 'file';

export const linkReach = (characters: number): LinkReach =>
  (Object.keys(LINK_REACH) as (keyof typeof LINK_REACH)[]).find((where) => characters <= LINK_REACH[where]) ?? 'file';

const ROUTE = '#/notebook/';

/** Whether an address, or its fragment, is meant to hold a notebook. */
export const isNotebookLink = (text: string): boolean => text.includes(ROUTE) || /#%2fnotebook%2f/i.test(text);

/** The fragment, `#` included. Of any length: `linkReach` says where it will arrive. */
export async function encodeLink(notebook: Notebook): Promise<string> {
  const bytes = deflateSync(new TextEncoder().encode(notebookText(notebook)), { level: 9 });
  const payload = base64url(bytes);
  return `${ROUTE}${NOTEBOOK_VERSION}d.${payload.length}.${payload}.${await checkOf(bytes)}z`;
}

export interface DecodedLink {
  readonly notebook: Notebook;
  /** Of the link. */
  readonly characters: number;
  /** Of its JSON. */
  readonly bytes: number;
}

const ASK_AGAIN = 'Ask for the link again, or for the notebook as a file.';
const bad = (message: string, remedy = ASK_AGAIN): LabError => new InputError(message, remedy);

/**
 * @param text a whole address, its fragment or the part after the route; percent-encoding, once or twice, and what a chat or a mail put
 * around or between is tolerated.
 * @throws InputError that says what is wrong with the link; nothing is fetched or run.
 */
export async function decodeLink(text: string): Promise<DecodedLink> {
  const { version, codec, length, payload, check } = split(text);
  if (version > NOTEBOOK_VERSION) {
    throw bad(
      `The link was made with a newer lab (its notebook has version ${version}, and this lab reads up to ${NOTEBOOK_VERSION}).`,
      'Open it with a newer version of the lab.',
    );
  }
  if (payload.length < length) throw bad(`The link was cut off: ${payload.length} of ${length} characters arrived.`);
  if (payload.length > length) throw bad(`The link was changed on its way: it says ${length} characters, and ${payload.length} arrived.`);
  if (check === undefined) throw bad('The link was cut off at its very end, or changed there: its checksum is missing.');
  const bytes = fromBase64url(payload);
  if ((await checkOf(bytes)) !== check) throw bad('The link was changed on its way: its checksum doesn’t fit what arrived.');
  const plain = unpacked(codec, bytes);
  return { notebook: readNotebook(utf8(plain), 'The link'), characters: text.length, bytes: plain.length };
}

interface Parts {
  readonly version: number;
  readonly codec: string;
  readonly length: number;
  readonly payload: string;
  /** Undefined where the link ends before it, or goes on after it. */
  readonly check: string | undefined;
}

function split(text: string): Parts {
  if (text.length > LINK_LIMITS.text) {
    throw bad(`The link has ${text.length} characters, and the lab reads up to ${LINK_LIMITS.text}.`, 'Ask for the notebook as a file.');
  }
  const body = unescaped(text).replace(/\s+/g, '');
  const at = body.lastIndexOf(ROUTE);
  const rest = trimmed(at < 0 ? body : body.slice(at + ROUTE.length));
  const match = /^(\d{1,4})([a-z])\.(\d{1,7})\.([\w-]*)(?:\.(?:([\w-]{6})z)?)?(.*)$/.exec(rest);
  if (!match) throw bad('This is no link of a notebook: its form is 3d.length.payload.check.');
  const [, version, codec, length, payload, check, more] = match;
  return { version: Number(version), codec: codec!, length: Number(length), payload: payload!, check: more === '' ? check : undefined };
}

/** Without what a chat or a mail put around it. By hand: a regular expression would begin anew at each of many brackets. */
function trimmed(text: string): string {
  let end = text.length;
  while (end > 0 && `)]}>.,;:!?'"*`.includes(text[end - 1]!)) end--;
  return text.slice(text.startsWith('<') ? 1 : 0, end);
}

/** Without percent-encoding, which some programs put on once and some twice. */
function unescaped(text: string): string {
  let out = text;
  for (let round = 0; round < 3 && out.includes('%'); round++) {
    try {
      out = decodeURIComponent(out);
    } catch (cause) {
      throw new InputError('The link holds percent signs that encode nothing.', ASK_AGAIN, { cause });
    }
  }
  return out;
}

function unpacked(codec: string, bytes: Uint8Array): Uint8Array {
  switch (codec) {
    case 'd':
      return inflated(bytes);
    case 'j':
      return bytes;
    default:
      throw bad(
        `The link is packed in a way that this lab doesn’t know (${codec}; it knows d and j).`,
        'Open it with a newer version of the lab.',
      );
  }
}

function inflated(packed: Uint8Array): Uint8Array {
  let plain: Uint8Array | undefined;
  try {
    plain = inflate(packed, LINK_LIMITS.bytes);
  } catch (cause) {
    throw new InputError(`The link can’t be unpacked: ${(cause as Error).message}.`, ASK_AGAIN, { cause });
  }
  if (plain) return plain;
  throw bad(
    `The link unpacks to more than ${LINK_LIMITS.bytes} bytes, which no notebook in a link does.`,
    'Don’t open it; ask for the notebook as a file.',
  );
}

function utf8(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new InputError('The link holds bytes that are no text.', ASK_AGAIN, { cause });
  }
}

/** Exported for the tests and the fuzzing, which make links that no lab would. */
export async function checkOf(bytes: Uint8Array): Promise<string> {
  return base64url(new Uint8Array(await crypto.subtle.digest('SHA-256', new Uint8Array(bytes)))).slice(0, 6);
}

// Uint8Array.prototype.toBase64 does this, and is not in every browser that the lab runs in.
export function base64url(bytes: Uint8Array): string {
  let binary = '';
  for (let i = 0; i < bytes.length; i += 0x2000) binary += String.fromCharCode(...bytes.subarray(i, i + 0x2000));
  return btoa(binary).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
}

function fromBase64url(text: string): Uint8Array {
  if (text.length % 4 === 1) throw bad('The link was changed on its way: its payload is no base64url.');
  return Uint8Array.from(atob(text.replaceAll('-', '+').replaceAll('_', '/')), (c) => c.charCodeAt(0));
}
