// Backward of shaders/attention.wgsl; the probabilities are recomputed from lse.
//   p[i,j] = exp(s[i,j] - lse[i])      delta[i] = do_i . out_i      ds[i,j] = p[i,j] (do_i . v_j - delta[i]) / sqrt(head_dim)
//   dq_i = sum_j ds[i,j] k_j           dk_j = sum_i ds[i,j] q_i     dv_j = sum_i p[i,j] do_i
// `queries` writes dq and delta; `keys`, which runs after it, writes dk and dv, going through the query heads of its kv head in
// order. Every element of d_qkv is written once, without atomics.
// include: head

const VECS = HEAD_DIM / 4u;

struct Params { rows: u32, length: u32, heads: u32, group: u32, stride: u32, scale: f32 } // stride in vec4
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> qkv: array<vec4<f32>>;         // [rows, length, stride]
@group(0) @binding(2) var<storage, read> d_out: array<vec4<f32>>;       // [rows, length, heads * VECS]
@group(0) @binding(3) var<storage, read> lse: array<f32>;               // [rows, heads, length]
@group(0) @binding(4) var<storage, read_write> d_qkv: array<vec4<f32>>; // laid out like qkv

const QKV = 0u;
const D_OUT = 1u;
fn fetch(kind: u32, at: u32) -> vec4<f32> {
  if (kind == D_OUT) { return d_out[at]; }
  return qkv[at];
}

fn added(sum: mat4x4<f32>, v: vec4<f32>, weight: vec4<f32>) -> mat4x4<f32> {
  return mat4x4<f32>(sum[0] + v * weight.x, sum[1] + v * weight.y, sum[2] + v * weight.z, sum[3] + v * weight.w);
}

// kernel: queries_plain
// One invocation per (row, head, 4 queries).
@group(0) @binding(5) var<storage, read> out: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> delta: array<f32>; // [rows, heads, length]

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
  let places = min(queries, vec4<u32>(last));
  let q_at = (first + places) * params.stride + head * VECS;
  let g_at = ((first + places) * params.heads + head) * VECS;
  let k_at = first * params.stride + (params.heads + head / params.group) * VECS;
  let to_v = (params.heads / params.group) * VECS;
  let stats = (row * params.heads + head) * params.length;

  var q: array<mat4x4<f32>, VECS>; // [4 dimensions][query]
  var g: array<mat4x4<f32>, VECS>;
  var dq: array<mat4x4<f32>, VECS>;
  var along = vec4<f32>();
  for (var d = 0u; d < VECS; d++) { q[d] = mat4x4<f32>(qkv[q_at.x + d], qkv[q_at.y + d], qkv[q_at.z + d], qkv[q_at.w + d]); }
  for (var d = 0u; d < VECS; d++) { g[d] = mat4x4<f32>(d_out[g_at.x + d], d_out[g_at.y + d], d_out[g_at.z + d], d_out[g_at.w + d]); }
  for (var n = 0u; n < 4u; n++) {
    for (var d = 0u; d < VECS; d++) { along[n] += dot(g[d][n], out[g_at[n] + d]); }
  }
  let norms = vec4<f32>(lse[stats + places.x], lse[stats + places.y], lse[stats + places.z], lse[stats + places.w]);
  for (var j = 0u; j <= last; j++) {
    let k = k_at + j * params.stride;
    var scores = vec4<f32>();
    var dp = vec4<f32>();
    for (var d = 0u; d < VECS; d++) { scores += qkv[k + d] * q[d]; }
    for (var d = 0u; d < VECS; d++) { dp += qkv[k + to_v + d] * g[d]; }
    let p = select(vec4<f32>(), exp(scores * params.scale - norms), vec4<u32>(j) <= queries);
    let ds = p * (dp - along) * params.scale;
    for (var d = 0u; d < VECS; d++) { dq[d] = added(dq[d], qkv[k + d], ds); }
  }
  for (var n = 0u; n <= last - query; n++) {
    for (var d = 0u; d < VECS; d++) { d_qkv[q_at[n] + d] = dq[d][n]; }
    delta[stats + query + n] = along[n];
  }
}

