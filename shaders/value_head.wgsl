// The critic's head: one linear output per position.
//   value[p] = sum_j hidden[p, j] w[j] + bias
//   dhidden[p, j] = dvalue[p] w[j]      dw[j] = sum_p dvalue[p] hidden[p, j]      dbias = sum_p dvalue[p]

// kernel: forward_plain
struct Params { positions: u32, width: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> hidden: array<f32>;       // [positions, width]
@group(0) @binding(2) var<storage, read> weight: array<f32>;       // [width]
@group(0) @binding(3) var<storage, read> bias: array<f32>;         // [1]
@group(0) @binding(4) var<storage, read_write> value: array<f32>;  // [positions]

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) count: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let p = (group.y * count.x + group.x) * 64u + lane;
  if (p >= params.positions) { return; }
  let at = p * params.width;
  var sum = bias[0];
  for (var j = 0u; j < params.width; j++) { sum += hidden[at + j] * weight[j]; }
  value[p] = sum;
}

// kernel: forward_tiled
struct Params { positions: u32, width: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> hidden: array<f32>;
@group(0) @binding(2) var<storage, read> weight: array<f32>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read_write> value: array<f32>;

var<workgroup> partial: array<f32, 64>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) count: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let p = group.y * count.x + group.x;
  if (p >= params.positions) { return; } // uniform in the workgroup
  let at = p * params.width;
  var sum = 0.0;
  for (var j = lane; j < params.width; j += 64u) { sum += hidden[at + j] * weight[j]; }
  partial[lane] = sum;
  for (var half = 32u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (lane < half) { partial[lane] += partial[lane + half]; }
  }
  if (lane == 0u) { value[p] = partial[0] + bias[0]; }
}

// kernel: hidden_gradient
struct Params { positions: u32, width: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> weight: array<f32>;
@group(0) @binding(2) var<storage, read> d_value: array<f32>;          // [positions]
@group(0) @binding(3) var<storage, read_write> d_hidden: array<f32>;   // [positions, width], overwritten

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) count: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let i = (group.y * count.x + group.x) * 64u + lane;
  if (i >= params.positions * params.width) { return; }
  d_hidden[i] = d_value[i / params.width] * weight[i % params.width];
}

// kernel: weight_gradient
// Partial sums over one chunk of positions; reduce.wgsl adds the chunks in order. The invocation after the last column sums the bias.
struct Params { positions: u32, width: u32, chunk: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> hidden: array<f32>;
@group(0) @binding(2) var<storage, read> d_value: array<f32>;
@group(0) @binding(3) var<storage, read_write> weight_partials: array<f32>; // [chunks, width]
@group(0) @binding(4) var<storage, read_write> bias_partials: array<f32>;   // [chunks]

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let j = id.x;
  if (j > params.width) { return; }
  let begin = id.y * params.chunk;
  let end = min(begin + params.chunk, params.positions);
  var sum = 0.0;
  if (j == params.width) {
    for (var p = begin; p < end; p++) { sum += d_value[p]; }
    bias_partials[id.y] = sum;
    return;
  }
  for (var p = begin; p < end; p++) { sum += d_value[p] * hidden[p * params.width + j]; }
  weight_partials[id.y * params.width + j] = sum;
}
