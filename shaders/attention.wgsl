// Causal grouped-query attention with an online softmax (Milakov and Gimelshein 2018; Dao et al. 2022).
//   s[i,j] = q_i . k_j / sqrt(head_dim), j <= i          lse[i] = log sum_j exp(s[i,j])
//   out[i] = sum_j exp(s[i,j] - lse[i]) v_j
// A token's q heads, then its k heads, then its v heads lie in one packed row of qkv; query head h reads kv head h / group.
// Sequences are padded on the right, so causality already keeps padding out of every real position.
// HEAD_DIM, a multiple of 4, is a constant of the text: private arrays can't be sized by an override. Loops over d that stand on
// one line are unrolled in the text for small heads (src/nn/attention.ts), so that those arrays stay in registers.
// include: head

const VECS = HEAD_DIM / 4u;
const NEGATIVE = -1e30;

struct Params { rows: u32, length: u32, heads: u32, group: u32, stride: u32, scale: f32 } // stride in vec4
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> qkv: array<vec4<f32>>;       // [rows, length, stride]
@group(0) @binding(2) var<storage, read_write> out: array<vec4<f32>>; // [rows, length, heads * VECS]
@group(0) @binding(3) var<storage, read_write> lse: array<f32>;       // [rows, heads, length]

// kernel: forward_plain
// One invocation per (row, head, 4 queries); each key and value that it reads from storage serves all four.
fn weighted(acc: mat4x4<f32>, keep: vec4<f32>, v: vec4<f32>, weight: vec4<f32>) -> mat4x4<f32> {
  return mat4x4<f32>(
    acc[0] * keep.x + v * weight.x, acc[1] * keep.y + v * weight.y, acc[2] * keep.z + v * weight.z, acc[3] * keep.w + v * weight.w,
  );
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) count: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let i = (group.y * count.x + group.x) * 64u + lane;
  let blocks = (params.length + 3u) / 4u;
  if (i >= params.rows * params.heads * blocks) { return; }
  let query = i % blocks * 4u;
  let last = min(query + 3u, params.length - 1u);
  let queries = vec4<u32>(query) + vec4<u32>(0u, 1u, 2u, 3u);
  let head = i / blocks % params.heads;
  let row = i / (blocks * params.heads);
  let first = row * params.length;
  let q_at = (first + min(queries, vec4<u32>(last))) * params.stride + head * VECS;
  let k_at = first * params.stride + (params.heads + head / params.group) * VECS;
  let to_v = (params.heads / params.group) * VECS;

  var q: array<mat4x4<f32>, VECS>; // [4 dimensions][query]
  var acc: array<mat4x4<f32>, VECS>;
  for (var d = 0u; d < VECS; d++) { q[d] = mat4x4<f32>(qkv[q_at.x + d], qkv[q_at.y + d], qkv[q_at.z + d], qkv[q_at.w + d]); }
  var highest = vec4<f32>(NEGATIVE);
  var sum = vec4<f32>();
  for (var j = 0u; j <= last; j++) {
    let k = k_at + j * params.stride;
    var scores = vec4<f32>();
    for (var d = 0u; d < VECS; d++) { scores += qkv[k + d] * q[d]; }
    scores = select(vec4<f32>(NEGATIVE), scores * params.scale, vec4<u32>(j) <= queries);
    let before = highest;
    highest = max(highest, scores);
    let keep = exp(before - highest);
    let weight = exp(scores - highest);
    sum = sum * keep + weight;
    for (var d = 0u; d < VECS; d++) { acc[d] = weighted(acc[d], keep, qkv[k + to_v + d], weight); }
  }
  for (var n = 0u; n <= last - query; n++) {
    let out_at = ((first + query + n) * params.heads + head) * VECS;
    for (var d = 0u; d < VECS; d++) { out[out_at + d] = acc[d][n] / sum[n]; }
    lse[(row * params.heads + head) * params.length + query + n] = highest[n] + log(sum[n]);
  }
}

