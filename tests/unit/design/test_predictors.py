"""What a design remembers of the columns behind its fixed effects."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from lmmformula.design import materialize
from lmmformula.design.rank import split_by_rank
from lmmformula.errors import RankWarning
from lmmformula.formula import parse


@pytest.fixture
def data():
    return pd.DataFrame(
        {
            "g": list("aabbccdd"),
            "f": ["p", "q", "q", "p", "q", "p", "q", "q"],
            "x": [1.0, 2.0, 4.0, 3.0, 7.0, 1.5, 2.5, 0.5],
            "two": [0, 1, 1, 0, 1, 1, 0, 0],
            "unused": range(8),
            "y": [0.3, 1.2, 0.8, 2.2, 1.9, 0.1, 0.7, 1.4],
        }
    )


def spec(formula, data, **options):
    return materialize(parse(formula), data, checks="ignore", **options).spec


def test_columns_and_cells(data):
    known = spec("y ~ f * log(x) + two + (1 | g)", data).predictors
    assert [column.name for column in known.columns] == ["f", "x", "two"]
    f, x, two = known.columns
    assert (f.is_factor, f.levels) == (True, ("p", "q"))
    assert (x.is_factor, x.levels, x.mean, x.extent) == (False, (), data["x"].mean(), 6.5)
    assert (two.is_factor, two.levels, two.mean) == (False, (0.0, 1.0), 0.5)
    assert known.crossed == ("f", "two")
    assert known.cells.tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]
    assert known.counts.tolist() == [2, 1, 2, 3]


def test_only_rows_used_count(data):
    known = spec("y ~ f + x + (1 | g)", data, subset="x < 3").predictors
    assert known.columns[1].mean == pytest.approx(data["x"][data["x"] < 3].mean())
    assert known.counts.sum() == (data["x"] < 3).sum()


def test_columns_of_offsets(data):
    for formula, options in (
        ("y ~ f + offset(log(x)) + (1 | g)", {}),
        ("y ~ f + (1 | g)", {"offset": "x"}),
    ):
        known = spec(formula, data, **options).predictors
        assert [column.name for column in known.columns] == ["f", "x"]


def test_summary_is_not_the_callers_memory(data):
    known = spec("y ~ f + x + (1 | g)", data).predictors
    data.loc[:, "x"] = 100.0
    assert known.columns[1].mean == pytest.approx(2.6875)


def test_coefficients_of_columns_left_out():
    rng = np.random.default_rng(3)
    X = rng.normal(size=(50, 4)) * [1.0, 1e4, 1e-3, 1.0]
    X = np.column_stack([X[:, :2], 2 * X[:, 0] - 3e-4 * X[:, 1], X[:, 2:], np.zeros(50)])
    split = split_by_rank(X, X.T @ X)
    assert split.dropped == (2, 5)
    kept, dropped = list(split.kept), list(split.dropped)
    np.testing.assert_allclose(X[:, kept] @ split.coefficients, X[:, dropped], atol=1e-10)


def test_excess_tells_rows_that_are_not_estimable(data):
    with pytest.warns(RankWarning):
        made = spec("y ~ f + I(1 - two) + two + (1 | g)", data)
    rows = made.replay({"f": ["p", "q"], "two": [0, 5]}, random=())
    np.testing.assert_allclose(rows.excess, 0, atol=1e-12)
    empty = data[~((data["f"] == "p") & (data["two"] == 1))]
    with pytest.warns(RankWarning):
        made = spec("y ~ f * C(two) + (1 | g)", empty)
    rows = made.replay({"f": ["p", "p", "q"], "two": [0, 1, 1]}, random=())
    assert (np.abs(rows.excess).max(axis=1) > 1e-6).tolist() == [False, True, False]
