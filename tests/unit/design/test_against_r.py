"""Model matrices, their names and order, and grouping factors equal those of R and lme4."""

import json
import re
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lmmformula.design import materialize
from lmmformula.errors import LMMWarning
from lmmformula.formula import parse

FOLDER = Path(__file__).parents[2] / "reference" / "design"
MATRICES = json.loads((FOLDER / "matrices.json").read_text())["matrices"]
GROUPS = json.loads((FOLDER / "groups.json").read_text())["groups"]
ORDERS = {"a": ["lo", "mid", "hi"], "h": ["z", "y", "x"]}


@pytest.fixture(scope="module")
def frame():
    data = pd.read_csv(FOLDER / "data.csv")
    for name in "abogh":
        data[name] = pd.Categorical(data[name], ORDERS.get(name), ordered=name == "o")
    return data


def quiet(text, data, **options):
    """Materialize; R's own rank warnings are the business of other tests."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LMMWarning)
        return materialize(parse(text), data, checks="ignore", **options)


def options_of(entry):
    contrasts = {
        name: value.removeprefix("contr.") for name, value in (entry["contrasts"] or {}).items()
    }
    if re.search(r"\bo\b", entry["formula"]):
        contrasts.setdefault("o", "poly")
    return {"contrasts": contrasts or None}


def bare(name):
    """Reduce a column's name to what R's and formulaic's share: variables and levels, no signs."""
    name = re.sub(r"factor\((\w+)\)|C\((\w+), contr\.\w+\)", lambda m: m[1] or m[2], name)
    name = re.sub(r"\[(?:[TSHD]\.)?([^\]]*)\]", r"\1", name).lower()
    name = name.replace("(intercept)", "intercept").replace("**", "^")
    return name.replace(" ", "")


def comparable(name):
    """R numbers sum and Helmert columns and abbreviates nothing else."""
    return not re.search(r"contr\.(sum|helmert)|\[[SH]\.", name)


@pytest.mark.parametrize("entry", MATRICES, ids=lambda e: f"{e['formula']}")
def test_fixed_effects_matrix(entry, frame):
    design = quiet(f"y ~ {entry['formula']} + (1 | g)", frame, **options_of(entry))
    values = np.array(entry["values"], dtype=float)
    kept = [j - 1 for j in np.atleast_1d(entry["kept"])]
    X = design.matrices.X
    assert X.shape == (len(frame), len(kept))
    np.testing.assert_allclose(X, values[:, kept], rtol=1e-9, atol=1e-9)
    assert len(design.spec.dropped_columns) == values.shape[1] - len(kept)
    if not entry["contrasts"]:
        columns = np.atleast_1d(entry["columns"])
        ours = [bare(name) for name in design.matrices.fixed_names]
        theirs = [bare(columns[j]) for j in kept]
        for mine, r_name, full in zip(ours, theirs, design.matrices.fixed_names, strict=True):
            if comparable(full) and "raw" not in full:
                assert mine == r_name


@pytest.mark.parametrize("entry", MATRICES, ids=lambda e: f"{e['formula']}")
def test_terms_cover_the_columns_in_r_order(entry, frame):
    design = quiet(f"y ~ {entry['formula']} + (1 | g)", frame, **options_of(entry))
    kept = [j - 1 for j in np.atleast_1d(entry["kept"])]
    assign = np.atleast_1d(entry["assign"])[kept]
    terms = list(design.spec.fixed_terms)
    offset = 0 if terms and terms[0].label == "Intercept" else 1
    ours = [t + offset for t, term in enumerate(terms) for _ in term.columns]
    assert ours == assign.tolist()
    assert [j for term in terms for j in term.columns] == list(range(len(kept)))


@pytest.mark.parametrize(
    "entry",
    [e for e in MATRICES if e["formula"] != "1" and not e["contrasts"]],
    ids=lambda e: f"{e['formula']}",
)
def test_random_effects_columns(entry, frame):
    """Effects are coded by the same rules, and nothing is dropped."""
    design = quiet(f"y ~ 1 + ({entry['formula']} | g)", frame, **options_of(entry))
    values = np.array(entry["values"], dtype=float)
    np.testing.assert_allclose(design.matrices.random[0].z, values, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("entry", GROUPS, ids=lambda e: e["formula"])
def test_grouping_factors(entry, frame):
    design = quiet(f"y ~ x + {entry['formula']}", frame)
    assert [block.group for block in design.matrices.random] == [
        term["group"] for term in entry["terms"]
    ]
    for block, term in zip(design.matrices.random, entry["terms"], strict=True):
        assert [bare(name) for name in block.effect_names] == [
            bare(name) for name in term["effects"]
        ]
        levels = [str(level) for level in block.levels]
        if block.group == "flag":
            levels = [level.upper() for level in levels]
        assert levels == term["levels"]
        np.testing.assert_array_equal(block.codes, term["codes"])
        assert block.codes.dtype == np.int32
