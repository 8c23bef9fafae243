"""One pass over the rows: against dense matrices, additive over chunks and blocks of rows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lmmformula.engine import assemble, crossproducts
from lmmformula.errors import NumericalError
from tests.properties.designs import take
from tests.unit.engine.cases import CASES, Dense
from tests.unit.engine.test_cross import as_matrix


def close(ours, expected):
    scale = np.abs(expected).max(initial=1.0)
    np.testing.assert_allclose(ours, expected, rtol=1e-11, atol=1e-11 * scale)


def assert_same(one, other):
    """Compare all that two systems hold."""
    for name in ("gram", "first_xy", "tail_gram", "tail_xy", "xy"):
        close(getattr(one, name), getattr(other, name))
    assert one.n_obs == other.n_obs
    assert one.log_weights == pytest.approx(other.log_weights, rel=1e-13)
    values = np.random.default_rng(0).normal(size=(one.tail.n_columns, 2))
    close(one.cross.times(values), other.cross.times(values))


@pytest.mark.parametrize("name", CASES)
def test_all_sums_are_those_of_the_rows(name):
    rows = CASES[name]
    system = assemble([rows])
    twin = Dense(rows, system, [], True)
    k, J = system.first.k, system.first.n_levels
    XY = np.column_stack([twin.X, twin.y])
    close(system.xy, XY.T @ XY)
    by_level = (twin.Z[0].T @ XY).reshape(J, k, rows.p + 1)
    close(system.first_xy, by_level.transpose(1, 2, 0))
    gram = (twin.Z[0].T @ twin.Z[0]).reshape(J, k, J, k)
    close(system.gram, np.einsum("jajb->abj", gram))
    if system.tail.factors:
        tail = np.hstack(twin.Z[1:])
        close(system.tail_xy, tail.T @ XY)
        together = as_matrix(system.tail, np.ones(system.tail.storage))
        close(as_matrix(system.tail, system.tail_gram), together * (tail.T @ tail))


@pytest.mark.parametrize("name", CASES)
def test_log_weights(name):
    rows = CASES[name]
    expected = 0.0 if rows.weights is None else np.sum(np.log(rows.weights))
    assert assemble([rows]).log_weights == pytest.approx(expected)


@pytest.mark.parametrize("name", CASES)
def test_blocks_of_rows_add_up(name, monkeypatch):
    whole = assemble([CASES[name]])
    monkeypatch.setattr(crossproducts, "ROWS_PER_BLOCK", 11)
    assert_same(assemble([CASES[name]]), whole)


@pytest.mark.parametrize("name", CASES)
def test_either_way_of_numbering_level_pairs(name, monkeypatch):
    whole = assemble([CASES[name]])
    monkeypatch.setattr(crossproducts, "DENSE_PAIRS_PER_ROW", 0)
    assert_same(assemble([CASES[name]]), whole)


@pytest.mark.parametrize("name", CASES)
def test_chunks_may_come_from_a_generator(name):
    rows = CASES[name]
    parts = np.array_split(np.arange(rows.n_obs), 3)
    system = assemble(take(rows, part) for part in parts)
    assert system.n_obs == rows.n_obs
    together = (system.tail.n_columns, system.tail.storage, system.q)
    whole = assemble([rows])
    assert together == (whole.tail.n_columns, whole.tail.storage, whole.q)


def test_a_column_without_variation_in_the_first_chunk():
    rows = CASES["one factor"]
    X = np.column_stack([np.ones(rows.n_obs), np.arange(rows.n_obs) > 40])
    rows = replace(rows, X=X, fixed_names=("one", "late"))
    order = np.arange(rows.n_obs)
    system = assemble([take(rows, order[:30]), take(rows, order[30:])])
    w = system.xy[:-1, :-1]
    T = system.basis.fixed
    np.testing.assert_allclose(w, T.T @ X.T @ X @ T, rtol=1e-12, atol=1e-10)


@pytest.mark.parametrize("name", CASES)
def test_the_rows_are_left_alone(name):
    rows = CASES[name]
    arrays = [rows.y, rows.X, *(b.z for b in rows.random), *(b.codes for b in rows.random)]
    before = [array.copy() for array in arrays]
    assemble([rows])
    for array, copy in zip(arrays, before, strict=True):
        np.testing.assert_array_equal(array, copy)


def test_overflow_is_an_error():
    rows = CASES["one factor"]
    order = np.arange(rows.n_obs)
    late = take(rows, order[40:])
    with (
        np.errstate(over="ignore", invalid="ignore"),
        pytest.raises(NumericalError, match="overflow"),
    ):
        assemble([take(rows, order[:40]), replace(late, y=late.y * 1e300)])
