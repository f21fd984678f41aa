"""The Python side of check_cluster.mjs, which says what is checked and how it is called.

    check_cluster.py prm BASE                          writes BASE/adapters/prm, a process reward model of random weights, by PEFT itself
    check_cluster.py reward BUNDLE BASE RECORD         R of each rollout of a record of one response an update, to 1e-6
    check_cluster.py trl BUNDLE                        the pinned TRL accepts the arguments
    check_cluster.py moved BEFORE AFTER                two adapters hold the same tensors with other values
    check_cluster.py openrlhf SOURCES WORDS            OpenRLHF's own train_ppo_ray accepts the words of a launch
"""

import ast
import importlib.util
import json
import os
import sys
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
TOLERANCE = 1e-6


def prm(base):
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForTokenClassification

    torch.manual_seed(7)
    model = AutoModelForTokenClassification.from_pretrained(base, num_labels=1, dtype=torch.float32)
    targets = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    lora = LoraConfig(task_type="TOKEN_CLS", r=2, lora_alpha=4, target_modules=targets, init_lora_weights=False)
    model = get_peft_model(model, lora)
    torch.nn.init.normal_(model.base_model.model.score.modules_to_save["default"].bias)
    model.save_pretrained(Path(base) / "adapters" / "prm")


def reward(bundle, base, record):
    import torch

    sys.path.insert(0, str(Path(bundle) / "reward"))
    import openrft_reward
    from openrft_judge import Judge

    judge = Judge(bundle, base, dtype=torch.float64)
    os.environ["OPENRFT_MODEL"] = base
    spec = importlib.util.spec_from_file_location("reward_func", Path(bundle) / "openrlhf" / "reward_func.py")
    remote = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(remote)

    events = [json.loads(line) for line in Path(record).read_text(encoding="utf-8").splitlines()]
    metrics = {event["update"]: event for event in events if event["type"] == "metric" and event["stage"] == "ppo"}
    rollouts = [event for event in events if event["type"] == "sample" and event["stage"] == "ppo"]
    rows = [json.loads(line) for line in (Path(bundle) / "data" / "train.jsonl").read_text(encoding="utf-8").splitlines()]
    asked = [json.loads(line) for line in (Path(bundle) / "data" / "updates.jsonl").read_text(encoding="utf-8").splitlines()]
    assert len(rollouts) == len(metrics) == len(asked) > 0, "one response an update"
    largest, of_texts, steps = 0.0, 0.0, 0
    for event, question in zip(rollouts, asked):
        assert question == rows[event["question"]] and question["prompt"] == event["prompt"], "updates.jsonl is not what was asked"
        ids = [token["id"] for token in event["tokens"]]
        prompt = judge.tokenizer(event["prompt"])["input_ids"]
        judged = judge.judge(prompt, ids, question["key"])
        assert judged["outcome"] == event["outcome"], (judged, event["outcome"])
        assert len(judged["scores"]) == len(event["step_scores"]), "steps"
        for ours, theirs in zip(judged["scores"], event["step_scores"]):
            assert abs(ours - theirs["score"]) < 6e-5, (ours, theirs)
        steps += len(judged["scores"])
        paid = metrics[event["update"]]["reward_mean"]
        largest = max(largest, abs(judged["reward"] - paid))
        # OpenRLHF hands over texts, and takes the penalty for length itself.
        text = judge.tokenizer.decode(prompt + ids, skip_special_tokens=False, clean_up_tokenization_spaces=False)
        ppo = judge.config["ppo"]
        limit = ppo["max_new_tokens"]
        penalty = ppo["overlong_penalty"] * openrft_reward.overlong_term(len(ids), limit, ppo["overlong_buffer"] * limit)
        given = remote.reward_func([text], [event["prompt"]], [question["key"]])
        assert given["scores"].item() == (event["outcome"] == "right")
        of_texts = max(of_texts, abs(given["rewards"].item() + penalty - paid))
    outcomes = sorted({event["outcome"] for event in rollouts})
    print(f"reward: {len(rollouts)} rollouts, {steps} scored steps, outcomes {', '.join(outcomes)}; R differs by at most {largest:.1e}, from texts in 32 bits {of_texts:.1e}")
    if not largest <= TOLERANCE or not of_texts <= 1e-5:
        sys.exit(1)


def trl(bundle):
    from trl import GRPOConfig, RLOOConfig

    settings = json.loads((Path(bundle) / "trl" / "arguments.json").read_text(encoding="utf-8"))
    config = {"GRPO": GRPOConfig, "RLOO": RLOOConfig}[settings["trainer"]](output_dir=str(Path(bundle) / "unused"), **settings["arguments"])
    assert config.steps_per_generation % config.gradient_accumulation_steps == 0
    print(f"trl: {settings['trainer']}Config takes {len(settings['arguments'])} arguments")


def moved(before, after):
    from safetensors.torch import load_file

    first, second = (load_file(Path(folder) / "adapter_model.safetensors") for folder in (before, after))
    assert first.keys() == second.keys(), first.keys() ^ second.keys()
    change = max((second[name] - first[name]).abs().max().item() for name in first)
    assert change > 0, "nothing was trained"
    print(f"trl: a step moved the adapter by up to {change:.1e}")


def openrlhf(sources, words):
    """Runs the main block of train_ppo_ray.py, its definitions, defaults and checks, up to the training itself."""
    root = Path(sources)
    spec = importlib.util.spec_from_file_location("openrlhf.utils.config", next(root.rglob("openrlhf/utils/config.py")))
    sys.modules["openrlhf.utils.config"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules["openrlhf.utils.config"])
    tree = ast.parse(next(root.rglob("openrlhf/cli/train_ppo_ray.py")).read_text(encoding="utf-8"))
    main = next(node for node in tree.body if isinstance(node, ast.If) and "__main__" in ast.unparse(node.test))
    import argparse
    from datetime import datetime

    taken = []
    sys.argv = ["train_ppo_ray", *Path(words).read_text(encoding="utf-8").splitlines()]
    code = compile(ast.Module(body=main.body, type_ignores=[]), "train_ppo_ray.py", "exec")
    exec(code, {"argparse": argparse, "os": os, "datetime": datetime, "train": taken.append})
    (args,) = taken
    assert args.reward.stop_properly_penalty_coef is None
    for path in (*args.reward.remote_url, args.data.prompt_dataset, args.eval.dataset):
        assert Path(path).is_file(), path
    steps = sum(1 for _ in open(args.data.prompt_dataset, encoding="utf-8")) / args.rollout.batch_size
    print(f"openrlhf: {args.algo.advantage.estimator} is accepted, {sum(word.startswith('--') for word in sys.argv)} arguments, {steps:g} updates")


if __name__ == "__main__":
    commands = {command.__name__: command for command in (prm, reward, trl, moved, openrlhf)}
    if len(sys.argv) < 3 or sys.argv[1] not in commands:
        sys.exit(__doc__)
    commands[sys.argv[1]](*sys.argv[2:])
