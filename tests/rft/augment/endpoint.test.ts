import { type IncomingMessage, type Server, type ServerResponse, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { Seed } from '../../../src/base/random.ts';
import { type EndpointOptions, EndpointRewriter } from '../../../src/rft/augment/endpoint.ts';
import { figure2Prompt } from '../../../src/rft/augment/instruction.ts';

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

interface Asked {
  readonly path: string | undefined;
  readonly authorization: string | undefined;
  readonly body: { model: string; messages: { role: string; content: string }[]; temperature: number; max_tokens: number; seed: number };
}

/** A real server on this machine; `reply` gets the request and its number. */
async function serve(reply: (response: ServerResponse, asked: Asked, n: number) => void): Promise<{ url: string; asked: Asked[] }> {
  const asked: Asked[] = [];
  const server = createServer((request: IncomingMessage, response) => {
    let text = '';
    request.on('data', (part: Buffer) => (text += part.toString()));
    request.on('end', () => {
      const { url: path, headers } = request;
      asked.push({ path, authorization: headers.authorization, body: JSON.parse(text) as Asked['body'] });
      reply(response, asked.at(-1)!, asked.length);
    });
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1/`, asked };
}

const completion = (content: unknown, finish_reason = 'stop') => JSON.stringify({ choices: [{ message: { role: 'assistant', content }, finish_reason }] }); // prettier-ignore
const json = (response: ServerResponse, status: number, body: string, headers = {}) =>
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(body);

const KEY = 'sk-secret-0123';
const rewriter = (url: string, options: Partial<EndpointOptions> = {}) =>
  new EndpointRewriter({ url, model: 'writer', key: KEY, temperature: 0.5, max_new_tokens: 99, backoff_ms: 1, ...options });
const rewrite = (url: string, stems = ['What is x?'], options: Partial<EndpointOptions> = {}, signal?: AbortSignal) =>
  rewriter(url, options).rewrite(stems, { seed: Seed.of(1), signal, onProgress: () => undefined });

async function failure(work: Promise<unknown>): Promise<{ code: string; message: string; remedy: string }> {
  const error: unknown = await work.then(
    () => Promise.reject(new Error('it should have failed')),
    (reason: unknown) => reason,
  );
  // Nothing of an error may tell the key.
  expect(JSON.stringify([error, String(error), (error as Error).cause, (error as Error).stack])).not.toContain(KEY);
  return error as { code: string; message: string; remedy: string };
}

test('asks Figure 2 word for word, with the key as bearer token, and gives the texts in order', async () => {
  const { url, asked } = await serve((response, { body }) => {
    const stem = body.messages[0]!.content.split('\n').at(-2)!;
    // The first question takes longest: answers don't come in the order of the questions.
    setTimeout(() => json(response, 200, completion(`re ${stem}`, stem === 'q4' ? 'length' : 'stop')), stem === 'q0' ? 60 : 1);
  });
  const stems = Array.from({ length: 9 }, (_, i) => `q${i}`);
  const seen: number[] = [];
  const texts = await rewriter(url, { concurrency: 3 }).rewrite(stems, { seed: Seed.of(1), signal: undefined, onProgress: (done) => seen.push(done) }); // prettier-ignore
  expect(texts).toEqual(stems.map((stem) => ({ text: `re ${stem}`, finished: stem !== 'q4' })));
  expect(seen).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
  expect(asked[0]).toMatchObject({ path: '/v1/chat/completions', authorization: `Bearer ${KEY}` });
  const { body } = asked.find((request) => request.body.messages[0]!.content === figure2Prompt('q3'))!;
  expect(body).toEqual({ model: 'writer', messages: [{ role: 'user', content: figure2Prompt('q3') }], temperature: 0.5, max_tokens: 99, seed: body.seed }); // prettier-ignore
  expect(new Set(asked.map((request) => request.body.seed)).size).toBe(9);
});

test('a local server needs no key', async () => {
  const { url, asked } = await serve((response) => json(response, 200, completion('x')));
  await rewrite(url, ['a'], { key: '' });
  expect(asked[0]!.authorization).toBeUndefined();
});

test('at most so many requests are under way at once', async () => {
  let open = 0;
  let most = 0;
  const { url } = await serve((response) => {
    most = Math.max(most, ++open);
    setTimeout(() => {
      open--;
      json(response, 200, completion('x'));
    }, 15);
  });
  await rewrite(url, [...Array(12).keys()].map(String), { concurrency: 3 });
  expect(most).toBe(3);
});

describe('what passes is tried again', () => {
  test.each([429, 500, 503])('%i twice, then an answer', async (status) => {
    const { url, asked } = await serve((response, _, n) =>
      n < 3 ? json(response, status, '{"error":{"message":"not now"}}', { 'retry-after': '0' }) : json(response, 200, completion('x')),
    );
    expect(await rewrite(url)).toEqual([{ text: 'x', finished: true }]);
    expect(asked).toHaveLength(3);
  });

  test('a connection that breaks off, then an answer', async () => {
    const { url, asked } = await serve((response, _, n) => (n < 2 ? response.destroy() : json(response, 200, completion('x'))));
    expect(await rewrite(url)).toEqual([{ text: 'x', finished: true }]);
    expect(asked).toHaveLength(2);
  });

  test('each wait is twice the one before, and Retry-After is heeded', async () => {
    const times: number[] = [];
    const { url } = await serve((response, _, n) => {
      times.push(performance.now());
      json(response, 429, '{}', n === 3 ? { 'retry-after': '0.2' } : {});
    });
    await failure(rewrite(url, ['a'], { retries: 3, backoff_ms: 40 }));
    const waits = times.slice(1).map((time, i) => time - times[i]!);
    expect(waits).toHaveLength(3);
    for (const [i, least] of [40, 80, 200].entries()) expect(waits[i]).toBeGreaterThanOrEqual(least - 2);
    expect(waits[0]).toBeLessThan(80);
  });

  test.each([
    [429, 'endpoint-rate-limited', /answered 429: .*slow down/],
    [502, 'endpoint-failed', /answered 502: .*slow down/],
  ])('%i for ever is an error after the retries', async (status, code, message) => {
    const { url, asked } = await serve((response) => json(response, status, '{"error":"slow down"}'));
    const error = await failure(rewrite(url, ['a'], { retries: 2 }));
    expect(error.code).toBe(code);
    expect(error.message).toMatch(message);
    expect(asked).toHaveLength(3);
  });
});

describe('what does not pass is an error at once', () => {
  test.each([
    [401, `{"error":{"message":"Incorrect API key provided: ${KEY}"}}`, 'endpoint-unauthorized', /answered 401: .*provided: \[key\]/, /valid key/],
    [403, '{}', 'endpoint-unauthorized', /answered 403/, /valid key/],
    [404, '<html><body>Not <b>found</b></body></html>', 'endpoint-not-found', /answered 404: Not found/, /endpoint_url or augment.endpoint_model/],
    [400, '{"error":"no such model"}', 'endpoint-refused', /no such model/, /Correct what the server names/],
    [200, '<!doctype html><title>Sign in</title>', 'endpoint-garbage', /it sent a web page/, /ends in \/v1/],
    [200, 'hello', 'endpoint-garbage', /something else: hello/, /ends in \/v1/],
    [200, '', 'endpoint-garbage', /something else: \(nothing\)/, /ends in \/v1/],
    [200, 'null', 'endpoint-garbage', /something else: null/, /ends in \/v1/],
    [200, '{"choices":[]}', 'endpoint-garbage', /something else: {"choices":\[\]}/, /ends in \/v1/],
    [200, completion(null), 'endpoint-garbage', /something else/, /ends in \/v1/],
  ])('%i %j', async (status, body, code, message, remedy) => {
    const { url, asked } = await serve((response) => json(response, status, body));
    const error = await failure(rewrite(url, ['a', 'b', 'c'], { concurrency: 1 }));
    expect(error.code).toBe(code);
    expect(error.message).toMatch(message);
    expect(error.remedy).toMatch(remedy);
    expect(asked).toHaveLength(1);
  }); // prettier-ignore

  test('no server', async () => {
    const { url } = await serve(() => undefined);
    servers.pop()!.close();
    const error = await failure(rewrite(url, ['a'], { retries: 1 }));
    expect(error).toMatchObject({ code: 'endpoint-unreachable', message: expect.stringMatching(/^writer at 127.0.0.1:\d+ can't be reached/) as string });
  }); // prettier-ignore

  test('a server that never answers', async () => {
    const { url } = await serve(() => undefined);
    const error = await failure(rewrite(url, ['a'], { retries: 1, timeout_ms: 50 }));
    expect(error).toMatchObject({ code: 'endpoint-timeout', message: expect.stringMatching(/within 0.05 seconds/) as string });
  });

  test('an answer that starts and never ends', async () => {
    const { url } = await serve((response) => response.writeHead(200).write('{"choices":'));
    expect(await failure(rewrite(url, ['a'], { retries: 0, timeout_ms: 50 }))).toMatchObject({ code: 'endpoint-timeout' });
  });

  test.each(['', 'nonsense', 'http://'])('%j is no address', (url) => {
    expect(() => rewriter(url)).toThrow('augment.endpoint_url is no address');
  });

  test('a key with a line break is refused, and not shown', () => {
    const making = () => rewriter('http://127.0.0.1/v1', { key: `${KEY}\n` });
    expect(making).toThrow('The key of the endpoint holds blanks');
    expect(making).not.toThrow(KEY);
  });
});

describe('a stop', () => {
  test('ends requests that are under way', async () => {
    const stop = new AbortController();
    const { url, asked } = await serve(() => stop.abort());
    expect(await failure(rewrite(url, ['a', 'b'], { concurrency: 1 }, stop.signal))).toMatchObject({ code: 'stopped' });
    expect(asked).toHaveLength(1);
  });

  test('ends the wait before a retry', async () => {
    const stop = new AbortController();
    const { url } = await serve((response) => {
      json(response, 503, '{}');
      setTimeout(() => stop.abort(), 20);
    });
    const start = performance.now();
    expect(await failure(rewrite(url, ['a'], { backoff_ms: 30_000 }, stop.signal))).toMatchObject({ code: 'stopped' });
    expect(performance.now() - start).toBeLessThan(5000);
  });

  test('before the start asks nothing', async () => {
    const { url, asked } = await serve((response) => json(response, 200, completion('x')));
    expect(await failure(rewrite(url, ['a'], {}, AbortSignal.abort()))).toMatchObject({ code: 'stopped' });
    expect(asked).toHaveLength(0);
  });
});
