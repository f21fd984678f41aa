"""R = alpha * outcome + (1 - alpha) * f(p_1, ..., p_m) + terms of form and length, as the lab pays it under the grader multiple_choice.

Standard library only. Settings are the sections of the lab's config by their own names; scores come from whoever read the process
reward model, one for each judged step. Normalisation within an update is the trainer's part, not this file's.
"""

import math
from functools import reduce

LETTERS = ("A", "B", "C", "D")
# The least that a response earns which isn't right, by ppo.outcome_rule; a right one earns 1.
LEAST = {
    "paper": {"wrong": 0.0, "unextractable": 0.0, "truncated": 0.0},
    "repo": {"wrong": 0.1, "unextractable": 0.1, "truncated": 0.1},
    "reft": {"wrong": 0.1, "unextractable": 0.0, "truncated": 0.0},
}
# What JavaScript's trim removes; Python's strip removes others.
BLANK = "\t\n\v\f\r \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000\ufeff"


def outcome(text, finished, key):
    """right, wrong, unextractable or truncated: the last line that begins with "Answer:" must read exactly "Answer: X"."""
    if not finished:
        return "truncated"
    answers = [line for line in text.split("\n") if line.startswith("Answer:")]
    letter = answers[-1].removeprefix("Answer: ") if answers else ""
    if letter not in LETTERS:
        return "unextractable"
    return "right" if letter == key else "wrong"


def step_ends(text, finished):
    """(kind, line, paragraph) of each line that isn't blank; a line that the length limit cut off is none."""
    lines = text.split("\n")
    ends, paragraph = [], 0
    for line in lines if finished else lines[:-1]:
        if line.strip(BLANK):
            ends.append(("answer" if line.startswith("Answer:") else "process", line, paragraph))
        elif ends and ends[-1][2] == paragraph:
            paragraph += 1
    return ends


def soft_min_weights(scores, temperature):
    weights = [math.exp((min(scores) - score) / temperature) for score in scores]
    return [weight / sum(weights) for weight in weights]


def aggregate(aggregation, scores, temperature):
    """f; of no step it is 0."""
    if not scores:
        return 0.0
    if aggregation == "soft_min":
        return sum(w * p for w, p in zip(soft_min_weights(scores, temperature), scores))
    rules = {
        "mean": lambda: sum(scores) / len(scores),
        "min": lambda: min(scores),
        "last": lambda: scores[-1],
        "product": lambda: reduce(lambda a, b: a * b, scores),
    }
    return rules[aggregation]()


def process_reward(prm, scores):
    """All that steps are paid, wherever it is paid: the sum of prm.credit's parts."""
    if prm["credit"] == "step":
        return sum(scores)
    return aggregate("soft_min" if prm["credit"] == "min_form" else prm["aggregation"], scores, prm["temperature"])


def format_term(ends, finished):
    answers = [i for i, (kind, _, _) in enumerate(ends) if kind == "answer"]
    return 0.0 if finished and len(ends) > 1 and answers == [len(ends) - 1] else -1.0


def overlong_term(length, max_length, buffer):
    return 0.0 if buffer == 0 else -min(1.0, max(0.0, (length - (max_length - buffer)) / buffer))


def reward(config, text, key, finished, length, scores=()):
    """R of one response. length: response tokens, the end token included; max_length is ppo.max_new_tokens."""
    ppo = config["ppo"]
    result = outcome(text, finished, key)
    paid = 1.0 if result == "right" else LEAST[ppo["outcome_rule"]][result]
    terms = config["reward"]["format_weight"] * format_term(step_ends(text, finished), finished)
    limit = ppo["max_new_tokens"]
    terms += ppo["overlong_penalty"] * overlong_term(length, limit, ppo["overlong_buffer"] * limit)
    return ppo["alpha"] * paid + (1 - ppo["alpha"]) * process_reward(config["prm"], list(scores)) + terms
