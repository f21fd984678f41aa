/**
 * Batched rollouts with a KV cache. Prompts are prefilled in micro-batches; then every active row gets one token per step, many
 * steps per submit, with sampling on the GPU. Finished rows write nothing, and once half of the slots are idle the rest are
 * compacted: slots are only a list of row numbers, so no cache moves and no draw changes.
 */
import { throwIfStopped } from '../base/errors.ts';
import { type BufferView, alignUp } from '../gpu/device.ts';
import type { ScalarBlock } from '../gpu/program.ts';
import { ReadbackRing } from '../gpu/readback.ts';
import { matmul } from '../nn/linear.ts';
import { sample, samplingScalars } from '../nn/sample.ts';
import { type GenerateRequest, type Generation, type TokenListener, WATCHED_ROWS } from '../rft/policy.ts';
import type { Engine } from './engine.ts';
import { headRegion } from './layout.ts';
import { type AdapterUse, decodeStep, forward } from './llama.ts';
import { type BatchSizes, LENGTH_STEP, cacheCapacity, decodeSlots, rowsAtOnce } from './memory.ts';
import { checkPrompts } from './requests.ts';

/** Decode steps between two looks at which rows are done. */
const STEPS_PER_BLOCK = 8;

/** GPU state of the rows being generated; row `rows` is a scratch row that idle slots point at. */
interface GenerationPool {
  readonly id: number;
  readonly rows: number;
  readonly capacity: number;
  readonly tokens: BufferView;
  readonly positions: BufferView;
  readonly finished: BufferView;
  readonly limits: BufferView;
  readonly ids: BufferView;
  readonly logprobs: BufferView;
  readonly keys: BufferView[];
  readonly values: BufferView[];
  /** Of one number for each row. */
  readonly finishedRing: ReadbackRing;
  /** Of the tokens of the first rows; made when somebody watches. */
  watchRing: ReadbackRing | undefined;
}

export class Generator {
  private pool: GenerationPool | undefined;
  private scalars: ScalarBlock | undefined;
  private pools = 0;
  private readonly rowLists = new Map<string, BufferView>();
  private requests = 0;
  /** See Policy.watch. */
  listener: TokenListener | undefined;

  constructor(
    private readonly engine: Engine,
    private readonly eosId: number,
    private readonly limits: BatchSizes,
  ) {}

  /** `adapterKey` names the adapter in program keys; the caller drops programs (prefix `adapterKey`) when its buffers change. */
  async generate(
    request: GenerateRequest,
    adapter: AdapterUse | undefined,
    adapterKey: string,
    signal?: AbortSignal,
  ): Promise<Generation[]> {
    const { prompts } = request;
    this.requests++;
    checkPrompts(this.engine.config, request);
    const results: Generation[] = [];
    const longest = prompts.reduce((max, prompt) => Math.max(max, prompt.length), 0);
    const capacity = cacheCapacity(this.engine.config, longest + request.sampling.max_new_tokens);
    const rows = Math.min(rowsAtOnce(this.limits, this.engine.config, capacity), prompts.length);
    for (let start = 0; start < prompts.length; start += rows) {
      const part = prompts.slice(start, start + rows);
      const report = (finished: number, tokens: number) =>
        request.onProgress?.(
          start + finished,
          results.reduce((sum, g) => sum + g.tokens.length - g.prompt_length, tokens),
        );
      results.push(...(await this.generateRows(part, start, request, adapter, adapterKey, rows, capacity, report, signal)));
    }
    return results;
  }

