"""Structured residuals do not depend on the order of the rows, nor on labels and units."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmmformula.design import materialize
from lmmformula.errors import DataError
from lmmformula.formula import parse, parse_residual
from lmmformula.matrices import ResidualRows


@st.composite
def visits(draw: st.DrawFn) -> pd.DataFrame:
    """Groups with some of the visits each, in any order of the rows."""
    n_groups, n_visits = draw(st.integers(2, 6)), draw(st.integers(2, 6))
    cells = draw(
        st.lists(
            st.tuples(st.integers(0, n_groups - 1), st.integers(-n_visits, n_visits)),
            min_size=4,
            max_size=40,
            unique=True,
        )
    )
    table = pd.DataFrame(cells, columns=["g", "v"])
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    table["y"] = rng.normal(size=len(table))
    table["x"] = np.exp(rng.normal(size=len(table)))
    return table


def rows_of(residual: str, data: pd.DataFrame) -> ResidualRows:
    structured = parse_residual(residual, ["exp(x)"])
    formula = parse("y ~ 1", require_random=False)
    rows = materialize(formula, data, residual=structured, checks="ignore").matrices.residual
    assert rows is not None
    return rows


@settings(max_examples=30, deadline=None)
@given(visits(), st.randoms(), st.sampled_from(["ar1", "us", "homtoep", "car1", "arma"]))
def test_rows_in_another_order(data, random, word):
    order = list(range(len(data)))
    random.shuffle(order)
    one, two = (rows_of(f"{word}(v | g)", table) for table in (data, data.iloc[order]))
    np.testing.assert_array_equal(two.positions, one.positions[order])
    np.testing.assert_array_equal(two.codes, one.codes[order])
    np.testing.assert_array_equal(two.variances[0].covariate, one.variances[0].covariate[order])
    assert two.labels == one.labels


@settings(max_examples=30, deadline=None)
@given(visits(), st.integers(1, 7), st.integers(-50, 50))
def test_steps_have_no_unit_and_no_origin(data, unit, origin):
    moved = data.assign(v=unit * data["v"] + origin)
    one, two = (rows_of("ar1(v | g)", table) for table in (data, moved))
    np.testing.assert_array_equal(two.positions, one.positions)
    assert len(two.labels) == len(one.labels) == one.positions.max() + 1


@settings(max_examples=30, deadline=None)
@given(visits())
def test_positions_tell_rows_of_a_group_apart(data):
    for word in ("ar1", "us", "car1"):
        rows = rows_of(f"{word}(v | g)", data)
        pairs = set(zip(rows.codes.tolist(), rows.positions.tolist(), strict=True))
        assert len(pairs) == len(data)
        differences = np.subtract.outer(rows.positions, rows.positions)
        expected = np.subtract.outer(data["v"].to_numpy(), data["v"].to_numpy())
        assert (np.sign(differences) == np.sign(expected)).all()


@settings(max_examples=30, deadline=None)
@given(visits(), st.data())
def test_a_repeated_row_is_found(data, draw):
    row = draw.draw(st.integers(0, len(data) - 1))
    twice = pd.concat([data, data.iloc[[row]]], ignore_index=True)
    for word in ("ar1", "us", "car1"):
        with pytest.raises(DataError) as caught:
            rows_of(f"{word}(v | g)", twice)
        assert caught.value.rows.tolist() == [row, len(data)]
