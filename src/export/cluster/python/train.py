"""Trains on this machine with TRL, as the lab's config says: arguments.json beside this file has the arguments, one for one.

    python trl/train.py --model PATH_OF_THE_BASE

Starts at adapter/ of the bundle, where there is one, and at a new LoRA adapter otherwise; the trained adapter goes to --output.
"""

import argparse
import json
import os
import sys
from pathlib import Path

BUNDLE = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(BUNDLE / "reward"))

import torch
from datasets import load_dataset
from openrft_judge import Judge
from openrft_reward import clipped
from peft import LoraConfig, PeftModel
from transformers import AutoModelForCausalLM
from trl import GRPOConfig, GRPOTrainer, RLOOConfig, RLOOTrainer

TRAINERS = {"GRPO": (GRPOTrainer, GRPOConfig), "RLOO": (RLOOTrainer, RLOOConfig)}


def main():
    settings = json.loads((BUNDLE / "trl" / "arguments.json").read_text(encoding="utf-8"))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=settings["model"], help="folder or name of the base (%(default)s)")
    parser.add_argument("--output", default="trained", help="where the adapter goes (%(default)s)")
    parser.add_argument("--max-steps", type=int, help="optimizer steps, in place of all")
    options = parser.parse_args()

    arguments = settings["arguments"]
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if arguments["gradient_accumulation_steps"] % world:
        sys.exit(
            f"{world} processes can't share the {arguments['gradient_accumulation_steps']} micro-batches of a step evenly: "
            "start a number of processes that divides them."
        )
    arguments["gradient_accumulation_steps"] //= world
    if options.max_steps is not None:
        arguments["max_steps"] = options.max_steps
    trainer_class, config_class = TRAINERS[settings["trainer"]]
    config = config_class(output_dir=options.output, **arguments)

    judge = Judge(BUNDLE, options.model, device="cuda" if torch.cuda.is_available() else "cpu")
    model = AutoModelForCausalLM.from_pretrained(options.model, dtype=torch.float32)
    adapter = BUNDLE / "adapter"
    lora = None
    if adapter.is_dir():
        model = PeftModel.from_pretrained(model, str(adapter), is_trainable=True)
    else:
        lora = LoraConfig(task_type="CAUSAL_LM", **settings["lora"])

    def openrft(prompts, completion_ids, key, **_):
        encoded = judge.tokenizer(list(prompts))["input_ids"]
        judged = [judge.judge(*row) for row in zip(encoded, completion_ids, key)]
        return [clipped(judge.config, result["reward"]) for result in judged]

    trainer = trainer_class(
        model=model,
        args=config,
        reward_funcs=openrft,
        train_dataset=load_dataset("json", data_files=str(BUNDLE / "data" / "updates.jsonl"), split="train"),
        processing_class=judge.tokenizer,
        peft_config=lora,
    )
    trainer.train()
    trainer.save_model(options.output)


if __name__ == "__main__":
    main()
