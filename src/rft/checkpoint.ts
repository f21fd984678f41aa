/** Where a run stands, whole: a run resumed from here gives the same later events and the same adapter, byte for byte. */
import { InputError } from '../base/errors.ts';
import type { AugmentationState } from './augment/augment.ts';
import type { BestWeights } from './best.ts';
import { type Config, configDifferences, resolveConfig } from './config.ts';
import type { EvaluationResult } from './evaluate.ts';
import type { CheckpointEvent, Stage } from './events.ts';
import type { LoopState } from './loop/loop.ts';
import type { ScheduledChange } from './live.ts';
import type { PolicyCheckpoint } from './policy.ts';
import type { SynthesisState } from './synthesize.ts';

/** What the pipeline itself remembers; randomness comes from names and indices, so no generator state is among it. */
export interface PipelineState {
  /** The stage to go on with, and how many of its steps are done. */
  readonly stage: Stage;
  readonly step: number;
  readonly before?: EvaluationResult;
  readonly augmentation?: AugmentationState;
  readonly synthesis?: SynthesisState;
  /** Of the stage at hand, where it is watched on held-out questions. */
  readonly best?: BestWeights;
  /** Of RL with a KL target: the coefficient of the next update. */
  readonly kl_coef?: number;
  /** Of RL with a loop around it. */
  readonly loop?: LoopState;
  /** Of RL: the settings changed so far, in order. */
  readonly changes?: readonly ScheduledChange[];
}

export interface PipelineCheckpoint extends PipelineState {
  readonly version: 1;
  readonly config: Config;
  readonly train_sha256: string;
  readonly test_sha256: string;
  readonly policy: PolicyCheckpoint;
}

/** @param scheduled see `isScheduled`. */
export function checkpointEvent(scheduled: boolean, checkpoint: PipelineCheckpoint): CheckpointEvent {
  const bytes = policiesOf(checkpoint)
    .flatMap(({ tensors }) => Object.values(tensors))
    .reduce((sum, tensor) => sum + tensor.byteLength, 0);
  const { stage, step } = checkpoint;
  const event = { type: 'checkpoint', stage, step, bytes, ...(!scheduled && { unscheduled: true }) } as const;
  return Object.defineProperty(event, 'checkpoint', { value: checkpoint, enumerable: false }) as CheckpointEvent;
}

/** @throws InputError when the checkpoint belongs to another config or another dataset, so that it can't be continued truly. */
export function checkResumable(checkpoint: PipelineCheckpoint, config: Config, train_sha256: string, test_sha256: string): void {
  const differs = [
    JSON.stringify(configDifferences(checkpoint.config)) !== JSON.stringify(configDifferences(config)) && 'config',
    checkpoint.train_sha256 !== train_sha256 && 'training set',
    checkpoint.test_sha256 !== test_sha256 && 'test set',
  ].filter(Boolean);
  if (differs.length === 0) return;
  throw new InputError(
    `The checkpoint was made with another ${differs.join(', another ')}.`,
    'Resume with what the checkpoint was made with, or start a new run.',
  );
}

const MAGIC = 'openrft-checkpoint-1\n';

/** The policy as it stands, then the best one, then the reward model of the loop, where there are such. */
const policiesOf = ({ policy, best, loop }: PipelineCheckpoint): PolicyCheckpoint[] => [
  policy,
  ...(best ? [best.policy] : []),
  ...(loop?.prm ? [loop.prm] : []),
];

/** In order of their names. */
const tensorsOf = ({ tensors }: PolicyCheckpoint): [name: string, tensor: Float32Array][] =>
  Object.entries(tensors).sort(([a], [b]) => (a < b ? -1 : 1));

type PolicyHeader = Omit<PolicyCheckpoint, 'tensors'> & { readonly lengths: Readonly<Record<string, number>> };

function policyHeader(checkpoint: PolicyCheckpoint): PolicyHeader {
  const { tensors: _, ...rest } = checkpoint;
  return { ...rest, lengths: Object.fromEntries(tensorsOf(checkpoint).map(([name, { length }]) => [name, length])) };
}

/**
 * One file: the magic line, the length of the header (u32), the header as JSON, padding to 4 bytes, then the tensors as
 * little-endian floats in the order of the header: those of the policy, of the best one, and of the loop's reward model.
 */
