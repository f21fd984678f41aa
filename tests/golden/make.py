"""Writes the golden files beside this script: what PyTorch, transformers, PEFT and tokenizers compute for tiny models.

    python3 -m venv .cache/golden
    .cache/golden/bin/pip install -r tests/golden/requirements.txt
    .cache/golden/bin/python tests/golden/make.py

README.md says what each file holds. Weights and tokens come from fixed seeds. Computed values may differ in their last bits on
another processor, so the tests compare with a tolerance.
"""

import hashlib
import json
import math
import os
import shutil
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"

import numpy
import peft
import safetensors
import tokenizers
import torch
import transformers
from safetensors.torch import save_file

HERE = Path(__file__).parent
TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
SHARED = dict(num_hidden_layers=2, max_position_embeddings=64, pad_token_id=0, bos_token_id=None, eos_token_id=1)
MODELS = {
    "llama": dict(
        seed=10,
        config=transformers.LlamaConfig(
            **SHARED, hidden_size=32, num_attention_heads=4, num_key_value_heads=2, head_dim=8, intermediate_size=48, vocab_size=61,
            tie_word_embeddings=True, rms_norm_eps=1e-5, rope_theta=10000.0,
        ),
        rslora=False,
        lengths=[11, 7, 9],
        spans=[[4, 11], [2, 7], [5, 9]],
    ),
    # Heads wider than hidden_size / num_attention_heads, so that q_proj and o_proj are not square.
    "qwen3": dict(
        seed=1,
        config=transformers.Qwen3Config(
            **SHARED, hidden_size=32, num_attention_heads=4, num_key_value_heads=2, head_dim=16, intermediate_size=48, vocab_size=61,
            tie_word_embeddings=False, rms_norm_eps=1e-6, rope_theta=1000000.0,
        ),
        rslora=True,
        lengths=[9, 11, 4],
        spans=[[3, 9], [1, 11], [2, 4]],
    ),
    "qwen2": dict(
        seed=1,
        config=transformers.Qwen2Config(
            **SHARED, hidden_size=24, num_attention_heads=3, num_key_value_heads=1, intermediate_size=40, vocab_size=67,
            tie_word_embeddings=True, rms_norm_eps=1e-6, rope_theta=1000000.0,
        ),
        rslora=False,
        lengths=[11, 11, 6],
        spans=[[6, 11], [3, 10], [1, 6]],
    ),
}  # fmt: skip
STEP = dict(lr=1e-2, betas=(0.9, 0.95), eps=1e-8, weight_decay=0.01)
MAX_GRAD_NORM = 0.5


def write_json(path, value):
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def randomize(model, generator):
    """Weights large enough that every path matters: sharp attention, norms away from 1, biases away from 0."""
    with torch.no_grad():
        for name, weight in model.named_parameters():
            noise = torch.randn(weight.shape, generator=generator)
            if name.endswith("norm.weight"):
                weight.copy_(1 + 0.3 * noise)
            elif name.endswith(".bias"):
                weight.copy_(0.3 * noise)
            elif "embed_tokens" in name:
                weight.copy_(0.35 * noise)
            else:
                weight.copy_(noise / math.sqrt(weight.shape[1]))


def forward(model, tokens, lengths, spans):
    """Logits [n, t, vocab], log-probs and entropy [n, t - 1] of the next token, and the loss: the mean negative log-likelihood
    of the tokens inside the spans, over all of them at once."""
    mask = (torch.arange(tokens.shape[1])[None] < torch.tensor(lengths)[:, None]).long()
    logits = model(input_ids=tokens, attention_mask=mask).logits
    logps = torch.log_softmax(logits[:, :-1], dim=-1)
    logprobs = logps.gather(-1, tokens[:, 1:, None])[..., 0]
    entropy = -(logps.exp() * logps).sum(-1)
    chosen = torch.cat([logprobs[i, start - 1 : end - 1] for i, (start, end) in enumerate(spans)])
    # What comes after a sequence's end has no meaning: zeros.
    outside = mask == 0
    outputs = dict(
        logits=logits.masked_fill(outside[..., None], 0),
        logprobs=logprobs.masked_fill(outside[:, 1:], 0),
        entropy=entropy.masked_fill(outside[:, 1:], 0),
    )
    return outputs, -chosen.mean()


def save(path, tensors):
    save_file({name: tensor.detach().clone().contiguous() for name, tensor in tensors.items()}, path)


