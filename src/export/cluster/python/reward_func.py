"""The lab's reward as OpenRLHF asks for it: --reward.remote_url openrlhf/reward_func.py. OPENRFT_MODEL names the lab's base.

OpenRLHF hands over texts, so responses are tokenised again here; the penalty for length is OpenRLHF's own, by the tokens that it sampled.
"""

import os
import sys
from pathlib import Path

BUNDLE = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(BUNDLE / "reward"))

import torch
from openrft_judge import Judge
from openrft_reward import clipped

judge = Judge(BUNDLE, os.environ["OPENRFT_MODEL"])


def reward_func(queries, prompts, labels):
    """queries: prompts with their responses, special tokens included; labels: the right letters. `scores` is 1 for a right answer."""
    results = []
    for query, prompt, key in zip(queries, prompts, labels):
        if not query.startswith(prompt):
            raise ValueError(f"a query doesn't begin with its prompt: raise --data.max_len, which cut it off ({query[:80]!r})")
        ids = [judge.tokenizer(text, add_special_tokens=False)["input_ids"] for text in (prompt, query[len(prompt) :])]
        results.append(judge.judge(*ids, key, overlong=False))
    right = torch.tensor([float(result["outcome"] == "right") for result in results])
    return {
        "rewards": torch.tensor([clipped(judge.config, result["reward"]) for result in results]),
        "scores": right,
        "extra_logs": {"accuracy": right, "process_reward": torch.tensor([result["process_reward"] for result in results])},
    }
