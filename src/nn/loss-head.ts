/**
 * The loss head: log-prob, log-sum-exp and entropy of every position straight from the hidden states, and their backward pass.
 * Logits exist for one chunk of positions at a time, never as [positions, vocab]; the backward pass computes them again.
 * What is trained is decided by the coefficients alone (SFT, PPO, GRPO, DPO differ in nothing else): shaders/loss_head.wgsl.
 */
import source from '../../shaders/loss_head.wgsl?raw';
import type { Gpu } from '../gpu/device.ts';
import { kernelFamily } from '../gpu/kernel.ts';
import { type Operand, type ProgramBuilder, type ScalarBlock, type Tensor, groups, scalarBlock } from '../gpu/program.ts';
import { matmul } from './linear.ts';

export const lossHeadKernels = kernelFamily('loss_head', source, [
  'statistics_plain',
  'statistics_tiled',
  'gradient',
  'gradient_distilled',
]);

/** `inverse_temperature`: log-probs are of logits * inverse_temperature. */
export const lossHeadScalars = (gpu: Gpu): Promise<ScalarBlock> => scalarBlock(gpu, lossHeadKernels.gradient, 'Scalars');

export interface LossHead {
  readonly positions: number;
  readonly width: number;
  readonly vocab: number;
  /** [positions, width] */
  readonly hidden: Operand;
  /** [vocab, width] */
  readonly weight: Operand;
  /** u32 [positions]; any value at positions that are not trained. */
  readonly targets: Operand;
  readonly scalars: Operand;
  /** Most positions whose logits exist at once. */
  readonly chunk?: number;
}

/** A second model over the same vocabulary, whose distribution is what the first one learns. */
export interface LossHeadTeacher {
  readonly width: number;
  /** [positions, width] */
  readonly hidden: Operand;
  /** [vocab, width] */
  readonly weight: Operand;
  /** [positions], by lossHead. */
  readonly lse: Operand;
  /** How much of the target is the token itself, 0 to 1; the rest is the teacher's distribution. */
  readonly tokenShare: number;
}

const LOGITS_BYTES = 8 << 20;
/** A product with fewer rows than this reads the whole weight for too little work, so a wide vocabulary gets more than LOGITS_BYTES. */
const FEWEST_ROWS = 64;

/** Positions whose logits are held at once. */
export function lossHeadChunk(positions: number, vocab: number): number {
  const most = Math.max(FEWEST_ROWS, Math.floor(LOGITS_BYTES / (4 * vocab)));
  return Math.ceil(positions / Math.ceil(positions / most)); // chunks of like size
}

/** Calls `each` for every chunk, with the chunk's raw logits in `logits` [count, vocab]. */
function forEachChunk(b: ProgramBuilder, head: LossHead, each: (logits: Tensor, chunk: { first: number; count: number }) => void): void {
  const { positions, width, vocab, hidden, weight, chunk = lossHeadChunk(positions, vocab) } = head;
  const logits = b.tensor('logits', [Math.min(chunk, positions), vocab]);
  for (let first = 0; first < positions; first += chunk) {
    const count = Math.min(chunk, positions - first);
    matmul(b, { variant: 'nt', m: count, n: vocab, k: width, a: hidden, aOffset: first * width, b: weight, c: logits });
    each(logits, { first, count });
  }
}

/** Writes logprob, lse and entropy, each [positions]. */
export function lossHead(b: ProgramBuilder, args: LossHead & { logprob: Operand; lse: Operand; entropy: Operand }): void {
  const { vocab, targets, scalars, logprob, lse, entropy } = args;
  const tiled = b.lanes.rows === 'tiled';
  forEachChunk(b, args, (logits, { first, count }) => {
    b.dispatch(tiled ? lossHeadKernels.statistics_tiled : lossHeadKernels.statistics_plain, {
      params: { count, vocab, first },
      bind: { scalars, logits, targets, logprob, lse, entropy },
      grid: groups(count, tiled ? 1 : 64),
      ...(tiled && { overrides: { threads: vocab <= 2048 ? 64 : 256 } }),
    });
  });
}

/**
 * The gradient of `sum_p dLogprob[p] logprob[p] + dEntropy[p] entropy[p]`, from the statistics of the forward pass.
 * With a teacher, logprob[p] is the mean log-prob under its mixture with the token, and dEntropy is not looked at.
 * Overwrites dHidden [positions, width]; adds to dWeight [vocab, width] when there is one.
 */
