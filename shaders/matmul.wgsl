// kernel: plain
//   c[m, n] (+)= sum_k a b, each operand addressed by its own row and column strides
struct Params {
  m: u32, n: u32, k: u32, a_row: u32, a_column: u32, b_row: u32, b_column: u32,
  a_offset: u32, b_offset: u32, c_offset: u32, accumulate: u32
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read_write> c: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) count: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let i = (group.y * count.x + group.x) * 64u + lane;
  if (i >= params.m * params.n) { return; }
  let a_at = params.a_offset + (i / params.n) * params.a_row;
  let b_at = params.b_offset + (i % params.n) * params.b_column;
  var sum = 0.0;
  for (var k = 0u; k < params.k; k++) { sum += a[a_at + k * params.a_column] * b[b_at + k * params.b_row]; }
  let at = params.c_offset + i;
  c[at] = select(0.0, c[at], params.accumulate == 1u) + sum;
}
