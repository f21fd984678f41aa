/**
 * Times attention (forward, backward, decode), the sampler and the elementwise operations around them, in both lanes.
 * Many repetitions go into one submit, so that a row is the time of the GPU and not of the queue.
 */
import { Seed } from '../src/base/random.ts';
import type { BufferView, Gpu } from '../src/gpu/device.ts';
import { LANES, type Lane, uniformLanes } from '../src/gpu/lanes.ts';
import { Arena, ProgramBuilder } from '../src/gpu/program.ts';
import { attentionDecode } from '../src/nn/attention-decode.ts';
import { attention, attentionBackward } from '../src/nn/attention.ts';
import { sample, samplingScalars } from '../src/nn/sample.ts';
import { swiglu } from '../src/nn/swiglu.ts';

interface TimingRow {
  readonly name: string;
  readonly lane: Lane;
  /** Median over the rounds, of one call. */
  readonly microseconds: number;
}

/** Heads, sequence shapes and decode widths of the sizes that the lab trains. */
const MODELS = [
  { name: '0.5M', rows: 64, length: 96, heads: 3, kvHeads: 3, headDim: 32, hidden: 256, vocab: 512 },
  { name: '3M', rows: 64, length: 96, heads: 6, kvHeads: 6, headDim: 32, hidden: 512, vocab: 512 },
  { name: '135M', rows: 8, length: 512, heads: 9, kvHeads: 3, headDim: 64, hidden: 1536, vocab: 49152 },
];
/** For the software adapter, where the others take seconds. */
const SMALL = [{ name: 'small', rows: 4, length: 64, heads: 3, kvHeads: 3, headDim: 32, hidden: 256, vocab: 512 }];

export async function benchAttention(gpu: Gpu, options: { repetitions?: number; rounds?: number } = {}): Promise<TimingRow[]> {
  const { repetitions = gpu.adapter.software ? 2 : 50, rounds = 7 } = options;
  const results: TimingRow[] = [];
  for (const model of gpu.adapter.software ? SMALL : MODELS) {
    const { rows, length, heads, kvHeads, headDim, hidden, vocab } = model;
    const tokens = rows * length;
    const shape = { rows, length, heads, kvHeads, headDim };
    const stride = (heads + 2 * kvHeads) * headDim;
    const buffers: BufferView[] = [];
    const floats = async (count: number) => {
      const random = Seed.of(1).derive(buffers.length).random();
      const view = await gpu.upload(
        'bench',
        Float32Array.from({ length: count }, () => random.float() * 2 - 1),
      );
      buffers.push(view);
      return view;
    };
    const words = async (values: number[]) => {
      const view = await gpu.upload('bench', Uint32Array.from(values));
      buffers.push(view);
      return view;
    };
    const [qkv, dQkv] = [await floats(tokens * stride), await floats(tokens * stride)];
    const [out, dOut] = [await floats(tokens * heads * headDim), await floats(tokens * heads * headDim)];
    const lse = await floats(rows * heads * length);
    const [keys, values] = [await floats(tokens * kvHeads * headDim), await floats(tokens * kvHeads * headDim)];
    const [gateUp, y] = [await floats(tokens * 2 * hidden), await floats(tokens * hidden)];
    const logits = await floats(rows * vocab);
    const rowOf = await words([...Array(rows).keys()]);
    const [zeros, last] = [await words(Array<number>(rows).fill(0)), await words(Array<number>(rows).fill(length - 1))];
    const [positions, finished, logprobs, sampled] = [
      await words(Array<number>(rows).fill(0)),
      await words(Array<number>(rows).fill(0)),
      await floats(tokens),
      await words(Array<number>(tokens).fill(0)),
    ];
    const scalars = await samplingScalars(gpu);
    // The limit is out of reach: every call draws, and what is written past the row belongs to the next one.
    const limits = await words(Array<number>(rows).fill(0x7fffffff));
    const draw = {
      slots: rows,
      vocab,
      capacity: 1,
      logits,
      rowOf,
      tokens: sampled,
      positions,
      finished,
      limits,
      logprobs,
      ids: zeros,
      scalars,
    };
    const sampling = { seed_hi: 1, seed_lo: 2, temperature: 1, eos: vocab, greedy: 0 };

    const cases: { name: string; emit: (b: ProgramBuilder) => void; filters?: { top_k: number; top_p: number } }[] = [
      { name: 'forward', emit: (b) => attention(b, { ...shape, qkv, out, lse }) },
      { name: 'backward', emit: (b) => attentionBackward(b, { ...shape, qkv, out, lse, dOut, dQkv }) },
      {
        name: `decode at ${length - 1}`,
        emit: (b) => attentionDecode(b, { ...shape, slots: rows, capacity: length, rowOf, positions: last, qkv, keys, values, out }),
      },
      { name: 'swiglu', emit: (b) => swiglu(b, { tokens, hidden, gateUp, y }) },
      { name: 'sample', emit: (b) => sample(b, draw), filters: { top_k: 0, top_p: 1 } },
      { name: 'sample, top-k and top-p', emit: (b) => sample(b, draw), filters: { top_k: 50, top_p: 0.9 } },
    ];
    for (const { name, emit, filters } of cases) {
      scalars.write({ ...sampling, ...(filters ?? { top_k: 0, top_p: 1 }) });
      for (const lane of LANES) {
        const microseconds = await time(gpu, lane, emit, repetitions, rounds);
        results.push({ name: `${model.name} ${name}`, lane, microseconds });
      }
    }
    for (const view of [...buffers, scalars.view]) gpu.release(view);
  }
  return results;
}

async function time(gpu: Gpu, lane: Lane, emit: (b: ProgramBuilder) => void, repetitions: number, rounds: number): Promise<number> {
  const arena = new Arena(gpu);
  const builder = new ProgramBuilder(gpu, 'bench', arena, uniformLanes(lane));
  for (let i = 0; i < repetitions; i++) emit(builder);
  const program = await builder.build();
  const times: number[] = [];
  for (let round = 0; round <= rounds; round++) {
    const encoder = gpu.device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    program.encode(pass);
    pass.end();
    await gpu.idle();
    const before = performance.now();
    gpu.queue.submit([encoder.finish()]);
    await gpu.idle();
    if (round > 0) times.push(performance.now() - before); // the first one warms up
  }
  program.release();
  arena.release();
  times.sort((a, b) => a - b);
  return (times[times.length >> 1]! * 1000) / repetitions;
}
