/** Texts as vectors on the GPU: the forward pass, the mean over each row's tokens, and one readback at the end. */
import { type BufferView, alignUp } from '../gpu/device.ts';
import { meanPool } from '../nn/mean-pool.ts';
import type { Engine } from './engine.ts';
import { forward } from './llama.ts';
import { checkTokens } from './requests.ts';
import type { Role } from './trainer.ts';
import { cutMicroBatches } from './training-pool.ts';

/** Rows that are on the GPU at once. */
const ROWS = 256;

/** Room for ROWS texts of up to `capacity` tokens; one row more, of length 0, fills up micro-batches. */
interface Texts {
  readonly id: number;
  readonly capacity: number;
  /** u32 [ROWS + 1, capacity] */
  readonly tokens: BufferView;
  /** u32 [ROWS + 1] */
  readonly lengths: BufferView;
  /** f32 [ROWS + 1, hidden_size] */
  readonly pooled: BufferView;
}

export class Pooler {
  private texts: Texts | undefined;
  private allocations = 0;
  private readonly rowLists = new Map<number, BufferView>();

  constructor(
    private readonly engine: Engine,
    /** Positions that one forward pass may hold. */
    private readonly tokenBudget: number,
  ) {}

  /** Mean of the final hidden states over each row's tokens, [hidden_size] each. */
  async embed(sequences: readonly (readonly number[])[], role: Role, signal?: AbortSignal): Promise<Float32Array[]> {
    const { config } = this.engine;
    checkTokens(config, 'Text', sequences, config.max_position_embeddings);
    const vectors: Float32Array[] = [];
    for (let start = 0; start < sequences.length; start += ROWS) {
      vectors.push(...(await this.embedSome(sequences.slice(start, start + ROWS), role, signal)));
    }
    return vectors;
  }

  private async embedSome(sequences: readonly (readonly number[])[], role: Role, signal?: AbortSignal): Promise<Float32Array[]> {
    const { gpu, config, trunk } = this.engine;
    const width = config.hidden_size;
    const lengths = sequences.map(({ length }) => length);
    const texts = await this.room(Math.min(config.max_position_embeddings, alignUp(Math.max(...lengths), 64)));
    const { capacity } = texts;
    const tokens = new Uint32Array((ROWS + 1) * capacity);
    sequences.forEach((ids, row) => tokens.set(ids, row * capacity));
    gpu.write(texts.tokens, tokens);
    gpu.write(
      texts.lengths,
      Uint32Array.from({ length: ROWS + 1 }, (_, row) => lengths[row] ?? 0),
    );

    const order = [...sequences.keys()];
    const cut = cutMicroBatches(lengths, order, { microBatch: 0, tokenBudget: this.tokenBudget, scratchRow: ROWS, capacity });
    const { rows, length, parts } = cut;
    const rowOf = await this.rowList(rows);
    const program = await this.engine.program(`${role.key} embed ${rows}x${length} texts ${texts.id}`, (b) => {
      const { hidden } = forward(b, trunk, { rows, length, capacity, tokens: texts.tokens, rowOf }, role.adapter);
      meanPool(b, { rows, length, width, hidden, rowOf, lengths: texts.lengths, pooled: texts.pooled });
    });
    for (const part of parts) {
      gpu.write(rowOf, part);
      await program.run(signal);
    }
    const pooled = new Float32Array(await gpu.read(texts.pooled, sequences.length * width * 4));
    return order.map((row) => pooled.slice(row * width, (row + 1) * width));
  }

  private async room(capacity: number): Promise<Texts> {
    const old = this.texts;
    if (old && old.capacity >= capacity) return old;
    await this.releaseTexts();
    const { gpu, config } = this.engine;
    const [tokens, lengths, pooled] = await Promise.all([
      gpu.allocate('texts', (ROWS + 1) * capacity * 4),
      gpu.allocate('text lengths', (ROWS + 1) * 4),
      gpu.allocate('text vectors', (ROWS + 1) * config.hidden_size * 4),
    ]);
    return (this.texts = { id: ++this.allocations, capacity, tokens, lengths, pooled });
  }

  private async rowList(rows: number): Promise<BufferView> {
    let list = this.rowLists.get(rows);
    if (!list) this.rowLists.set(rows, (list = await this.engine.gpu.allocate('text rows', rows * 4)));
    return list;
  }

  private async releaseTexts(): Promise<void> {
    const { texts } = this;
    if (!texts) return;
    this.texts = undefined;
    await this.engine.gpu.idle();
    await this.engine.dropProgramsMatching((key) => key.endsWith(` texts ${texts.id}`));
    for (const view of [texts.tokens, texts.lengths, texts.pooled]) this.engine.gpu.release(view);
  }

  async release(): Promise<void> {
    await this.releaseTexts();
    for (const view of this.rowLists.values()) this.engine.gpu.release(view);
  }
}
