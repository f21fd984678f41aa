// Log-softmax over the vocabulary, for one chunk of positions whose raw logits z = hidden W^T lie in `logits` [count, vocab].
// With s = inverse temperature, l = s z and p = softmax(l):
//   lse = log sum_v exp(l[v])      logprob = l[target] - lse      entropy = lse - sum_v p[v] l[v]
//   dz[v] = s (c (1[v = target] - p[v]) - e p[v] (log p[v] + entropy))      for c = dlogprob, e = dentropy
// All is computed relative to the largest logit of the row, so that a confident row (entropy near 0) keeps its digits.

struct Scalars { inverse_temperature: f32 } // > 0

// kernel: statistics_plain
struct Params { count: u32, vocab: u32, first: u32 } // the chunk is positions first .. first + count - 1
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> scalars: Scalars;
@group(0) @binding(2) var<storage, read> logits: array<f32>;
@group(0) @binding(3) var<storage, read> targets: array<u32>;        // [positions]
@group(0) @binding(4) var<storage, read_write> logprob: array<f32>;  // [positions]
@group(0) @binding(5) var<storage, read_write> lse: array<f32>;      // [positions]
@group(0) @binding(6) var<storage, read_write> entropy: array<f32>;  // [positions]

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) count: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let r = (group.y * count.x + group.x) * 64u + lane;
  if (r >= params.count) { return; }
  let at = r * params.vocab;
  var peak = logits[at];
  for (var v = 1u; v < params.vocab; v++) { peak = max(peak, logits[at + v]); }
  var mass = 0.0;   // sum exp(l - peak)
  var moment = 0.0; // sum exp(l - peak) (l - peak)
  for (var v = 0u; v < params.vocab; v++) {
    let shifted = scalars.inverse_temperature * (logits[at + v] - peak);
    let weight = exp(shifted);
    mass += weight;
    moment += weight * shifted;
  }
  let p = params.first + r;
  let log_mass = log(mass);
  logprob[p] = scalars.inverse_temperature * (logits[at + min(targets[p], params.vocab - 1u)] - peak) - log_mass;
  lse[p] = scalars.inverse_temperature * peak + log_mass;
  entropy[p] = log_mass - moment / mass;
}

// kernel: statistics_tiled
struct Params { count: u32, vocab: u32, first: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> scalars: Scalars;
@group(0) @binding(2) var<storage, read> logits: array<f32>;
@group(0) @binding(3) var<storage, read> targets: array<u32>;
@group(0) @binding(4) var<storage, read_write> logprob: array<f32>;
@group(0) @binding(5) var<storage, read_write> lse: array<f32>;
@group(0) @binding(6) var<storage, read_write> entropy: array<f32>;

override threads: u32; // a power of two; more of them for a wide vocabulary
var<workgroup> peaks: array<f32, threads>;
var<workgroup> sums: array<vec2<f32>, threads>; // mass, moment

@compute @workgroup_size(threads)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) count: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let r = group.y * count.x + group.x;
  if (r >= params.count) { return; } // uniform in the workgroup
  let at = r * params.vocab;
  var own = logits[at];
  for (var v = lane; v < params.vocab; v += threads) { own = max(own, logits[at + v]); }
  peaks[lane] = own;
  for (var half = threads / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (lane < half) { peaks[lane] = max(peaks[lane], peaks[lane + half]); }
  }
  workgroupBarrier();
  let peak = peaks[0];
  var sum = vec2<f32>(0.0);
  for (var v = lane; v < params.vocab; v += threads) {
    let shifted = scalars.inverse_temperature * (logits[at + v] - peak);
    let weight = exp(shifted);
    sum += vec2<f32>(weight, weight * shifted);
  }
  sums[lane] = sum;
  for (var half = threads / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (lane < half) { sums[lane] += sums[lane + half]; }
  }
  if (lane > 0u) { return; }
  let p = params.first + r;
  let log_mass = log(sums[0].x);
  logprob[p] = scalars.inverse_temperature * (logits[at + min(targets[p], params.vocab - 1u)] - peak) - log_mass;
  lse[p] = scalars.inverse_temperature * peak + log_mass;
  entropy[p] = log_mass - sums[0].y / sums[0].x;
}

// kernel: gradient
// Turns logits into their gradient in place. Elementwise, so one kernel serves every lane.
// A position with c = e = 0 (a prompt, padding) gets exact zeros, whatever its statistics hold.
struct Params { count: u32, vocab: u32, first: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> scalars: Scalars;
@group(0) @binding(2) var<storage, read_write> logits: array<f32>;
@group(0) @binding(3) var<storage, read> targets: array<u32>;
@group(0) @binding(4) var<storage, read> lse: array<f32>;
@group(0) @binding(5) var<storage, read> entropy: array<f32>;
@group(0) @binding(6) var<storage, read> d_logprob: array<f32>; // [positions]
@group(0) @binding(7) var<storage, read> d_entropy: array<f32>; // [positions]

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) count: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let i = (group.y * count.x + group.x) * 256u + lane;
  if (i >= params.count * params.vocab) { return; }
  let p = params.first + i / params.vocab;
  let c = d_logprob[p];
  let e = d_entropy[p];
  if (c == 0.0 && e == 0.0) {
    logits[i] = 0.0;
    return;
  }
  let log_p = scalars.inverse_temperature * logits[i] - lse[p];
  let chosen = select(0.0, 1.0, i % params.vocab == targets[p]);
  let probability = exp(log_p);
  logits[i] = scalars.inverse_temperature * (c * (chosen - probability) - e * probability * (log_p + entropy[p]));
}

// kernel: gradient_distilled
// The target is a mixture of the token and the distribution of a teacher over the same vocabulary (Hinton et al. 2015), q = p of the
// teacher's logits:      dz[v] = s c (t 1[v = target] + (1 - t) q[v] - p[v])      with t = token_share
struct Params { count: u32, vocab: u32, first: u32, token_share: f32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> scalars: Scalars;
@group(0) @binding(2) var<storage, read_write> logits: array<f32>;
@group(0) @binding(3) var<storage, read> targets: array<u32>;
@group(0) @binding(4) var<storage, read> lse: array<f32>;
@group(0) @binding(5) var<storage, read> d_logprob: array<f32>;      // [positions]
@group(0) @binding(6) var<storage, read> teacher_logits: array<f32>; // like logits
@group(0) @binding(7) var<storage, read> teacher_lse: array<f32>;    // [positions]

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) count: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let i = (group.y * count.x + group.x) * 256u + lane;
  if (i >= params.count * params.vocab) { return; }
  let p = params.first + i / params.vocab;
  let c = d_logprob[p];
  if (c == 0.0) {
    logits[i] = 0.0;
    return;
  }
  let chosen = select(0.0, 1.0, i % params.vocab == targets[p]);
  let taught = exp(scalars.inverse_temperature * teacher_logits[i] - teacher_lse[p]);
  let wanted = params.token_share * chosen + (1.0 - params.token_share) * taught;
  logits[i] = scalars.inverse_temperature * c * (wanted - exp(scalars.inverse_temperature * logits[i] - lse[p]));
}
