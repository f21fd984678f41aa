// Rotary positions (Su et al. 2021) in the convention of Hugging Face Llama: element i of the first half of a head turns with
// element i + head_dim / 2, by the angle position * theta^(-2 i / head_dim).
//   x[i] = x[i] cos - x[i + half] sin        x[i + half] = x[i + half] cos + x[i] sin
// In place on the first `heads` heads of each packed row. The inverse (direction = -1) is the backward pass, since a rotation
// is orthogonal.

fn rotate(token: u32, position: u32, pair: u32) {
  let half = params.head_dim / 2u;
  let i = pair % half;
  let at = token * params.stride + (pair / half) * params.head_dim + i;
  let cosine = table[position * params.head_dim + i];
  let sine = table[position * params.head_dim + half + i] * params.direction;
  let a = x[at];
  let b = x[at + half];
  x[at] = a * cosine - b * sine;
  x[at + half] = b * cosine + a * sine;
}

// kernel: sequence
// Position p of every row is its place in the row.
struct Params { tokens: u32, pairs: u32, head_dim: u32, stride: u32, direction: f32, length: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> table: array<f32>;   // [positions, head_dim]: cosines, then sines
@group(0) @binding(2) var<storage, read_write> x: array<f32>; // [tokens, stride]

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) count: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let i = (group.y * count.x + group.x) * 64u + lane;
  if (i >= params.tokens * params.pairs) { return; }
  let token = i / params.pairs;
  rotate(token, token % params.length, i % params.pairs);
}

// kernel: decode
// One token per slot, at the position where its row stands.
struct Params { tokens: u32, pairs: u32, head_dim: u32, stride: u32, direction: f32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> table: array<f32>;
@group(0) @binding(2) var<storage, read_write> x: array<f32>;
@group(0) @binding(3) var<storage, read> row_of: array<u32>;    // [slots]
@group(0) @binding(4) var<storage, read> positions: array<u32>; // [pool]

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) count: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let i = (group.y * count.x + group.x) * 64u + lane;
  if (i >= params.tokens * params.pairs) { return; }
  let token = i / params.pairs;
  rotate(token, positions[row_of[token]], i % params.pairs);
}
