/**
 * A rewriter behind an OpenAI-compatible endpoint (`POST {url}/chat/completions`): OpenAI, vLLM, llama.cpp, Ollama, LM Studio. It is
 * asked Figure 2 word for word. What it writes is not repeatable, so checkpoints keep it. The key lives in this object alone: it
 * is in no config, record or checkpoint, and messages of errors are cleared of it.
 */
import { InputError, LabError, StoppedError, throwIfStopped } from '../../base/errors.ts';
import { figure2Prompt } from './instruction.ts';
import type { RewriteOptions, Rewriter, Rewriting } from './rewriter.ts';

export interface EndpointOptions {
  /** Up to and with the version, e.g. http://localhost:11434/v1. */
  readonly url: string;
  readonly model: string;
  /** Sent as bearer token; local servers need none. */
  readonly key?: string | undefined;
  readonly temperature: number;
  readonly max_new_tokens: number;
  /** Milliseconds that one answer may take. */
  readonly timeout_ms?: number;
  /** Tries again after a failure that may pass: no answer, 429, 5xx. */
  readonly retries?: number;
  /** Milliseconds before the first retry; each later one waits twice as long, or as long as Retry-After says, at most a minute. */
  readonly backoff_ms?: number;
  /** Requests at once. */
  readonly concurrency?: number;
}

const LONGEST_WAIT = 60_000;

/** A failure that may pass. */
interface Passing {
  readonly error: LabError;
  readonly retryAfter: number | undefined;
}

export class EndpointRewriter implements Rewriter {
  readonly name: string;
  private readonly options: Required<Omit<EndpointOptions, 'key'>>;
  readonly #key: string;

  /** @throws InputError for an address or a key that can't be one, or no model. */
  constructor({ key = '', ...options }: EndpointOptions) {
    if (!URL.canParse(options.url)) {
      throw new InputError(`augment.endpoint_url is no address: "${options.url}".`, 'Write it whole, e.g. http://localhost:11434/v1.');
    }
    if (options.model === '') {
      throw new InputError('augment.endpoint_model is empty.', 'Name a model that the endpoint has.');
    }
    if (/[^\x21-\x7e]/.test(key)) {
      throw new InputError(
        'The key of the endpoint holds blanks, line breaks or letters that no key has.',
        'Copy the key again, and nothing around it.',
      );
    }
    this.options = { timeout_ms: 60_000, retries: 4, backoff_ms: 500, concurrency: 4, ...options };
    this.name = `${options.model} at ${new URL(options.url).host}`;
    this.#key = key;
  }

  /** @throws LabError endpoint-unreachable, -cors, -timeout, -unauthorized, -not-found, -rate-limited, -failed, -refused or -garbage; the other requests are then given up. */
  async rewrite(stems: readonly string[], { seed, signal, onProgress }: RewriteOptions): Promise<Rewriting[]> {
    throwIfStopped(signal);
    const failed = new AbortController();
    const either = signal ? AbortSignal.any([signal, failed.signal]) : failed.signal;
    const out: Rewriting[] = [];
    let next = 0;
    let done = 0;
    const work = async () => {
      while (next < stems.length) {
        const i = next++;
        out[i] = await this.ask(stems[i]!, seed.derive(i).lo & 0x7fff_ffff, either);
        onProgress(++done);
      }
    };
    const workers = Array.from({ length: Math.min(this.options.concurrency, stems.length) }, work);
    try {
      await Promise.all(workers);
    } catch (error) {
      failed.abort();
      await Promise.allSettled(workers);
      throw error;
    }
    return out;
  }

  private async ask(stem: string, seed: number, signal: AbortSignal): Promise<Rewriting> {
    const { retries, backoff_ms } = this.options;
    for (let attempt = 0; ; attempt++) {
      const result = await this.request(stem, seed, signal);
      if ('text' in result) return result;
      if (attempt >= retries) throw result.error;
      await pause(Math.min(LONGEST_WAIT, result.retryAfter ?? backoff_ms * 2 ** attempt), signal);
    }
  }

