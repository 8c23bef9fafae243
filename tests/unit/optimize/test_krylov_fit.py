"""Fits by the Krylov engine against the exact engine's."""

from __future__ import annotations

import numpy as np
import pytest

from lmmformula.engine import Objective, assemble, variance_information
from lmmformula.engine.krylov import evaluation, lanczos, system
from lmmformula.errors import DimensionError, OptionError
from lmmformula.optimize import OptimumStatus, minimize
from lmmformula.optimize.krylov import fit_krylov
from tests.unit.engine.cases import block, matrices
from tests.unit.engine.krylov.designs import krylov, ratings

NEAR = 0.02
"""Largest distance from the exact optimum, in standard errors, at a precision of 0.01."""


@pytest.fixture
def random(monkeypatch):
    """No factor is small enough to do without probes."""
    monkeypatch.setattr(evaluation.KrylovEvaluation, "is_exact", lambda self, factor: False)
    monkeypatch.setattr(system, "FEW_ROWS", 0)
    monkeypatch.setattr(lanczos, "FEW_COLUMNS", 0)


def standard_errors(rows, reml):
    """Of the exact optimum's theta, for terms with one effect."""
    exact = assemble([rows])
    optimum, estimates = minimize(exact, reml)
    objective = Objective(exact, reml)
    point = objective.evaluate(objective.phi_from_theta(estimates.theta))
    return optimum, estimates, np.sqrt(2.0 * np.diag(np.linalg.inv(point.hessian(exact=True))))


@pytest.mark.usefixtures("random")
@pytest.mark.parametrize("brands", [False, True])
@pytest.mark.parametrize("reml", [True, False])
def test_near_the_exact_optimum(reml, brands):
    rows = ratings(brands=brands)
    _, exact, error = standard_errors(rows, reml)
    optimum, ours = fit_krylov(krylov(rows), reml)
    assert optimum.converged
    assert optimum.min_eigenvalue > 0.0
    size = np.array([basis[0, 0] for basis in assemble([rows]).basis.random])
    assert np.abs((ours.theta - exact.theta) / (error * size)).max() <= NEAR
    assert np.abs(ours.beta - exact.beta).max() <= NEAR * np.sqrt(np.diag(exact.vcov_beta)).min()
    assert ours.sigma == pytest.approx(exact.sigma, rel=1e-3)
    assert ours.monte_carlo.theta_error.max() <= 0.01
    assert abs(ours.objective - exact.objective) <= 4.0 * ours.monte_carlo.objective_error


def test_exact_where_factors_are_small():
    rows = ratings(brands=True, n=500)
    small = [rows.random[2], block(np.ones((500, 1)), np.arange(500) % 30, "other")]
    rows = matrices(rows.y, rows.X, *small)
    exact_optimum, exact = minimize(assemble([rows]))
    optimum, ours = fit_krylov(krylov(rows))
    np.testing.assert_allclose(ours.theta, exact.theta, atol=1e-4)
    assert ours.objective == pytest.approx(exact.objective, abs=1e-6)
    assert ours.monte_carlo.objective_error == 0.0
    assert ours.monte_carlo.theta_error.max() < 1e-12
    assert exact_optimum.converged
    assert optimum.converged


@pytest.mark.usefixtures("random")
@pytest.mark.parametrize("start", [0.05, 5.0, np.array([3.0, 0.1])])
def test_from_far_away(start):
    rows = ratings()
    near = fit_krylov(krylov(rows))[1]
    optimum, ours = fit_krylov(krylov(rows), start=start)
    assert optimum.converged
    assert optimum.n_evaluations < 30
    np.testing.assert_allclose(ours.theta, near.theta, rtol=2e-3)


def test_slopes_and_their_covariance():
    rows = ratings(slopes=True)
    exact = minimize(assemble([rows]))[1]
    ours = fit_krylov(krylov(rows))[1]
    np.testing.assert_allclose(ours.theta, exact.theta, atol=5e-3)


def test_zero_variance():
    """A factor that does nothing ends at exactly zero, with positive curvature there."""
    rows = ratings()
    rng = np.random.default_rng(1)
    extra = block(np.ones((rows.n_obs, 1)), rng.integers(0, 40, rows.n_obs), "extra")
    rows = matrices(rows.y, rows.X, *rows.random, extra)
    exact_optimum, exact = minimize(assemble([rows]))
    optimum, ours = fit_krylov(krylov(rows))
    assert exact.theta[2] == 0.0
    assert ours.theta[2] == 0.0
    assert optimum.status is exact_optimum.status is OptimumStatus.CONVERGED
    assert ours.monte_carlo.theta_error[2] == 0.0


@pytest.mark.usefixtures("random")
class TestProbes:
    def test_seed_decides(self):
        system = krylov(ratings())
        first, again = (fit_krylov(system, seed=3)[1] for _ in range(2))
        np.testing.assert_array_equal(first.theta, again.theta)
        assert first.objective == again.objective
        other = fit_krylov(system, seed=4)[1]
        assert (other.theta != first.theta).any()
        assert other.monte_carlo.seed == 4

    def test_precision_decides_how_many(self):
        system = krylov(ratings())
        rough, fine = (
            fit_krylov(system, precision=precision)[1].monte_carlo for precision in (0.2, 0.002)
        )
        assert rough.n_probes == 8
        assert fine.n_probes > 20
        assert fine.theta_error.max() <= 0.002
        assert rough.precision == 0.2

    def test_error_is_as_stated(self):
        """The spread over seeds is what each fit says of itself."""
        system = krylov(ratings())
        fits = [fit_krylov(system, seed=seed, precision=0.2)[1] for seed in range(12)]
        _, _, error = standard_errors(ratings(), True)
        size = np.array([basis[0, 0] for basis in system.basis.random])
        spread = np.std([fit.theta for fit in fits], axis=0, ddof=1) / (error * size)
        stated = np.mean([fit.monte_carlo.theta_error for fit in fits], axis=0)
        assert np.all(spread < 2.0 * stated)
        assert np.all(spread > 0.4 * stated)


def test_callback_and_trace():
    seen = []
    optimum, _ = fit_krylov(krylov(ratings()), callback=seen.append)
    assert tuple(seen) == optimum.trace
    assert optimum.n_evaluations == len(seen)


def test_information_is_the_average_one():
    rows = ratings()
    ours = krylov(rows)
    theta = fit_krylov(ours)[1].theta
    average, exact = (
        variance_information(ours, theta),
        variance_information(assemble([rows]), theta),
    )
    np.testing.assert_allclose(average.vcov, exact.vcov, rtol=1e-7)
    np.testing.assert_allclose(np.diag(average.covariance), np.diag(exact.covariance), rtol=0.1)


@pytest.mark.parametrize("precision", [0.0, -1.0, np.nan, np.inf])
def test_bad_precision(precision):
    with pytest.raises(OptionError, match="positive number of standard errors"):
        fit_krylov(krylov(ratings()), precision=precision)


@pytest.mark.parametrize("seed", [-1, 1.5, True, "a"])
def test_bad_seed(seed):
    with pytest.raises(OptionError, match="whole number"):
        fit_krylov(krylov(ratings()), seed=seed)


def test_bad_start():
    with pytest.raises(DimensionError):
        fit_krylov(krylov(ratings()), start=np.ones(3))
