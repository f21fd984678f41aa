// Shared text of the RL kernels: where the arrays of an update lie, its scalars, and the KL estimators.
//
// An update works on a pool of rollouts. Per-token arrays are planes of one buffer [planes, pool, capacity]; position p of a
// row predicts the token at p + 1. A program sees rows x length positions, and row_of[r] is the pool row of its row r.

struct Rollout {
  first: u32,  // the first action position: prompt length - 1
  end: u32,    // one past the last: total length - 1; a row that is not in use has first = end
  weight: f32, // of each of its tokens in the loss
  reward: f32,
}

struct Scalars {
  kl_coef: f32,           // of the penalty in the reward
  kl_loss_coef: f32,      // of the term in the policy loss
  kl_estimator: u32,      // 0: k1, 1: k2, 2: k3
  reward_clip: f32,
  gamma: f32,
  lambda: f32,
  whiten: u32,            // 1: advantages are whitened
  clip_range_low: f32,
  clip_range_high: f32,
  clip_range_value: f32,
  entropy_coef: f32,
  clipped_weight: u32,    // 1: the clipped ratio is a constant weight of the log-prob (CISPO)
  dpo_beta: f32,
}

const EMPTY_ROW = 0xffffffffu; // in row_of: a row that fills up the last micro-batch

// The planes, in the order of PLANES in src/nn/rl.ts.
const OLD_LOGPROBS = 0u;
const REF_LOGPROBS = 1u;
const SAMPLING_LOGPROBS = 2u;
const VALUES = 3u;
const TOKEN_REWARDS = 4u;
const ADVANTAGES = 5u;
const RETURNS = 6u;

const LOG_RATIO_LIMIT = 20.0;
const KL_LIMIT = 10.0;

fn is_action(rollout: Rollout, p: u32) -> bool { return p >= rollout.first && p < rollout.end; }

// Estimate of KL(policy || reference) for d = log pi - log pi_ref, and its derivative by log pi (0 where a clamp acts):
//   k1 = d      k2 = d^2 / 2      k3 = exp(-d) - 1 + d
fn kl_estimate(estimator: u32, log_ratio: f32) -> vec2<f32> {
  let d = clamp(log_ratio, -LOG_RATIO_LIMIT, LOG_RATIO_LIMIT);
  var value = d;
  var derivative = 1.0;
  if (estimator == 1u) {
    value = 0.5 * d * d;
    derivative = d;
  } else if (estimator == 2u) {
    derivative = 1.0 - exp(-d);
    value = d - derivative;
    if (abs(d) < 0.1) { // there the differences above would leave few digits, or a negative k3
      derivative = d * (1.0 - d * (1.0 / 2.0 - d * (1.0 / 6.0 - d * (1.0 / 24.0 - d / 120.0))));
      value = d * d * (1.0 / 2.0 - d * (1.0 / 6.0 - d * (1.0 / 24.0 - d / 120.0)));
    }
  }
  let inside = abs(log_ratio) <= LOG_RATIO_LIMIT && abs(value) <= KL_LIMIT;
  return vec2<f32>(clamp(value, -KL_LIMIT, KL_LIMIT), select(0.0, derivative, inside));
}
