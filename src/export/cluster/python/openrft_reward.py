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


def step_ends(decode, tokens, finished):
    """Where the steps of a response end, as (kind, index in tokens, paragraph): lines that aren't blank, "process" or "answer".

    tokens: of the response alone. decode: from ids to text, without special tokens. A step ends at the token that holds its newline, the last
    line of a finished response at the end token; a line that the length limit cut off is none.
    """
    ends, line, run, paragraph = [], "", [], 0

    def add(text, token):
        nonlocal paragraph
        if not text.strip(BLANK):
            if ends and ends[-1][2] == paragraph:
                paragraph += 1
            return
        # Of several lines that end in one token the last stands for all.
        if ends and ends[-1][1] == token:
            ends.pop()
        ends.append(("answer" if text.startswith("Answer:") else "process", token, paragraph))

    for at, token in enumerate(tokens):
        run.append(token)
        if "\n" not in decode([token]):
            continue
        *lines, line = (line + decode(run)).split("\n")
        run = []
        for text in lines:
            add(text, at)
    if finished:
        add(line + decode(run), len(tokens) - 1)
    return ends


def judged_steps(ends, final_answer, split_at):
    """Those that a process reward model scores; split at blank lines, a paragraph is one step and ends where its last line does."""
    answers = [end for end in ends if end[0] == "answer"]
    steps = [end for end in ends if end[0] == "process" or (final_answer and end is answers[-1])]
    if split_at == "line":
        return steps
    return [step for step, after in zip(steps, [*steps[1:], (None, None, None)]) if step[2] != after[2]]


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


def reward(config, key, text, finished, length, ends, scores=(), overlong=True):
    """R of one response, unclipped.

    length: response tokens, the end token included. ends: step_ends of the response; scores: of its judged_steps. overlong: False where the
    trainer itself takes the penalty for length.
    """
    ppo = config["ppo"]
    result = outcome(text, finished, key)
    paid = 1.0 if result == "right" else LEAST[ppo["outcome_rule"]][result]
    terms = config["reward"]["format_weight"] * format_term(ends, finished)
    if overlong:
        limit = ppo["max_new_tokens"]
        terms += ppo["overlong_penalty"] * overlong_term(length, limit, ppo["overlong_buffer"] * limit)
    return ppo["alpha"] * paid + (1 - ppo["alpha"]) * process_reward(config["prm"], list(scores)) + terms


def clipped(config, value):
    limit = config["ppo"]["reward_clip"]
    return max(-limit, min(limit, value))
