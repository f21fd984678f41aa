"""Loads an adapter that the lab exported into PEFT and compares logits with the lab's own.

    .cache/golden/bin/python tests/golden/check_adapter.py MODEL_DIR ADAPTER_DIR TOKENS LOGITS

MODEL_DIR    config.json and model.safetensors
ADAPTER_DIR  adapter_config.json and adapter_model.safetensors
TOKENS       JSON: {"tokens": [[...], ...], "lengths": [...]}, rows padded on the right
LOGITS       safetensors file with the F32 tensor `logits` [rows, tokens, vocab]; what it holds after a row's end is ignored

Prints the largest difference; exit status 1 when it is above 1e-4.
"""

import json
import os
import sys

os.environ["HF_HUB_OFFLINE"] = "1"

import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

TOLERANCE = 1e-4


def main(model_dir, adapter_dir, tokens_file, logits_file):
    with open(tokens_file) as file:
        batch = json.load(file)
    tokens, lengths = torch.tensor(batch["tokens"]), torch.tensor(batch["lengths"])
    mask = torch.arange(tokens.shape[1])[None] < lengths[:, None]
    theirs = load_file(logits_file)["logits"]

    base = AutoModelForCausalLM.from_pretrained(model_dir, dtype=torch.float32, attn_implementation="eager")
    model = PeftModel.from_pretrained(base, adapter_dir).eval()
    with torch.no_grad():
        ours = model(input_ids=tokens, attention_mask=mask.long()).logits
        with model.disable_adapter():
            off = model(input_ids=tokens, attention_mask=mask.long()).logits
    if theirs.shape != ours.shape:
        sys.exit(f"LOGITS has shape {list(theirs.shape)}, PEFT computes {list(ours.shape)}.")

    difference = (ours - theirs).abs()[mask].max().item()
    effect = (ours - off).abs()[mask].max().item()
    print(f"largest difference {difference:.2e}, allowed {TOLERANCE:.0e}; the adapter changes logits by up to {effect:.2e}")
    # `not <=` so that NaN fails.
    if not difference <= TOLERANCE:
        sys.exit(1)


if __name__ == "__main__":
    if len(sys.argv) != 5:
        sys.exit(__doc__)
    main(*sys.argv[1:])
