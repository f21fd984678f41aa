"""The training of `npm run distill -- NAME`, in PyTorch: to compare the two, and for a machine without a graphics card.

    npm run lab -- corpus pico --documents 40000 --out pico
    python3 bench/pytorch_pretrain.py pico 1500 pico model.safetensors

Arguments: model, steps, prefix of the token files, output. Same shapes, initial deviations, optimizer and schedule; other draws.
"""
import math
import sys
import time

import numpy as np
import torch
from safetensors.torch import save_file
from transformers import LlamaConfig, LlamaForCausalLM

SHAPES = {
    "pico": dict(hidden_size=64, num_hidden_layers=2, num_attention_heads=4, intermediate_size=128),
    "nano": dict(hidden_size=96, num_hidden_layers=4, num_attention_heads=3, intermediate_size=256),
}
PEAK = {"pico": 4e-3, "nano": 3e-3}
BUCKETS = [96, 128, 192, 256, 512]
PAD = 511


def learning_rate(step, steps, peak):
    warmup = int(steps * 0.04)
    if step < warmup:
        return peak * (step + 1) / warmup
    progress = (step - warmup) / (steps - warmup)
    return peak * (0.05 + 0.95 * (1 + math.cos(math.pi * progress)) / 2)


def main(name, steps, prefix, out):
    torch.manual_seed(1)
    shape = SHAPES[name]
    config = LlamaConfig(vocab_size=512, num_key_value_heads=shape["num_attention_heads"], max_position_embeddings=512, rms_norm_eps=1e-5,
                         rope_theta=10000.0, tie_word_embeddings=True, **shape)
    model = LlamaForCausalLM(config)
    for key, parameter in model.named_parameters():
        if parameter.ndim == 2:
            residual = "o_proj" in key or "down_proj" in key
            torch.nn.init.normal_(parameter, 0, 0.02 / (math.sqrt(2 * shape["num_hidden_layers"]) if residual else 1))
    optimizer = torch.optim.AdamW(model.parameters(), lr=PEAK[name], betas=(0.9, 0.95), weight_decay=0.01)

    tokens = np.fromfile(f"{prefix}.tok", np.uint16).astype(np.int64)
    lengths = np.fromfile(f"{prefix}.len", np.uint16).astype(np.int64)
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    buckets = [np.where((lengths <= top) & (lengths > below))[0] for below, top in zip([0, *BUCKETS], BUCKETS)]
    shares = np.array([len(bucket) for bucket in buckets]) / len(lengths)
    rng = np.random.default_rng(1)
    begun, smoothed = time.time(), None
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, steps, PEAK[name])
        bucket = buckets[rng.choice(len(buckets), p=shares)]
        longest = lengths[bucket].max()
        chosen = rng.choice(bucket, 192 if longest <= 128 else 64)
        ids = np.full((len(chosen), lengths[chosen].max()), PAD)
        labels = np.full_like(ids, -100)
        for row, document in enumerate(chosen):
            n = lengths[document]
            ids[row, :n] = labels[row, :n] = tokens[starts[document]:starts[document] + n]
        loss = model(input_ids=torch.from_numpy(ids), labels=torch.from_numpy(labels)).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        smoothed = loss.item() if smoothed is None else 0.98 * smoothed + 0.02 * loss.item()
        if step % 100 == 99:
            print(f"step {step + 1}/{steps}  loss {smoothed:.4f}  {time.time() - begun:.0f} s", flush=True)
    weights = {key: value.half().contiguous() for key, value in model.state_dict().items() if key != "lm_head.weight"}
    save_file(weights, out, metadata={"format": "pt"})


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4])
