"""A design made of pieces beside the same made in memory."""

from __future__ import annotations

import warnings
from dataclasses import fields, is_dataclass

import numpy as np
import pandas as pd

from lmmformula.design import materialize
from lmmformula.design.stream.frames import FramesStream
from lmmformula.design.stream.streamed import stream_design
from lmmformula.errors import LMMError
from lmmformula.formula import parse
from lmmformula.postfit.fingerprint import Fingerprint
from lmmformula.postfit.persist import without_rows
from tests.stream.tables import cut_at

EXACT = 1e-12
"""Sums over chunks differ from sums over all rows in their rounding only."""


def streamed(formula, frames, **options):
    """Go through the frames; return the chunks and the streamed design."""
    made = stream_design(parse(formula), FramesStream(frames), **options)
    return made.summed(list), made


def outcome(compute):
    """Return a result or an error, and what was warned of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            result = compute()
        except LMMError as error:
            result = error
    return result, {type(warning.message).__name__ for warning in caught}


def compare(formula, data, cuts, **options):
    """Compare every array and every field; return whether there was a design at all."""
    whole, said = outcome(lambda: materialize(parse(formula), data, **options))
    parts, said_too = outcome(lambda: streamed(formula, cut_at(data, cuts), **options))
    if isinstance(whole, LMMError):
        assert isinstance(parts, LMMError), whole  # of several faults another may come first
        return False
    if isinstance(parts, LMMError):
        raise parts
    chunks, made = parts
    assert said_too == said
    same_rows(whole.matrices, chunks, made)
    final = made.finish()
    expected = without_rows(whole)
    same(final.matrices, expected.matrices, "matrices")
    same(final.spec, expected.spec, "spec")
    mark = Fingerprint.of(whole)
    assert (made.n_rows_data, made.n_obs) == (mark.n_rows_data, mark.n_obs)
    assert made.digests == (mark.rows, mark.response, mark.weights)
    return True


def same_rows(whole, chunks, made):
    """Compare rows; columns that others determine and levels without rows go from the chunks."""
    X = np.concatenate([chunk.X for chunk in chunks])
    same(X[:, list(made.kept)], whole.X, "X")
    if made.dropped:
        left_out = X[:, list(made.kept)] @ made.coefficients
        np.testing.assert_allclose(X[:, list(made.dropped)], left_out, atol=1e-6)
    for name in ("y", "weights", "offset", "rows"):
        same(concatenated([getattr(chunk, name) for chunk in chunks]), getattr(whole, name), name)
    for t, block in enumerate(whole.random):
        own = [chunk.random[t] for chunk in chunks]
        assert [part.text for part in own] == [block.text] * len(own)
        same(concatenated([part.z for part in own]), block.z, "z")
        codes = concatenated([part.codes for part in own])
        assert codes.dtype == np.int32
        kept = made.kept_levels.get(block.group)
        levels = own[0].levels
        if kept is not None:
            codes, levels = np.searchsorted(kept, codes), levels[kept]
        assert codes.tolist() == block.codes.tolist()
        assert levels.tolist() == block.levels.tolist()


def concatenated(parts):
    """Concatenate arrays, or None."""
    return None if parts[0] is None else np.concatenate(parts)


def same(left, right, where):
    """Compare two records field by field."""
    if isinstance(left, pd.Index):
        assert left.equals(right), where
    elif isinstance(left, np.ndarray) and isinstance(right, np.ndarray):
        assert left.shape == right.shape, where
        if left.dtype.kind in "fc":
            size = np.abs(right).max(initial=0.0) or 1.0
            np.testing.assert_allclose(left, right, rtol=EXACT, atol=EXACT * size, err_msg=where)
        else:
            assert left.tolist() == right.tolist(), where
    elif isinstance(left, float):
        assert np.isclose(left, right, rtol=EXACT, atol=EXACT, equal_nan=True), where
    elif isinstance(left, (tuple, list)):
        assert len(left) == len(right), (where, left, right)
        for i, (a, b) in enumerate(zip(left, right, strict=True)):
            same(a, b, f"{where}[{i}]")
    elif isinstance(left, dict):
        assert list(left) == list(right) or set(left) == set(right), (where, left, right)
        for key in left:
            same(left[key], right[key], f"{where}[{key!r}]")
    elif is_dataclass(left) and not isinstance(left, type):
        assert type(left) is type(right), where
        for field in fields(left):
            name = field.name
            same(getattr(left, name), getattr(right, name), f"{where}.{name}")
    elif left is right or type(left).__module__.startswith("formulaic"):
        assert type(left) is type(right), where
    else:
        assert left == right, (where, left, right)
