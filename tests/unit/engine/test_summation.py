"""Sums over rows: any cutting, any order of adding, and what can be done to them afterwards."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmmformula.engine import arranged, estimate, sum_products
from lmmformula.engine.summation import combined, only_levels, rebased, without_columns
from lmmformula.errors import DesignError
from tests.properties.designs import take
from tests.unit.engine.cases import CASES

NAMES = sorted(CASES)
SAME = 1e-11


def in_pieces(name, cuts):
    """The rows of a case between the marks."""
    rows = CASES[name]
    marks = [0, *sorted({round(cut * rows.n_obs) for cut in cuts}), rows.n_obs]
    return [take(rows, np.arange(a, b)) for a, b in pairwise(marks)]


def close(left, right, what):
    """Equal up to the rounding of sums of this size."""
    assert np.shape(left) == np.shape(right), what
    size = np.max(np.abs(right), initial=1.0)
    np.testing.assert_allclose(left, right, rtol=SAME, atol=SAME * size, err_msg=what)


def same_sums(left, right):
    a, b = left.total, right.total
    assert a.n_obs == b.n_obs
    assert a.log_weights == pytest.approx(b.log_weights, rel=SAME, abs=SAME)
    close(a.xy, b.xy, "xy")
    for f, (mine, other) in enumerate(zip(a.gram, b.gram, strict=True)):
        close(mine, other, f"gram {f}")
        close(a.fixed[f], b.fixed[f], f"fixed {f}")
    assert set(a.pairs) == set(b.pairs)
    for key, block in a.pairs.items():
        assert block.left.tolist() == b.pairs[key].left.tolist()
        assert block.right.tolist() == b.pairs[key].right.tolist()
        close(block.values, b.pairs[key].values, f"pairs {key}")


@given(
    name=st.sampled_from(NAMES),
    cuts=st.lists(st.floats(0.05, 0.95), max_size=5),
    order=st.randoms(use_true_random=False),
)
@settings(max_examples=40)
def test_any_cutting_and_any_order(name, cuts, order):
    """One pass over pieces, and sums of pieces added as a tree in any order, are one sum."""
    whole = sum_products([CASES[name]])
    chunks = in_pieces(name, cuts)
    same_sums(sum_products(iter(chunks), whole.basis, whole.layouts), whole)
    parts = [sum_products([chunk], whole.basis, whole.layouts) for chunk in chunks if chunk.n_obs]
    order.shuffle(parts)
    while len(parts) > 1:
        size = order.randint(2, len(parts))
        parts = [*parts[size:], combined(parts[:size])]
    same_sums(parts[0], whole)


def fitted(sums, theta, reml=True):
    return estimate(arranged(sums), theta, reml=reml)


def thetas(sums):
    count = arranged(sums).n_theta
    return np.random.default_rng(count).uniform(0.3, 0.9, count)


@pytest.mark.parametrize("name", NAMES)
def test_a_basis_of_few_rows_does_as_well(name):
    """Learned from the first rows and made good over all of them afterwards: the same fit."""
    rows = CASES[name]
    whole = sum_products([rows])
    first = max(len(rows.X.T) + 2, rows.n_obs // 5)
    chunks = [take(rows, np.arange(first)), take(rows, np.arange(first, rows.n_obs))]
    parts = sum_products(chunks)
    done = rebased(parts)
    p = len(done.total.xy) - 1
    close(done.total.xy[:p, :p], done.total.n_obs * np.eye(p), "orthonormal")
    close(done.total.xy[:p, p], np.zeros(p), "residuals")
    theta = thetas(whole)
    for reml in (True, False):
        expected, found = fitted(whole, theta, reml), fitted(done, theta, reml)
        assert found.objective == pytest.approx(expected.objective, rel=SAME)
        np.testing.assert_allclose(found.beta, expected.beta, rtol=1e-9, atol=1e-9)
        assert found.sigma == pytest.approx(expected.sigma, rel=1e-10)
    same_sums(rebased(done), done)


def test_sums_are_not_modified():
    sums = sum_products([CASES["crossed"]])
    before = sums.total.xy.copy(), [part.copy() for part in sums.total.fixed]
    combined([sums, sums])
    rebased(sums)
    only_levels(sums, {sums.layouts[0].group: np.arange(2)})
    assert np.array_equal(sums.total.xy, before[0])
    assert all(map(np.array_equal, sums.total.fixed, before[1]))


@pytest.mark.parametrize("name", [name for name in NAMES if not name.startswith("related")])
def test_levels_without_rows_go(name):
    """A level too many in every factor, then left out again: the sums there were."""
    rows = CASES[name]
    whole = sum_products([rows])
    groups = {block.group: block.n_levels for block in rows.random}
    wider = replace(
        rows,
        random=tuple(
            replace(
                block,
                codes=np.where(block.codes > 0, block.codes + 1, block.codes).astype(np.int32),
                levels=np.insert(block.levels, 1, "nobody"),
            )
            for block in rows.random
        ),
    )
    sums = sum_products([wider])
    assert {layout.n_levels for layout in sums.layouts} == {n + 1 for n in groups.values()}
    kept = {group: np.delete(np.arange(n + 1), 1) for group, n in groups.items()}
    same_sums(only_levels(sums, kept), whole)
    assert only_levels(whole, {}) is whole


def test_columns_that_others_determine_go():
    """X with two columns that are combinations of others, left out after the fact."""
    rows = CASES["nested"]
    coefficients = np.random.default_rng(2).normal(size=(rows.p, 2))
    wide = replace(
        rows,
        X=np.column_stack([rows.X[:, :1], rows.X @ coefficients, rows.X[:, 1:]]),
        fixed_names=(rows.fixed_names[0], "u", "v", *rows.fixed_names[1:]),
    )
    kept, dropped = [0, *range(3, rows.p + 2)], [1, 2]
    found = rebased(without_columns(sum_products([wide]), kept, dropped, coefficients))
    whole = sum_products([rows])
    theta = thetas(whole)
    expected, ours = fitted(whole, theta), fitted(found, theta)
    assert ours.objective == pytest.approx(expected.objective, rel=1e-10)
    np.testing.assert_allclose(ours.beta, expected.beta, rtol=1e-8)
    assert without_columns(whole, range(rows.p), [], np.empty((rows.p, 0))) is whole


def test_no_rows_are_refused():
    rows = CASES["one factor"]
    with pytest.raises(DesignError, match="no rows"):
        sum_products([take(rows, np.arange(0))])


def test_sums_tell_their_size():
    rows = CASES["one factor"]
    (block,) = rows.random
    assert repr(sum_products([rows])) == (
        f"DataSums(n_obs={rows.n_obs}, levels={{{block.group}: {block.n_levels}}})"
    )
