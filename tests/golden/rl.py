"""Writes rl.json: advantages, losses and gradients of the RL family as PyTorch computes them in float64.

    python3 -m venv .cache/golden
    .cache/golden/bin/pip install -r tests/golden/requirements.txt
    .cache/golden/bin/python tests/golden/rl.py

The functions follow the code that each names: padded tensors with masks, and gradients by autograd. Responses are ragged, one group
has equal rewards, one reward lies past the clip.
"""

import json
from pathlib import Path

import torch

torch.set_default_dtype(torch.float64)
HERE = Path(__file__).parent
GENERATOR = torch.Generator().manual_seed(11)

GROUP = 4
LENGTHS = [5, 1, 9, 3, 2, 7, 4, 6, 8, 1, 3, 5]
# Mixed; all equal, where rounding of the mean must not be blown up by the division; graded, with one past the clip.
REWARDS = [1.0, 0.0, 0.0, 1.0, 0.1, 0.1, 0.1, 0.1, 0.25, 0.7, 12.0, -0.3]
CONFIG = dict(
    gamma=0.97, lam=0.9, reward_clip=10.0, kl_coef=0.05, clip_low=0.2, clip_high=0.28, sequence_clip_low=0.05, sequence_clip_high=0.08,
    weight_clip_low=0.5, weight_clip_high=0.3, constant_length=16, dpo_beta=0.1,
)  # fmt: skip

rows, columns = len(LENGTHS), max(LENGTHS)
mask = torch.arange(columns)[None, :] < torch.tensor(LENGTHS)[:, None]


def noise(scale):
    return torch.randn(rows, columns, generator=GENERATOR) * scale


old = -torch.rand(rows, columns, generator=GENERATOR) * 3 - 0.1
ref = old + noise(0.25)
now = old + noise(0.3)
values = noise(0.5)
rewards = torch.tensor(REWARDS).clamp(-CONFIG["reward_clip"], CONFIG["reward_clip"])


def ragged(tensor):
    return [tensor[row, :length].tolist() for row, length in enumerate(LENGTHS)]


# Advantages.


def masked_whiten(advantages):
    """OpenRLHF v0.5.4, PPOTrainer: statistics over all valid tokens, population variance."""
    flat = advantages[mask]
    mean = flat.mean()
    variance = ((flat - mean) ** 2).mean()
    return (advantages - mean) * variance.clamp(min=1e-8).rsqrt() * mask


def token_rewards(scalars, kl_coef):
    """OpenRLHF, compute_reward: -kl_coef k1 at each token, and the reward at the last one."""
    out = -kl_coef * (old - ref) * mask
    last = torch.tensor(LENGTHS) - 1
    return out.scatter_add(1, last[:, None], scalars[:, None])


def cumulative_returns(token_level, gamma):
    """OpenRLHF, get_cumulative_returns."""
    returns = torch.zeros_like(token_level)
    running = torch.zeros(rows)
    for t in reversed(range(columns)):
        running = token_level[:, t] + gamma * running
        returns[:, t] = running
    return returns * mask


def gae(token_level, gamma, lam):
    """OpenRLHF, get_advantages_and_returns."""
    masked_values = values * mask
    last = torch.zeros(rows)
    advantages = torch.zeros_like(token_level)
    for t in reversed(range(columns)):
        following = masked_values[:, t + 1] if t + 1 < columns else 0.0
        delta = token_level[:, t] + gamma * following - masked_values[:, t]
        last = delta + gamma * lam * last
        advantages[:, t] = last
    advantages = advantages * mask
    return advantages, (advantages + masked_values) * mask


grouped = rewards.view(-1, GROUP)
baselined = {
    # TRL, RLOOTrainer: (sum - r) / (G - 1) is the baseline.
    "leave_one_out": (grouped - (grouped.sum(1, keepdim=True) - grouped) / (GROUP - 1)).flatten(),
    # TRL, GRPOTrainer, scale_rewards="none".
    "group_mean": (grouped - grouped.mean(1, keepdim=True)).flatten(),
    # TRL, GRPOTrainer, scale_rewards="group".
    "group_norm": ((grouped - grouped.mean(1, keepdim=True)) / (grouped.std(1, keepdim=True) + 1e-4)).flatten(),
}

gae_advantages, gae_returns = gae(token_rewards(rewards, CONFIG["kl_coef"]), CONFIG["gamma"], CONFIG["lam"])
advantages = {
    "gae": masked_whiten(gae_advantages),
    "reinforce_plus_plus": masked_whiten(cumulative_returns(token_rewards(rewards, CONFIG["kl_coef"]), CONFIG["gamma"])),
    "rloo": cumulative_returns(token_rewards(baselined["leave_one_out"], CONFIG["kl_coef"]), 1.0),
    "grpo": baselined["group_norm"][:, None] * mask,
    "dr_grpo": baselined["group_mean"][:, None] * mask,
}


# Losses. Each takes the log-probs that carry the gradient.


def clipped(ratio, a, low, high):
    return -torch.min(ratio * a, ratio.clamp(1 - low, 1 + high) * a)


def k3(logprobs):
    """TRL, GRPOTrainer: exp(ref - log pi) - (ref - log pi) - 1."""
    return torch.exp(ref - logprobs) - (ref - logprobs) - 1


def sequence_mean(loss):
    """TRL, loss_type="grpo": mean per response, then over responses."""
    return ((loss * mask).sum(1) / mask.sum(1)).mean()


