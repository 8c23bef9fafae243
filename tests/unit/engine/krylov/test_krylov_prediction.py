"""Variances of prediction errors: against the exact engine's."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lmmformula.engine import assemble
from lmmformula.engine.krylov import system
from lmmformula.engine.krylov.prediction import error_forms
from lmmformula.engine.prediction import joint_covariance, target_rows
from tests.unit.engine.krylov.designs import krylov, ratings

THETA = {False: [0.8, 0.7, 0.6], True: [0.8, 0.1, 0.5, 0.7, -0.1, 0.4, 0.6]}


def asked(rows, n=40):
    """Return some rows, with unknown levels and a missing value, by term."""
    random = {}
    for index, term in enumerate(rows.random):
        codes = term.codes[:n].copy()
        codes[index] = codes[10] = -1
        random[index] = replace(term, z=term.z[:n].copy(), codes=codes)
    random[0].z[5] = np.nan
    return rows.X[:n], random


@pytest.mark.parametrize("few", [0, 64])
@pytest.mark.parametrize("slopes", [False, True])
@pytest.mark.parametrize("left_out", [None, 0, 2])
def test_as_the_exact_engine(slopes, left_out, few, monkeypatch):
    monkeypatch.setattr(system, "FEW_ROWS", few)
    rows = ratings(slopes=slopes, brands=True)
    X, random = asked(rows)
    random.pop(left_out, None)
    exact, theta = assemble([rows]), np.array(THETA[slopes])
    theirs = joint_covariance(exact, theta, True).forms(target_rows(exact, X, random))
    ours = error_forms(krylov(rows), theta, True, target_rows(krylov(rows), X, random))
    known = np.isfinite(theirs.total)
    assert np.array_equal(np.isfinite(ours.total), known)
    assert known.all() == (left_out == 0)
    for name in ("random", "fixed", "new", "gaps"):
        got, expected = getattr(ours, name)[known], getattr(theirs, name)[known]
        np.testing.assert_allclose(got, expected, rtol=1e-6, atol=1e-8, err_msg=name)


def test_nothing_asked():
    rows = ratings()
    ours = krylov(rows)
    empty = {i: replace(t, z=t.z[:0], codes=t.codes[:0]) for i, t in enumerate(rows.random)}
    found = error_forms(ours, np.array([0.8, 0.7]), True, target_rows(ours, rows.X[:0], empty))
    assert found.total.shape == (0,)
    without = error_forms(ours, np.array([0.8, 0.7]), True, target_rows(ours, rows.X[:3], {}))
    assert not without.random.any()
    np.testing.assert_allclose(without.gaps, rows.X[:3] @ ours.basis.fixed)