def make_model(name):
    spec = MODELS[name]
    folder = HERE / name
    shutil.rmtree(folder, ignore_errors=True)
    generator = torch.Generator().manual_seed(spec["seed"])

    model = transformers.AutoModelForCausalLM.from_config(spec["config"], dtype=torch.float32, attn_implementation="eager")
    model.eval()
    randomize(model, generator)
    model.save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)

    lengths, spans = spec["lengths"], spec["spans"]
    tokens = torch.randint(2, model.config.vocab_size, (3, 11), generator=generator)
    for row, length in enumerate(lengths):
        tokens[row, length:] = model.config.pad_token_id
    batch = dict(tokens=tokens.tolist(), lengths=lengths, spans=spans)
    (folder / "batch.json").write_text(json.dumps(batch) + "\n")

    outputs, loss = forward(model, tokens, lengths, spans)
    save(folder / "expected_base.safetensors", {**outputs, "loss": loss[None]})
    if name == "llama":
        loss.backward()
        save(folder / "gradients.safetensors", {key: weight.grad for key, weight in model.named_parameters()})
        model.zero_grad(set_to_none=True)

    config = peft.LoraConfig(task_type="CAUSAL_LM", r=3, lora_alpha=7, use_rslora=spec["rslora"], target_modules=TARGETS)
    adapted = peft.get_peft_model(model, config)
    lora = {key: weight for key, weight in adapted.named_parameters() if weight.requires_grad}
    with torch.no_grad():
        for key, weight in lora.items():
            noise = torch.randn(weight.shape, generator=generator)
            weight.copy_(noise / math.sqrt(weight.shape[1]) if "lora_A" in key else 0.15 * noise)
    save_adapter(adapted, folder / "adapter", f"golden/{name}")

    outputs, loss = forward(adapted, tokens, lengths, spans)
    loss.backward()
    file_name = lambda key: key.replace(".default", "")
    gradients = {file_name(key): weight.grad.clone() for key, weight in lora.items()}
    optimizer = torch.optim.AdamW(lora.values(), **STEP)
    grad_norm = torch.nn.utils.clip_grad_norm_(lora.values(), MAX_GRAD_NORM)
    # The first step is lr * g / (|g| + eps): a gradient near 0 would make the expected value a coin flip.
    smallest = min(weight.grad.abs().min().item() for weight in lora.values())
    assert smallest > 1e-6, f"{name}: choose another seed"
    optimizer.step()
    save(folder / "expected_adapter.safetensors", {**outputs, "loss": loss[None], "grad_norm": grad_norm[None]})
    save(folder / "adapter_gradients.safetensors", gradients)
    save(folder / "adapter_stepped.safetensors", {file_name(key): weight for key, weight in lora.items()})
    print(f"{name}: loss {loss.item():.4f}, gradient norm {grad_norm.item():.4f}, smallest clipped |gradient| {smallest:.1e}")


def save_adapter(adapted, folder, base):
    adapted.peft_config["default"].base_model_name_or_path = base
    adapted.save_pretrained(folder, save_embedding_layers=False)
    (folder / "README.md").unlink(missing_ok=True)
    # PEFT holds the targets in a set, whose order changes from run to run.
    path = folder / "adapter_config.json"
    saved = json.loads(path.read_text())
    saved["target_modules"].sort(key=TARGETS.index)
    write_json(path, saved)


def make_dtypes():
    """Rounding to F16 and BF16 and back, subnormals, ties, the largest values, infinities and NaN included."""
    generator = torch.Generator().manual_seed(7)
    edges = [0.0, -0.0, 1.0, 2049.0, 2051.0, 65504.0, 65519.99, 65520.0, 2**-14, 2**-24, 2**-25, 1.5 * 2**-24, 2**-26, 6.1e-5]
    edges += [float("inf"), float("-inf"), float("nan")]
    scales = torch.exp(torch.randn(200, generator=generator) * 6)
    source = torch.cat([torch.tensor(edges), torch.randn(200, generator=generator) * scales])
    tensors = dict(source=source, f16=source.half(), bf16=source.bfloat16())
    save(HERE / "dtypes.safetensors", {**tensors, "f16_as_f32": tensors["f16"].float(), "bf16_as_f32": tensors["bf16"].float()})


