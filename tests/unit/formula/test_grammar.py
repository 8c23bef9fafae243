"""Terms as lme4 and R read them; references made by ``tests/reference/formula/grammar.R``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lmmformula.formula import parse

REFERENCE = json.loads(
    (Path(__file__).parents[2] / "reference" / "formula" / "grammar.json").read_text()
)


@pytest.mark.parametrize("text", list(REFERENCE["bars"]))
def test_random_terms_are_those_of_lme4(text):
    found, expected = parse(text).random, REFERENCE["bars"][text]
    assert [term.text for term in found] == expected["terms"]
    assert [term.group for term in found] == expected["groups"]


@pytest.mark.parametrize("text", list(REFERENCE["terms"]))
def test_fixed_terms_are_those_of_r(text):
    formula, expected = parse(text, require_random=False), REFERENCE["terms"][text]
    labels = [":".join(atom.label for atom in term) for term in formula.terms]
    assert labels == [label.replace("^", " ** ") for label in expected["labels"]]
    assert formula.intercept is (expected["intercept"] == 1)


@pytest.mark.parametrize("text", list(REFERENCE["flist"]))
def test_grouping_labels_are_those_of_lme4(text):
    assert [term.group for term in parse(text).random] == REFERENCE["flist"][text]


@pytest.mark.parametrize("text", list(REFERENCE["terms"]))
def test_formulaic_reads_the_fixed_part_back(text):
    from formulaic import Formula

    from lmmformula.formula import formulaic_terms

    formula = parse(text, require_random=False)
    ours = formulaic_terms(formula.terms, intercept=formula.intercept)
    assert list(Formula(formula.fixed)) == ours
    assert [str(t) for t in Formula(formula.fixed)] == [str(t) for t in ours]
