// Losses per position of a micro-batch: the coefficients that the heads' backward passes take, and what is added up for the
// metrics. A position that is no action, or lies in an empty row, gets exact zeros. Formulas: src/rft/losses.ts, the float64 twin.
// The order of each kernel's contributions is that of the statistics row in src/nn/statistics.ts.
// include: rl

// kernel: policy
//   loss = -min(w A, clip(w, 1 - low, 1 + high) A) + kl_loss_coef KL(logprob - ref_logprob) - entropy_coef entropy
//   w = exp(logprob - old_logprob)
// With clipped_weight the first term is -clip(w, 1 - low, 1 + high) A logprob, the clipped w being a constant (CISPO).
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
  var loss = -min(free, bounded);
  var slope = select(0.0, -free, free <= bounded && abs(difference) <= LOG_RATIO_LIMIT);
  var clips_low = advantage < 0.0 && ratio < low;
  var clips_high = advantage > 0.0 && ratio > high;
  if (scalars.clipped_weight == 1u) {
    slope = -bounded;
    loss = slope * logprob[i];
    clips_low = ratio < low;
    clips_high = ratio > high;
  }
  let kl = kl_estimate(scalars.kl_estimator, logprob[i] - planes[REF_LOGPROBS * plane + at]);
  d_logprob[i] = rollout.weight * (slope + scalars.kl_loss_coef * kl.y);
  d_entropy[i] = -rollout.weight * scalars.entropy_coef;

  contributions[out] = 1.0;
  contributions[out + 1u] = rollout.weight;
  contributions[out + 2u] = rollout.weight * loss;
  contributions[out + 3u] = -log_ratio;
  contributions[out + 4u] = 0.5 * log_ratio * log_ratio;
  contributions[out + 5u] = select(0.0, 1.0, clips_low);
  contributions[out + 6u] = select(0.0, 1.0, clips_high);
  contributions[out + 7u] = ratio;
  contributions[out + 8u] = entropy[i];
  contributions[out + 9u] = ratio; // for the maximum
}

// kernel: policy_sequence
// As `policy`, with one ratio for a whole response (GSPO): s = exp(mean over its actions of logprob - old_logprob). One invocation
// per row, which goes over its row three times: for s, for the gradient, which every token gets 1 / actions of, and to write.
//   loss = -min(s A, clip(s, 1 - low, 1 + high) A) + kl_loss_coef KL(logprob - ref_logprob) - entropy_coef entropy
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
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let r = id.x;
  if (r >= params.rows) { return; }
  let begin = r * params.length;
  for (var i = begin; i < begin + params.length; i++) {
    d_logprob[i] = 0.0;
    d_entropy[i] = 0.0;
    for (var entry = 0u; entry < ENTRIES; entry++) { contributions[i * ENTRIES + entry] = 0.0; }
  }
  let row = row_of[r];
  if (row == EMPTY_ROW) { return; }
  let rollout = rollouts[row];
  let plane = params.pool * params.capacity;
  let pool_begin = row * params.capacity;
  let actions = f32(rollout.end - rollout.first);

  var difference = 0.0;
  for (var p = rollout.first; p < rollout.end; p++) { difference += logprob[begin + p] - planes[OLD_LOGPROBS * plane + pool_begin + p]; }
  difference /= actions;
  let ratio = exp(clamp(difference, -LOG_RATIO_LIMIT, LOG_RATIO_LIMIT));
  let low = 1.0 - scalars.clip_range_low;
  let high = 1.0 + scalars.clip_range_high;
  let held = clamp(ratio, low, high);

  var slope = 0.0;
  if (abs(difference) <= LOG_RATIO_LIMIT) {
    for (var p = rollout.first; p < rollout.end; p++) {
      let free = ratio * planes[ADVANTAGES * plane + pool_begin + p];
      if (free <= held * planes[ADVANTAGES * plane + pool_begin + p]) { slope -= free; }
    }
    slope /= actions;
  }

  for (var p = rollout.first; p < rollout.end; p++) {
    let i = begin + p;
    let at = pool_begin + p;
    let advantage = planes[ADVANTAGES * plane + at];
    let log_ratio = clamp(logprob[i] - planes[OLD_LOGPROBS * plane + at], -LOG_RATIO_LIMIT, LOG_RATIO_LIMIT);
    let kl = kl_estimate(scalars.kl_estimator, logprob[i] - planes[REF_LOGPROBS * plane + at]);
    d_logprob[i] = rollout.weight * (slope + scalars.kl_loss_coef * kl.y);
    d_entropy[i] = -rollout.weight * scalars.entropy_coef;
    let out = i * ENTRIES;
    contributions[out] = 1.0;
    contributions[out + 1u] = rollout.weight;
    contributions[out + 2u] = -rollout.weight * min(ratio * advantage, held * advantage);
    contributions[out + 3u] = -log_ratio;
    contributions[out + 4u] = 0.5 * log_ratio * log_ratio;
    contributions[out + 5u] = select(0.0, 1.0, advantage < 0.0 && ratio < low);
    contributions[out + 6u] = select(0.0, 1.0, advantage > 0.0 && ratio > high);
    contributions[out + 7u] = ratio;
    contributions[out + 8u] = entropy[i];
    contributions[out + 9u] = ratio; // for the maximum
  }
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

