// One step of decoding: a slot's new query attends over the cached keys and values of its row, and its own.
//   out = sum_{j <= position} softmax_j(q . k_j / sqrt(head_dim)) v_j
// Slot s works on pool row row_of[s], at that row's position; nothing depends on s or on the number of slots.
// The cache of a layer is [pool, capacity, kv_heads * head_dim]. The step writes the slot's k and v to it, and reads its own from
// qkv, so that no invocation waits for another's write.
// include: head

const VECS = HEAD_DIM / 4u;

// kernel: fill
// After a prefill: the k and v heads of every token before the capacity go to the cache.
struct Params { rows: u32, length: u32, capacity: u32, width: u32, stride: u32, offset: u32 } // of vec4; width = kv_heads * VECS
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> row_of: array<u32>;
@group(0) @binding(2) var<storage, read> qkv: array<vec4<f32>>;          // [rows, length, stride]
@group(0) @binding(3) var<storage, read_write> keys: array<vec4<f32>>;   // [pool, capacity, width]
@group(0) @binding(4) var<storage, read_write> values: array<vec4<f32>>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) count: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let i = (group.y * count.x + group.x) * 64u + lane;
  let token = i / params.width;
  let position = token % params.length;
  if (token >= params.rows * params.length || position >= params.capacity) { return; }
  let d = i % params.width;
  let source = token * params.stride + params.offset + d;
  let place = (row_of[token / params.length] * params.capacity + position) * params.width + d;
  keys[place] = qkv[source];
  values[place] = qkv[source + params.width];
}

// kernel: step_plain
// One invocation per (slot, head), with an online softmax as in attention.wgsl.
struct Params { slots: u32, heads: u32, group: u32, capacity: u32, width: u32, stride: u32, scale: f32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> row_of: array<u32>;             // [slots]
@group(0) @binding(2) var<storage, read> positions: array<u32>;          // [pool]
@group(0) @binding(3) var<storage, read> qkv: array<vec4<f32>>;          // [slots, stride]
@group(0) @binding(4) var<storage, read_write> keys: array<vec4<f32>>;   // [pool, capacity, width]
@group(0) @binding(5) var<storage, read_write> values: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> out: array<vec4<f32>>;    // [slots, heads * VECS]

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  if (id.x >= params.slots * params.heads) { return; }
  let slot = id.x / params.heads;
  let head = id.x % params.heads;
  let row = row_of[slot];
  let position = positions[row];
  let cache = row * params.capacity * params.width + head / params.group * VECS;
  let q_at = slot * params.stride + head * VECS;
  let k_at = slot * params.stride + (params.heads + head / params.group) * VECS;

  var q: array<vec4<f32>, VECS>;
  var acc: array<vec4<f32>, VECS>;
  var own = vec4<f32>();
  for (var d = 0u; d < VECS; d++) { q[d] = qkv[q_at + d] * params.scale; }
  for (var d = 0u; d < VECS; d++) { own += q[d] * qkv[k_at + d]; }
  for (var d = 0u; d < VECS; d++) { acc[d] = qkv[k_at + params.width + d]; }
  var highest = (own.x + own.y) + (own.z + own.w);
  var sum = 1.0;
  for (var j = 0u; j < position; j++) {
    let at = cache + j * params.width;
    var parts = vec4<f32>();
    for (var d = 0u; d < VECS; d++) { parts += q[d] * keys[at + d]; }
    let score = (parts.x + parts.y) + (parts.z + parts.w);
    let before = highest;
    highest = max(highest, score);
    let keep = exp(before - highest);
    let weight = exp(score - highest);
    sum = sum * keep + weight;
    for (var d = 0u; d < VECS; d++) { acc[d] = acc[d] * keep + weight * values[at + d]; }
  }
  for (var d = 0u; d < VECS; d++) { out[id.x * VECS + d] = acc[d] / sum; }
  if (head % params.group == 0u) {
    for (var d = 0u; d < VECS; d++) {
      keys[cache + position * params.width + d] = qkv[k_at + d];
      values[cache + position * params.width + d] = qkv[k_at + params.width + d];
    }
  }
}

