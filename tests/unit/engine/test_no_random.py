"""Models without random effects: ordinary least squares in the same engine."""

from __future__ import annotations

import numpy as np
import pytest

from lmmformula.engine import (
    Objective,
    assemble,
    conditional_covariances,
    estimate,
    kenward_roger_pieces,
    replace_response,
    variance_information,
)
from lmmformula.engine.error_variance import error_variance
from lmmformula.engine.prediction import joint_covariance, target_rows
from lmmformula.optimize import OPTIMIZERS, OptimumStatus, minimize
from tests import dense
from tests.tolerances import EVALUATION_RTOL
from tests.unit.engine.cases import matrices


def rows(p: int = 3, weighted: bool = True):
    rng = np.random.default_rng(4)
    n = 30
    X = np.column_stack([np.ones(n), rng.normal(3.0, 1.0, (n, p - 1))])[:, :p]
    y = X @ rng.normal(size=p) + rng.normal(size=n)
    return matrices(y, X, weights=rng.uniform(0.5, 2.0, n) if weighted else None)


def least_squares(m):
    """Coefficients, their covariance over sigma^2, and the residual sum of squares."""
    root = np.sqrt(m.weights if m.weights is not None else np.ones(m.n_obs))
    X, y = root[:, None] * m.X, root * m.y
    beta = np.linalg.lstsq(X, y, rcond=None)[0]
    return beta, np.linalg.inv(X.T @ X), float(np.sum((y - X @ beta) ** 2))


@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize("reml", [True, False])
def test_the_criterion_is_that_of_least_squares(reml, weighted):
    m = rows(weighted=weighted)
    expected = dense.objective_over_rows(m, np.zeros(0), reml)
    assert estimate(assemble([m]), np.zeros(0), reml).objective == pytest.approx(
        expected, rel=EVALUATION_RTOL
    )


@pytest.mark.parametrize("reml", [True, False])
def test_a_fit_has_nothing_to_optimize(reml):
    m = rows()
    beta, inverse, squares = least_squares(m)
    nu = m.n_obs - (m.p if reml else 0)
    optimum, fitted = minimize(assemble([m]), reml)
    assert (optimum.status, optimum.n_evaluations) == (OptimumStatus.CONVERGED, 1)
    assert (fitted.theta.shape, fitted.templates, fitted.random) == ((0,), (), ())
    np.testing.assert_allclose(fitted.beta, beta, rtol=1e-9)
    np.testing.assert_allclose(fitted.vcov_beta, squares / nu * inverse, rtol=1e-9)
    assert fitted.sigma == pytest.approx(np.sqrt(squares / nu), rel=1e-10)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_and_start_takes_it(name):
    system = assemble([rows()])
    for start in (None, 1.0, np.zeros(0)):
        optimum, _ = minimize(system, optimizer=name, start=start)
        assert optimum.status is OptimumStatus.CONVERGED


def test_no_fixed_effects_either():
    m = matrices(np.random.default_rng(1).normal(size=20), np.zeros((20, 0)))
    fitted = estimate(assemble([m]), np.zeros(0))
    assert fitted.sigma == pytest.approx(np.sqrt(np.mean(m.y**2)), rel=1e-12)


def test_derivatives_are_empty():
    point = Objective(assemble([rows()])).evaluate(np.zeros(0))
    assert point.gradient.shape == (0,)
    assert point.jacobian.shape == point.effective.shape == (0, 0)
    for exact in (True, False):
        assert point.hessian(exact=exact).shape == (0, 0)
    assert point.snapped(np.zeros(0), 1.0).shape == (0,)


def test_degrees_of_freedom_are_those_of_the_regression():
    m = rows()
    _, inverse, squares = least_squares(m)
    system, sigma2 = assemble([m]), squares / (m.n_obs - m.p)
    information = variance_information(system, np.zeros(0))
    np.testing.assert_allclose(information.covariance, [[2.0 / (m.n_obs - m.p)]], rtol=1e-12)
    np.testing.assert_allclose(information.derivatives, [sigma2 * inverse], rtol=1e-9)
    pieces = kenward_roger_pieces(system, np.zeros(0))
    np.testing.assert_allclose(pieces.expected, [[(m.n_obs - m.p) / sigma2**2]], rtol=1e-9)
    assert conditional_covariances(system, estimate(system, np.zeros(0))) == ()


def test_prediction_errors_and_their_degrees_of_freedom():
    m = rows()
    _, inverse, _ = least_squares(m)
    system = assemble([m])
    targets = target_rows(system, m.X, {})
    expected = np.einsum("ij,jk,ik->i", m.X, inverse, m.X)
    forms = joint_covariance(system, np.zeros(0), True).forms(targets)
    np.testing.assert_allclose(forms.total, expected, rtol=1e-9)
    found = error_variance(system, np.zeros(0), True, targets, np.ones(m.n_obs))
    np.testing.assert_allclose(found.variance, expected + 1.0, rtol=1e-9)
    np.testing.assert_allclose(found.df, m.n_obs - m.p, rtol=1e-9)


def test_another_response_equals_a_fresh_assembly():
    m = rows()
    y = np.random.default_rng(8).normal(size=m.n_obs)
    replaced = replace_response(assemble([m]), m, y)
    fresh = assemble([matrices(y, m.X, weights=m.weights)])
    assert estimate(replaced, np.zeros(0)).objective == pytest.approx(
        estimate(fresh, np.zeros(0)).objective, rel=EVALUATION_RTOL
    )
    assert "tail='none'" in repr(fresh)
