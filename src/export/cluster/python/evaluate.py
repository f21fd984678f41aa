"""Accuracy on data/test.jsonl, by the lab's grader: what the config's section evaluation asks for, with transformers.

    python evaluate.py --model PATH [--adapter DIR]

Prints JSON: the mean over questions of the share of right samples, and accuracy under greedy decoding.
"""

import argparse
import json
import sys
from pathlib import Path

BUNDLE = Path(__file__).resolve().parent
sys.path.insert(0, str(BUNDLE / "reward"))

import torch
from openrft_reward import outcome
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer, set_seed


def main():
    config = json.loads((BUNDLE / "config.json").read_text(encoding="utf-8"))
    settings = config["evaluation"]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=config["model"], help="folder or name of the base, or of a whole trained model (%(default)s)")
    parser.add_argument("--adapter", help="a PEFT adapter over it")
    parser.add_argument("--limit", type=int, help="questions, from the first, in place of all")
    options = parser.parse_args()

    set_seed(config["seed"] % 2**32)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    tokenizer = AutoTokenizer.from_pretrained(options.model)
    model = AutoModelForCausalLM.from_pretrained(options.model, dtype=torch.float32)
    if options.adapter:
        model = PeftModel.from_pretrained(model, options.adapter)
    model = model.to(device).eval()
    rows = [json.loads(line) for line in (BUNDLE / "data" / "test.jsonl").read_text(encoding="utf-8").splitlines()][: options.limit]

    def share(row, **sampling):
        prompt = tokenizer(row["prompt"], return_tensors="pt").to(device)
        with torch.no_grad():
            answered = model.generate(**prompt, max_new_tokens=settings["max_new_tokens"], pad_token_id=tokenizer.pad_token_id, **sampling)
        right = 0
        for tokens in answered[:, prompt["input_ids"].shape[1] :].tolist():
            finished = tokenizer.eos_token_id in tokens
            text = tokenizer.decode(tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False)
            right += outcome(text, finished, row["key"]) == "right"
        return right / len(answered)

    result = {"questions": len(rows)}
    if settings["samples_per_question"] > 0:
        sampling = {"do_sample": True, "temperature": settings["temperature"], "top_k": 0, "top_p": 1.0}
        sampling["num_return_sequences"] = settings["samples_per_question"]
        result["accuracy"] = sum(share(row, **sampling) for row in rows) / len(rows)
    if settings["greedy"]:
        result["greedy_accuracy"] = sum(share(row, do_sample=False) for row in rows) / len(rows)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