// kernel: step_tiled
// A workgroup per (slot, head). Blocks of BLOCK keys: first each invocation scores its keys, then each takes one vec4 of the
// head and every SPLITS-th key of the block; the partial sums are added in order.
struct Params { slots: u32, heads: u32, group: u32, capacity: u32, width: u32, stride: u32, scale: f32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> row_of: array<u32>;
@group(0) @binding(2) var<storage, read> positions: array<u32>;
@group(0) @binding(3) var<storage, read> qkv: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> keys: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> values: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> out: array<vec4<f32>>;

const LANES = 128u;
const BLOCK = 512u;
const SPLITS = LANES / VECS;
var<workgroup> q: array<vec4<f32>, VECS>;
var<workgroup> weights: array<f32, BLOCK>;
var<workgroup> partial: array<f32, LANES>;
var<workgroup> groups: array<f32, 8>;
var<workgroup> sums: array<vec4<f32>, LANES>;
var<workgroup> place: vec2<u32>; // row, position

// The maximum or the sum of one value per invocation, in a fixed order.
fn highest_of(value: f32, lane: u32) -> f32 {
  partial[lane] = value;
  workgroupBarrier();
  if (lane < 8u) {
    var top = partial[lane * 16u];
    for (var i = 1u; i < 16u; i++) { top = max(top, partial[lane * 16u + i]); }
    groups[lane] = top;
  }
  workgroupBarrier();
  var top = groups[0];
  for (var i = 1u; i < 8u; i++) { top = max(top, groups[i]); }
  return top;
}

fn sum_of(value: f32, lane: u32) -> f32 {
  partial[lane] = value;
  workgroupBarrier();
  if (lane < 8u) {
    var sum = 0.0;
    for (var i = 0u; i < 16u; i++) { sum += partial[lane * 16u + i]; }
    groups[lane] = sum;
  }
  workgroupBarrier();
  var sum = 0.0;
  for (var i = 0u; i < 8u; i++) { sum += groups[i]; }
  return sum;
}

@compute @workgroup_size(128)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let head = group.x;
  let slot = group.y;
  if (lane == 0u) {
    let row = row_of[slot];
    place = vec2<u32>(row, positions[row]);
  }
  if (lane < VECS) { q[lane] = qkv[slot * params.stride + head * VECS + lane] * params.scale; }
  let found = workgroupUniformLoad(&place);
  let position = found.y;
  let cache = found.x * params.capacity * params.width + head / params.group * VECS;
  let k_at = slot * params.stride + (params.heads + head / params.group) * VECS;
  let d = lane % VECS;
  let split = lane / VECS;

  var highest = -1e30;
  var sum = 0.0;
  var acc = vec4<f32>();
  for (var first = 0u; first <= position; first += BLOCK) {
    let end = min(first + BLOCK, position + 1u);
    var top = -1e30;
    for (var j = first + lane; j < end; j += LANES) {
      var parts = vec4<f32>();
      if (j == position) {
        for (var i = 0u; i < VECS; i++) { parts += q[i] * qkv[k_at + i]; }
      } else {
        for (var i = 0u; i < VECS; i++) { parts += q[i] * keys[cache + j * params.width + i]; }
      }
      let score = (parts.x + parts.y) + (parts.z + parts.w);
      weights[j - first] = score;
      top = max(top, score);
    }
    let before = highest;
    highest = max(highest, highest_of(top, lane));
    let keep = exp(before - highest);
    sum *= keep;
    acc *= keep;
    for (var j = first + lane; j < end; j += LANES) {
      let weight = exp(weights[j - first] - highest);
      weights[j - first] = weight;
      sum += weight;
    }
    workgroupBarrier();
    if (split < SPLITS) {
      for (var j = first + split; j < end; j += SPLITS) {
        if (j < position) { acc += weights[j - first] * values[cache + j * params.width + d]; }
        else { acc += weights[j - first] * qkv[k_at + params.width + d]; }
      }
    }
    workgroupBarrier();
  }
  sums[lane] = acc;
  let total = sum_of(sum, lane); // its barriers make `sums` visible
  if (lane < VECS) {
    var whole = sums[lane];
    for (var i = 1u; i < SPLITS; i++) { whole += sums[i * VECS + lane]; }
    out[(slot * params.heads + head) * VECS + lane] = whole / total;
    if (head % params.group == 0u) {
      keys[cache + position * params.width + lane] = qkv[k_at + lane];
      values[cache + position * params.width + lane] = qkv[k_at + params.width + lane];
    }
  }
}
