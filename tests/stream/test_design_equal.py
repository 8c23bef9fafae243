"""Designs made of pieces are those made in memory, however the rows are cut."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.stream.same_design import compare

FORMULAS = (
    "y ~ x + (x | g)",
    "y ~ x * f + (1 | g) + (1 | g:f)",
    "y ~ 0 + f + z + (0 + f | g)",
    "y ~ poly(x, 2) + f:z + (1 | g/f)",
    "y ~ poly(x, 2, raw = TRUE) + poly(scale(z), 3) + (1 | id)",
    "y ~ I(x > 0) * f + offset(z) + (scale(z) | g)",
    "y ~ log(abs(x) + 1) + x:z + (f || g)",
    "y ~ (x || g)",
    "y ~ ns(x, df = 3) + (1 | id)",
    "y ~ bs(x, knots = c(0, 1)) + (1 | id)",
    "y ~ bs(x, df = 5) + (1 | id)",
    "y ~ C(k, contr.sum) + (1 | id)",
    "y ~ factor(k) * b + (1 | day)",
    "y ~ C(f, contr.helmert) + (1 | b)",
    "y ~ relevel(f, ref = 'b') + (factor(k) | id)",
    "y ~ cut(x, 3) + cut(z, c(-10, 0, 10)) + (1 | id)",
    "y ~ I(x - mean(x)) + I((x - mean(x)) * (x + mean(x))) + (1 | id)",
    "y ~ I(x / sd(x)) + I(var(x) * z) + I(x - median(x)) + (1 | id)",
    "y ~ center(x) + standardize(z) + I(x - min(x)) + I(z / max(z)) + I(x / sum(z)) + (1 | id)",
    "y ~ ifelse(x > mean(x), 'high', 'low') + (1 | id)",
    "y ~ as_numeric(f) + scale(as_numeric(c)) + (1 | c)",
    "y ~ c + (1 | c:k) + (1 | factor(k))",
    "y ~ x + (1 | id) + (1 | wide) + (1 | k:day:f)",
    "y ~ is_na(x) + x2 + (1 | id)",
    "log(y + 100) ~ f + half + (1 | g) + (x | id)",
    "y ~ f + twice + x + I(2 * x) + (1 | id)",
    "y ~ x + cs(0 + c | id) + (1 | f)",
    "y ~ ou(0 + k | id) + x",
    "y ~ exp(k + half + 0 | id)",
    "y ~ day + (1 | id)",
    "y ~ x + k + half + (1 | whole)",
    "y ~ 1 + (1 | f * g)",
)


def frame(seed=1, n=90, missing=0.05):
    """A table with a column of every kind."""
    rng = np.random.default_rng(seed)
    x, z = rng.normal(size=n), rng.normal(2.0, 3.0, size=n)
    f = rng.choice(["a", "b", "c"], n).astype(object)
    for column in (x, z):
        column[rng.random(n) < missing] = np.nan
    f[rng.random(n) < missing] = None
    ids = rng.integers(100, 110, n)
    return pd.DataFrame(
        {
            "y": rng.normal(size=n),
            "x": x,
            "z": z,
            "x2": rng.normal(size=n).astype(np.float32),
            "f": f,
            "twice": np.where(f == "b", 2.0, 0.0),
            "g": pd.Categorical(rng.choice(list("dbac"), n), ["d", "b", "a", "unused", "c"]),
            "c": pd.Categorical(rng.choice(list("vut"), n), ["v", "u", "t"]),
            "id": ids,
            "wide": rng.integers(0, 12, n) * 10**15,
            "whole": rng.integers(0, 9, n).astype(float),
            "k": rng.integers(1, 5, n).astype(np.int8),
            "half": rng.integers(0, 2, n),
            "b": rng.random(n) < 0.5,
            "day": pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 6, n), "D"),
            "w": rng.uniform(0.5, 2.0, n),
            "use": rng.random(n) < 0.8,
        }
    )


DATA = frame()
CUTS = ((), (30, 60), (1, 2, 40, 41), tuple(range(5, 90, 5)))


@pytest.mark.parametrize("formula", FORMULAS)
@pytest.mark.parametrize("cuts", CUTS, ids=lambda cuts: f"{len(cuts) + 1} pieces")
def test_pieces_make_the_same_design(formula, cuts):
    assert compare(formula, DATA, cuts, checks="ignore")


OPTIONS = (
    {"weights": "w"},
    {"weights": "1 / w", "offset": "z"},
    {"offset": "scale(x)"},
    {"subset": "use"},
    {"subset": "x > mean(x) & f != 'c'"},
    {"subset": "f == 'a'", "weights": "w"},
    {"subset": "as_numeric(c) < 3"},
    {"subset": "id > 104"},
    {"contrasts": {"f": "sum", "k": "helmert"}},
)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("cuts", CUTS[1:3], ids=str)
def test_arguments_beside_the_formula(options, cuts):
    formula = "y ~ x * c + offset(x2) + (scale(x) | id) + (1 | g)"
    if "contrasts" in options:
        formula = "y ~ x * f + C(k) + (1 | id)"
    assert compare(formula, DATA, cuts, checks="ignore", **options)


ALIASED = (
    "y ~ f + twice + f:half + (1 | id)",
    "y ~ k + I(k + 1) + x + I(x - 2 * k) + (0 + k | id)",
    "y ~ f * c * b + factor(k) + (1 | id)",
    "y ~ I(0 * x) + x + (1 | id)",
)


@pytest.mark.parametrize("formula", ALIASED)
@pytest.mark.parametrize("cuts", CUTS, ids=str)
def test_columns_that_others_determine(formula, cuts):
    ordered = DATA.sort_values("f", kind="stable").reset_index(drop=True)
    for data in (DATA, ordered):
        compare(formula, data, cuts, checks="ignore")


def lonely(**changes):
    """A table in which some levels occur in incomplete rows only."""
    data = frame(missing=0.0)
    data.loc[0, "f"], data.loc[0, "x"] = "0 first", np.nan
    data.loc[1, "id"], data.loc[1, "y"] = 999, np.nan
    data.loc[2, "k"], data.loc[2, "y"] = 77, np.nan
    return data


@pytest.mark.parametrize(
    "formula",
    [
        "y ~ x + f + (1 | id)",
        "y ~ x + (x | id)",
        "y ~ x + (1 | id:k)",
        "y ~ x + factor(k) + (1 | id)",
        "y ~ x + (1 | k) + (1 | half)",
        "y ~ x + ou(0 + k | id)",
        "y ~ f + x + (1 | f) + (1 | id)",
    ],
)
@pytest.mark.parametrize("cuts", CUTS, ids=str)
def test_levels_without_complete_rows_are_no_levels(formula, cuts):
    assert compare(formula, lonely(), cuts, checks="ignore")


def test_order_of_terms_follows_the_levels_that_have_rows():
    data = frame(missing=0.0, n=60)
    data["u"] = np.arange(60) % 5
    data["v"] = np.arange(60) % 4
    data.loc[:2, "v"] = [10, 11, 12]  # seven levels, four of them with a response
    data.loc[:2, "y"] = np.nan
    assert compare("y ~ x + (1 | v) + (1 | u)", data, (20, 40))


labels = st.sampled_from(["a", "b", "c", "d", None])
numbers = st.floats(-100, 100, allow_subnormal=False).map(lambda v: round(v, 2))
maybe = st.one_of(numbers, numbers, numbers, st.none())


@st.composite
def tables(draw):
    n = draw(st.integers(3, 25))
    column, label = (
        st.lists(maybe, min_size=n, max_size=n),
        st.lists(labels, min_size=n, max_size=n),
    )
    data = pd.DataFrame(
        {
            "y": pd.Series(draw(column), dtype=float),
            "x": pd.Series(draw(column), dtype=float),
            "z": pd.Series(draw(column), dtype=draw(st.sampled_from(["float64", "Float64"]))),
            "f": pd.Series(draw(label), dtype="string"),
            "g": pd.Categorical(draw(label), ["d", "b", "a", "unused", "c"]),
            "id": pd.Series(
                draw(st.lists(st.one_of(st.integers(0, 4), st.none()), min_size=n, max_size=n)),
                dtype="Int64",
            ),
        }
    )
    return data, draw(st.lists(st.integers(0, n), max_size=4))


@given(
    tables(),
    st.sampled_from(
        (
            "y ~ x + (x | g)",
            "y ~ x * f + (1 | g) + (1 | g:f)",
            "y ~ 0 + f + z + (0 + f | id)",
            "y ~ f:z + (1 | g/id)",
            "y ~ I(x > 0) * f + offset(z) + (scale(z) | g)",
            "y ~ log(abs(x) + 1) + x:z + (f || g)",
        )
    ),
    st.sampled_from([None, "f != 'a'", "x > 0"]),
)
def test_any_table_cut_anywhere(table, formula, subset):
    data, cuts = table
    compare(formula, data, cuts, subset=subset, checks="ignore")


@pytest.mark.parametrize("alone", [False, True], ids=["all levels occur", "one does not"])
def test_related_levels(alone):
    rng = np.random.default_rng(5)
    names = [f"id{i}" for i in range(8)]
    root = rng.normal(size=(8, 8))
    known = pd.DataFrame(root @ root.T + np.eye(8), index=names, columns=names)
    data = pd.DataFrame({"y": rng.normal(size=40), "animal": np.array(names)[np.arange(40) % 7]})
    if alone:
        data.loc[data["animal"] == "id3", "y"] = np.nan
    assert compare("y ~ 1 + (1 | animal)", data, (10, 30), relationship={"animal": known})
