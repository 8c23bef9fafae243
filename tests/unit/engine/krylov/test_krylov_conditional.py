"""Conditional covariances of the random effects: by probes within their error, or exactly."""

from __future__ import annotations

import numpy as np
import pytest

from lmmformula.engine import assemble, conditional_covariances, estimate
from lmmformula.engine.krylov import system
from lmmformula.engine.krylov.conditional import conditional_at, conditional_blocks
from tests.unit.engine.krylov.designs import krylov, ratings


@pytest.fixture(params=[(False, False), (True, False), (True, True)], ids=str)
def case(request, monkeypatch):
    """Krylov system, its estimates and the exact covariances."""
    monkeypatch.setattr(system, "FEW_ROWS", 0)
    slopes, brands = request.param
    rows = ratings(slopes=slopes, brands=brands)
    exact = assemble([rows])
    theta = np.array([0.8, 0.1, 0.5] if slopes else [0.8])
    theta = np.concatenate([theta, 0.9 * theta, [0.6] if brands else []])
    ours = krylov(rows)
    known = conditional_covariances(exact, estimate(exact, theta))
    return ours, ours.estimate(theta), known


def test_by_probes(case):
    ours, estimates, known = case
    found = conditional_blocks(ours, estimates, n_probes=40)
    for covariance, error, exact in zip(found.covariances, found.errors, known, strict=True):
        size, expected = (np.sqrt(np.einsum("jcc->jc", part)) for part in (covariance, exact))
        off = (size - expected) / np.maximum(error, 1e-6 * expected)
        assert np.sqrt(np.mean(off**2)) < 1.5
        assert np.abs(off).max() < 6.0
        assert np.abs(size / expected - 1.0).max() < 0.15


def test_as_many_probes_as_it_takes(case):
    ours, estimates, known = case
    for covariance, exact in zip(ours.conditional_covariances(estimates), known, strict=True):
        size, expected = (np.sqrt(np.einsum("jcc->jc", part)) for part in (covariance, exact))
        assert np.sqrt(np.mean((size / expected - 1.0) ** 2)) < 0.02


def test_some_levels_exactly(case):
    ours, estimates, known = case
    for f, factor in enumerate(ours.factors):
        levels = np.array([3, 0, factor.n_levels - 1])
        blocks = conditional_at(ours, estimates, f, levels)
        for term in factor.terms:
            np.testing.assert_allclose(
                blocks[:, term.columns, term.columns],
                known[term.index][levels],
                rtol=1e-7,
                atol=1e-9,
            )


def test_no_levels(case):
    ours, estimates, _ = case
    assert conditional_at(ours, estimates, 0, np.zeros(0, dtype=int)).shape[0] == 0
