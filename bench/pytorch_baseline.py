"""The incumbent at the sizes of `npm run bench -- train` and `-- rollout`: transformers + PEFT, eager, on the same machine.

    python3 bench/pytorch_baseline.py > pytorch.json

One LoRA step (r = 4 on all linear layers, AdamW fused, gradient norm clipped to 1.0) and batched sampling, medians of 10 runs.
"""
import json
import statistics
import sys
import time

import torch
import transformers
from peft import LoraConfig, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM

SIZES = {
    "0.5M": dict(hidden_size=96, num_hidden_layers=4, num_attention_heads=3, intermediate_size=256, vocab_size=512),
    "3M": dict(hidden_size=192, num_hidden_layers=6, num_attention_heads=6, intermediate_size=512, vocab_size=512),
}
ROWS, LENGTH, PROMPT, NEW_TOKENS = 64, 96, 48, 48


def median_ms(run, repeats=10, warmup=3):
    times = []
    for i in range(warmup + repeats):
        torch.cuda.synchronize()
        start = time.perf_counter()
        run()
        torch.cuda.synchronize()
        if i >= warmup:
            times.append((time.perf_counter() - start) * 1e3)
    return statistics.median(times)


def measure(name, shape, dtype):
    torch.manual_seed(1)
    config = LlamaConfig(num_key_value_heads=shape["num_attention_heads"], max_position_embeddings=512, tie_word_embeddings=True, **shape)
    model = LlamaForCausalLM(config).to("cuda", dtype)
    model = get_peft_model(model, LoraConfig(r=4, lora_alpha=16, target_modules="all-linear", task_type="CAUSAL_LM"))
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-4, fused=True)
    tokens = torch.randint(0, shape["vocab_size"], (ROWS, LENGTH), device="cuda")

    def step():
        model.train()
        loss = model(input_ids=tokens, labels=tokens).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    train_ms = median_ms(step)
    model.eval()
    prompt = tokens[:, :PROMPT]

    @torch.no_grad()
    def generate():
        model.generate(input_ids=prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=NEW_TOKENS, min_new_tokens=NEW_TOKENS,
                       do_sample=True, temperature=1.0, top_k=0, pad_token_id=0)

    generate_ms = median_ms(generate, repeats=5, warmup=1)
    return {
        "model": name,
        "dtype": str(dtype).removeprefix("torch."),
        "rows": ROWS,
        "length": LENGTH,
        "train_step_ms": train_ms,
        "rollout_tokens_per_s": ROWS * NEW_TOKENS / generate_ms * 1e3,
    }


if __name__ == "__main__":
    torch.backends.cuda.matmul.allow_tf32 = False
    rows = [measure(name, shape, dtype) for name, shape in SIZES.items() for dtype in (torch.float32, torch.bfloat16)]
    json.dump({"device": torch.cuda.get_device_name(), "torch": torch.__version__, "transformers": transformers.__version__, "rows": rows}, sys.stdout, indent=1)
    print()
