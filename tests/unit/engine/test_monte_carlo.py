"""Errors of what random probes give, and of differences between two such numbers."""

from __future__ import annotations

import numpy as np
import pytest

from lmmformula.engine import MonteCarlo, difference_error


def made(draws, seed=0):
    return MonteCarlo(np.asarray(draws, float), np.zeros(1), len(draws), 0.01, seed)


def test_the_error_of_a_mean():
    draws = np.random.default_rng(3).normal(size=50)
    assert made(draws).objective_error == pytest.approx(draws.std(ddof=1) / np.sqrt(50))
    assert np.isnan(made([1.0]).objective_error)
    assert "draws" not in repr(made(draws))


def test_exact_numbers_have_no_error():
    draws = np.random.default_rng(3).normal(size=50)
    assert difference_error(None, None) == 0.0
    assert difference_error(None, made(draws)) == made(draws).objective_error
    assert difference_error(made(draws), None) == made(draws).objective_error


def test_common_probes_cancel():
    draws = np.random.default_rng(4).normal(size=40)
    assert difference_error(made(draws), made(draws + 3.0)) == pytest.approx(0.0, abs=1e-15)
    other = difference_error(made(draws), made(draws, seed=1))
    assert other == pytest.approx(np.sqrt(2.0) * made(draws).objective_error)


@pytest.mark.parametrize(("n_small", "n_large"), [(60, 60), (30, 60), (60, 61), (8, 200)])
def test_the_error_is_the_spread_of_the_difference(n_small, n_large):
    """Two models whose first probes are the same vectors, computed over and over."""
    rng = np.random.default_rng(5)
    differences, errors = [], []
    for _ in range(4000):
        common = rng.normal(size=n_large)
        small = 2.0 * common[:n_small] + 0.5 * rng.normal(size=n_small)
        large = 2.2 * common + 0.5 * rng.normal(size=n_large)
        differences.append(small.mean() - large.mean())
        errors.append(difference_error(made(small), made(large)) ** 2)
    spread = np.var(differences)
    assert np.mean(errors) == pytest.approx(spread, rel=0.1)
    swapped = difference_error(made(large), made(small))
    assert swapped == pytest.approx(difference_error(made(small), made(large)))
