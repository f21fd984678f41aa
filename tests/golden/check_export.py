"""Opens what `lab export --as zip --dtype f32` wrote with the tools that it is meant for.

    npm run lab -- run public/notebooks/smoke.json --out run/run.jsonl --adapter run/adapter
    npm run lab -- export run/run.jsonl --as zip --dtype f32 --out run/all.zip
    .cache/golden/bin/pip install nbformat==5.11.1 gguf==0.19.0
    .cache/golden/bin/python tests/golden/check_export.py run/all.zip models/pico

transformers loads the merged model, whose logits have to be those of PEFT on the base with the adapter; gguf reads the GGUF file, whose
tensors have to be the merged ones under ggml's names; nbformat validates the Jupyter notebook; the report has no address in it.
Exit status 1 at the first thing that is otherwise.
"""

import json
import os
import re
import sys
import tempfile
import zipfile
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"

import gguf
import nbformat
import numpy
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

TOLERANCE = 1e-4


def main(archive, base_dir):
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        with zipfile.ZipFile(archive) as packed:
            packed.extractall(folder)
        prompt = json.loads((folder / "rollouts.jsonl").read_text().splitlines()[0])["prompt"]
        state = check_merged(folder, base_dir, prompt)
        check_gguf(next((folder / "gguf").glob("*.gguf")), state)
        nbformat.validate(nbformat.read(folder / "notebook.ipynb", as_version=4))
        print("nbformat: the notebook is valid")
        report = (folder / "report.html").read_text().replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?:|<script|<link|url\(", report), "the report names an address"


def check_merged(folder, base_dir, prompt):
    load = lambda path: AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32, attn_implementation="eager").eval()
    merged = load(folder / "merged-model")
    tokenizer = AutoTokenizer.from_pretrained(folder / "merged-model")
    tokens = tokenizer(prompt, return_tensors="pt")["input_ids"]
    adapted = PeftModel.from_pretrained(load(base_dir), folder / "adapter").eval()
    with torch.no_grad():
        ours, theirs = merged(tokens).logits, adapted(tokens).logits
        with adapted.disable_adapter():
            base = adapted(tokens).logits
    difference, effect = (ours - theirs).abs().max().item(), (theirs - base).abs().max().item()
    print(f"transformers: {tokens.shape[1]} tokens, logits differ from PEFT's by {difference:.2e}; the adapter changes them by {effect:.2e}")
    assert difference <= TOLERANCE < effect
    return merged.state_dict()


def check_gguf(path, state):
    reader = gguf.GGUFReader(path)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, 100)
    heads = reader.fields["llama.attention.head_count"].parts[-1][0]
    expected = {}
    for name, tensor in state.items():
        if name == "lm_head.weight":  # Tied.
            continue
        weight = tensor.numpy()
        if re.search(r"\.[qk]_proj\.weight$", name):  # LlamaModel.permute of convert_hf_to_gguf.py.
            weight = weight.reshape(heads, 2, weight.shape[0] // heads // 2, -1).swapaxes(1, 2).reshape(weight.shape)
        expected[names.get_name(name, try_suffixes=(".weight",))] = weight
    found = {tensor.name: tensor.data for tensor in reader.tensors}
    assert found.keys() == expected.keys(), found.keys() ^ expected.keys()
    for name, weight in expected.items():
        assert numpy.array_equal(found[name], weight), name
    print(f"gguf: {len(found)} tensors are the merged ones, permuted as llama.cpp's converter does")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