  private async generateRows(
    prompts: readonly (readonly number[])[],
    firstId: number,
    { sampling, seed }: GenerateRequest,
    adapter: AdapterUse | undefined,
    adapterKey: string,
    rows: number,
    capacity: number,
    report: (finished: number, tokens: number) => void,
    signal: AbortSignal | undefined,
  ): Promise<Generation[]> {
    const { gpu } = this.engine;
    const pool = await this.poolFor(rows, capacity);
    this.scalars ??= await samplingScalars(gpu);
    const greedy = sampling.temperature === 0;
    this.scalars.write({
      seed_hi: seed.hi,
      seed_lo: seed.lo,
      temperature: greedy ? 1 : sampling.temperature,
      top_k: sampling.top_k,
      top_p: sampling.top_p,
      eos: this.eosId,
      greedy: Number(greedy),
    });

    const tokens = new Uint32Array((pool.rows + 1) * pool.capacity);
    const state = {
      positions: new Uint32Array(pool.rows + 1),
      finished: new Uint32Array(pool.rows + 1).fill(1),
      limits: new Uint32Array(pool.rows + 1),
      ids: new Uint32Array(pool.rows + 1),
    };
    prompts.forEach((prompt, row) => {
      tokens.set(prompt, row * pool.capacity);
      state.positions[row] = prompt.length - 1;
      state.finished[row] = 0;
      state.limits[row] = Math.min(prompt.length + sampling.max_new_tokens, pool.capacity) - 1;
      state.ids[row] = firstId + row;
    });
    gpu.write(pool.tokens, tokens);
    for (const name of ['positions', 'finished', 'limits', 'ids'] as const) gpu.write(pool[name], state[name]);

    await this.prefill(pool, prompts, adapter, adapterKey, signal);
    const tell = (written: Int32Array, positions: Uint32Array, over: boolean) =>
      this.tell(pool, prompts, firstId, written, positions, over);
    await this.decode(pool, prompts.length, sampling.max_new_tokens, adapter, adapterKey, report, tell, signal);

    const written = new Int32Array(await gpu.read(pool.tokens, tokens.byteLength));
    const positions = new Uint32Array(await gpu.read(pool.positions, state.positions.byteLength));
    const finished = new Uint32Array(await gpu.read(pool.finished, state.finished.byteLength));
    const logprobs = new Float32Array(await gpu.read(pool.logprobs, tokens.byteLength));
    tell(written, positions, true);
    return prompts.map((prompt, row) => {
      const [begin, end] = [row * pool.capacity, row * pool.capacity + positions[row]! + 1];
      return {
        tokens: written.slice(begin, end),
        prompt_length: prompt.length,
        finished: finished[row] === 1,
        logprobs: logprobs.slice(begin + prompt.length, end),
      };
    });
  }

  /** Fills the cache with all prompts, `tokensPerPrefill` positions at a time. */
  private async prefill(
    pool: GenerationPool,
    prompts: readonly (readonly number[])[],
    adapter: AdapterUse | undefined,
    adapterKey: string,
    signal?: AbortSignal,
  ): Promise<void> {
    const longest = prompts.reduce((max, prompt) => Math.max(max, prompt.length), 0);
    const length = Math.min(pool.capacity, alignUp(longest, LENGTH_STEP));
    const rows = Math.max(1, Math.min(pool.rows, Math.floor(this.limits.tokensPerStep / length)));
    const rowOf = await this.rowList('prefill', rows);
    const program = await this.engine.program(`${adapterKey} prefill ${rows}x${length} pool ${pool.id}`, (b) => {
      forward(b, this.engine.trunk, { rows, length, capacity: pool.capacity, tokens: pool.tokens, rowOf }, adapter, pool);
    });
    for (let start = 0; start < prompts.length; start += rows) {
      throwIfStopped(signal);
      this.writeRows(
        rowOf,
        rows,
        pool,
        Array.from({ length: Math.min(rows, prompts.length - start) }, (_, i) => start + i),
      );
      await program.run(signal);
    }
  }

  private async decode(
    pool: GenerationPool,
    count: number,
    maxNewTokens: number,
    adapter: AdapterUse | undefined,
    adapterKey: string,
    report: (finished: number, tokens: number) => void,
    tell: (written: Int32Array, positions: Uint32Array, over: boolean) => void,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    let active = Array.from({ length: count }, (_, row) => row);
    let slots = 0;
    let looked: Promise<ArrayBuffer> | undefined;
    let watched: Promise<[ArrayBuffer, ArrayBuffer]> | undefined;
    for (let step = 0; step < maxNewTokens && active.length > 0; step += STEPS_PER_BLOCK) {
      throwIfStopped(signal);
      const wanted = decodeSlots(active.length);
      if (wanted !== slots) {
        slots = wanted;
        this.writeRows(await this.rowList('decode', slots), slots, pool, active);
      }
      const program = await this.decodeProgram(pool, slots, adapter, adapterKey);
      await program.repeat(Math.min(STEPS_PER_BLOCK, maxNewTokens - step), signal);
      // The flags of the block before are read while this one runs: a finished row costs at most one more block.
      const flags = looked && new Uint32Array(await looked);
      looked = underWay(pool.finishedRing.read(pool.finished));
      if (watched) {
        const [tokens, positions] = await watched;
        tell(new Int32Array(tokens), new Uint32Array(positions), false);
      }
      watched = this.listener && underWay(Promise.all([this.watchRing(pool).read(pool.tokens), pool.finishedRing.read(pool.positions)]));
      if (flags) {
        active = active.filter((row) => flags[row] === 0);
        report(count - active.length, 0);
      }
    }
    await looked;
    await watched;
  }

  private watchRing(pool: GenerationPool): ReadbackRing {
    return (pool.watchRing ??= new ReadbackRing(this.engine.gpu, Math.min(WATCHED_ROWS, pool.rows) * pool.capacity * 4));
  }

