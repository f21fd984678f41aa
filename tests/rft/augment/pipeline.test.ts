import { type Server, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openPolicy } from '../../../src/model/open.ts';
import { encodeCheckpoint } from '../../../src/rft/checkpoint.ts';
import { type PartialConfig, resolveConfig, setPath } from '../../../src/rft/config.ts';
import { type AugmentMetricEvent, type CheckpointEvent, type RunEvent, type SampleEvent, withoutTime } from '../../../src/rft/events.ts';
import { type PipelineOptions, runPipeline } from '../../../src/rft/pipeline.ts';
import { picoData, picoFiles, tinyRun } from '../../model/pico.ts';
import { collect, toyConfig, toyData } from '../fixtures.ts';
import { TabularPolicy } from '../tabular-policy.ts';

const KEY = 'sk-secret-0123';
let server: Server;
let endpoint_url: string;
/** Stems that the endpoint was asked to rewrite. */
const asked: string[] = [];

/** Four wordings, and one of another item: 5A7 for 5A. */
function rewriteToy(stem: string): string {
  const [, c, item] = /class (\d), item (\w+)\?/.exec(stem)!;
  const of = `class ${c}, item ${item}`;
  return [`What belongs to ${of}?`, `Find what belongs to ${of}.`, `Of ${of}: which option is it?`, `Tell the option of ${of}.`, `What belongs to class ${c}, item ${item}7?`].join(' <sep> '); // prettier-ignore
}