// kernel: forward_tiled
// A workgroup per (row, head, 32 queries) walks the key tiles up to the diagonal.
// include: tiles
const TILES = 3u;
const Q = 0u;
const KV = 256u;
const P = 512u; // [query][keys]
var<workgroup> shared_stats: array<vec4<f32>, 64>; // per invocation, of its queries

fn fetch(kind: u32, at: u32) -> vec4<f32> { return qkv[at]; }

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) count: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let tx = lane % 8u;
  let ty = lane / 8u;
  let first = (count.x - 1u - group.x) * 32u; // the longest walks start first
  let head = group.y;
  let row = group.z;
  let sequence = row * params.length * params.stride;
  let q_at = sequence + head * VECS;
  let k_at = sequence + (params.heads + head / params.group) * VECS;
  let v_at = k_at + (params.heads / params.group) * VECS;
  let queries = vec4<u32>(first + ty) + PLACES;

  var acc: array<mat4x4<f32>, CHUNKS>; // [chunk][query], 4 dimensions
  var highest = vec4<f32>(NEGATIVE);
  var sum = vec4<f32>(); // over this invocation's keys alone, until the end
  for (var key0 = 0u; key0 <= first; key0 += 32u) {
    var s = mat4x4<f32>(); // [query], 4 keys
    for (var c = 0u; c < CHUNKS; c++) {
      if (CHUNKS > 1u || key0 == 0u) { stage(Q, 0u, q_at, params.stride, first, c, lane); }
      stage(KV, 0u, k_at, params.stride, key0, c, lane);
      workgroupBarrier();
      for (var d = 0u; d < 8u; d++) { s = product(s, transpose(strided(KV, tx, d)), strided(Q, ty, d)); }
      workgroupBarrier();
    }
    let keys = vec4<u32>(key0 + tx) + PLACES;
    var top: vec4<f32>;
    for (var i = 0u; i < 4u; i++) {
      s[i] = select(vec4<f32>(NEGATIVE), s[i] * params.scale, keys <= vec4<u32>(queries[i]));
      top[i] = max(max(s[i].x, s[i].y), max(s[i].z, s[i].w));
    }
    shared_stats[lane] = top;
    workgroupBarrier();
    let before = highest;
    for (var x = 0u; x < 8u; x++) { highest = max(highest, shared_stats[ty * 8u + x]); }
    let keep = exp(before - highest);
    sum *= keep;
    for (var i = 0u; i < 4u; i++) {
      let p = exp(s[i] - vec4<f32>(highest[i]));
      sum[i] += (p.x + p.y) + (p.z + p.w);
      tiles[P + cell(ty + 8u * i, tx)] = p;
    }
    for (var c = 0u; c < CHUNKS; c++) {
      stage(KV, 0u, v_at, params.stride, key0, c, lane);
      workgroupBarrier();
      var part = mat4x4<f32>(acc[c][0] * keep.x, acc[c][1] * keep.y, acc[c][2] * keep.z, acc[c][3] * keep.w);
      for (var j = 0u; j < 8u; j++) { part = product(part, strided(KV, j, tx), strided(P, ty, j)); }
      acc[c] = part;
      workgroupBarrier();
    }
  }
  shared_stats[lane] = sum;
  workgroupBarrier();
  sum = vec4<f32>();
  for (var x = 0u; x < 8u; x++) { sum += shared_stats[ty * 8u + x]; }
  for (var i = 0u; i < 4u; i++) {
    if (queries[i] >= params.length) { continue; }
    let out_at = ((row * params.length + queries[i]) * params.heads + head) * VECS;
    for (var c = 0u; c < CHUNKS; c++) {
      let d = c * 8u + tx;
      if (d < VECS) { out[out_at + d] = acc[c][i] / sum[i]; }
    }
    if (tx == 0u) { lse[(row * params.heads + head) * params.length + queries[i]] = highest[i] + log(sum[i]); }
  }
}