// kernel: keys_plain
// One invocation per (row, kv head, 4 keys).
@group(0) @binding(5) var<storage, read> delta: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) count: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let i = (group.y * count.x + group.x) * 64u + lane;
  let kv_heads = params.heads / params.group;
  let blocks = (params.length + 3u) / 4u;
  if (i >= params.rows * kv_heads * blocks) { return; }
  let key = i % blocks * 4u;
  let last = min(key + 3u, params.length - 1u);
  let keys = vec4<u32>(key) + vec4<u32>(0u, 1u, 2u, 3u);
  let kv_head = i / blocks % kv_heads;
  let row = i / (blocks * kv_heads);
  let first = row * params.length;
  let k_at = (first + min(keys, vec4<u32>(last))) * params.stride + (params.heads + kv_head) * VECS;
  let to_v = kv_heads * VECS;
  let v_at = k_at + to_v;

  var k: array<mat4x4<f32>, VECS>; // [4 dimensions][key]
  var v: array<mat4x4<f32>, VECS>;
  var dk: array<mat4x4<f32>, VECS>;
  var dv: array<mat4x4<f32>, VECS>;
  for (var d = 0u; d < VECS; d++) { k[d] = mat4x4<f32>(qkv[k_at.x + d], qkv[k_at.y + d], qkv[k_at.z + d], qkv[k_at.w + d]); }
  for (var d = 0u; d < VECS; d++) { v[d] = mat4x4<f32>(qkv[v_at.x + d], qkv[v_at.y + d], qkv[v_at.z + d], qkv[v_at.w + d]); }
  for (var head = kv_head * params.group; head < (kv_head + 1u) * params.group; head++) {
    let stats = (row * params.heads + head) * params.length;
    for (var query = key; query < params.length; query++) {
      let q = (first + query) * params.stride + head * VECS;
      let g = ((first + query) * params.heads + head) * VECS;
      var scores = vec4<f32>();
      var dp = vec4<f32>();
      for (var d = 0u; d < VECS; d++) { scores += qkv[q + d] * k[d]; }
      for (var d = 0u; d < VECS; d++) { dp += d_out[g + d] * v[d]; }
      let p = select(vec4<f32>(), exp(scores * params.scale - lse[stats + query]), keys <= vec4<u32>(query));
      let ds = p * (dp - delta[stats + query]) * params.scale;
      for (var d = 0u; d < VECS; d++) { dk[d] = added(dk[d], qkv[q + d], ds); }
      for (var d = 0u; d < VECS; d++) { dv[d] = added(dv[d], d_out[g + d], p); }
    }
  }
  for (var n = 0u; n <= last - key; n++) {
    for (var d = 0u; d < VECS; d++) { d_qkv[k_at[n] + d] = dk[d][n]; }
    for (var d = 0u; d < VECS; d++) { d_qkv[v_at[n] + d] = dv[d][n]; }
  }
}

// kernel: queries_tiled
// A workgroup per (row, head, 32 queries); invocation (tx, ty) holds queries ty + 8i against keys tx + 8j.
// include: tiles
@group(0) @binding(5) var<storage, read> out: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> delta: array<f32>;

const TILES = 4u;
const Q = 0u;
const G = 256u; // d_out
const K = 512u;
const V = 768u; // later ds, [query][keys]

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) count: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let tx = lane % 8u;
  let ty = lane / 8u;
  let first = (count.x - 1u - group.x) * 32u;
  let head = group.y;
  let row = group.z;
  let sequence = row * params.length * params.stride;
  let q_at = sequence + head * VECS;
  let k_at = sequence + (params.heads + head / params.group) * VECS;
  let v_at = k_at + (params.heads / params.group) * VECS;
  let width = params.heads * VECS;
  let g_at = row * params.length * width + head * VECS;
  let stats = (row * params.heads + head) * params.length;
  let queries = vec4<u32>(first + ty) + PLACES;

  // delta of the 32 queries, half a dot product per invocation
  let mine = first + lane % 32u;
  var along = 0.0;
  if (mine < params.length) {
    let at = g_at + mine * width;
    for (var d = lane / 32u; d < VECS; d += 2u) { along += dot(d_out[at + d], out[at + d]); }
  }
  tiles[lane] = vec4<f32>(along);
  workgroupBarrier();
  var deltas: vec4<f32>;
  var norms: vec4<f32>;
  for (var i = 0u; i < 4u; i++) {
    deltas[i] = tiles[ty + 8u * i].x + tiles[ty + 8u * i + 32u].x;
    norms[i] = lse[stats + min(queries[i], params.length - 1u)];
    if (tx == 0u && queries[i] < params.length) { delta[stats + queries[i]] = deltas[i]; }
  }
  workgroupBarrier();

  var dq: array<mat4x4<f32>, CHUNKS>; // [chunk][query i], 4 dimensions
  for (var key0 = 0u; key0 <= first; key0 += 32u) {
    var s = mat4x4<f32>();
    var dp = mat4x4<f32>();
    for (var c = 0u; c < CHUNKS; c++) {
      if (CHUNKS > 1u || key0 == 0u) {
        stage(Q, QKV, q_at, params.stride, first, c, lane);
        stage(G, D_OUT, g_at, width, first, c, lane);
      }
      stage(K, QKV, k_at, params.stride, key0, c, lane);
      stage(V, QKV, v_at, params.stride, key0, c, lane);
      workgroupBarrier();
      for (var d = 0u; d < 8u; d++) {
        s = product(s, transpose(strided(K, tx, d)), strided(Q, ty, d));
        dp = product(dp, transpose(strided(V, tx, d)), strided(G, ty, d));
      }
      workgroupBarrier();
    }
    let keys = vec4<u32>(key0 + tx) + PLACES;
    for (var i = 0u; i < 4u; i++) {
      let p = select(vec4<f32>(), exp(s[i] * params.scale - vec4<f32>(norms[i])), keys <= vec4<u32>(queries[i]));
      tiles[V + cell(ty + 8u * i, tx)] = p * (dp[i] - vec4<f32>(deltas[i])) * params.scale;
    }
    for (var c = 0u; c < CHUNKS; c++) {
      if (CHUNKS > 1u) { stage(K, QKV, k_at, params.stride, key0, c, lane); }
      workgroupBarrier();
      var part = dq[c];
      for (var j = 0u; j < 8u; j++) { part = product(part, strided(K, j, tx), strided(V, ty, j)); }
      dq[c] = part;
      workgroupBarrier();
    }
  }
  for (var i = 0u; i < 4u; i++) {
    for (var c = 0u; c < CHUNKS; c++) {
      let d = c * 8u + tx;
      if (queries[i] < params.length && d < VECS) { d_qkv[q_at + queries[i] * params.stride + d] = dq[c][i]; }
    }
  }
}

