/** What every Policy owes, on every backend: agreement with the others, determinism, exact resumption, and a PPO that learns. */
import { describe, expect, test } from 'vitest';
import { StoppedError } from '../../src/base/errors.ts';
import { Seed } from '../../src/base/random.ts';
import {
  type Generation,
  LORA_TARGETS,
  type LoraConfig,
  type Policy,
  type PrmBatch,
  type PrmMetrics,
  type Sequence,
} from '../../src/rft/policy.ts';
import type { Lane } from '../../src/gpu/lanes.ts';
import { expectClose } from '../kernels/harness.ts';
import { type Backend, PPO, STEP, goldenSequences, openGolden } from './policies.ts';

const LORA: LoraConfig = { rank: 2, alpha: 8, rslora: false, dropout: 0, targets: LORA_TARGETS };
const SAMPLING = { temperature: 1, top_k: 0, top_p: 1, max_new_tokens: 8 };
const PROMPTS = [[5, 9, 12], [7], [30, 31, 32, 33, 34, 35, 36], [2, 2], [60, 4, 19, 3]];

const generate = (policy: Policy, prompts = PROMPTS, sampling = SAMPLING) =>
  policy.generate({ prompts, adapter: 'policy', sampling, seed: Seed.of(3) });

/** A policy that SFT has moved off its base, so that B is not zero. */
async function trained(backend: Backend, lora = LORA): Promise<Policy> {
  const policy = await openGolden('llama', backend);
  await policy.attachAdapter(lora, Seed.of(1));
  for (let i = 0; i < 3; i++)
    await policy.sftStep({ sequences: goldenSequences('llama'), loss_on: 'response', micro_batch: 0 }, STEP, Seed.of(2));
  return policy;
}

/** Steps of the golden sequences: some, none, and some more, right and wrong ones. */
const STEPS: PrmBatch = {
  sequences: goldenSequences('llama'),
  positions: [[2, 5, 7], [], [1, 2, 4]],
  labels: [[1, 0, 1], [], [0, 1, 0]],
  micro_batch: 0,
};

const DETAILS = ['old_logprobs', 'ref_logprobs', 'entropies', 'values', 'advantages', 'returns', 'new_logprobs', 'new_values'] as const;

const rollouts = (generations: readonly Generation[]) => ({
  sequences: generations as readonly Sequence[],
  sampling_logprobs: generations.map(({ logprobs }) => logprobs),
});

/** Pairs of responses of different lengths to one prompt, scored by the reference. */
async function preferenceBatch(policy: Policy) {
  const prompts = [PROMPTS[0]!, PROMPTS[0]!, PROMPTS[2]!, PROMPTS[2]!, PROMPTS[4]!, PROMPTS[4]!];
  const generations = await generate(policy, prompts);
  const scores = await policy.score(generations, { adapter: 'reference', temperature: 0.8 });
  const scored = generations.map((generation, i) => ({ ...generation, ref_logprobs: scores[i]!.logprobs }));
  const pairs = [0, 2, 4].map((i) => ({ chosen: scored[i]!, rejected: scored[i + 1]! }));
  return { pairs, beta: 0.5, temperature: 0.8, micro_batch: 0 };
}

