// Losses per position of a micro-batch: the coefficients that the heads' backward passes take, and what is added up for the
// metrics. A position that is no action, or lies in an empty row, gets exact zeros. Formulas: src/rft/losses.ts, the float64 twin.
// The order of each kernel's contributions is that of the statistics row in src/nn/statistics.ts.
// include: rl

// kernel: policy
//   loss = -min(w A, clip(w, 1 - low, 1 + high) A) + kl_loss_coef KL(logprob - ref_logprob) - entropy_coef entropy
//   w = exp(logprob - old_logprob)
struct Params { rows: u32, length: u32, pool: u32, capacity: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> scalars: Scalars;
@group(0) @binding(2) var<storage, read> row_of: array<u32>;               // [rows]
@group(0) @binding(3) var<storage, read> rollouts: array<Rollout>;         // [pool]
@group(0) @binding(4) var<storage, read> planes: array<f32>;               // [planes, pool, capacity]
@group(0) @binding(5) var<storage, read> logprob: array<f32>;              // [rows, length]
@group(0) @binding(6) var<storage, read> entropy: array<f32>;              // [rows, length]
@group(0) @binding(7) var<storage, read_write> d_logprob: array<f32>;      // [rows, length]
@group(0) @binding(8) var<storage, read_write> d_entropy: array<f32>;      // [rows, length]
@group(0) @binding(9) var<storage, read_write> contributions: array<f32>;  // [rows, length, ENTRIES]

const ENTRIES = 10u;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) count: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let i = (group.y * count.x + group.x) * 64u + lane;
  if (i >= params.rows * params.length) { return; }
  d_logprob[i] = 0.0;
  d_entropy[i] = 0.0;
  let out = i * ENTRIES;
  for (var entry = 0u; entry < ENTRIES; entry++) { contributions[out + entry] = 0.0; }
  let row = row_of[i / params.length];
  if (row == EMPTY_ROW) { return; }
  let rollout = rollouts[row];
  let p = i % params.length;
  if (!is_action(rollout, p)) { return; }

  let plane = params.pool * params.capacity;
  let at = row * params.capacity + p;
  let advantage = planes[ADVANTAGES * plane + at];
  let difference = logprob[i] - planes[OLD_LOGPROBS * plane + at];
  let log_ratio = clamp(difference, -LOG_RATIO_LIMIT, LOG_RATIO_LIMIT);
  let ratio = exp(log_ratio);
  let low = 1.0 - scalars.clip_range_low;
  let high = 1.0 + scalars.clip_range_high;
  let free = ratio * advantage;
  let bounded = clamp(ratio, low, high) * advantage;
  let moves = free <= bounded && abs(difference) <= LOG_RATIO_LIMIT;
  let kl = kl_estimate(scalars.kl_estimator, logprob[i] - planes[REF_LOGPROBS * plane + at]);
  d_logprob[i] = rollout.weight * (select(0.0, -free, moves) + scalars.kl_loss_coef * kl.y);
  d_entropy[i] = -rollout.weight * scalars.entropy_coef;

  contributions[out] = 1.0;
  contributions[out + 1u] = rollout.weight;
  contributions[out + 2u] = -rollout.weight * min(free, bounded);
  contributions[out + 3u] = -log_ratio;
  contributions[out + 4u] = 0.5 * log_ratio * log_ratio;
  contributions[out + 5u] = select(0.0, 1.0, advantage < 0.0 && ratio < low);
  contributions[out + 6u] = select(0.0, 1.0, advantage > 0.0 && ratio > high);
  contributions[out + 7u] = ratio;
  contributions[out + 8u] = entropy[i];
  contributions[out + 9u] = ratio; // for the maximum
}

// kernel: value
//   loss = max((V - G)^2, (V_old + clip(V - V_old, +-c) - G)^2) / 2; no gradient where the clipped term is the larger one
struct Params { rows: u32, length: u32, pool: u32, capacity: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> scalars: Scalars;
@group(0) @binding(2) var<storage, read> row_of: array<u32>;
@group(0) @binding(3) var<storage, read> rollouts: array<Rollout>;
@group(0) @binding(4) var<storage, read> planes: array<f32>;
@group(0) @binding(5) var<storage, read> value: array<f32>;                // [rows, length]
@group(0) @binding(6) var<storage, read_write> d_value: array<f32>;        // [rows, length]
@group(0) @binding(7) var<storage, read_write> contributions: array<f32>;  // [rows, length, ENTRIES]

const ENTRIES = 4u;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) count: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let i = (group.y * count.x + group.x) * 64u + lane;
  if (i >= params.rows * params.length) { return; }
  d_value[i] = 0.0;
  let out = i * ENTRIES;
  for (var entry = 0u; entry < ENTRIES; entry++) { contributions[out + entry] = 0.0; }
  let row = row_of[i / params.length];
  if (row == EMPTY_ROW) { return; }
  let rollout = rollouts[row];
  let p = i % params.length;
  if (!is_action(rollout, p)) { return; }

  let plane = params.pool * params.capacity;
  let at = row * params.capacity + p;
  let old_value = planes[VALUES * plane + at];
  let returned = planes[RETURNS * plane + at];
  let free = value[i] - returned;
  let bounded = old_value + clamp(value[i] - old_value, -scalars.clip_range_value, scalars.clip_range_value) - returned;
  // Within the range both terms are the same number, but rounding may tell them apart: the range decides.
  let clipped = abs(value[i] - old_value) > scalars.clip_range_value && bounded * bounded > free * free;
  d_value[i] = rollout.weight * select(free, 0.0, clipped);

  contributions[out] = 1.0;
  contributions[out + 1u] = rollout.weight;
  contributions[out + 2u] = rollout.weight * 0.5 * select(free * free, bounded * bounded, clipped);
  contributions[out + 3u] = select(0.0, 1.0, clipped);
}

// kernel: sft
//   loss = -logprob: the coefficients of supervised fine-tuning
struct Params { rows: u32, length: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> row_of: array<u32>;
@group(0) @binding(2) var<storage, read> rollouts: array<Rollout>;
@group(0) @binding(3) var<storage, read> logprob: array<f32>;
@group(0) @binding(4) var<storage, read_write> d_logprob: array<f32>;
@group(0) @binding(5) var<storage, read_write> d_entropy: array<f32>;
@group(0) @binding(6) var<storage, read_write> contributions: array<f32>;  // [rows, length, 2]

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) count: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let i = (group.y * count.x + group.x) * 64u + lane;
  if (i >= params.rows * params.length) { return; }
  d_logprob[i] = 0.0;
  d_entropy[i] = 0.0;
  contributions[2u * i] = 0.0;
  contributions[2u * i + 1u] = 0.0;
  let row = row_of[i / params.length];
  if (row == EMPTY_ROW) { return; }
  let rollout = rollouts[row];
  if (!is_action(rollout, i % params.length)) { return; }
  d_logprob[i] = -rollout.weight;
  contributions[2u * i] = 1.0;
  contributions[2u * i + 1u] = -logprob[i];
}