  /** @param written the tokens of the pool's first rows at least. */
  private tell(
    pool: GenerationPool,
    prompts: readonly (readonly number[])[],
    firstId: number,
    written: Int32Array,
    positions: Uint32Array,
    over: boolean,
  ): void {
    this.listener?.({
      request: this.requests,
      rows: prompts.slice(0, WATCHED_ROWS).map((prompt, row) => {
        const tokens = written.slice(row * pool.capacity, row * pool.capacity + positions[row]! + 1);
        return { index: firstId + row, prompt_length: prompt.length, tokens, done: over || tokens.at(-1) === this.eosId };
      }),
    });
  }

  private async decodeProgram(pool: GenerationPool, slots: number, adapter: AdapterUse | undefined, adapterKey: string) {
    const { trunk, config } = this.engine;
    const rowOf = await this.rowList('decode', slots);
    return this.engine.program(`${adapterKey} decode ${slots} pool ${pool.id}`, (b) => {
      const { capacity, tokens, positions, finished, limits, ids, logprobs } = pool;
      const hidden = decodeStep(b, trunk, { slots, capacity, tokens, rowOf, positions }, adapter, pool);
      const logits = b.tensor('logits', [slots, config.vocab_size]);
      matmul(b, {
        variant: 'nt',
        m: slots,
        n: config.vocab_size,
        k: config.hidden_size,
        a: hidden,
        b: trunk.weights.view(headRegion(config)),
        c: logits,
      });
      sample(b, {
        slots,
        vocab: config.vocab_size,
        capacity,
        logits,
        rowOf,
        tokens,
        positions,
        finished,
        limits,
        logprobs,
        ids,
        scalars: this.scalars!,
      });
    });
  }

  private async rowList(purpose: string, length: number): Promise<BufferView> {
    const key = `${purpose} ${length}`;
    let list = this.rowLists.get(key);
    if (!list) this.rowLists.set(key, (list = await this.engine.gpu.allocate(`${purpose} rows`, length * 4)));
    return list;
  }

  /** Unused places point at the scratch row, which is finished from the start and read by nobody. */
  private writeRows(list: BufferView, length: number, pool: GenerationPool, rows: readonly number[]): void {
    const padded = new Uint32Array(length).fill(pool.rows);
    padded.set(rows);
    this.engine.gpu.write(list, padded);
  }

  /** The current pool if it is large enough, else a larger one in its place. */
  private async poolFor(rows: number, capacity: number): Promise<GenerationPool> {
    const old = this.pool;
    if (old && old.rows >= rows && old.capacity >= capacity) return old;
    const [r, c] = [Math.max(rows, old?.rows ?? 0), Math.max(capacity, old?.capacity ?? 0)];
    await this.releasePool();
    const { gpu, config } = this.engine;
    const u32 = (label: string, length: number) => gpu.allocate(label, length * 4);
    const cacheLength = (r + 1) * c * config.num_key_value_heads * config.head_dim;
    const caches = (label: string) => Promise.all(Array.from({ length: config.num_hidden_layers }, () => u32(label, cacheLength)));
    const [tokens, positions, finished, limits, ids, logprobs] = await Promise.all([
      u32('tokens', (r + 1) * c),
      u32('positions', r + 1),
      u32('finished', r + 1),
      u32('limits', r + 1),
      u32('ids', r + 1),
      u32('logprobs', (r + 1) * c),
    ]);
    const [keys, values] = [await caches('key cache'), await caches('value cache')];
    const finishedRing = new ReadbackRing(gpu, alignUp((r + 1) * 4, 4));
    const buffers = { tokens, positions, finished, limits, ids, logprobs, keys, values };
    return (this.pool = { id: ++this.pools, rows: r, capacity: c, ...buffers, finishedRing, watchRing: undefined });
  }

  private async releasePool(): Promise<void> {
    const { pool } = this;
    if (!pool) return;
    await this.engine.gpu.idle();
    await this.engine.dropProgramsMatching((key) => key.endsWith(` pool ${pool.id}`));
    const { gpu } = this.engine;
    for (const view of [pool.tokens, pool.positions, pool.finished, pool.limits, pool.ids, pool.logprobs, ...pool.keys, ...pool.values])
      gpu.release(view);
    pool.finishedRing.release();
    pool.watchRing?.release();
    this.pool = undefined;
  }

  async release(): Promise<void> {
    await this.releasePool();
    for (const list of this.rowLists.values()) this.engine.gpu.release(list);
    this.rowLists.clear();
  }
}

/** A read that is waited for later: should the device go before that, whoever meets it first tells, and this says it no second time. */
function underWay<T>(read: Promise<T>): Promise<T> {
  void read.catch(() => undefined);
  return read;
}