// kernel: keys_tiled
// A workgroup per (row, kv head, 32 keys); invocation (tx, ty) holds keys ty + 8i against queries tx + 8j.
// include: tiles
@group(0) @binding(5) var<storage, read> delta: array<f32>;

const TILES = 4u;
const K = 0u; // later p, [key][queries]
const V = 256u; // later ds, [key][queries]
const Q = 512u;
const G = 768u; // d_out

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let tx = lane % 8u;
  let ty = lane / 8u;
  let first = group.x * 32u;
  let kv_head = group.y;
  let row = group.z;
  let sequence = row * params.length * params.stride;
  let k_at = sequence + (params.heads + kv_head) * VECS;
  let v_at = k_at + (params.heads / params.group) * VECS;
  let width = params.heads * VECS;
  let keys = vec4<u32>(first + ty) + PLACES;

  var dk: array<mat4x4<f32>, CHUNKS>; // [chunk][key i], 4 dimensions
  var dv: array<mat4x4<f32>, CHUNKS>;
  for (var head = kv_head * params.group; head < (kv_head + 1u) * params.group; head++) {
    let q_at = sequence + head * VECS;
    let g_at = row * params.length * width + head * VECS;
    let stats = (row * params.heads + head) * params.length;
    for (var query0 = first; query0 < params.length; query0 += 32u) {
      var s = mat4x4<f32>();
      var dp = mat4x4<f32>();
      for (var c = 0u; c < CHUNKS; c++) {
        stage(K, QKV, k_at, params.stride, first, c, lane);
        stage(V, QKV, v_at, params.stride, first, c, lane);
        stage(Q, QKV, q_at, params.stride, query0, c, lane);
        stage(G, D_OUT, g_at, width, query0, c, lane);
        workgroupBarrier();
        for (var d = 0u; d < 8u; d++) {
          s = product(s, transpose(strided(Q, tx, d)), strided(K, ty, d));
          dp = product(dp, transpose(strided(G, tx, d)), strided(V, ty, d));
        }
        workgroupBarrier();
      }
      let queries = vec4<u32>(query0 + tx) + PLACES;
      let at = vec4<u32>(stats) + min(queries, vec4<u32>(params.length - 1u));
      let norms = vec4<f32>(lse[at.x], lse[at.y], lse[at.z], lse[at.w]);
      let deltas = vec4<f32>(delta[at.x], delta[at.y], delta[at.z], delta[at.w]);
      for (var i = 0u; i < 4u; i++) {
        let seen = (queries >= vec4<u32>(keys[i])) & (queries < vec4<u32>(params.length));
        let p = select(vec4<f32>(), exp(s[i] * params.scale - norms), seen);
        tiles[K + cell(ty + 8u * i, tx)] = p;
        tiles[V + cell(ty + 8u * i, tx)] = p * (dp[i] - deltas) * params.scale;
      }
      for (var c = 0u; c < CHUNKS; c++) {
        if (CHUNKS > 1u) {
          stage(Q, QKV, q_at, params.stride, query0, c, lane);
          stage(G, D_OUT, g_at, width, query0, c, lane);
        }
        workgroupBarrier();
        var dk_part = dk[c];
        var dv_part = dv[c];
        for (var j = 0u; j < 8u; j++) {
          dv_part = product(dv_part, strided(G, j, tx), strided(K, ty, j));
          dk_part = product(dk_part, strided(Q, j, tx), strided(V, ty, j));
        }
        dk[c] = dk_part;
        dv[c] = dv_part;
        workgroupBarrier();
      }
    }
  }
  for (var i = 0u; i < 4u; i++) {
    for (var c = 0u; c < CHUNKS; c++) {
      let d = c * 8u + tx;
      if (keys[i] < params.length && d < VECS) {
        let at = keys[i] * params.stride + d;
        d_qkv[k_at + at] = dk[c][i];
        d_qkv[v_at + at] = dv[c][i];
      }
    }
  }
}