  private async request(stem: string, seed: number, signal: AbortSignal): Promise<Rewriting | Passing> {
    const { url, model, temperature, max_new_tokens: max_tokens, timeout_ms } = this.options;
    const address = `${url.replace(/\/+$/, '')}/chat/completions`;
    const timeout = AbortSignal.timeout(timeout_ms);
    const messages = [{ role: 'user', content: figure2Prompt(stem) }];
    let response: Response;
    let body: string;
    try {
      response = await fetch(address, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...(this.#key && { authorization: `Bearer ${this.#key}` }) },
        body: JSON.stringify({ model, messages, temperature, max_tokens, seed }),
        signal: AbortSignal.any([signal, timeout]),
      });
      body = await response.text();
    } catch (cause) {
      throwIfStopped(signal);
      if (timeout.aborted) return { error: this.slow(), retryAfter: undefined };
      if (await answersOthers(address)) throw this.closedToPages(cause);
      return { error: this.down(cause), retryAfter: undefined };
    }
    if (response.ok) return this.read(body, response.headers.get('content-type') ?? '');
    const error = this.refused(response.status, body);
    if (response.status !== 429 && response.status < 500) throw error;
    const seconds = Number(response.headers.get('retry-after') ?? NaN);
    return { error, retryAfter: Number.isFinite(seconds) ? 1000 * seconds : undefined };
  }

  private read(body: string, contentType: string): Rewriting {
    const choice = firstChoice(body);
    if (choice) return { text: choice.content, finished: choice.finish_reason !== 'length' };
    const what = /^\s*</.test(body) || contentType.includes('html') ? 'a web page' : `something else: ${this.excerpt(body)}`;
    throw new LabError(
      'endpoint-garbage',
      `${this.name} answered, but not with a chat completion: it sent ${what}.`,
      'Correct augment.endpoint_url: it is the address before /chat/completions, and mostly ends in /v1.',
    );
  }

  private down(cause: unknown): LabError {
    return new LabError(
      'endpoint-unreachable',
      `${this.name} can't be reached: ${(cause as Error).message}.`,
      'Start the server, or correct augment.endpoint_url.',
      { cause },
    );
  }

  private closedToPages(cause: unknown): LabError {
    return new LabError(
      'endpoint-cors',
      `${this.name} is there, but does not let this page read its answers (CORS).`,
      `Start the server so that it allows the origin ${(globalThis as { location?: Location }).location!.origin}: OLLAMA_ORIGINS for Ollama, --allowed-origins for vLLM, “CORS” in LM Studio. Or rewrite headless, by lab run.`,
      { cause },
    );
  }

  private slow(): LabError {
    return new LabError(
      'endpoint-timeout',
      `${this.name} did not answer within ${this.options.timeout_ms / 1000} seconds.`,
      'Choose a faster model, lower augment.max_new_tokens, or try again later.',
    );
  }

  private refused(status: number, body: string): LabError {
    const said = `${this.name} answered ${status}: ${this.excerpt(body)}`;
    if (status === 401 || status === 403)
      return new LabError('endpoint-unauthorized', said, 'Enter a valid key of this endpoint; it is kept in memory only.');
    if (status === 404) return new LabError('endpoint-not-found', said, 'Correct augment.endpoint_url or augment.endpoint_model.');
    if (status === 429)
      return new LabError('endpoint-rate-limited', said, 'Wait, raise the limits of the account, or augment fewer questions.');
    if (status >= 500) return new LabError('endpoint-failed', said, 'Look at the log of the server, or try again later.');
    return new LabError('endpoint-refused', said, 'Correct what the server names; augment.endpoint_model must be one that it has.');
  }

  /** The beginning of what a server said, without the key, which some repeat. */
  private excerpt(body: string): string {
    const clear = this.#key ? body.replaceAll(this.#key, '[key]') : body;
    const text = clear.replace(/<[^>]*>/g, ' ').replace(/\s+/g, ' ').trim(); // prettier-ignore
    return text === '' ? '(nothing)' : text.length > 200 ? `${text.slice(0, 200)} …` : text;
  }
}

/**
 * Whether a server is there that only this page may not read: a browser says no more of that than of a server that is down. It takes one
 * request more, without key and text. Nothing else has origins.
 */
async function answersOthers(address: string): Promise<boolean> {
  if (!('location' in globalThis)) return false;
  return fetch(address, { mode: 'no-cors', credentials: 'omit' }).then(
    () => true,
    () => false,
  );
}

interface Choice {
  readonly content: string;
  readonly finish_reason: unknown;
}

/** Undefined for a body that is no chat completion with text. */
function firstChoice(body: string): Choice | undefined {
  let json: { choices?: { message?: { content?: unknown }; finish_reason?: unknown }[] } | null;
  try {
    json = JSON.parse(body) as typeof json;
  } catch {
    return undefined;
  }
  const choice = Array.isArray(json?.choices) ? json.choices[0] : undefined;
  const content = choice?.message?.content;
  return typeof content === 'string' ? { content, finish_reason: choice?.finish_reason } : undefined;
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(new StoppedError());
    };
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', stop);
      resolve();
    }, ms);
    signal.addEventListener('abort', stop, { once: true });
    if (signal.aborted) stop();
  });
}