// kernel: dpo
// The pool holds pairs: row 2 i is the better response, row 2 i + 1 the worse one to the same prompt.
//   loss = -log sigmoid(h), h = beta (S_better - S_worse), S = sum over a response of old_logprob - ref_logprob
// Its gradient by every log-prob is -+ beta sigmoid(-h). That is the step of `policy` on an untouched policy with the advantages
// +- beta sigmoid(-h), so these are what is written; `policy` does the rest. One invocation per row of the pool.
struct Params { pool: u32, capacity: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> scalars: Scalars;
@group(0) @binding(2) var<storage, read> rollouts: array<Rollout>;         // [pool]
@group(0) @binding(3) var<storage, read_write> planes: array<f32>;         // [planes, pool, capacity]
@group(0) @binding(4) var<storage, read_write> contributions: array<f32>;  // [pool, ENTRIES]

const ENTRIES = 7u;

// Of a whole response: its log-prob, and its log-ratio to the reference.
fn response(row: u32) -> vec2<f32> {
  let plane = params.pool * params.capacity;
  var sums = vec2<f32>(0.0);
  for (var p = rollouts[row].first; p < rollouts[row].end; p++) {
    let at = row * params.capacity + p;
    let old_logprob = planes[OLD_LOGPROBS * plane + at];
    sums += vec2<f32>(old_logprob, old_logprob - planes[REF_LOGPROBS * plane + at]);
  }
  return sums;
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let row = id.x;
  if (row >= params.pool) { return; }
  let out = row * ENTRIES;
  for (var entry = 0u; entry < ENTRIES; entry++) { contributions[out + entry] = 0.0; }
  let rollout = rollouts[row];
  if (rollout.first == rollout.end) { return; }
  let is_better = row % 2u == 0u;
  let better = response(row - row % 2u);
  let worse = response(row - row % 2u + 1u);
  let rewards = scalars.dpo_beta * vec2<f32>(better.y, worse.y);
  let h = rewards.x - rewards.y;
  let advantage = select(-1.0, 1.0, is_better) * scalars.dpo_beta / (1.0 + exp(clamp(h, -80.0, 80.0)));
  for (var p = rollout.first; p < rollout.end; p++) {
    planes[(ADVANTAGES * params.pool + row) * params.capacity + p] = advantage;
  }
  if (!is_better) { return; }
  contributions[out] = 1.0;
  contributions[out + 1u] = max(-h, 0.0) + log(1.0 + exp(-abs(h)));
  contributions[out + 2u] = rewards.x;
  contributions[out + 3u] = rewards.y;
  contributions[out + 4u] = select(0.0, 1.0, h > 0.0);
  contributions[out + 5u] = better.x;
  contributions[out + 6u] = worse.x;
}
