"""Designs made of pieces are those made in memory, however the rows are cut."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.stream.designs import ALIASED, DATA, FORMULAS, OPTIONS, frame, lonely
from tests.stream.same_design import compare

CUTS = ((), (30, 60), (1, 2, 40, 41), tuple(range(9, 90, 9)))


@pytest.mark.parametrize("formula", FORMULAS)
@pytest.mark.parametrize("cuts", CUTS, ids=lambda cuts: f"{len(cuts) + 1} pieces")
def test_pieces_make_the_same_design(formula, cuts):
    assert compare(formula, DATA, cuts, checks="ignore")


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("cuts", CUTS[1:3], ids=str)
def test_arguments_beside_the_formula(options, cuts):
    formula = "y ~ x * c + offset(x2) + (scale(x) | id) + (1 | g)"
    if "contrasts" in options:
        formula = "y ~ x * f + C(k) + (1 | id)"
    assert compare(formula, DATA, cuts, checks="ignore", **options)


@pytest.mark.parametrize("formula", ALIASED)
@pytest.mark.parametrize("cuts", CUTS, ids=str)
def test_columns_that_others_determine(formula, cuts):
    ordered = DATA.sort_values("f", kind="stable").reset_index(drop=True)
    for data in (DATA, ordered):
        assert compare(formula, data, cuts, checks="ignore")


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


@st.composite
def tables(draw):
    """Few rows, with ties and gaps, most of which make a design; and where to cut them."""
    n = draw(st.integers(6, 40))
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    gaps, places = draw(st.sampled_from([0.0, 0.03, 0.15])), draw(st.integers(-1, 2))

    def column(values, dtype):
        return pd.Series(values).mask(rng.random(n) < gaps).astype(dtype)

    def label():
        return rng.choice(list("abcd")[: draw(st.integers(1, 4))], n)

    data = pd.DataFrame(
        {
            "y": column(rng.normal(0.0, 30.0, n).round(places), "float64"),
            "x": column(rng.normal(0.0, 30.0, n).round(places), "float64"),
            "z": column(rng.normal(5.0, 9.0, n), draw(st.sampled_from(["float64", "Float64"]))),
            "f": column(label(), "string"),
            "g": pd.Categorical(column(label(), "string"), ["d", "b", "a", "unused", "c"]),
            "id": column(rng.integers(0, 5, n), "Int64"),
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
