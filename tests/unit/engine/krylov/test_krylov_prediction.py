"""Variances of prediction errors: against the exact engine's."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lmmformula.engine import assemble
from lmmformula.engine.error_variance import error_variance
from lmmformula.engine.krylov import evaluation, prediction, system
from lmmformula.engine.objective import Point
from lmmformula.engine.prediction import error_forms, joint_covariance, target_rows
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


@pytest.fixture
def same_information(monkeypatch):
    """The average information for both engines, without probes."""
    original = Point.hessian
    monkeypatch.setattr(Point, "hessian", lambda self, *, exact: original(self, exact=False))
    monkeypatch.setattr(evaluation, "FEW_LEVELS", 1_000)


@pytest.mark.usefixtures("same_information")
@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("slopes", [False, True])
@pytest.mark.parametrize("left_out", [None, 0, 1])
def test_degrees_of_freedom_as_the_exact_engine(slopes, left_out, reml):
    rows = ratings(slopes=slopes, brands=True)
    X, random = asked(rows)
    random.pop(left_out, None)
    exact, ours, theta = assemble([rows]), krylov(rows), np.array(THETA[slopes])
    residual = np.linspace(0.0, 2.0, len(X))
    theirs = error_variance(exact, theta, reml, target_rows(exact, X, random), residual)
    found = error_variance(ours, theta, reml, target_rows(ours, X, random), residual)
    known = np.isfinite(theirs.variance)
    assert np.array_equal(np.isfinite(found.df), known)
    np.testing.assert_allclose(found.variance[known], theirs.variance[known], rtol=1e-7)
    np.testing.assert_allclose(found.df[known], theirs.df[known], rtol=1e-7)


@pytest.mark.usefixtures("same_information")
@pytest.mark.parametrize("theta", [[0.8, 0.0, 0.6], [0.0, 0.7, 0.0], [30.0, 0.02, 4.0]])
def test_at_the_edges(theta):
    """Zero and large variances: no quotient of differences."""
    rows = ratings(brands=True)
    X, random = asked(rows)
    exact, ours, theta = assemble([rows]), krylov(rows), np.array(theta)
    none = np.zeros(len(X))
    theirs = error_variance(exact, theta, True, target_rows(exact, X, random), none)
    found = error_variance(ours, theta, True, target_rows(ours, X, random), none)
    np.testing.assert_allclose(found.variance, theirs.variance, rtol=1e-7)
    np.testing.assert_allclose(found.df, theirs.df, rtol=1e-6)


def test_different_rows_are_solved_for_once(monkeypatch):
    rows = ratings()
    ours = krylov(rows)
    widths = []
    original = prediction.RowErrors._some
    monkeypatch.setattr(
        prediction.RowErrors,
        "_some",
        lambda self, some: widths.append(len(some)) or original(self, some),
    )
    monkeypatch.setattr(prediction, "BATCH", 4)
    repeated = np.tile(np.arange(10), 7)
    random = {
        i: replace(t, z=t.z[repeated], codes=t.codes[repeated]) for i, t in enumerate(rows.random)
    }
    target = target_rows(ours, rows.X[repeated], random)
    found = error_forms(ours, np.array([0.8, 0.7]), True, target)
    assert sorted(widths) == [2, 4, 4]
    np.testing.assert_array_equal(found.random[:10], found.random[60:])


@pytest.mark.usefixtures("same_information")
def test_one_factor():
    rows = ratings()
    rows = replace(rows, random=rows.random[:1])
    exact, ours, theta = assemble([rows]), krylov(rows), np.array([0.8])
    X, random = asked(rows)
    none = np.zeros(len(X))
    theirs = error_variance(exact, theta, True, target_rows(exact, X, random), none)
    found = error_variance(ours, theta, True, target_rows(ours, X, random), none)
    np.testing.assert_allclose(found.variance, theirs.variance, rtol=1e-12)
    np.testing.assert_allclose(found.df, theirs.df, rtol=1e-7)
