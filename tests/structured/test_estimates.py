"""Estimates, tests and intervals of structured models against dense matrices."""

from __future__ import annotations

import numpy as np
import pytest

from tests.structured.cases import CASES, STRUCTURED_EFFECTS, dense, fitted

CLOSE = 1e-8
"""The same formulas in another order."""

DIFFERENCES = 2e-5
"""Dense derivatives are differences, of fourth order in the Hessian."""

NAMES = list(CASES)


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("name", NAMES)
def test_the_fit_is_the_dense_one(name, reml):
    fit, d = fitted(name, reml), dense(name, reml)
    assert fit.converged
    assert not fit.is_singular
    beta, Phi, _, _ = d.solved(d.theta)
    np.testing.assert_allclose(fit.params, beta, rtol=CLOSE)
    np.testing.assert_allclose(fit.cov_params(), d.sigma2 * Phi, rtol=CLOSE, atol=1e-10)
    assert fit.sigma**2 == pytest.approx(d.sigma2, rel=CLOSE)
    assert fit.objective == pytest.approx(d.criterion(d.theta), rel=CLOSE)


@pytest.mark.parametrize("name", NAMES)
def test_the_gradient_is_zero_there(name):
    d = dense(name)
    steps = 1e-4 * np.eye(len(d.theta))
    slopes = [d.criterion(d.theta + h) - d.criterion(d.theta - h) for h in steps]
    np.testing.assert_allclose(np.array(slopes) / 2e-4, 0.0, atol=1e-3)


@pytest.mark.parametrize("name", NAMES)
def test_satterthwaite_degrees_of_freedom(name):
    fit, d = fitted(name), dense(name)

    def variances(theta, sigma2):
        return sigma2 * np.diag(d.solved(theta)[1])

    np.testing.assert_allclose(fit.df_tests, d.satterthwaite(variances), rtol=DIFFERENCES)


@pytest.mark.parametrize("observation", [True, False])
@pytest.mark.parametrize("name", NAMES)
def test_prediction_intervals(name, observation):
    fit, d = fitted(name), dense(name)
    rows = d.d.iloc[[0, 7, 20, 41]].assign(x=[1.2, 2.9, 2.0, 1.7]).reset_index(drop=True)
    if "weights" in CASES[name].options:
        rows["w"] = [1.0, 0.5, 2.0, 1.3]
    kind = "prediction" if observation else "confidence"
    table = fit.predict(rows, interval=kind)
    np.testing.assert_allclose(table["predicted"], d.fitted(rows), rtol=CLOSE)
    variance = d.prediction_variance(rows, observation)
    se = np.sqrt(variance(d.theta, d.sigma2))
    np.testing.assert_allclose(table["se"], se, rtol=1e-7)
    df = np.maximum(d.satterthwaite(variance), 1.0)
    half = _t(df) * se
    np.testing.assert_allclose(table["upper"] - table["predicted"], half, rtol=DIFFERENCES)
    wald = fit.predict(rows, interval=kind, ddf="wald")
    np.testing.assert_allclose(wald["se"], se, rtol=1e-7)


def _t(df):
    from scipy.special import stdtrit

    return stdtrit(df, 0.975)


@pytest.mark.parametrize("name", NAMES)
def test_intervals_of_the_fitted_rows(name):
    fit, d = fitted(name), dense(name)
    variance = d.prediction_variance(d.d, observation=True)(d.theta, d.sigma2)
    table = fit.predict(interval="prediction", ddf="wald")
    np.testing.assert_allclose(table["se"], np.sqrt(variance), rtol=1e-7)


@pytest.mark.parametrize("name", [n for n in NAMES if n != "gls"])
def test_conditional_modes_and_their_spread(name):
    fit, d = fitted(name), dense(name)
    modes = fit.ranef(condvar=True)
    beta, _, _, inverse = d.solved(d.theta)
    rest = d.y - d.X @ beta
    for group in fit.ngroups:
        own = modes[modes["grp"] == group]
        effect = own["effect"].iloc[0]
        own = own[own["effect"] == effect].set_index("level")
        probe = d.d.drop_duplicates(group).assign(t=0.0)
        C = d.case.parts(d.theta, probe, d.d)[group]
        own_variance = np.diag(d.case.parts(d.theta, probe, probe)[group])
        found = own.loc[probe[group]]
        np.testing.assert_allclose(found["value"], C @ inverse @ rest, rtol=1e-7, atol=1e-9)
        variance = own_variance - np.einsum("ij,jk,ik->i", C, inverse, C)
        np.testing.assert_allclose(found["sd"], np.sqrt(d.sigma2 * variance), rtol=1e-7)


@pytest.mark.parametrize("name", STRUCTURED_EFFECTS)
def test_kenward_roger_with_first_derivatives(name):
    """Their adjusted covariance from dV/dpsi, psi the natural parameters and sigma^2 (REML)."""
    fit, d = fitted(name), dense(name)

    def V(theta, sigma2):
        return sigma2 * d.H(theta)

    dV = d.slopes(V)
    inverse = np.linalg.inv(V(d.theta, d.sigma2))
    Phi = np.linalg.inv(d.X.T @ inverse @ d.X)
    P = inverse - inverse @ d.X @ Phi @ d.X.T @ inverse
    m = len(dV)
    W = np.linalg.inv([[0.5 * np.trace(P @ dV[i] @ P @ dV[j]) for j in range(m)] for i in range(m)])
    turned = [inverse @ one @ inverse for one in dV]
    first = [-d.X.T @ one @ d.X for one in turned]
    total = np.zeros_like(Phi)
    for i in range(m):
        for j in range(m):
            Q = d.X.T @ turned[i] @ dV[j] @ inverse @ d.X
            total += W[i, j] * (Q - first[i] @ Phi @ first[j])
    adjusted = Phi + 2.0 * Phi @ total @ Phi
    found = fit.approximation("kenward-roger")
    np.testing.assert_allclose(found.vcov, adjusted, rtol=1e-7, atol=1e-10)
    moved = np.array([-Phi @ one @ Phi for one in first])
    g = np.array([np.diag(-one) for one in moved])
    df = 2.0 * np.diag(Phi) ** 2 / np.einsum("ip,ij,jp->p", g, W, g)
    np.testing.assert_allclose(found.df(np.eye(len(Phi))), df, rtol=1e-7)


@pytest.mark.parametrize("name", ["gls", "variance functions, crossed"])
def test_profiles_hold_a_coefficient(name):
    """Zeta is the root of the excess of the dense deviance, minimized over theta."""
    from scipy.optimize import minimize

    fit, d = fitted(name, False), dense(name, False)
    value = float(fit.params["t"] + 1.5 * fit.bse["t"])
    held = type(d)(d.case, fit)
    held.X, held.y = np.delete(d.X, 1, axis=1), d.y - value * d.X[:, 1]
    options = {"xatol": 1e-7, "fatol": 1e-8, "maxiter": 4000, "maxfev": 4000}
    best = minimize(held.criterion, d.theta, method="Nelder-Mead", options=options).fun
    expected = np.sqrt(best - d.criterion(d.theta))
    assert fit.profile("t").zeta("t", [value])[0] == pytest.approx(expected, rel=1e-7)
