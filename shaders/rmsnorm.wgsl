// Root-mean-square norm (Zhang and Sennrich 2019), with the row's inverse root mean square kept for the backward pass.
//   inv[r] = 1 / sqrt(mean_j x[r,j]^2 + eps)         y[r,j] = x[r,j] * inv[r] * w[j]
//   dx[r,j] = inv[r] * (w[j] dy[r,j] - x[r,j] inv[r]^2 mean_k(w[k] dy[r,k] x[r,k]))
//   dw[j]   = sum_r dy[r,j] x[r,j] inv[r]
// A row r is head h = r % heads of token t = r / heads, at t * stride + offset + h * width: so the same kernels
// normalise whole rows (heads = 1, stride = width) and the q and k heads inside a packed qkv row.

fn place(r: u32, heads: u32, stride: u32, offset: u32, width: u32) -> u32 {
  return (r / heads) * stride + offset + (r % heads) * width;
}

// kernel: forward_plain
struct Params { rows: u32, width: u32, heads: u32, stride: u32, offset: u32, eps: f32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> weight: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;      // laid out like x
@group(0) @binding(4) var<storage, read_write> inv_rms: array<f32>; // [rows]

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) count: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let r = (group.y * count.x + group.x) * 64u + lane;
  if (r >= params.rows) { return; }
  let at = place(r, params.heads, params.stride, params.offset, params.width);
  var sum = 0.0;
  for (var j = 0u; j < params.width; j++) { sum += x[at + j] * x[at + j]; }
  let inv = inverseSqrt(sum / f32(params.width) + params.eps);
  for (var j = 0u; j < params.width; j++) { y[at + j] = x[at + j] * inv * weight[j]; }
  inv_rms[r] = inv;
}

// kernel: forward_tiled
struct Params { rows: u32, width: u32, heads: u32, stride: u32, offset: u32, eps: f32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> weight: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
@group(0) @binding(4) var<storage, read_write> inv_rms: array<f32>;

var<workgroup> partial: array<f32, 64>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) count: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let r = group.y * count.x + group.x;
  if (r >= params.rows) { return; } // uniform in the workgroup
  let at = place(r, params.heads, params.stride, params.offset, params.width);
  var sum = 0.0;
  for (var j = lane; j < params.width; j += 64u) { sum += x[at + j] * x[at + j]; }
  partial[lane] = sum;
  for (var half = 32u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (lane < half) { partial[lane] += partial[lane + half]; }
  }
  workgroupBarrier();
  let inv = inverseSqrt(partial[0] / f32(params.width) + params.eps);
  for (var j = lane; j < params.width; j += 64u) { y[at + j] = x[at + j] * inv * weight[j]; }
  if (lane == 0u) { inv_rms[r] = inv; }
}

// kernel: backward_plain
struct Params { rows: u32, width: u32, heads: u32, stride: u32, offset: u32, accumulate: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> weight: array<f32>;
@group(0) @binding(3) var<storage, read> inv_rms: array<f32>;
@group(0) @binding(4) var<storage, read> dy: array<f32>;
@group(0) @binding(5) var<storage, read_write> dx: array<f32>; // overwritten, or added to when accumulate = 1

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) count: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let r = (group.y * count.x + group.x) * 64u + lane;
  if (r >= params.rows) { return; }
  let at = place(r, params.heads, params.stride, params.offset, params.width);
  let inv = inv_rms[r];
  var dot = 0.0;
  for (var j = 0u; j < params.width; j++) { dot += weight[j] * dy[at + j] * x[at + j]; }
  let pull = inv * inv * dot / f32(params.width);
  for (var j = 0u; j < params.width; j++) {
    let before = select(0.0, dx[at + j], params.accumulate == 1u);
    dx[at + j] = before + inv * (weight[j] * dy[at + j] - x[at + j] * pull);
  }
}

// kernel: backward_tiled
struct Params { rows: u32, width: u32, heads: u32, stride: u32, offset: u32, accumulate: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> weight: array<f32>;
@group(0) @binding(3) var<storage, read> inv_rms: array<f32>;
@group(0) @binding(4) var<storage, read> dy: array<f32>;
@group(0) @binding(5) var<storage, read_write> dx: array<f32>;

var<workgroup> partial: array<f32, 64>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) count: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let r = group.y * count.x + group.x;
  if (r >= params.rows) { return; }
  let at = place(r, params.heads, params.stride, params.offset, params.width);
  let inv = inv_rms[r];
  var dot = 0.0;
  for (var j = lane; j < params.width; j += 64u) { dot += weight[j] * dy[at + j] * x[at + j]; }
  partial[lane] = dot;
  for (var half = 32u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (lane < half) { partial[lane] += partial[lane + half]; }
  }
  workgroupBarrier();
  let pull = inv * inv * partial[0] / f32(params.width);
  for (var j = lane; j < params.width; j += 64u) {
    let before = select(0.0, dx[at + j], params.accumulate == 1u);
    dx[at + j] = before + inv * (weight[j] * dy[at + j] - x[at + j] * pull);
  }
}

// kernel: weight_gradient
// Partial sums of dw over one chunk of rows; reduce.wgsl adds the chunks in order.
struct Params { rows: u32, width: u32, heads: u32, stride: u32, offset: u32, chunk: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> inv_rms: array<f32>;
@group(0) @binding(3) var<storage, read> dy: array<f32>;
@group(0) @binding(4) var<storage, read_write> partials: array<f32>; // [chunks, width]

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let j = id.x;
  if (j >= params.width) { return; }
  let begin = id.y * params.chunk;
  let end = min(begin + params.chunk, params.rows);
  var sum = 0.0;
  for (var r = begin; r < end; r++) {
    let at = place(r, params.heads, params.stride, params.offset, params.width) + j;
    sum += dy[at] * x[at] * inv_rms[r];
  }
  partials[id.y * params.width + j] = sum;
}
