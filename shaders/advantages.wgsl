// From rewards to advantages, over the whole pool of an update. Formulas and papers: src/rft/advantage.ts, the float64 twin.
// include: rl

// kernel: scatter_actions
// Copies the action positions of a micro-batch into a plane of the pool; the plane's other positions stay as they are.
struct Params { rows: u32, length: u32, pool: u32, capacity: u32, plane: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> row_of: array<u32>;          // [rows]
@group(0) @binding(2) var<storage, read> rollouts: array<Rollout>;    // [pool]
@group(0) @binding(3) var<storage, read> x: array<f32>;               // [rows, length]
@group(0) @binding(4) var<storage, read_write> planes: array<f32>;    // [planes, pool, capacity]

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) count: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let i = (group.y * count.x + group.x) * 64u + lane;
  if (i >= params.rows * params.length) { return; }
  let row = row_of[i / params.length];
  if (row == EMPTY_ROW) { return; }
  let p = i % params.length;
  if (is_action(rollouts[row], p)) { planes[(params.plane * params.pool + row) * params.capacity + p] = x[i]; }
}

// kernel: token_rewards
//   rho[p] = clip(rho[p], +-reward_clip) - kl_coef KL(old_logprob - ref_logprob), plus clip(reward, +-reward_clip) at the last action;
//   0 off the actions. Before, the plane holds the rewards of single tokens (step rewards), or zeros.
struct Params { pool: u32, capacity: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> scalars: Scalars;
@group(0) @binding(2) var<storage, read> rollouts: array<Rollout>;
@group(0) @binding(3) var<storage, read_write> planes: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) count: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let i = (group.y * count.x + group.x) * 64u + lane;
  let plane = params.pool * params.capacity;
  if (i >= plane) { return; }
  let rollout = rollouts[i / params.capacity];
  let p = i % params.capacity;
  var reward = 0.0;
  if (is_action(rollout, p)) {
    reward = clamp(planes[TOKEN_REWARDS * plane + i], -scalars.reward_clip, scalars.reward_clip);
    reward -= scalars.kl_coef * kl_estimate(scalars.kl_estimator, planes[OLD_LOGPROBS * plane + i] - planes[REF_LOGPROBS * plane + i]).x;
    if (p + 1u == rollout.end) { reward += clamp(rollout.reward, -scalars.reward_clip, scalars.reward_clip); }
  }
  planes[TOKEN_REWARDS * plane + i] = reward;
}

// kernel: gae
// One invocation per row, from the last action back:
//   A[p] = rho[p] + gamma V[p+1] - V[p] + gamma lambda A[p+1]      G[p] = A[p] + V[p]      V after the last action is 0
struct Params { pool: u32, capacity: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> scalars: Scalars;
@group(0) @binding(2) var<storage, read> rollouts: array<Rollout>;
@group(0) @binding(3) var<storage, read_write> planes: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let row = id.x;
  if (row >= params.pool) { return; }
  let rollout = rollouts[row];
  let plane = params.pool * params.capacity;
  var next_value = 0.0;
  var advantage = 0.0;
  for (var back = 1u; back <= params.capacity; back++) {
    let p = params.capacity - back;
    let at = row * params.capacity + p;
    if (!is_action(rollout, p)) {
      planes[ADVANTAGES * plane + at] = 0.0;
      planes[RETURNS * plane + at] = 0.0;
      continue;
    }
    let value = planes[VALUES * plane + at];
    let delta = planes[TOKEN_REWARDS * plane + at] + scalars.gamma * next_value - value;
    advantage = delta + scalars.gamma * scalars.lambda * advantage;
    planes[ADVANTAGES * plane + at] = advantage;
    planes[RETURNS * plane + at] = advantage + value;
    next_value = value;
  }
}

// kernel: whiten
//   A = (A - mean) / sqrt(max(variance, 1e-8)) at the actions, from moments [count, mean, m2, min, max] of statistics.wgsl
struct Params { pool: u32, capacity: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> scalars: Scalars;
@group(0) @binding(2) var<storage, read> rollouts: array<Rollout>;
@group(0) @binding(3) var<storage, read> moments: array<f32>;
@group(0) @binding(4) var<storage, read_write> planes: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) count: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let i = (group.y * count.x + group.x) * 64u + lane;
  let plane = params.pool * params.capacity;
  if (i >= plane || scalars.whiten == 0u) { return; }
  if (!is_action(rollouts[i / params.capacity], i % params.capacity)) { return; }
  let at = ADVANTAGES * plane + i;
  planes[at] = (planes[at] - moments[1]) * inverseSqrt(max(moments[2] / moments[0], 1e-8));
}