beforeAll(async () => {
  server = createServer((request, response) => {
    let text = '';
    request.on('data', (part: Buffer) => (text += part.toString()));
    request.on('end', () => {
      const { messages } = JSON.parse(text) as { messages: { content: string }[] };
      const stem = messages[0]!.content.split('\n').at(-2)!;
      asked.push(stem);
      if (request.headers.authorization !== `Bearer ${KEY}`) return response.writeHead(401).end('no such key');
      return response.end(JSON.stringify({ choices: [{ message: { content: rewriteToy(stem) }, finish_reason: 'stop' }] }));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  endpoint_url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`;
});
afterAll(() => server.close());

const augmented = (augment: PartialConfig['augment'] = {}, changes: PartialConfig = {}) =>
  toyConfig({ ...changes, augment: { enabled: true, rewriter: 'endpoint', endpoint_url, endpoint_model: 'toy', ...augment } });
const run = async (config = augmented(), options: PipelineOptions = {}, policy = new TabularPolicy()) => ({
  policy,
  events: await collect(runPipeline(policy, config, await toyData(), { endpointKey: KEY, ...options })),
});

const adapter = async (policy: TabularPolicy) => Buffer.from((await policy.exportAdapter())['adapter_model.safetensors']).toString('hex');
const checkpoints = (events: readonly RunEvent[]) => events.filter((e): e is CheckpointEvent => e.type === 'checkpoint');
const summary = (events: readonly RunEvent[]) =>
  events.findLast((e): e is AugmentMetricEvent => e.type === 'metric' && e.stage === 'augment');
const asks = (events: readonly RunEvent[], stage: string) => [
  ...new Set(events.filter((e): e is SampleEvent => e.type === 'sample' && e.stage === stage).map(({ question }) => question)),
];

describe('a run whose questions an endpoint rewrites', () => {
  let whole: Awaited<ReturnType<typeof run>>;
  beforeAll(async () => {
    whole = await run();
  });

  test('augments after the first evaluation, and tells what it used', () => {
    const stages = whole.events.flatMap((e) => (e.type === 'stage' && e.status === 'done' ? [e.stage] : []));
    expect(stages).toEqual(['evaluate_before', 'augment', 'synthesize', 'sft', 'ppo', 'evaluate_after']);
    expect(summary(whole.events)).toMatchObject({ wanted: 120, accepted: 96, verified: 0, rejected: { units_changed: 24 }, questions: 24 }); // prettier-ignore
    expect(summary(whole.events)!.rewriter).toBe(`toy at ${new URL(endpoint_url).host}`);
  });

  test('RL asks the variations too, synthesis the originals alone', () => {
    expect(asks(whole.events, 'synthesize')).toHaveLength(24);
    expect(Math.max(...asks(whole.events, 'synthesize'))).toBe(23);
    const ppo = asks(whole.events, 'ppo');
    expect(ppo.filter((question) => question >= 24).length).toBeGreaterThan(ppo.length / 2);
    for (const event of whole.events) {
      if (event.type !== 'sample' || event.stage !== 'ppo' || !event.prompt) continue;
      expect(event.prompt.includes('Which option belongs to')).toBe(event.question < 24);
    }
  });

  test('the key is in no event and no checkpoint', () => {
    expect(JSON.stringify(whole.events)).not.toContain(KEY);
    const places = checkpoints(whole.events);
    expect(places.some(({ checkpoint }) => checkpoint.augmentation !== undefined)).toBe(true);
    for (const { checkpoint } of places) expect(Buffer.from(encodeCheckpoint(checkpoint)).includes(KEY)).toBe(false);
  });

  test('from every checkpoint it goes on byte for byte, and what is rewritten is not asked for again', async () => {
    const places = checkpoints(whole.events).filter(({ stage, step }) => stage !== 'ppo' || step % 6 === 0);
    expect(places.map(({ stage, step }) => `${stage} ${step}`)).toEqual(expect.arrayContaining(['augment 0', 'augment 1', 'synthesize 0']));
    for (const place of places) {
      asked.length = 0;
      const resumed = await run(augmented(), { resume: place.checkpoint });
      const tail = whole.events.slice(whole.events.indexOf(place) + 1);
      expect(resumed.events.map(withoutTime)).toEqual(tail.map(withoutTime));
      expect(await adapter(resumed.policy)).toBe(await adapter(whole.policy));
      expect(asked).toHaveLength(place.stage !== 'augment' ? 0 : place.step === 0 ? 24 : 4);
    }
  });

  test('a key that is wrong ends it, and resuming with the right one loses nothing', async () => {
    const seen: RunEvent[] = [];
    const failing = async () => {
      for await (const event of runPipeline(new TabularPolicy(), augmented(), await toyData(), { endpointKey: 'sk-wrong' }))
        seen.push(event);
    };
    await expect(failing()).rejects.toMatchObject({ code: 'endpoint-unauthorized' });
    const { policy } = await run(augmented(), { resume: checkpoints(seen).at(-1)!.checkpoint });
    expect(await adapter(policy)).toBe(await adapter(whole.policy));
  });

  test.each([
    ['sft', 96, 0],
    ['both', 96, 1],
  ] as const)('used in %s', async (use_in, learned, explored) => {
    const { events } = await run(augmented({ use_in }));
    expect(asks(events, 'synthesize').filter((question) => question >= 24)).toHaveLength(learned);
    expect(asks(events, 'ppo').some((question) => question >= 24)).toBe(explored === 1);
  });

  test('where nothing would use the variations, none are written', async () => {
    asked.length = 0;
    const { events } = await run(augmented({ use_in: 'rl' }, { ppo: { enabled: false }, sft: { epochs: 1 } }));
    expect(events).toContainEqual(expect.objectContaining({ type: 'stage', stage: 'augment', status: 'skipped' }));
    expect(asked).toEqual([]);
  });
});

describe('what can’t rewrite is refused before anything else', () => {
  const refused = async (augment: PartialConfig['augment'], options: PipelineOptions = {}) => {
    const events: RunEvent[] = [];
    const error: unknown = await (async () => {
      for await (const event of runPipeline(new TabularPolicy(), augmented(augment), await toyData(), options)) events.push(event);
    })().catch((reason: unknown) => reason);
    expect(events).toEqual([]);
    return (error as Error).message;
  };

  test('templates, of questions that no task made', async () => {
    expect(await refused({ rewriter: 'template' })).toContain('Question 1 was not made by a task of the lab');
  });

  test('an adapter that the policy lacks', async () => {
    expect(await refused({ rewriter: 'adapter' })).toContain('table has no adapter rewriter loaded that rewrites questions');
  });

  test('an endpoint without address or model', async () => {
    expect(await refused({ endpoint_url: '' })).toBe('augment.endpoint_url is no address: "".');
    expect(await refused({ endpoint_model: '' })).toBe('augment.endpoint_model is empty.');
    for (const url of ['ftp://x/v1', 'https://me:key@host/v1', 'https://host/v1?key=1', 'host/v1']) {
      expect(() => augmented({ endpoint_url: url })).toThrow('augment.endpoint_url must be empty, or an http or https address');
    }
  });

  test('settings can be given one by one in any order', () => {
    const settings = {
      'augment.rewriter': 'endpoint',
      'augment.enabled': true,
      'augment.endpoint_model': 'toy',
      'augment.endpoint_url': 'http://host/v1',
    };
    for (const order of [Object.entries(settings), Object.entries(settings).reverse()]) {
      const config = order.reduce((made, [path, value]) => setPath(made, path, value), resolveConfig({}));
      expect(config.augment).toMatchObject({ rewriter: 'endpoint', enabled: true, endpoint_model: 'toy', endpoint_url: 'http://host/v1' });
    }
  });
});

test('an adapter of the policy is asked, and judged like any rewriter', async () => {
  // The table answers as its base under an adapter that is loaded, and knows nothing of rewriting.
  const policy = new TabularPolicy();
  await policy.loadAdapter('rewriter', { 'adapter_config.json': '{}', 'adapter_model.safetensors': new Uint8Array() });
  await expect(run(augmented({ rewriter: 'adapter' }), {}, policy)).rejects.toThrow(
    /^Of 120 variations that table with adapter rewriter was to write none can be used: missing \d+, /,
  );
});

test('pico learns on questions that its task rewrote', async () => {
  const policy = await openPolicy('pico', picoFiles(), { backend: 'cpu' });
  const config = setPath(tinyRun(), 'augment.enabled', true);
  const events = await collect(runPipeline(policy, config, await picoData()));
  expect(summary(events)).toMatchObject({ rewriter: 'templates of the task', wanted: 30, accepted: 30, verified: 30 });
  expect(asks(events, 'ppo').some((question) => question >= 6)).toBe(true);
  expect(events.at(-1)!.type).toBe('done');
});