export function lossHeadBackward(
  b: ProgramBuilder,
  args: LossHead & {
    lse: Operand;
    entropy: Operand;
    dLogprob: Operand;
    dEntropy: Operand;
    dHidden: Operand;
    dWeight?: Operand;
    teacher?: LossHeadTeacher | undefined;
  },
): void {
  const { width, vocab, hidden, weight, targets, scalars, lse, entropy, dLogprob, dEntropy, dHidden, dWeight, teacher } = args;
  forEachChunk(b, args, (logits, { first, count }) => {
    const grid = groups(count * vocab, 256);
    if (teacher) {
      const taught = b.tensor('teacher logits', [count, vocab]);
      const { width: k, hidden: a, weight: from, lse: teacher_lse, tokenShare: token_share } = teacher;
      matmul(b, { variant: 'nt', m: count, n: vocab, k, a, aOffset: first * k, b: from, c: taught });
      b.dispatch(lossHeadKernels.gradient_distilled, {
        params: { count, vocab, first, token_share },
        bind: { scalars, logits, targets, lse, d_logprob: dLogprob, teacher_logits: taught, teacher_lse },
        grid,
      });
    } else {
      b.dispatch(lossHeadKernels.gradient, {
        params: { count, vocab, first },
        bind: { scalars, logits, targets, lse, entropy, d_logprob: dLogprob, d_entropy: dEntropy },
        grid,
      });
    }
    const offset = first * width;
    matmul(b, { variant: 'nn', m: count, n: width, k: vocab, a: logits, b: weight, c: dHidden, cOffset: offset });
    if (dWeight) {
      matmul(b, { variant: 'tn', m: vocab, n: width, k: count, a: logits, b: hidden, bOffset: offset, c: dWeight, accumulate: true });
    }
  });
}

// Float64 reference: what the kernels are tested against, and what the CPU policy runs.

export interface LossHeadInput {
  /** [positions, width] */
  readonly hidden: Float64Array;
  /** [vocab, width] */
  readonly weight: Float64Array;
  /** [positions] */
  readonly targets: ArrayLike<number>;
  readonly width: number;
  readonly inverseTemperature: number;
}

export interface LossHeadStatistics {
  readonly logprob: Float64Array;
  readonly lse: Float64Array;
  readonly entropy: Float64Array;
}

/** Scaled logits of position p into `logits` [vocab]. */
function scaledLogits({ hidden, weight, width, inverseTemperature }: LossHeadInput, p: number, logits: Float64Array): void {
  const row = p * width;
  for (let v = 0; v < logits.length; v++) {
    const at = v * width;
    let sum = 0;
    for (let j = 0; j < width; j++) sum += hidden[row + j]! * weight[at + j]!;
    logits[v] = inverseTemperature * sum;
  }
}

export function lossHeadReference(input: LossHeadInput): LossHeadStatistics {
  const { targets, width, weight } = input;
  const positions = targets.length;
  const logits = new Float64Array(weight.length / width);
  const result = { logprob: new Float64Array(positions), lse: new Float64Array(positions), entropy: new Float64Array(positions) };
  for (let p = 0; p < positions; p++) {
    scaledLogits(input, p, logits);
    let peak = -Infinity;
    for (const l of logits) if (l > peak) peak = l;
    let mass = 0;
    let moment = 0;
    for (const l of logits) {
      const weight = Math.exp(l - peak);
      mass += weight;
      moment += weight * (l - peak);
    }
    const logMass = Math.log(mass);
    result.logprob[p] = logits[targets[p]!]! - peak - logMass;
    result.lse[p] = peak + logMass;
    result.entropy[p] = logMass - moment / mass;
  }
  return result;
}

/** Returns dHidden [positions, width]; adds to `dWeight` [vocab, width] when it is given. Positions without coefficients cost nothing. */
export function lossHeadBackwardReference(
  input: LossHeadInput & {
    readonly lse: Float64Array;
    readonly entropy: Float64Array;
    readonly dLogprob: Float64Array;
    readonly dEntropy: Float64Array;
    readonly dWeight?: Float64Array;
    readonly teacher?: Pick<LossHeadInput, 'hidden' | 'weight' | 'width'> & Pick<LossHeadTeacher, 'tokenShare'>;
  },
): Float64Array {
  const { hidden, weight, targets, width, inverseTemperature, lse, entropy, dLogprob, dEntropy, dWeight, teacher } = input;
  const logits = new Float64Array(weight.length / width);
  const taughtLogits = new Float64Array(logits.length);
  const taught = teacher && { ...teacher, targets, inverseTemperature };
  const taughtLse = taught && lossHeadReference(taught).lse;
  const dHidden = new Float64Array(hidden.length);
  for (let p = 0; p < targets.length; p++) {
    const c = dLogprob[p]!;
    const e = taught ? 0 : dEntropy[p]!;
    if (c === 0 && e === 0) continue;
    scaledLogits(input, p, logits);
    if (taught) scaledLogits(taught, p, taughtLogits);
    const row = p * width;
    for (let v = 0; v < logits.length; v++) {
      const logP = logits[v]! - lse[p]!;
      const probability = Math.exp(logP);
      const chosen = v === targets[p] ? 1 : 0;
      const wanted = taught ? taught.tokenShare * chosen + (1 - taught.tokenShare) * Math.exp(taughtLogits[v]! - taughtLse![p]!) : chosen;
      const dz = inverseTemperature * (c * (wanted - probability) - e * probability * (logP + entropy[p]!));
      const at = v * width;
      for (let j = 0; j < width; j++) dHidden[row + j]! += dz * weight[at + j]!;
      if (dWeight) for (let j = 0; j < width; j++) dWeight[at + j]! += dz * hidden[row + j]!;
    }
  }
  return dHidden;
}