def make_tokenizer():
    """A byte-level BPE tokenizer with Qwen2's pre-tokenizer, which splits digits, and what Python makes of some strings."""
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

    folder = HERE / "tokenizer"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    tokenizer = Tokenizer(models.BPE())
    pattern = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(pattern), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    special = [AddedToken(text, special=True, normalized=False) for text in ("<|endoftext|>", "<|pad|>")]
    trainer = trainers.BpeTrainer(
        vocab_size=320, special_tokens=special, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    text = "Step 1 : the molar mass of water is 18 g/mol.\nStep 2 : 36 g is 2 mol, so the answer is B.\nAnswer : B\n"
    tokenizer.train_from_iterator([text], trainer)
    tokenizer.save(str(folder / "tokenizer.json"))
    write_json(
        folder / "tokenizer_config.json",
        dict(tokenizer_class="PreTrainedTokenizerFast", eos_token="<|endoftext|>", pad_token="<|pad|>", model_max_length=512),
    )
    strings = [
        "",
        " ",
        "Step 1 : the molar mass of water is 18 g/mol.\n",
        "Answer : B\n\n  \tAnswer",
        "a , b . isn't we're I'm !",
        "x  =  12345.678e-9",
        "ünïcödé 水 は H₂O → 😀",
        "Step 3<|endoftext|>Step<|pad|>",
    ]
    cases = []
    for string in strings:
        ids = tokenizer.encode(string, add_special_tokens=False).ids
        cases.append(dict(text=string, ids=ids, decoded=tokenizer.decode(ids, skip_special_tokens=True)))
    write_json(folder / "expected.json", dict(vocab_size=tokenizer.get_vocab_size(), cases=cases))


def make_rope():
    """Frequencies, and cosines and sines of some positions, of Llama 3.2 1B (heads of 64) and Llama 3.1 8B (heads of 128)."""
    from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

    (HERE / "rope").mkdir(exist_ok=True)
    cases = []
    for heads, width, factor in [(32, 64, 32.0), (32, 128, 8.0)]:
        scaling = dict(factor=factor, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=8192)
        config = transformers.LlamaConfig(
            hidden_size=heads * width, num_attention_heads=heads, head_dim=width, max_position_embeddings=131072,
            rope_parameters=dict(rope_type="llama3", rope_theta=500000.0, **scaling),
        )  # fmt: skip
        rope = LlamaRotaryEmbedding(config)
        positions = [0, 1, 17, 511, 4095]
        cosines, sines = rope(torch.zeros(1), torch.tensor([positions]))
        half = width // 2
        cases.append(
            dict(
                head_dim=width, rope_theta=500000.0, scaling=scaling, inv_freq=rope.inv_freq.tolist(), positions=positions,
                cosines=cosines[0, :, :half].tolist(), sines=sines[0, :, :half].tolist(),
            )  # fmt: skip
        )
    (HERE / "rope" / "llama3.json").write_text(json.dumps(cases) + "\n")


DESCRIPTIONS = {
    "config.json": "configuration, as transformers writes it",
    "model.safetensors": "base weights, F32",
    "batch.json": "tokens [3, 11] padded on the right, length of each row, span [start, end) of the tokens that the loss counts",
    "expected_base.safetensors": "base model: logits [3, 11, vocab], logprobs and entropy [3, 10] of the next token, loss [1]",
    "gradients.safetensors": "gradient of the base model's loss by every base weight, under the names of model.safetensors",
    "adapter/adapter_config.json": "LoRA adapter with random A and B, as PEFT writes it",
    "adapter/adapter_model.safetensors": "its tensors",
    "expected_adapter.safetensors": "the same as expected_base, with the adapter on, and grad_norm [1] before clipping",
    "adapter_gradients.safetensors": "gradient of that loss by every A and B before clipping, under the names of adapter_model.safetensors",
    "adapter_stepped.safetensors": "every A and B after one clipped AdamW step, under the same names",
    "dtypes.safetensors": "source F32, the same as F16 and BF16, and those as F32 again",
    "tokenizer.json": "byte-level BPE tokenizer with two special tokens",
    "tokenizer_config.json": "its end and padding tokens",
    "llama3.json": "Llama 3's scaled RoPE for heads of 64 and 128: frequencies [head_dim / 2], cosines and sines [5, head_dim / 2]",
    "expected.json": "ids of some strings and what they decode to without special tokens",
}


def write_manifest():
    files = {}
    for path in sorted([*HERE.rglob("*.safetensors"), *HERE.glob("*/**/*.json")]):
        name = path.relative_to(HERE).as_posix()
        key = name if name in DESCRIPTIONS else name.split("/", 1)[1]
        data = path.read_bytes()
        files[name] = dict(holds=DESCRIPTIONS[key], bytes=len(data), sha256=hashlib.sha256(data).hexdigest())
    modules = [torch, transformers, peft, numpy, safetensors, tokenizers]
    write_json(
        HERE / "manifest.json",
        dict(
            made_by="tests/golden/make.py",
            versions={module.__name__: module.__version__ for module in modules},
            optimizer_step=dict(name="AdamW", **STEP, max_grad_norm=MAX_GRAD_NORM),
            files=files,
        ),
    )
    print(f"{len(files)} files, {sum(file['bytes'] for file in files.values())} bytes")


if __name__ == "__main__":
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    for name in MODELS:
        make_model(name)
    make_dtypes()
    make_tokenizer()
    make_rope()
    write_manifest()
