/** The value head over a forward pass, and the way back from it: what the critic and a process reward model have in common. */
import type { Operand, ProgramBuilder, Tensor } from '../gpu/program.ts';
import { valueHead, valueHeadBackward } from '../nn/value-head.ts';
import { type ForwardState, type Trunk, backward } from './llama.ts';
import type { ParameterSet } from './parameters.ts';
import type { TrainedRole } from './trainer.ts';

/** value [tokens], by the regions `value.weight` and `value.bias` of `weights`. */
export function valuesOf(b: ProgramBuilder, { config }: Trunk, state: ForwardState, weights: ParameterSet): Tensor {
  const value = b.tensor('value', [state.tokens]);
  valueHead(b, {
    positions: state.tokens,
    width: config.hidden_size,
    hidden: state.hidden,
    weight: weights.view('value.weight'),
    bias: weights.view('value.bias'),
    value,
  });
  return value;
}

/** The value head, the loss's coefficients by value, and the way back into the gradients of head and adapter. */
export function valueThrough(
  b: ProgramBuilder,
  trunk: Trunk,
  state: ForwardState,
  { optimizer: { parameters, gradients } }: TrainedRole,
  coefficients: (head: { value: Operand; dValue: Operand }) => void,
): void {
  const width = trunk.config.hidden_size;
  const value = valuesOf(b, trunk, state, parameters);
  const dValue = b.tensor('d value', [state.tokens]);
  coefficients({ value, dValue });
  const dHidden = b.tensor('d hidden', [state.tokens, width]);
  valueHeadBackward(b, {
    positions: state.tokens,
    width,
    hidden: state.hidden,
    weight: parameters.view('value.weight'),
    dValue,
    dHidden,
    dWeight: gradients.view('value.weight'),
    dBias: gradients.view('value.bias'),
  });
  backward(b, trunk, state, dHidden, { adapter: gradients });
}
