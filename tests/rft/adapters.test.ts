/** Adapters that a config names beside the trained one: found, loaded once, and at work in the stage that named them. */
import { describe, expect, test } from 'vitest';
import { Seed } from '../../src/base/random.ts';
import { openPolicy } from '../../src/model/open.ts';
import { type NeededAdapter, loadNeededAdapters, neededAdapters } from '../../src/rft/adapters.ts';
import { type PartialConfig, resolveConfig, setPaths } from '../../src/rft/config.ts';
import type { SampleEvent } from '../../src/rft/events.ts';
import { runPipeline } from '../../src/rft/pipeline.ts';
import { LORA_TARGETS } from '../../src/rft/policy.ts';
import { picoData, picoFiles, tinyRun } from '../model/pico.ts';
import { collect } from './fixtures.ts';

const needed = (config: PartialConfig) => neededAdapters(resolveConfig(config)).map(({ name, setting }) => `${setting} ${name}`);

describe('what a config needs', () => {
  test('is nothing by default, and whom it names for a stage that runs', () => {
    expect(needed({})).toEqual([]);
    expect(needed({ augment: { enabled: true, rewriter: 'adapter' } })).toEqual(['augment.adapter rewriter']);
    expect(needed({ augment: { enabled: true, rewriter: 'adapter', adapter: 'scribe' } })).toEqual(['augment.adapter scribe']);
    expect(needed({ synthesis: { source: 'teacher' } })).toEqual(['synthesis.source teacher']);
    expect(needed({ prm: { model: 'prm' } })).toEqual(['prm.model prm']);
  });

  test('is nobody whom no stage asks', () => {
    expect(needed({ augment: { rewriter: 'adapter' } })).toEqual([]);
    expect(needed({ augment: { enabled: true, adapter: 'scribe' } })).toEqual([]);
    expect(needed({ synthesis: { source: 'teacher' }, sft: { enabled: false } })).toEqual([]);
    expect(needed({ synthesis: { source: 'teacher', source_share: 0 } })).toEqual([]);
    expect(needed({ prm: { model: 'prm' }, ppo: { enabled: false } })).toEqual([]);
  });

  test('is each once', () => {
    const config = { augment: { enabled: true, rewriter: 'adapter', adapter: 'both' }, synthesis: { source: 'both' }, prm: { model: 'prm' } } as const; // prettier-ignore
    expect(needed(config)).toEqual(['augment.adapter both', 'prm.model prm']);
  });
});

describe('on pico', () => {
  const config = setPaths(tinyRun(), [
    ['synthesis.source', 'teacher'],
    ['ppo.enabled', false],
    ['evaluation.limit', 1],
  ]);
  const rewriting = setPaths(config, [
    ['synthesis.source', 'self'],
    ['augment.enabled', true],
    ['augment.rewriter', 'adapter'],
    ['augment.use_in', 'sft'],
    ['augment.max_new_tokens', 8],
  ]);

  async function withAdapters(of: typeof config) {
    const policy = await openPolicy('pico', picoFiles(), { backend: 'cpu' });
    const lora = { rank: 2, alpha: 8, rslora: false, dropout: 0, targets: LORA_TARGETS };
    await policy.attachAdapter(lora, Seed.of(3));
    const files = await policy.exportAdapter();
    const read: NeededAdapter[] = [];
    for (let time = 0; time < 2; time++) {
      await loadNeededAdapters(policy, of, async (adapter) => {
        read.push(adapter);
        return files;
      });
    }
    return { policy, read };
  }

  test('the teacher that synthesis names is read once and answers the questions', async () => {
    const { policy, read } = await withAdapters(config);
    expect(read.map(({ name }) => name)).toEqual(['teacher']);
    const events = await collect(runPipeline(policy, config, await picoData()));
    const kept = events.filter((event): event is SampleEvent => event.type === 'sample' && event.stage === 'synthesize');
    expect(new Set(kept.map(({ source }) => source))).toEqual(new Set(['teacher', 'fallback']));
    expect(policy.frozenAdapters().map(({ name }) => name)).toEqual(['teacher']);
  });

  test('the adapter that augmentation names is the one that writes', async () => {
    const { policy, read } = await withAdapters(rewriting);
    expect(read.map(({ setting }) => setting)).toEqual(['augment.adapter']);
    // It learned nothing, so that all of its texts are refused; by its name.
    await expect(collect(runPipeline(policy, rewriting, await picoData()))).rejects.toThrow(
      /^Of 30 variations that pico with adapter rewriter was to write none can be used/,
    );
  });
});
