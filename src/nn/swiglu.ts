/** SwiGLU activation: shaders/swiglu.wgsl has the formulas. */
import source from '../../shaders/swiglu.wgsl?raw';
import { kernelFamily } from '../gpu/kernel.ts';
import { type Operand, type ProgramBuilder, groups } from '../gpu/program.ts';

const names = ['forward', 'backward'] as const;
const scalarKernels = kernelFamily('swiglu', source, names, { element: 'alias Element = f32;' });
const vec4Kernels = kernelFamily('swiglu_vec4', source, names, { element: 'alias Element = vec4<f32>;' });

function plan(tokens: number, hidden: number) {
  const lanes = hidden % 4 === 0 ? 4 : 1;
  const count = (tokens * hidden) / lanes;
  return { kernels: lanes === 4 ? vec4Kernels : scalarKernels, params: { count, hidden: hidden / lanes }, grid: groups(count, 64) };
}

/** `y[tokens, hidden] = silu(gate) * up`, of `gateUp[tokens, 2 * hidden]`: the gate half, then the up half. */
export function swiglu(b: ProgramBuilder, args: { tokens: number; hidden: number; gateUp: Operand; y: Operand }): void {
  const { kernels, params, grid } = plan(args.tokens, args.hidden);
  b.dispatch(kernels.forward, { params, grid, bind: { gate_up: args.gateUp, y: args.y } });
}

/** Writes every element of `dGateUp[tokens, 2 * hidden]`. */
export function swigluBackward(
  b: ProgramBuilder,
  args: { tokens: number; hidden: number; gateUp: Operand; dy: Operand; dGateUp: Operand },
): void {
  const { kernels, params, grid } = plan(args.tokens, args.hidden);
  b.dispatch(kernels.backward, { params, grid, bind: { gate_up: args.gateUp, dy: args.dy, d_gate_up: args.dGateUp } });
}

// Float64 reference.

/** gateUp [tokens, 2 * hidden] -> y [tokens, hidden]. */
export function swigluReference(gateUp: Float64Array, hidden: number): Float64Array {
  const y = new Float64Array(gateUp.length / 2);
  for (let i = 0; i < y.length; i++) {
    const at = i + Math.floor(i / hidden) * hidden;
    const g = gateUp[at]!;
    y[i] = (g / (1 + Math.exp(-g))) * gateUp[at + hidden]!;
  }
  return y;
}

/** Returns dGateUp [tokens, 2 * hidden]. */
export function swigluBackwardReference(gateUp: Float64Array, dy: Float64Array, hidden: number): Float64Array {
  const dGateUp = new Float64Array(gateUp.length);
  for (let i = 0; i < dy.length; i++) {
    const at = i + Math.floor(i / hidden) * hidden;
    const [g, u, d] = [gateUp[at]!, gateUp[at + hidden]!, dy[i]!];
    const s = 1 / (1 + Math.exp(-g));
    dGateUp[at] = d * u * s * (1 + g * (1 - s));
    dGateUp[at + hidden] = d * g * s;
  }
  return dGateUp;
}
