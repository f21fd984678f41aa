"""What a response earns, from its tokens: the outcome, the scores of its steps by the process reward model, and R of both.

The process reward model is the folder prm/ of the bundle over the policy's own base: a PEFT adapter of a token classifier with one label,
whose sigmoid at the token that ends a step is that step's score. Where alpha is 1 it changes no reward and isn't loaded.
"""

import json
from pathlib import Path

import openrft_reward
import torch
from peft import PeftModel
from transformers import AutoModelForTokenClassification, AutoTokenizer


class StepScorer:
    def __init__(self, base, adapter, device, dtype):
        model = AutoModelForTokenClassification.from_pretrained(base, num_labels=1, dtype=dtype)
        self.model = PeftModel.from_pretrained(model, adapter, autocast_adapter_dtype=False).to(device=device, dtype=dtype).eval()
        self.device = device

    @torch.no_grad()
    def scores(self, tokens, positions):
        """One for each of the positions, which rise; what comes after the last one isn't fed."""
        if not positions:
            return []
        fed = torch.tensor([tokens[: positions[-1] + 1]], device=self.device)
        logits = self.model(input_ids=fed).logits[0, positions, 0]
        return torch.sigmoid(logits).tolist()


class Judge:
    def __init__(self, bundle, base, device="cpu", dtype=torch.float32):
        """bundle: its folder; base: folder or name of the model that the lab trained on."""
        self.config = json.loads((Path(bundle) / "config.json").read_text(encoding="utf-8"))
        self.tokenizer = AutoTokenizer.from_pretrained(base)
        prm = self.config["prm"]["model"] != "" and self.config["ppo"]["alpha"] < 1
        self.scorer = StepScorer(base, Path(bundle) / "prm", device, dtype) if prm else None

    def decode(self, ids):
        return self.tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)

    def judge(self, prompt_ids, response_ids, key, overlong=True):
        """The end token, where the response has one, is the last of response_ids."""
        prompt_ids, response_ids = list(prompt_ids), list(response_ids)
        prm = self.config["prm"]
        finished = bool(response_ids) and response_ids[-1] == self.tokenizer.eos_token_id
        text = self.decode(response_ids)
        ends = openrft_reward.step_ends(self.decode, response_ids, finished)
        scores = []
        if self.scorer:
            judged = openrft_reward.judged_steps(ends, prm["final_answer"], prm["split_at"])
            scores = self.scorer.scores(prompt_ids + response_ids, [len(prompt_ids) + token for _, token, _ in judged])
        value = openrft_reward.reward(self.config, key, text, finished, len(response_ids), ends, scores, overlong)
        return {
            "reward": value,
            "outcome": openrft_reward.outcome(text, finished, key),
            "process_reward": openrft_reward.process_reward(prm, scores),
            "scores": scores,
        }
