"""Writes golden.json beside this script: what the Python references compute for the measures and units of the graders.

    python3 -m venv .cache/graders
    .cache/graders/bin/pip install rapidfuzz==3.14.6 sacrebleu==2.6.0 nltk==3.10.4 rouge-score==0.1.2 scikit-learn==1.9.1 pint==0.25.3
    .cache/graders/bin/python tests/rft/graders/golden.py

All measures of words split at white space, as the graders do.
"""

import json
from pathlib import Path

import pint
from nltk.translate.gleu_score import sentence_gleu
from rapidfuzz import fuzz
from rouge_score.rouge_scorer import RougeScorer
from sacrebleu.metrics import BLEU
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.metrics.pairwise import cosine_similarity

PAIRS = [
    ["24 N", "24 N"],
    ["24", "42"],
    ["the cat sat on the mat", "the cat is on the mat"],
    ["the the the the the the the", "the cat is on the mat"],
    ["a perovskite with the lowest formation energy is stable", "the perovskite with the lowest energy above the hull is stable"],
    ["on the mat the cat sat", "the cat sat on the mat"],
    ["CC(=O)Oc1ccccc1C(=O)O", "CC(=O)Oc1ccccc1C(O)=O"],
    ["benzene", "the answer is benzene and not toluene, since toluene has a methyl group"],
    ["it moves by self diffusion of vacancies at high temperature in the bulk of the crystal", "vacancies"],
    ["größe μ²Å 𝑥 é", "große µ² Å x é"],
    ["alpha beta", "gamma delta"],
]


class Words:
    def tokenize(self, text):
        return text.split()


def measures(text, reference):
    bleu = BLEU(tokenize="none", effective_order=True)
    words = CountVectorizer(token_pattern=r"\S+", lowercase=False).fit([text, reference])
    return {
        "fuzzy_match": fuzz.ratio(text, reference) / 100,
        "bleu": bleu.sentence_score(text, [reference]).score / 100,
        "gleu": sentence_gleu([reference.split()], text.split()),
        "rouge_l": RougeScorer(["rougeL"], tokenizer=Words()).score(reference, text)["rougeL"].fmeasure,
        "cosine": float(cosine_similarity(words.transform([text]), words.transform([reference]))[0, 0]),
    }


# The lab's spelling, pint's spelling.
UNITS = [
    ["kJ/mol", "kJ/mol"],
    ["g/cm3", "g/cm**3"],
    ["m s-1", "m/s"],
    ["m/s^2", "m/s**2"],
    ["mol/L", "mol/L"],
    ["J/(mol K)", "J/(mol*K)"],
    ["J/mol/K", "J/mol/K"],
    ["W m⁻² K⁻⁴", "W/m**2/K**4"],
    ["GPa", "GPa"],
    ["Å", "angstrom"],
    ["meV", "meV"],
    ["kcal/mol", "kcal/mol"],
    ["mM", "mmol/L"],
    ["µF", "uF"],
    ["kΩ", "kohm"],
    ["N m", "N*m"],
    ["dm3", "dm**3"],
    ["mT", "mT"],
    ["nWb", "nWb"],
    ["mH", "mH"],
    ["S/cm", "S/cm"],
    ["1/min", "1/min"],
    ["atm", "atm"],
    ["mbar", "mbar"],
    ["kDa", "kdalton"],
    ["h", "hour"],
    ["d", "day"],
    ["%", "percent"],
    ["cd", "cd"],
    ["J/(g °C)", "J/g/delta_degC"],
]


def main():
    registry = pint.UnitRegistry()
    units = []
    for lab, name in UNITS:
        quantity = registry.Quantity(1, name).to_base_units()
        units.append({"unit": lab, "factor": float(quantity.magnitude), "base": f"{quantity.units:~C}"})
    pairs = [{"text": text, "reference": reference, **measures(text, reference)} for text, reference in PAIRS]
    out = Path(__file__).with_name("golden.json")
    out.write_text(json.dumps({"pairs": pairs, "units": units}, ensure_ascii=False, indent=2) + "\n")


main()