export function encodeCheckpoint(checkpoint: PipelineCheckpoint): Uint8Array {
  const { policy, best, loop, ...rest } = checkpoint;
  const { prm, ...loopRest } = loop ?? {};
  const header = {
    ...rest,
    policy: policyHeader(policy),
    ...(best && { best: { ...best, policy: policyHeader(best.policy) } }),
    ...(loop && { loop: { ...loopRest, ...(prm && { prm: policyHeader(prm) }) } }),
  } as Header;
  const head = new TextEncoder().encode(JSON.stringify(header));
  const tensors = policiesOf(checkpoint).flatMap((state) => tensorsOf(state).map(([, tensor]) => tensor));
  const start = align(MAGIC.length + 4 + head.length);
  const total = tensors.reduce((sum, { byteLength }) => sum + byteLength, start);
  const out = new Uint8Array(total);
  out.set(new TextEncoder().encode(MAGIC));
  new DataView(out.buffer).setUint32(MAGIC.length, head.length, true);
  out.set(head, MAGIC.length + 4);
  let at = start;
  for (const tensor of tensors) {
    out.set(new Uint8Array(tensor.buffer, tensor.byteOffset, tensor.byteLength), at);
    at += tensor.byteLength;
  }
  return out;
}

const align = (bytes: number) => Math.ceil(bytes / 4) * 4;

interface Header extends Omit<PipelineCheckpoint, 'policy' | 'best' | 'loop'> {
  readonly policy: PolicyHeader;
  readonly best?: Omit<BestWeights, 'policy'> & { readonly policy: PolicyHeader };
  readonly loop?: Omit<LoopState, 'prm'> & { readonly prm?: PolicyHeader };
}

const REMEDY = 'Choose another checkpoint, or start the run again.';

function parseHeader(text: string): Header {
  try {
    return JSON.parse(text) as Header;
  } catch (cause) {
    throw new InputError(`The checkpoint's header is damaged: ${(cause as Error).message}.`, REMEDY, { cause });
  }
}

/** @throws InputError when the bytes are not a whole checkpoint of this format. */
export function decodeCheckpoint(bytes: Uint8Array): PipelineCheckpoint {
  const magic = new TextDecoder().decode(bytes.subarray(0, MAGIC.length));
  if (magic !== MAGIC || bytes.length < MAGIC.length + 4) throw new InputError('The file is not a checkpoint of this lab.', REMEDY);
  const headLength = new DataView(bytes.buffer, bytes.byteOffset).getUint32(MAGIC.length, true);
  const headStart = MAGIC.length + 4;
  const start = align(headStart + headLength);
  const cut = () => new InputError(`The checkpoint is cut off: it has only ${bytes.length} bytes.`, REMEDY);
  if (start > bytes.length) throw cut();
  const header = parseHeader(new TextDecoder().decode(bytes.subarray(headStart, headStart + headLength)));
  const { policy, best, loop, ...rest } = header;
  const { prm, ...loopRest } = loop ?? {};
  const states = [policy, ...(best ? [best.policy] : []), ...(prm ? [prm] : [])];
  const lengths = states.flatMap((state) => Object.values(state.lengths));
  if (lengths.reduce((sum, length) => sum + length * 4, start) !== bytes.length) throw cut();
  let at = start;
  const read = ({ lengths, ...state }: PolicyHeader): PolicyCheckpoint => {
    const tensors = Object.entries(lengths).map(([name, length]) => {
      const from = at;
      at += length * 4;
      // A copy whatever bytes these are: the slice of a Node Buffer would be a view of all of it.
      return [name, new Float32Array(Uint8Array.from(bytes.subarray(from, at)).buffer)] as const;
    });
    return { ...state, lora: state.lora, tensors: Object.fromEntries(tensors) };
  };
  return {
    ...rest,
    config: resolveConfig(header.config),
    policy: read(policy),
    ...(best && { best: { ...best, policy: read(best.policy) } }),
    ...(loop && { loop: { ...(loopRest as Omit<LoopState, 'prm'>), ...(prm && { prm: read(prm) }) } }),
  };
}
