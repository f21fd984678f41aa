/**
 * The numeric gate: before an optional lane is used on a device, its kernels are run once against `plain` on the same numbers,
 * and a family that disagrees is switched off. A wrong driver then costs speed and never a wrong result.
 */
import { type Random, Seed } from '../base/random.ts';
import type { BufferView, Gpu } from '../gpu/device.ts';
import { LANE_FAMILIES, type Lane, type LaneFamily, type Lanes, PLAIN_LANES } from '../gpu/lanes.ts';
import { Arena, type Operand, ProgramBuilder } from '../gpu/program.ts';
import { attention, attentionBackward } from './attention.ts';
import { linear, linearBackward } from './linear.ts';
import { rmsnorm, rmsnormBackward } from './rmsnorm.ts';

/** Largest difference, relative to the largest value, that two f32 lanes may show on these sizes. */
export const GATE_TOLERANCE = 1e-4;

export interface GateReport {
  readonly lanes: Lanes;
  /** Relative difference of each family that was tried; families that failed stay on `plain`. */
  readonly differences: Partial<Record<LaneFamily, number>>;
}

const reports = new WeakMap<Gpu, Promise<GateReport>>();

/** The fastest lanes that this device computes rightly. Software adapters take `plain`, where barriers cost more than they save. */
export function chooseLanes(gpu: Gpu): Promise<GateReport> {
  let report = reports.get(gpu);
  if (!report) {
    report = gpu.adapter.software ? Promise.resolve({ lanes: PLAIN_LANES, differences: {} }) : tryLanes(gpu, 'tiled');
    reports.set(gpu, report);
  }
  return report;
}

/** Runs every family's check in `lane` and keeps the families that agree with `plain`. */
export async function tryLanes(gpu: Gpu, lane: Lane): Promise<GateReport> {
  const lanes: Record<LaneFamily, Lane> = { ...PLAIN_LANES };
  const differences: Partial<Record<LaneFamily, number>> = {};
  for (const family of LANE_FAMILIES) {
    const plain = await runCheck(gpu, family, PLAIN_LANES);
    const other = await runCheck(gpu, family, { ...PLAIN_LANES, [family]: lane });
    const difference = relativeDifference(plain, other);
    differences[family] = difference;
    if (difference <= GATE_TOLERANCE) lanes[family] = lane;
  }
  return { lanes, differences };
}

function relativeDifference(expected: readonly Float32Array[], actual: readonly Float32Array[]): number {
  let worst = 0;
  expected.forEach((values, which) => {
    let scale = 1e-6;
    for (const value of values) scale = Math.max(scale, Math.abs(value));
    values.forEach((value, i) => {
      const error = Math.abs(value - actual[which]![i]!) / scale;
      // A NaN must count as a disagreement, and every comparison with it is false.
      if (!(error <= worst)) worst = Number.isNaN(error) ? Infinity : error;
    });
  });
  return worst;
}

type Outputs = readonly { view: BufferView; length: number }[];

interface CheckHelp {
  readonly input: (length: number) => Promise<BufferView>;
  readonly output: (length: number) => Promise<BufferView>;
  outputs: { view: BufferView; length: number }[];
}

async function runCheck(gpu: Gpu, family: LaneFamily, lanes: Lanes): Promise<Float32Array[]> {
  const arena = new Arena(gpu);
  const b = new ProgramBuilder(gpu, `gate ${family}`, arena, lanes);
  const held: BufferView[] = [];
  const rng: Random = Seed.of(11).derive(family).random();
  const outputs: { view: BufferView; length: number }[] = [];
  const help: CheckHelp = {
    outputs,
    input: async (length) => {
      const view = await gpu.upload(
        'gate input',
        Float32Array.from({ length }, () => rng.normal()),
      );
      held.push(view);
      return view;
    },
    output: async (length) => {
      const view = await gpu.allocate('gate output', length * 4);
      held.push(view);
      outputs.push({ view, length });
      return view;
    },
  };
  await CHECKS[family](b, help);
  const program = await b.build();
  await program.run();
  const results = await readAll(gpu, outputs);
  program.release();
  arena.release();
  for (const view of held) gpu.release(view);
  return results;
}

const readAll = async (gpu: Gpu, outputs: Outputs): Promise<Float32Array[]> =>
  Promise.all(outputs.map(async ({ view, length }) => new Float32Array(await gpu.read(view, length * 4))));

const CHECKS: Record<LaneFamily, (b: ProgramBuilder, help: CheckHelp) => Promise<void>> = {
  async matmul(b, { input, output }) {
    // Two sizes: one for the large tiles with ragged edges, one for the skinny shapes of a decode step.
    for (const tokens of [200, 7]) {
      const [width, rank, segments] = [72, 4, [100, 36]];
      const out = 136;
      const [x, weight, dy] = [await input(tokens * width), await input(out * width), await input(tokens * out)];
      const z: Operand = await output(tokens * 2 * rank);
      const lora = { rank, segments, scale: 2, a: await input(2 * rank * width), b: await input(out * rank), z };
      linear(b, { tokens, in: width, out, x, weight, y: await output(tokens * out), lora });
      linearBackward(b, {
        tokens,
        in: width,
        out,
        x,
        weight,
        dy,
        dx: await output(tokens * width),
        dWeight: await output(out * width),
        lora: { ...lora, dA: await output(2 * rank * width), dB: await output(out * rank) },
      });
    }
  },
  async attention(b, { input, output }) {
    const shape = { rows: 2, length: 75, heads: 4, kvHeads: 2, headDim: 32 };
    const [tokens, packed] = [150, 256];
    const [qkv, dOut] = [await input(tokens * packed), await input(tokens * 128)];
    const [out, lse] = [await output(tokens * 128), await output(tokens * 4)];
    attention(b, { ...shape, qkv, out, lse });
    attentionBackward(b, { ...shape, qkv, out, lse, dOut, dQkv: await output(tokens * packed) });
  },
  async rows(b, { input, output }) {
    const layout = { rows: 67, width: 200 };
    const [x, weight, dy] = [await input(67 * 200), await input(200), await input(67 * 200)];
    const invRms = await output(67);
    rmsnorm(b, { ...layout, eps: 1e-5, x, weight, y: await output(67 * 200), invRms });
    rmsnormBackward(b, { ...layout, x, weight, invRms, dy, dx: await output(67 * 200), accumulate: false });
  },
};
