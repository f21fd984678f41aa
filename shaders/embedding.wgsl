// Token embedding. Program row r reads row row_of[r] of the pool, so that micro-batches, shuffles and compaction are data.
// The gradient is a sum over all tokens with the same id. It is taken without atomics, in a fixed order, in three passes:
//   first    where each id occurs first in each chunk of CHUNK tokens
//   combine  at that place, the sum of dx over all its occurrences in the chunk
//   gather   per id, the sum of those sums over the chunks
// so that an id which makes up a third of all tokens costs no more than one that is rare.

const CHUNK = 128u;

// kernel: embed
struct Params { length: u32, width: u32, capacity: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> tokens: array<u32>; // [pool, capacity]
@group(0) @binding(2) var<storage, read> row_of: array<u32>; // [rows]
@group(0) @binding(3) var<storage, read> weight: array<f32>; // [vocab, width]
@group(0) @binding(4) var<storage, read_write> x: array<f32>; // [rows, length, width]

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  if (id.x >= params.width) { return; }
  let token = tokens[row_of[id.z] * params.capacity + id.y];
  x[(id.z * params.length + id.y) * params.width + id.x] = weight[token * params.width + id.x];
}

// kernel: embed_next
struct Params { width: u32, capacity: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> tokens: array<u32>;
@group(0) @binding(2) var<storage, read> row_of: array<u32>;    // [slots]
@group(0) @binding(3) var<storage, read> positions: array<u32>; // [pool]
@group(0) @binding(4) var<storage, read> weight: array<f32>;
@group(0) @binding(5) var<storage, read_write> x: array<f32>;   // [slots, width]

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  if (id.x >= params.width) { return; }
  let row = row_of[id.y];
  let token = tokens[row * params.capacity + positions[row]];
  x[id.y * params.width + id.x] = weight[token * params.width + id.x];
}

// kernel: next_tokens
struct Params { rows: u32, length: u32, capacity: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> tokens: array<u32>;
@group(0) @binding(2) var<storage, read> row_of: array<u32>;
@group(0) @binding(3) var<storage, read_write> targets: array<u32>; // [rows, length]

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) count: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let t = (group.y * count.x + group.x) * 64u + lane;
  if (t >= params.rows * params.length) { return; }
  let next = t % params.length + 1u;
  var token = 0u;
  if (next < params.capacity) { token = tokens[row_of[t / params.length] * params.capacity + next]; }
  targets[t] = token;
}

// kernel: first
struct Params { rows: u32, length: u32, capacity: u32, vocab: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> tokens: array<u32>;
@group(0) @binding(2) var<storage, read> row_of: array<u32>;
@group(0) @binding(3) var<storage, read_write> firsts: array<u32>; // [chunks, vocab]: 1 + token index, 0 where the id does not occur

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  if (id.x >= params.vocab) { return; }
  let begin = id.y * CHUNK;
  let end = min(begin + CHUNK, params.rows * params.length);
  var found = 0u;
  for (var t = begin; t < end && found == 0u; t++) {
    if (tokens[row_of[t / params.length] * params.capacity + t % params.length] == id.x) { found = t + 1u; }
  }
  firsts[id.y * params.vocab + id.x] = found;
}

// kernel: combine
struct Params { rows: u32, length: u32, width: u32, capacity: u32, vocab: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> tokens: array<u32>;
@group(0) @binding(2) var<storage, read> row_of: array<u32>;
@group(0) @binding(3) var<storage, read> firsts: array<u32>;
@group(0) @binding(4) var<storage, read> dx: array<f32>;             // [rows, length, width]
@group(0) @binding(5) var<storage, read_write> combined: array<f32>; // [rows, length, width], written at first occurrences only

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  if (id.x >= params.width) { return; }
  let begin = id.z * params.length + id.y;
  let token = tokens[row_of[id.z] * params.capacity + id.y];
  let chunk = begin / CHUNK;
  if (firsts[chunk * params.vocab + token] != begin + 1u) { return; }
  let end = min((chunk + 1u) * CHUNK, params.rows * params.length);
  var sum = 0.0;
  for (var t = begin; t < end; t++) {
    if (tokens[row_of[t / params.length] * params.capacity + t % params.length] == token) { sum += dx[t * params.width + id.x]; }
  }
  combined[begin * params.width + id.x] = sum;
}

// kernel: gather
struct Params { width: u32, vocab: u32, chunks: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> firsts: array<u32>;
@group(0) @binding(2) var<storage, read> combined: array<f32>;
@group(0) @binding(3) var<storage, read_write> d_weight: array<f32>; // [vocab, width], added to

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) count: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let i = (group.y * count.x + group.x) * 64u + lane;
  if (i >= params.vocab * params.width) { return; }
  let token = i / params.width;
  var sum = 0.0;
  for (var c = 0u; c < params.chunks; c++) {
    let at = firsts[c * params.vocab + token];
    if (at > 0u) { sum += combined[(at - 1u) * params.width + i % params.width]; }
  }
  d_weight[i] += sum;
}