def token_mean(loss):
    """TRL, loss_type="dapo"; verl, "token-mean"."""
    return (loss * mask).sum() / mask.sum()


def constant_mean(loss):
    """TRL, loss_type="dr_grpo": sum / (B * max_completion_length)."""
    return (loss * mask).sum() / (rows * CONFIG["constant_length"])


def token_ratio(logprobs, a, low, high):
    return clipped(torch.exp(logprobs - old), a, low, high)


def sequence_ratio(logprobs, a, low, high):
    """TRL, importance_sampling_level="sequence": one weight for each response."""
    log_ratio = ((logprobs - old) * mask).sum(1) / mask.sum(1)
    return clipped(torch.exp(log_ratio)[:, None], a, low, high)


def clipped_weight(logprobs, a, low, high):
    """TRL, loss_type="cispo", with the lower bound of the paper: the weight carries no gradient."""
    weight = torch.exp(logprobs - old).clamp(1 - low, 1 + high).detach()
    return -weight * a * logprobs


LOSSES = {
    "ppo": ("gae", lambda lp, a: sequence_mean(token_ratio(lp, a, CONFIG["clip_low"], CONFIG["clip_high"]))),
    "reinforce_plus_plus": ("reinforce_plus_plus", lambda lp, a: sequence_mean(token_ratio(lp, a, CONFIG["clip_low"], CONFIG["clip_high"]))),
    "rloo": ("rloo", lambda lp, a: sequence_mean(token_ratio(lp, a, CONFIG["clip_low"], CONFIG["clip_high"]))),
    "grpo": ("grpo", lambda lp, a: sequence_mean(token_ratio(lp, a, CONFIG["clip_low"], CONFIG["clip_high"]) + CONFIG["kl_coef"] * k3(lp))),
    "dr_grpo": ("dr_grpo", lambda lp, a: constant_mean(token_ratio(lp, a, CONFIG["clip_low"], CONFIG["clip_high"]))),
    "dapo": ("grpo", lambda lp, a: token_mean(token_ratio(lp, a, CONFIG["clip_low"], CONFIG["clip_high"]))),
    "gspo": ("grpo", lambda lp, a: sequence_mean(sequence_ratio(lp, a, CONFIG["sequence_clip_low"], CONFIG["sequence_clip_high"]))),
    # Advantages that differ within a response, as a penalty in the reward makes them.
    "gspo_per_token": ("rloo", lambda lp, a: sequence_mean(sequence_ratio(lp, a, CONFIG["sequence_clip_low"], CONFIG["sequence_clip_high"]))),
    "cispo": ("grpo", lambda lp, a: token_mean(clipped_weight(lp, a, CONFIG["weight_clip_low"], CONFIG["weight_clip_high"]))),
}  # fmt: skip

losses = {}
for name, (estimator, loss_of) in LOSSES.items():
    logprobs = now.clone().requires_grad_()
    loss = loss_of(logprobs, advantages[estimator])
    loss.backward()
    losses[name] = dict(advantages=estimator, loss=loss.item(), gradient=ragged(logprobs.grad))

# DPO (TRL, DPOTrainer, loss_type="sigmoid") on neighbouring rows.
logprobs = now.clone().requires_grad_()
policy_logps, ref_logps = (logprobs * mask).sum(1), (ref * mask).sum(1)
implicit = CONFIG["dpo_beta"] * (policy_logps - ref_logps)
dpo_losses = -torch.nn.functional.logsigmoid(implicit[0::2] - implicit[1::2])
dpo_losses.mean().backward()

# The soft penalty for length (verl, DAPORewardManager) and the adaptive KL controller (OpenRLHF).
limit, buffer = 20, 4
overlong = [[length, min(-(length - (limit - buffer)) / buffer * 1.0, 0)] for length in range(limit + 1)]


class AdaptiveKLController:
    def __init__(self, init_kl_coef, target, horizon):
        self.value, self.target, self.horizon = init_kl_coef, target, horizon

    def update(self, current, n_steps):
        proportional_error = max(min(current / self.target - 1, 0.2), -0.2)
        self.value *= 1 + proportional_error * n_steps / self.horizon


controller = AdaptiveKLController(0.02, 0.1, 1000)
adaptive = []
for kl in [0.0, 0.05, 0.11, 0.3, -0.01, 0.1]:
    controller.update(kl, 64)
    adaptive.append([kl, controller.value])

golden = dict(
    made_by="tests/golden/rl.py",
    torch=torch.__version__,
    config=CONFIG,
    group=GROUP,
    rewards=REWARDS,
    old=ragged(old),
    ref=ragged(ref),
    now=ragged(now),
    values=ragged(values),
    baselined={name: x.tolist() for name, x in baselined.items()},
    advantages={name: ragged(x) for name, x in advantages.items()},
    gae_returns=ragged(gae_returns),
    losses=losses,
    dpo=dict(losses=dpo_losses.tolist(), rewards=implicit.tolist(), gradient=ragged(logprobs.grad)),
    overlong=dict(limit=limit, buffer=buffer, penalties=overlong),
    adaptive_kl=dict(start=0.02, target=0.1, horizon=1000, rollouts=64, values=adaptive),
)
(HERE / "rl.json").write_text(json.dumps(golden) + "\n")
print(f"rl.json: {(HERE / 'rl.json').stat().st_size} bytes")
