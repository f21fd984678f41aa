// AdamW (Loshchilov and Hutter 2019, arXiv 1711.05101), with the gradient clipped to a global norm as torch.nn.utils.clip_grad_norm_ does.
//   g = grad * min(1, max_grad_norm / (norm + 1e-6))      (all of grad when max_grad_norm = 0)
//   w = w - lr * weight_decay * w
//   m = beta1 m + (1 - beta1) g        v = beta2 v + (1 - beta2) g^2
//   w = w - lr * (m / bias_correction1) / (sqrt(v / bias_correction2) + epsilon)
// bias_correction1 = 1 - beta1^step and bias_correction2 = 1 - beta2^step, step counted from 1. Gradients are zeroed for the next step.

// kernel: step
struct Params { length: u32, decay: u32 }
struct AdamW {
  learning_rate: f32, beta1: f32, beta2: f32, epsilon: f32, weight_decay: f32,
  bias_correction1: f32, bias_correction2: f32, max_grad_norm: f32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> scalars: AdamW;
@group(0) @binding(2) var<storage, read_write> weights: array<f32>;
@group(0) @binding(3) var<storage, read_write> grads: array<f32>;
@group(0) @binding(4) var<storage, read_write> m: array<f32>;
@group(0) @binding(5) var<storage, read_write> v: array<f32>;
@group(0) @binding(6) var<storage, read> norm: array<f32>; // [1]

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) count: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let i = (group.y * count.x + group.x) * 64u + lane;
  if (i >= params.length) { return; }
  let clip = select(1.0, min(1.0, scalars.max_grad_norm / (norm[0] + 1e-6)), scalars.max_grad_norm > 0.0);
  let g = grads[i] * clip;
  grads[i] = 0.0;
  let first = scalars.beta1 * m[i] + (1.0 - scalars.beta1) * g;
  let second = scalars.beta2 * v[i] + (1.0 - scalars.beta2) * g * g;
  m[i] = first;
  v[i] = second;
  let decay = select(0.0, scalars.learning_rate * scalars.weight_decay, params.decay == 1u);
  let change = scalars.learning_rate * (first / scalars.bias_correction1) / (sqrt(second / scalars.bias_correction2) + scalars.epsilon);
  weights[i] = weights[i] - decay * weights[i] - change;
}

// kernel: square_sums
// Invocation i sums the squares of elements i, i + strands, i + 2 strands... into partials[offset + i].
struct Params { length: u32, strands: u32, offset: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> grads: array<f32>;
@group(0) @binding(2) var<storage, read_write> partials: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  if (id.x >= params.strands) { return; }
  var sum = 0.0;
  for (var i = id.x; i < params.length; i += params.strands) { sum += grads[i] * grads[i]; }
  partials[params.offset + id.x] = sum;
}

// kernel: norm
// One workgroup adds all partial sums and takes the root.
struct Params { count: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> partials: array<f32>;
@group(0) @binding(2) var<storage, read_write> norm: array<f32>; // [1]

var<workgroup> sums: array<f32, 256>;

@compute @workgroup_size(256)
fn main(@builtin(local_invocation_index) lane: u32) {
  var sum = 0.0;
  for (var i = lane; i < params.count; i += 256u) { sum += partials[i]; }
  sums[lane] = sum;
  for (var half = 128u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (lane < half) { sums[lane] += sums[lane + half]; }
  }
  if (lane == 0u) { norm[0] = sqrt(sums[0]); }
}
