import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { StoppedError } from '../../src/base/errors.ts';
import { kernelFamily, packStruct } from '../../src/gpu/kernel.ts';
import { Arena, ProgramBuilder, groups, planSlots } from '../../src/gpu/program.ts';
import { testGpu } from './host.ts';

const SOURCE = `
// kernel: add
struct Params { length: u32, amount: f32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) count: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let i = (group.y * count.x + group.x) * 64u + lane;
  if (i < params.length) { y[i] = x[i] + params.amount; }
}

// kernel: broken
@group(0) @binding(0) var<storage, read_write> y: array<f32>;
@compute @workgroup_size(1)
fn main() { y[0] = nothing; }
`;
const { add, broken } = kernelFamily('sample', SOURCE, ['add', 'broken']);

describe('shader text is the source of truth', () => {
  test('bindings and parameter layouts are read from it', () => {
    expect(add.label).toBe('sample/add');
    expect(add.bindings.map(({ name, kind }) => [name, kind])).toEqual([['params', 'uniform'], ['x', 'read'], ['y', 'read_write']]); // prettier-ignore
    const bytes = packStruct('sample/add', add.structs.get('Params')!, { amount: 1.5, length: 7 });
    expect([new Uint32Array(bytes)[0], new Float32Array(bytes)[1]]).toEqual([7, 1.5]);
  });

  test('a family without a kernel that is asked for, or with one more, is refused by name', () => {
    expect(() => kernelFamily('sample', SOURCE, ['add'])).toThrow(/unexpected \[broken\]/);
    expect(() => kernelFamily('sample', SOURCE, ['add', 'broken', 'third' as 'add'])).toThrow(/missing kernels \[third\]/);
  });

  test('parameters that are missing or unknown are named', () => {
    const layout = add.structs.get('Params')!;
    expect(() => packStruct('sample/add', layout, { length: 1 })).toThrow(/"amount"/);
    expect(() => packStruct('sample/add', layout, { length: 1, amount: 1, colour: 2 })).toThrow(/colour/);
  });

  test('a shader that does not compile says so with its label', async () => {
    const gpu = await testGpu();
    gpu.device.pushErrorScope('validation');
    await expect(gpu.pipelines.get(broken)).rejects.toThrow(/sample\/broken did not compile/);
    await gpu.device.popErrorScope();
  });
});

describe('placing activations', () => {
  test('tensors that live at the same time never share a slot, and every slot is large enough', () => {
    const tensor = fc.record({ first: fc.nat(40), span: fc.nat(15), bytes: fc.integer({ min: 4, max: 5000 }) });
    fc.assert(
      fc.property(fc.array(tensor, { maxLength: 60 }), (drawn) => {
        const tensors = drawn.map(({ first, span, bytes }) => ({ first, last: first + span, bytes }));
        const { slotOf, sizes } = planSlots(tensors);
        tensors.forEach((a, i) => {
          expect(sizes[slotOf[i]!]).toBeGreaterThanOrEqual(a.bytes);
          tensors.forEach((b, j) => {
            if (i < j && a.first <= b.last && b.first <= a.last) expect(slotOf[i]).not.toBe(slotOf[j]);
          });
        });
      }),
    );
  });

  test('a chain of steps needs two slots', () => {
    const chain = Array.from({ length: 10 }, (_, i) => ({ first: i, last: i + 1, bytes: 1024 }));
    expect(planSlots(chain).sizes).toHaveLength(2);
  });
});

describe('a program', () => {
  const build = async (steps: number) => {
    const gpu = await testGpu();
    const b = new ProgramBuilder(gpu, 'sample', new Arena(gpu));
    const length = 100;
    const state = await gpu.upload('state', new Float32Array(length));
    for (let i = 0; i < steps; i++) {
      const next = b.tensor('next', [length]);
      b.dispatch(add, { params: { length, amount: 1 }, bind: { x: state, y: next }, grid: groups(length, 64) });
      b.dispatch(add, { params: { length, amount: 0 }, bind: { x: next, y: state }, grid: groups(length, 64) });
    }
    return { gpu, state, program: await b.build() };
  };

  test('runs, repeats, and is cut into submits without changing a byte', async () => {
    const { gpu, state, program } = await build(60);
    await program.run();
    await program.run();
    expect(program.submits!.at(-1)).toBe(120);
    await program.repeat(3);
    expect(new Float32Array(await gpu.read(state, 400))).toEqual(new Float32Array(100).fill(300));
  });

  test('a stop before it starts runs nothing', async () => {
    const { gpu, state, program } = await build(2);
    const stop = new AbortController();
    stop.abort();
    await expect(program.run(stop.signal)).rejects.toThrow(StoppedError);
    expect(new Float32Array(await gpu.read(state, 4))[0]).toBe(0);
  });

  test('a binding that is missing or unknown is named before anything runs', async () => {
    const gpu = await testGpu();
    const state = await gpu.upload('state', new Float32Array(4));
    const one = new ProgramBuilder(gpu, 'one', new Arena(gpu));
    one.dispatch(add, { params: { length: 1, amount: 1 }, bind: { x: state }, grid: [1] });
    await expect(one.build()).rejects.toThrow(/nothing bound to "y"/);
    const two = new ProgramBuilder(gpu, 'two', new Arena(gpu));
    two.dispatch(add, { params: { length: 1, amount: 1 }, bind: { x: state, y: state, z: state }, grid: [1] });
    await expect(two.build()).rejects.toThrow(/no binding z/);
  });

  test('profiles by kernel where the adapter has timestamps', async () => {
    const { gpu, program } = await build(3);
    if (!gpu.device.features.has('timestamp-query')) await expect(program.profile()).rejects.toThrow(/timestamp-query/);
    else expect(await program.profile()).toEqual([{ label: 'sample/add', ms: expect.any(Number) as number, count: 6 }]);
  });
});

test.each([
  [1, [1, 1]],
  [64 * 32768, [32768, 1]],
  [64 * 70000, [23334, 3]],
])('a grid for %i items covers them within the limits', (items, expected) => {
  expect(groups(items, 64)).toEqual(expected);
});
