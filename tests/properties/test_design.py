"""What holds for every design: the data stay as they are, rows are rows, replay is the identity."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from lmmformula.design import materialize
from lmmformula.design.grouping import grouping
from lmmformula.design.rank import split_by_rank
from lmmformula.design.read_pandas import read_pandas
from lmmformula.errors import LMMError, LMMWarning
from lmmformula.formula import parse

FORMULAS = (
    "y ~ x + (x | g)",
    "y ~ x * f + (1 | g) + (1 | g:f)",
    "y ~ 0 + f + z + (0 + f | g)",
    "y ~ poly(x, 2) + f:z + (1 | g/f)",
    "y ~ I(x > 0) * f + offset(z) + (scale(z) | g)",
    "y ~ log(abs(x) + 1) + x:z + (f || g)",
)

values = st.floats(-100, 100, allow_subnormal=False).map(lambda v: round(v, 3))
maybe = st.one_of(values, values, values, st.none())


@st.composite
def frames(draw: st.DrawFn) -> pd.DataFrame:
    n = draw(st.integers(3, 30))
    column = st.lists(maybe, min_size=n, max_size=n)
    label = st.sampled_from(["a", "b", "c", "d", None])
    return pd.DataFrame(
        {
            "y": pd.Series(draw(column), dtype=float),
            "x": pd.Series(draw(column), dtype=float),
            "z": pd.Series(draw(column), dtype=draw(st.sampled_from(["float64", "Float64"]))),
            "f": draw(st.lists(label, min_size=n, max_size=n)),
            "g": pd.Categorical(
                draw(st.lists(label, min_size=n, max_size=n)), ["d", "b", "a", "unused", "c"]
            ),
        }
    )


def attempt(formula, data, **options):
    """Return the design, or None where the data cannot have one (said in the house's form)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LMMWarning)
        try:
            return materialize(parse(formula), data, checks="ignore", **options)
        except LMMError:
            return None


@given(frames(), st.sampled_from(FORMULAS))
def test_data_are_not_modified_and_refusals_are_in_the_house_form(data, formula):
    before = data.copy(deep=True)
    attempt(formula, data, weights=np.ones(len(data)))
    pd.testing.assert_frame_equal(data, before)


@given(frames(), st.sampled_from(FORMULAS))
def test_rows_used_are_the_complete_ones(data, formula):
    made = attempt(formula, data)
    if made is None:
        return
    needed = data[list(parse(formula).variables)]
    complete = needed.notna().all(axis=1).to_numpy()
    assert made.matrices.rows.tolist() == np.flatnonzero(complete).tolist()
    assert made.spec.dropped_rows.tolist() == np.flatnonzero(~complete).tolist()
    assert np.isfinite(made.matrices.X).all()
    for block in made.matrices.random:
        assert np.isfinite(block.z).all()
        assert np.unique(block.codes).tolist() == list(range(block.n_levels))


@given(frames(), st.sampled_from(FORMULAS))
def test_replaying_the_fitted_rows_is_the_identity(data, formula):
    made = attempt(formula, data)
    if made is None:
        return
    new = made.spec.replay(data.drop(columns="y").iloc[made.matrices.rows])
    assert new.complete.all()
    np.testing.assert_allclose(new.X, made.matrices.X, rtol=1e-9, atol=1e-9)
    for mine, theirs in zip(new.random, made.matrices.random, strict=True):
        np.testing.assert_allclose(mine.z, theirs.z, rtol=1e-9, atol=1e-9)
        np.testing.assert_array_equal(mine.codes, theirs.codes)


@given(frames(), st.sampled_from(FORMULAS), st.randoms(use_true_random=False))
def test_order_of_rows_only_orders_rows(data, formula, random):
    made = attempt(formula, data)
    order = list(range(len(data)))
    random.shuffle(order)
    shuffled = attempt(formula, data.iloc[order])
    assert (made is None) == (shuffled is None)
    if made is None or shuffled is None:
        return
    assert shuffled.matrices.fixed_names == made.matrices.fixed_names
    at = {row: i for i, row in enumerate(made.matrices.rows.tolist())}
    rows = [at[order[i]] for i in shuffled.matrices.rows.tolist()]
    np.testing.assert_allclose(shuffled.matrices.X, made.matrices.X[rows], rtol=1e-8, atol=1e-8)
    for mine, theirs in zip(shuffled.matrices.random, made.matrices.random, strict=True):
        assert mine.levels.tolist() == theirs.levels.tolist()
        np.testing.assert_array_equal(mine.codes, theirs.codes[rows])


@given(st.lists(st.tuples(st.sampled_from("zyx"), st.integers(-5, 5)), min_size=1, max_size=40))
def test_interaction_levels_are_those_of_pandas(pairs):
    frame = pd.DataFrame(pairs, columns=["a", "b"])
    parts = [read_pandas(name, frame[name]) for name in frame]
    made = grouping(("a", "b"), parts, "(1 | a:b)")
    numbers = frame.groupby(["a", "b"], sort=True).ngroup()
    assert made.codes.tolist() == numbers.tolist()
    expected = frame.drop_duplicates().sort_values(["a", "b"])
    assert made.coding.levels.tolist() == [f"{a}:{b}" for a, b in expected.itertuples(index=False)]


@given(
    st.integers(1, 6),
    st.lists(st.integers(0, 5), max_size=4),
    st.integers(0, 2**16),
)
def test_rank_rule_keeps_a_basis(p, copies, seed):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(20, p)) * 10.0 ** rng.integers(-3, 4, p)
    X = np.column_stack([X, *(X[:, [c % p]] @ [[2.0]] for c in copies)])
    X = X[:, rng.permutation(X.shape[1])]
    split = split_by_rank(X, X.T @ X)
    assert len(split.kept) == p
    assert sorted(split.kept + split.dropped) == list(range(X.shape[1]))
    assert (
        np.linalg.matrix_rank(X[:, list(split.kept)] / np.linalg.norm(X, axis=0)[list(split.kept)])
        == p
    )
    for column, reasons in zip(split.dropped, split.determined_by, strict=True):
        assert reasons
        assert max(reasons) < column