export function policySuite(backend: Backend): void {
  describe(`policy on ${backend}`, () => {
    test('an untouched policy scores its own rollouts with ratio 1 and no KL, and as its sampler did', async () => {
      const policy = await trained(backend);
      await policy.beginRl(Seed.of(4));
      const generations = await generate(policy);
      const rewards = generations.map((_, i) => i % 2);
      const { metrics } = await policy.ppoUpdate({ ...rollouts(generations), rewards }, { ...PPO, train_actor: true });
      expect(metrics.ratio_mean).toBeCloseTo(1, 5);
      expect(metrics.ratio_max).toBeCloseTo(1, 5);
      expect(Math.abs(metrics.approx_kl)).toBeLessThan(1e-6);
      expect(Math.abs(metrics.kl)).toBeLessThan(1e-6);
      expect(metrics.clip_ratio).toBe(0);
      expect(metrics.sampler_gap).toBeLessThan(1e-4);
      expect(metrics.actor_grad_norm).toBeGreaterThan(0);
    });

    test('the sampler’s log-probs are the training kernel’s', async () => {
      const policy = await trained(backend);
      const generations = await generate(policy);
      const scores = await policy.score(generations, { adapter: 'policy', temperature: 1 });
      generations.forEach(({ logprobs }, i) => expectClose(logprobs, scores[i]!.logprobs, 1e-4));
    });

    test('the top tokens at a position are what the sampler and the training kernel draw from', async () => {
      const policy = await trained(backend);
      const [drawn] = await generate(policy, [PROMPTS[2]!]);
      const [scores] = await policy.score([drawn!], { adapter: 'policy', temperature: 0.7 });
      const at = drawn!.prompt_length;
      for (const t of [0, 3, scores!.logprobs.length - 1]) {
        const taken = drawn!.tokens[at + t]!;
        const options = { adapter: 'policy', temperature: 0.7, k: 61 };
        const all = await policy.topTokens(drawn!, at + t, options);
        expect(all.map(({ rank }) => rank)).toEqual(Array.from({ length: 61 }, (_, i) => i + 1));
        expect(new Set(all.map(({ id }) => id)).size).toBe(61);
        expect(all.reduce((sum, { logprob }) => sum + Math.exp(logprob), 0)).toBeCloseTo(1, 6);
        all.slice(1).forEach(({ logprob }, i) => expect(logprob).toBeLessThanOrEqual(all[i]!.logprob));
        expect(Math.abs(all.find(({ id }) => id === taken)!.logprob - scores!.logprobs[t]!)).toBeLessThan(1e-4);
        // Few are the first of all, and the one that was taken follows them where it is none of them; what comes later is not looked at.
        const changed = { ...drawn!, tokens: drawn!.tokens.map((id, i) => (i > at + t ? 1 : id)) };
        for (const k of [1, 3]) {
          const expected = all.filter(({ id, rank }) => rank <= k || id === taken);
          expect(await policy.topTokens(changed, at + t, { ...options, k })).toEqual(expected);
        }
        const greedy = await policy.generate({
          prompts: [[...drawn!.tokens.subarray(0, at + t)]],
          adapter: 'policy',
          sampling: { ...SAMPLING, temperature: 0, max_new_tokens: 1 },
          seed: Seed.of(1),
        });
        expect(greedy[0]!.tokens.at(-1)).toBe(all[0]!.id);
      }
      expect(policy.phase).toBe('sft');
      const base = await policy.topTokens(drawn!, at, { adapter: 'base', temperature: 1, k: 5 });
      expect(base).not.toEqual(await policy.topTokens(drawn!, at, { adapter: 'policy', temperature: 1, k: 5 }));
    });

    test('asking for top tokens between two updates changes no byte of the training', async () => {
      const states = [];
      for (const asks of [false, true]) {
        const policy = await trained(backend);
        await policy.beginRl(Seed.of(4));
        expect(policy.phase).toBe('rl');
        for (let update = 0; update < 2; update++) {
          const generations = await generate(policy);
          await policy.ppoUpdate({ ...rollouts(generations), rewards: generations.map((_, i) => i % 2) }, PPO);
          if (!asks) continue;
          const long = { tokens: Int32Array.from({ length: 64 }, (_, i) => (i * 5) % 61), prompt_length: 3 };
          for (const adapter of ['policy', 'reference', 'base']) await policy.topTokens(long, 63, { adapter, temperature: 1, k: 8 });
        }
        states.push(await policy.checkpoint());
      }
      expect(states[1]).toEqual(states[0]);
    });

    test.each([
      ['a token of the prompt', 2, {}, /Position 2 is not in the response, which is tokens 3 to 4/],
      ['a token that is not there', 5, {}, /Position 5 is not in the response/],
      ['no temperature', 3, { temperature: 0 }, /temperature is 0/],
      ['none at all', 3, { k: 0 }, /0 tokens were asked for/],
      ['an adapter that is not there', 3, { adapter: 'policy' }, /no adapter to train/],
    ])('top tokens refuse %s', async (_, position, change, message) => {
      const policy = await openGolden('llama', backend);
      expect(policy.phase).toBe('base');
      const sequence = { tokens: Int32Array.of(5, 9, 12, 7, 1), prompt_length: 3 };
      await expect(policy.topTokens(sequence, position, { adapter: 'base', temperature: 1, k: 8, ...change })).rejects.toThrow(message);
    });

    test('a rollout does not depend on the batch it is drawn in', async () => {
      const policy = await trained(backend);
      const together = await generate(policy);
      const alone = await generate(policy, [PROMPTS[0]!]);
      expect([...alone[0]!.tokens]).toEqual([...together[0]!.tokens]);
    });

    test('a text’s vector depends on the adapter and not on the batch', async () => {
      const policy = await trained(backend);
      const [base, adapted] = [await policy.embed(PROMPTS, { adapter: 'base' }), await policy.embed(PROMPTS, { adapter: 'policy' })];
      expect(base.map(({ length }) => length)).toEqual(PROMPTS.map(() => policy.info.hidden_size));
      PROMPTS.forEach((_, i) => expect([...adapted[i]!]).not.toEqual([...base[i]!]));
      const [alone] = await policy.embed([PROMPTS[3]!], { adapter: 'base' });
      expectClose(alone!, base[3]!, 1e-6);
      const more = Array.from({ length: 300 }, (_, i) => PROMPTS[i % PROMPTS.length]!);
      const many = await policy.embed(more, { adapter: 'base' });
      more.forEach((_, i) => expectClose(many[i]!, base[i % PROMPTS.length]!, 1e-6));
      await expect(policy.embed([[3], []], { adapter: 'base' })).rejects.toThrow(/Text 1 is empty/);
      await expect(policy.embed(PROMPTS, { adapter: 'base' }, AbortSignal.abort())).rejects.toThrow(StoppedError);
    });

    test('a frozen adapter is used by its name, and outlives whatever becomes of the trained one', async () => {
      const policy = await trained(backend);
      const options = { adapter: 'policy', temperature: 1 };
      const [scores, rolled, vectors] = [
        await policy.score(goldenSequences('llama'), options),
        await generate(policy),
        await policy.embed(PROMPTS, options),
      ];
      const files = await policy.exportAdapter();
      expect(await policy.loadAdapter('teacher', files)).toEqual(LORA);
      expect(await policy.exportAdapter('teacher')).toEqual(files);
      const unchanged = async (name: string) => {
        const adapter = { adapter: name, temperature: 1 };
        expect(await policy.score(goldenSequences('llama'), adapter)).toEqual(scores);
        expect(await policy.embed(PROMPTS, adapter)).toEqual(vectors);
        expect(await policy.generate({ prompts: PROMPTS, ...adapter, sampling: SAMPLING, seed: Seed.of(3) })).toEqual(rolled);
      };
      await unchanged('teacher');
      await policy.beginRl(Seed.of(4));
      await policy.ppoUpdate({ ...rollouts(rolled), rewards: rolled.map((_, i) => i) }, PPO);
      const checkpoint = await policy.checkpoint();
      expect(Object.keys(checkpoint.tensors).filter((name) => name.includes('teacher'))).toEqual([]);
      expect(await policy.score(goldenSequences('llama'), options)).not.toEqual(scores);
      await policy.attachAdapter({ ...LORA, rank: 3 }, Seed.of(9));
      await policy.loadAdapter('other', await policy.exportAdapter());
      await policy.restore(checkpoint);
      await policy.importAdapter(await policy.exportAdapter());
      await unchanged('teacher');
      // In place of the one before: a fresh adapter has B = 0 and computes what the base does.
      await policy.attachAdapter({ ...LORA, rank: 3 }, Seed.of(9));
      await policy.loadAdapter('teacher', await policy.exportAdapter());
      const base = await policy.score(goldenSequences('llama'), { adapter: 'base', temperature: 1 });
      const fresh = await policy.score(goldenSequences('llama'), { adapter: 'teacher', temperature: 1 });
      base.forEach(({ logprobs }, i) => expectClose(fresh[i]!.logprobs, logprobs, 1e-6));
      await policy.dropAdapter('teacher');
      await expect(policy.embed(PROMPTS, { adapter: 'teacher' })).rejects.toThrow(
        expect.objectContaining({
          message: 'There is no adapter "teacher".',
          remedy: 'Load it with loadAdapter first; loaded so far: other.',
        }),
      );
      await expect(policy.dropAdapter('teacher')).rejects.toThrow('There is no adapter "teacher"');
    });

    test.each(['policy', 'base', 'critic', '', 'Teacher', 'a b', 'x'.repeat(65)])('a frozen adapter can’t be called “%s”', async (name) => {
      const policy = await trained(backend);
      await expect(policy.loadAdapter(name, await policy.exportAdapter())).rejects.toThrow(/A frozen adapter can't be called/);
    });

    test('a frozen adapter that does not fit is refused, and the one before stays', async () => {
      const policy = await trained(backend);
      const files = await policy.exportAdapter();
      await policy.loadAdapter('teacher', files);
      const wrong = { ...files, 'adapter_config.json': files['adapter_config.json'].replace('"r": 2', '"r": 3') };
      await expect(policy.loadAdapter('teacher', wrong)).rejects.toThrow(/has shape \[2, 32\] and needs \[3, 32\]/);
      expect(await policy.embed(PROMPTS, { adapter: 'teacher' })).toEqual(await policy.embed(PROMPTS, { adapter: 'policy' }));
    });

    test('a reward model learns which steps are right, and comes back from its files with the same scores', async () => {
      const policy = await openGolden('llama', backend);
      await policy.attachAdapter({ ...LORA, rank: 4 }, Seed.of(1), { value_head: true });
      const metrics: PrmMetrics[] = [];
      for (let i = 0; i < 30; i++) metrics.push(await policy.prmStep(STEPS, { ...STEP, learning_rate: 3e-2 }, Seed.of(2)));
      const [first, last] = [metrics[0]!, metrics.at(-1)!];
      expect(first.steps).toBe(6);
      expect(first.loss).toBeGreaterThan(0.4);
      expect(last.loss).toBeLessThan(0.15);
      expect(last.accuracy).toBe(1);
      expect(last.grad_norm).toBeGreaterThan(0);
      const scores = await policy.scoreSteps(STEPS.sequences, STEPS.positions, { adapter: 'policy' });
      expect(scores.map(({ length }) => length)).toEqual([3, 0, 3]);
      expect(await policy.scoreSteps(STEPS.sequences, [[], [], []], { adapter: 'policy' })).toEqual(scores.map(() => new Float32Array(0)));
      STEPS.labels.forEach((labels, i) => labels.forEach((label, j) => expect(scores[i]![j]! > 0.5).toBe(label > 0.5)));
      const files = await policy.exportAdapter();
      await policy.attachAdapter(LORA, Seed.of(7));
      await policy.loadAdapter('prm', files);
      expect(await policy.scoreSteps(STEPS.sequences, STEPS.positions, { adapter: 'prm' })).toEqual(scores);
      // And can be trained on.
      await policy.importAdapter(files);
      expect((await policy.prmStep(STEPS, STEP, Seed.of(2))).loss).toBeLessThan(0.15);
    });

    test('the score of a step depends on what comes up to its end, and not on the batch', async () => {
      const policy = await openGolden('llama', backend);
      await policy.attachAdapter(LORA, Seed.of(1), { value_head: true });
      await policy.prmStep(STEPS, STEP, Seed.of(2));
      const tokens = Int32Array.from({ length: 40 }, (_, i) => (i * 7) % 61);
      const every = [...tokens.keys()];
      const [scores] = await policy.scoreSteps([{ tokens, prompt_length: 3 }], [every], { adapter: 'policy' });
      const cut = every.slice(4).map((p) => ({ tokens: tokens.slice(0, p + 1), prompt_length: 3 }));
      const alone = await policy.scoreSteps(cut, cut.map(({ tokens: { length } }) => [length - 1]), { adapter: 'policy' }); // prettier-ignore
      expectClose(Float32Array.from(alone, ([score]) => score!), scores!.slice(4), 1e-5); // prettier-ignore
      const more = Array.from({ length: 300 }, (_, i) => cut[i % cut.length]!);
      const many = await policy.scoreSteps(more, more.map(({ tokens: { length } }) => [length - 1]), { adapter: 'policy' }); // prettier-ignore
      many.forEach(([score], i) => expect(score).toBeCloseTo(alone[i % cut.length]![0]!, 5));
    });

    test('a reward model goes on from a checkpoint with the same bytes, dropout included', async () => {
      const lora = { ...LORA, dropout: 0.2 };
      const go = async (policy: Policy, from: number, to: number) => {
        for (let i = from; i < to; i++) await policy.prmStep(STEPS, STEP, Seed.of(3).derive(i));
      };
      const straight = await openGolden('llama', backend);
      await straight.attachAdapter(lora, Seed.of(1), { value_head: true });
      await go(straight, 0, 2);
      const halfway = await straight.checkpoint();
      expect(halfway.phase).toBe('prm');
      await go(straight, 2, 4);
      const resumed = await openGolden('llama', backend);
      await resumed.restore(halfway);
      await go(resumed, 2, 4);
      expect(await resumed.exportAdapter()).toEqual(await straight.exportAdapter());
      expect(await resumed.exportAdapter()).not.toEqual(await openGolden('llama', backend).then(async (other) => {
        await other.restore(halfway);
        return other.exportAdapter();
      })); // prettier-ignore
    });

    test('what a reward model is not for, and what it can’t judge, is refused by name', async () => {
      const policy = await trained(backend);
      const { sequences, positions, labels } = STEPS;
      await expect(policy.scoreSteps(sequences, positions, { adapter: 'policy' })).rejects.toThrow(/"policy" has no value head/);
      await expect(policy.scoreSteps(sequences, positions, { adapter: 'base' })).rejects.toThrow(/"base" has no value head/);
      await expect(policy.scoreSteps(sequences, positions, { adapter: 'prm' })).rejects.toThrow(/There is no adapter "prm"/);
      await expect(policy.prmStep(STEPS, STEP, Seed.of(2))).rejects.toThrow(/no value head/);
      await policy.attachAdapter(LORA, Seed.of(1), { value_head: true });
      await expect(policy.sftStep({ sequences, loss_on: 'response', micro_batch: 0 }, STEP, Seed.of(2))).rejects.toThrow(/reward model/);
      await expect(policy.beginRl(Seed.of(2))).rejects.toThrow(/reward model/);
      const bad: [Partial<PrmBatch>, RegExp][] = [
        [{ positions: [[2, 2, 4], [], [1, 2, 3]] }, /Step 1 of sequence 0 ends at token 2, after 2/],
        [{ positions: [[2, 5, 400], [], [1, 2, 3]] }, /ends at token 400/],
        [{ positions: [[2, 2.5, 4], [], [1, 2, 3]] }, /ends at token 2.5/],
        [{ positions: [[2]] }, /1 lists of positions for 3 sequences/],
        [{ positions: [[], [], []] }, /No sequence of the batch has a step/],
        [{ labels: [[1, 0], [], [1, 1, 1]] }, /Sequence 0 has 2 labels for 3 steps/],
        [{ labels: [[1, 0, 2], [], [1, 1, 1]] }, /Sequence 0 has the label 2/],
        [{ labels: [[1, 0, NaN], [], [1, 1, 1]] }, /Sequence 0 has the label NaN/],
      ];
      for (const [change, message] of bad) {
        await expect(policy.prmStep({ sequences, positions, labels, micro_batch: 0, ...change }, STEP, Seed.of(2))).rejects.toThrow(
          message,
        );
      }
      await expect(policy.scoreSteps(sequences, positions, { adapter: 'policy' }, AbortSignal.abort())).rejects.toThrow(StoppedError);
      expect(await policy.scoreSteps(sequences, positions, { adapter: 'policy' })).toHaveLength(3);
    });

    test('SFT overfits a batch, and lora_B moves', async () => {
      const policy = await openGolden('llama', backend);
      await policy.attachAdapter({ ...LORA, rank: 4 }, Seed.of(1));
      const losses: number[] = [];
      for (let i = 0; i < 25; i++) {
        losses.push(
          (
            await policy.sftStep(
              { sequences: goldenSequences('llama'), loss_on: 'response', micro_batch: 0 },
              { ...STEP, learning_rate: 3e-2 },
              Seed.of(2),
            )
          ).loss,
        );
      }
      expect(losses.at(-1)!).toBeLessThan(losses[0]! * 0.6);
      const { tensors } = await policy.checkpoint();
      expect(tensors.policy!.some((value) => value !== 0)).toBe(true);
    });

    test('PPO raises the share of a rewarded token', async () => {
      const policy = await openGolden('llama', backend);
      await policy.attachAdapter({ ...LORA, rank: 4 }, Seed.of(1));
      await policy.beginRl(Seed.of(4));
      const means: number[] = [];
      for (let update = 0; update < 12; update++) {
        const prompts = Array.from({ length: 16 }, (_, i) => PROMPTS[i % PROMPTS.length]!);
        const sampling = { ...SAMPLING, max_new_tokens: 4 };
        const generations = await policy.generate({ prompts, adapter: 'policy', sampling, seed: Seed.of(5).derive(update) });
        const rewards = generations.map(
          ({ tokens, prompt_length }) => [...tokens.slice(prompt_length)].filter((token) => token < 20).length / 4,
        );
        means.push(rewards.reduce((a, b) => a + b, 0) / rewards.length);
        await policy.ppoUpdate(
          { ...rollouts(generations), rewards },
          { ...PPO, ppo_epochs: 2, minibatches: 2, actor: { ...STEP, learning_rate: 2e-2 }, seed: Seed.of(6).derive(update) },
        );
      }
      const mean = (values: number[]) => values.reduce((a, b) => a + b, 0) / values.length;
      expect(mean(means.slice(-4))).toBeGreaterThan(mean(means.slice(0, 4)) + 0.1);
    });

    test('a reward at the last token is the reward of the sequence, and one before it is of other use', async () => {
      const policy = await trained(backend);
      await policy.beginRl(Seed.of(4));
      const start = await policy.checkpoint();
      const generations = await generate(policy);
      const still = { ...PPO, train_actor: false, whiten_advantages: false };
      const update = async (rewards: readonly number[], place?: (length: number) => number) => {
        await policy.restore(start);
        const token_rewards = generations.map(({ logprobs: { length } }, i) => {
          const row = new Float32Array(length);
          if (place) row[place(length)] = i - 1;
          return row;
        });
        const { details } = await policy.ppoUpdate({ ...rollouts(generations), rewards, token_rewards }, still, {
          inspect: generations.length,
        });
        return details!.returns;
      };
      const zeros = generations.map(() => 0);
      const atEnd = await update(generations.map((_, i) => i - 1));
      expect(await update(zeros, (length) => length - 1)).toEqual(atEnd);
      const early = await update(zeros, () => 0);
      early.forEach((returns, i) => {
        // At lambda below 1 the first action hears less of what is paid at the end.
        const paid = i - 1;
        if (paid !== 0 && returns.length > 1) expect((returns[0]! - atEnd[i]![0]!) * paid).toBeGreaterThan(0);
      });
      // What comes after the reward is worth what it was without it.
      await policy.restore(start);
      const { details } = await policy.ppoUpdate({ ...rollouts(generations), rewards: zeros }, still, { inspect: generations.length });
      early.forEach((returns, i) => expectClose(returns.slice(1), details!.returns[i]!.slice(1), 1e-6));
      const short = { ...rollouts(generations), rewards: zeros, token_rewards: generations.map(() => new Float32Array(1)) };
      await expect(policy.ppoUpdate(short, still)).rejects.toThrow(/Sequence 1 has 1 token rewards for 8 response tokens/);
      await expect(policy.ppoUpdate({ ...short, rewards: [1] }, still)).rejects.toThrow(/1 rewards for 5 sequences/);
    });

    test('what is inspected is what scoring says before and after the update, of the first sequences, and changes no byte', async () => {
      const policy = await trained(backend);
      await policy.beginRl(Seed.of(4));
      const start = await policy.checkpoint();
      const generations = await generate(policy);
      const batch = { ...rollouts(generations), rewards: generations.map((_, i) => i % 2) };
      const config = { ...PPO, ppo_epochs: 2, minibatches: 2 };
      const { metrics, details } = await policy.ppoUpdate(batch, config, { inspect: 2 });
      const trainedTo = await policy.checkpoint();
      const score = (adapter: string) => policy.score(generations.slice(0, 2), { adapter, temperature: config.temperature });
      const [before, after] = [await score('reference'), await score('policy')];
      const lengths = generations.slice(0, 2).map(({ logprobs }) => logprobs.length);
      for (const name of DETAILS) expect(details![name].map(({ length }) => length), name).toEqual(lengths); // prettier-ignore
      [0, 1].forEach((i) => {
        expectClose(details!.entropies[i]!, before[i]!.entropy, 1e-5);
        expectClose(details!.new_logprobs[i]!, after[i]!.logprobs, 1e-5);
      });
      for (const [was, is] of [
        ['old_logprobs', 'new_logprobs'],
        ['values', 'new_values'],
      ] as const) expect(details![is][0], is).not.toEqual(details![was][0]); // prettier-ignore
      // A critic at rest values as it did.
      const still = await policy.ppoUpdate(batch, { ...config, critic: { ...STEP, learning_rate: 0 } }, { inspect: 2 });
      expect(still.details!.new_values).toEqual(still.details!.values);
      expectClose(still.details!.values[0]!, details!.new_values[0]!, 1e-5);
      await policy.restore(start);
      expect(await policy.ppoUpdate(batch, config)).toEqual({ metrics });
      expect((await policy.checkpoint()).tensors).toEqual(trainedTo.tensors);
    });

    test('the same seed gives the same bytes, and a restored checkpoint goes on to the same bytes', async () => {
      const go = async (policy: Policy, from: number, to: number) => {
        for (let update = from; update < to; update++) {
          const generations = await policy.generate({
            prompts: PROMPTS,
            adapter: 'policy',
            sampling: SAMPLING,
            seed: Seed.of(5).derive(update),
          });
          const rewards = generations.map(({ tokens }) => tokens.length % 3);
          await policy.ppoUpdate(
            { ...rollouts(generations), rewards },
            { ...PPO, ppo_epochs: 2, minibatches: 2, seed: Seed.of(6).derive(update) },
          );
        }
      };
      const begin = async () => {
        const policy = await trained(backend);
        await policy.beginRl(Seed.of(4));
        return policy;
      };
      const bytes = async (policy: Policy) => Buffer.from((await policy.exportAdapter())['adapter_model.safetensors']).toString('base64');
      const first = await begin();
      await go(first, 0, 2);
      const halfway = await first.checkpoint();
      await go(first, 2, 4);
      const second = await begin();
      await go(second, 0, 4);
      expect(await bytes(second)).toBe(await bytes(first));
      const resumed = await openGolden('llama', backend);
      await resumed.restore(halfway);
      await go(resumed, 2, 4);
      expect(await bytes(resumed)).toBe(await bytes(first));
      const { tensors } = await resumed.checkpoint();
      const straight = await first.checkpoint();
      for (const [name, values] of Object.entries(straight.tensors)) expect(tensors[name], name).toEqual(values);
    });

    test('without a critic none is held, saved or trained, and whoever asks for one is told', async () => {
      const policy = await trained(backend);
      await policy.beginRl(Seed.of(4));
      await policy.beginRl(Seed.of(4), { critic: false });
      const generations = await generate(policy);
      const rewards = generations.map((_, i) => (i % 2) - 0.4);
      await expect(policy.ppoUpdate({ ...rollouts(generations), rewards }, PPO)).rejects.toThrow(/gae needs a critic/);
      const config = { ...PPO, advantage_estimator: 'returns' as const, whiten_advantages: false, kl_coef: 0, minibatches: 2 };
      const { metrics, details } = await policy.ppoUpdate({ ...rollouts(generations), rewards }, config, { inspect: generations.length });
      const { value_loss, critic_grad_norm, explained_variance, values_mean, values_max } = metrics;
      expect([value_loss, critic_grad_norm, explained_variance, values_mean, values_max]).toEqual([0, 0, 0, 0, 0]);
      expect(metrics.actor_grad_norm).toBeGreaterThan(0);
      details!.advantages.forEach((row, i) => expect([...row]).toEqual([...row].map(() => Math.fround(rewards[i]!))));
      const halfway = await policy.checkpoint();
      expect(Object.keys(halfway.tensors).sort()).toEqual(['policy', 'policy.m', 'policy.v', 'reference']);
      const resumed = await openGolden('llama', backend);
      await resumed.restore(halfway);
      for (const one of [policy, resumed]) await one.ppoUpdate({ ...rollouts(generations), rewards }, { ...config, ppo_epochs: 2 });
      expect((await resumed.checkpoint()).tensors).toEqual((await policy.checkpoint()).tensors);
      await resumed.beginRl(Seed.of(4)); // A critic can be had again.
      await resumed.ppoUpdate({ ...rollouts(generations), rewards }, PPO);
      await resumed.attachAdapter(LORA, Seed.of(1)); // And is no part of what comes after.
      expect(Object.keys((await resumed.checkpoint()).tensors)).not.toContain('critic');
    });

    test('DPO widens the margin of the better responses, pair by pair the same in one micro-batch and in many', async () => {
      const policy = await trained(backend);
      await policy.beginRl(Seed.of(4), { critic: false });
      const batch = await preferenceBatch(policy);
      const place = await policy.checkpoint();
      const first = await policy.dpoStep(batch, STEP);
      expect(first.loss).toBeCloseTo(Math.LN2, 5); // The policy is still the reference.
      expect(first.pairs).toBe(batch.pairs.length);
      expect(Math.abs(first.rewards_margins)).toBeLessThan(1e-5);
      for (let i = 0; i < 5; i++) await policy.dpoStep(batch, STEP);
      const last = await policy.dpoStep(batch, { ...STEP, learning_rate: 0 });
      expect(last.loss).toBeLessThan(first.loss * 0.8);
      expect(last.rewards_margins).toBeCloseTo(last.rewards_chosen - last.rewards_rejected, 5);
      expect(last.rewards_accuracies).toBe(1);
      const [pair] = batch.pairs;
      const short = { ...pair!, rejected: { ...pair!.rejected, ref_logprobs: new Float32Array(99) } };
      await expect(policy.dpoStep({ ...batch, pairs: [pair!, short] }, STEP)).rejects.toThrow(/Pair 1 has 99 reference log-probs/);
      await policy.restore(place);
      const cut = await policy.dpoStep({ ...batch, micro_batch: 1 }, STEP);
      expect(cut.grad_norm / first.grad_norm).toBeCloseTo(1, 4);
      expect(cut.logps_chosen / first.logps_chosen).toBeCloseTo(1, 5);
    });

    test('a stop ends the work and leaves the policy usable', async () => {
      const policy = await trained(backend);
      const stop = new AbortController();
      stop.abort();
      await expect(
        policy.generate({ prompts: PROMPTS, adapter: 'policy', sampling: SAMPLING, seed: Seed.of(3) }, stop.signal),
      ).rejects.toThrow(StoppedError);
      expect(await generate(policy)).toHaveLength(PROMPTS.length);
    });

    test('untargeted projections stay exactly zero', async () => {
      const policy = await trained(backend, { ...LORA, targets: ['q_proj', 'down_proj'] });
      const files = await policy.exportAdapter();
      const again = await openGolden('llama', backend);
      await again.importAdapter(files);
      const [before, after] = [(await policy.checkpoint()).tensors.policy!, (await again.checkpoint()).tensors.policy!];
      expect(after).toEqual(before);
    });

    test.each([
      ['an empty prompt', [[]], /Prompt 0 is empty/],
      ['an unknown token', [[1, 61]], /token 61; the model knows 0 to 60/],
      ['a prompt as long as the context', [Array.from({ length: 64 }, () => 1)], /context/],
    ])('refuses %s by name', async (_, prompts, message) => {
      const policy = await openGolden('llama', backend);
      await expect(policy.generate({ prompts, adapter: 'base', sampling: SAMPLING, seed: Seed.of(1) })).rejects.toThrow(message);
    });
  });
}

/** Engine and CPU policy agree. */
export function agreementSuite(lane: Lane): void {
  test(`CPU policy and engine agree on greedy and sampled tokens and on every metric of a PPO update, lane ${lane}`, async () => {
    const [cpu, gpu] = [await openGolden('llama', 'cpu'), await openGolden('llama', lane)];
    for (const policy of [cpu, gpu]) {
      await policy.attachAdapter(LORA, Seed.of(1));
      await policy.sftStep({ sequences: goldenSequences('llama'), loss_on: 'response', micro_batch: 0 }, STEP, Seed.of(2));
      await policy.beginRl(Seed.of(4));
    }
    for (const sampling of [
      SAMPLING,
      { ...SAMPLING, temperature: 0 },
      { ...SAMPLING, top_k: 5 },
      { ...SAMPLING, temperature: 0.7, top_p: 0.8 },
    ]) {
      const [expected, actual] = [await generate(cpu, PROMPTS, sampling), await generate(gpu, PROMPTS, sampling)];
      expected.forEach((generation, i) => {
        expect([...actual[i]!.tokens]).toEqual([...generation.tokens]);
        expect(actual[i]!.finished).toBe(generation.finished);
        expectClose(actual[i]!.logprobs, generation.logprobs, 1e-4);
      });
    }
    for (const adapter of ['base', 'policy', 'reference']) {
      const [sequence] = goldenSequences('llama');
      const ask = (policy: Policy) => policy.topTokens(sequence!, sequence!.prompt_length + 1, { adapter, temperature: 0.8, k: 8 });
      const [expected, actual] = [await ask(cpu), await ask(gpu)];
      expect(actual.map(({ id, rank }) => [id, rank])).toEqual(expected.map(({ id, rank }) => [id, rank]));
      expectClose(Float32Array.from(actual, ({ logprob }) => logprob), Float32Array.from(expected, ({ logprob }) => logprob), 1e-4); // prettier-ignore
    }
    for (const adapter of ['base', 'policy'] as const) {
      const [expected, actual] = [await cpu.embed(PROMPTS, { adapter }), await gpu.embed(PROMPTS, { adapter })];
      expected.forEach((vector, i) => expectClose(actual[i]!, vector, 1e-4, `vector of prompt ${i}`));
    }
    const generations = await generate(cpu);
    const rewards = generations.map((_, i) => i * 0.3);
    const token_rewards = generations.map(({ logprobs }, i) => logprobs.map((_, t) => (t % 3 === 1 ? 0.2 * i - 0.3 : 0)));
    for (const config of [
      PPO,
      {
        ...PPO,
        ppo_epochs: 3,
        minibatches: 2,
        loss_aggregation: 'token' as const,
        kl_in: 'loss' as const,
        kl_estimator: 'k3' as const,
        entropy_coef: 0.02,
      },
      {
        ...PPO,
        advantage_estimator: 'returns' as const,
        surrogate: 'clipped_weight' as const,
        clip_range_low: 0.01,
        clip_range_high: 0.01,
        ppo_epochs: 2,
      },
      {
        ...PPO,
        advantage_estimator: 'returns' as const,
        surrogate: 'sequence_ratio' as const,
        clip_range_low: 0.01,
        clip_range_high: 0.01,
        loss_aggregation: 16,
        gamma: 0.95,
        ppo_epochs: 3,
        minibatches: 2,
      },
    ]) {
      const expected = await cpu.ppoUpdate({ ...rollouts(generations), rewards, token_rewards }, config, { inspect: generations.length });
      const actual = await gpu.ppoUpdate({ ...rollouts(generations), rewards, token_rewards }, config, { inspect: generations.length });
      for (const [name, value] of Object.entries(expected.metrics)) {
        expect(
          Math.abs(actual.metrics[name as 'kl'] - (value as number)),
          `${name}: ${actual.metrics[name as 'kl']} for ${value}`,
        ).toBeLessThan(2e-3 * Math.max(0.1, Math.abs(value as number)));
      }
      for (const name of DETAILS) {
        expected.details![name].forEach((row, i) => expectClose(actual.details![name][i]!, row, 2e-3, `${name} of sequence ${i}`));
      }
    }
  });
  test(`CPU policy and engine agree on a DPO step and what it leaves, lane ${lane}`, async () => {
    const [cpu, gpu] = [await trained('cpu'), await trained(lane)];
    const reports = [];
    for (const policy of [cpu, gpu]) {
      await policy.beginRl(Seed.of(4), { critic: false });
      const batch = await preferenceBatch(policy);
      const steps = [];
      for (let i = 0; i < 3; i++) steps.push(await policy.dpoStep(batch, { ...STEP, learning_rate: 3e-3 }));
      reports.push(steps);
    }
    const [expected, actual] = reports;
    expected!.forEach((step, i) => {
      for (const [name, value] of Object.entries(step) as [keyof typeof step, number][]) {
        if (name === 'rewards_accuracies' && i === 0) continue; // Of an untouched policy rounding alone decides it.
        expect(Math.abs(actual![i]![name] - value), `${name} of step ${i}`).toBeLessThan(2e-3 * Math.max(0.1, Math.abs(value)));
      }
    });
    const sequences = goldenSequences('llama');
    const [left, right] = await Promise.all([cpu, gpu].map((policy) => policy.score(sequences, { adapter: 'policy', temperature: 1 })));
    left!.forEach(({ logprobs }, i) => expectClose(right![i]!.logprobs, logprobs, 2e-3));
  });
}

/** Engine and CPU policy agree on a reward model: its scores, its losses and every step of its training. */
export function prmAgreementSuite(lane: Lane): void {
  test.each([0, 1, 2])(`CPU policy and engine train the same reward model, lane ${lane}, micro-batches of %i`, async (micro_batch) => {
    const [cpu, gpu] = [await openGolden('llama', 'cpu'), await openGolden('llama', lane)];
    for (const policy of [cpu, gpu]) await policy.attachAdapter(LORA, Seed.of(1), { value_head: true });
    const batch = { ...STEPS, micro_batch };
    for (let i = 0; i < 4; i++) {
      const [expected, actual] = [await cpu.prmStep(batch, STEP, Seed.of(2)), await gpu.prmStep(batch, STEP, Seed.of(2))];
      expect(actual.loss / expected.loss).toBeCloseTo(1, 3);
      expect(actual.grad_norm / expected.grad_norm).toBeCloseTo(1, 3);
      expect([actual.steps, actual.accuracy]).toEqual([expected.steps, expected.accuracy]);
    }
    const scores = (policy: Policy) => policy.scoreSteps(STEPS.sequences, STEPS.positions, { adapter: 'policy' });
    const [expected, actual] = [await scores(cpu), await scores(gpu)];
    expected.forEach((row, i) => expectClose(actual[i]!, row, 1e-3));
    // The files of one are read by the other.
    await cpu.loadAdapter('prm', await gpu.exportAdapter());
    expect(await cpu.exportAdapter('prm')).toEqual(await gpu.exportAdapter());
    const crossed = await cpu.scoreSteps(STEPS.sequences, STEPS.positions, { adapter: 'prm' });
    crossed.forEach((row, i) => expectClose(actual[i]!, row, 1e-4));
  });
}
