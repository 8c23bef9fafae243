"""V and Henderson's equations where residuals, levels or effects have a structure."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import lmmformula as lf

RTOL = 1e-8
"""Two exact ways to the same numbers."""


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(12)
    rows = [(g, t) for g in range(14) for t in range(6) if rng.random() > 0.15]
    frame = pd.DataFrame(rows, columns=["g", "t"])
    n = len(frame)
    frame["x"] = rng.uniform(1.0, 3.0, n)
    frame["w"] = rng.uniform(0.5, 2.0, n)
    level = rng.normal(size=14)[frame["g"]]
    noise = pd.Series(rng.normal(size=n)).groupby(frame["g"]).transform(lambda e: e.cumsum())
    frame["y"] = 3.0 + frame["x"] + level + 0.5 * noise + rng.normal(size=n)
    return frame.sample(frac=1.0, random_state=5).reset_index(drop=True)


def ar1(frame, rho):
    gap = np.abs(np.subtract.outer(frame["t"].to_numpy(), frame["t"].to_numpy()))
    same = np.equal.outer(frame["g"].to_numpy(), frame["g"].to_numpy())
    return np.where(same, rho**gap, 0.0)


def check_all(fit, V):
    """V, generalised least squares and best prediction, against a dense V."""
    m = fit.design.matrices
    assert np.allclose(fit.marginal_covariance(), V, rtol=RTOL, atol=1e-10)
    P = np.linalg.inv(V)
    beta = np.linalg.solve(m.X.T @ P @ m.X, m.X.T @ P @ m.y)
    assert np.allclose(fit.params, beta, rtol=RTOL)
    equations = fit.mixed_model_equations()
    assert np.allclose(equations.fixed, beta, rtol=RTOL)
    assert np.allclose(equations.bse, fit.bse, rtol=RTOL)
    assert np.allclose(equations.absorbed().coefficient_matrix, m.X.T @ P @ m.X, rtol=RTOL)
    for group, modes in equations.random.items():
        assert np.allclose(modes, fit.random_effects[group], rtol=1e-7, atol=1e-8)
    G = fit.scale * (equations.Lambda @ equations.Lambda.T).toarray()
    b = G @ equations.Z.T @ P @ (m.y - m.X @ beta)
    assert np.allclose(equations.solution.iloc[m.p :], b, rtol=1e-7, atol=1e-8)


def test_correlated_residuals_beside_random_effects(data):
    model = lf.lmm("y ~ x + (1 | g)", data, residual="ar1(t | g)", weights="w")
    fit = model.fit()
    rho = fit.residual_structure.parameters()["rho"]
    same = np.equal.outer(data["g"].to_numpy(), data["g"].to_numpy())
    R = fit.scale * ar1(data, rho) / np.sqrt(np.outer(data["w"], data["w"]))
    check_all(fit, fit.varcorr["g"].cov.iloc[0, 0] * same + R)
    V = fit.marginal_covariance(g=3)
    rows = np.flatnonzero(data["g"] == 3)
    assert list(V.index) == list(rows)


def test_variances_that_depend_on_a_column(data):
    fit = lf.lmm("y ~ x + (1 | g)", data, variance="power(x)").fit()
    delta = fit.residual_structure.parameters()["power"]
    same = np.equal.outer(data["g"].to_numpy(), data["g"].to_numpy())
    R = np.diag(fit.scale * data["x"].to_numpy() ** (2.0 * delta))
    check_all(fit, fit.varcorr["g"].cov.iloc[0, 0] * same + R)


def test_generalised_least_squares_without_random_effects(data):
    fit = lf.lmm("y ~ x", data, residual="ar1(t | g)").fit()
    rho = fit.residual_structure.parameters()["rho"]
    check_all(fit, fit.scale * ar1(data, rho))
    equations = fit.mixed_model_equations()
    assert equations.n_random == 0
    assert equations.random == {}
    assert "random effects: 0" in str(equations)
    sizes = data.groupby("g").size()
    assert fit.marginal_covariance("g", 0).shape == (sizes[0], sizes[0])
    assert equations.R_inverse.nnz == np.sum(sizes**2)


def test_related_levels(data):
    rng = np.random.default_rng(4)
    root = rng.normal(size=(14, 20))
    K = pd.DataFrame(root @ root.T / 20.0, index=range(14), columns=range(14))
    fit = lf.lmm("y ~ x + (t | g)", data, relationship={"g": K}).at([0.8, 0.1, 0.3])
    z = np.column_stack([np.ones(len(data)), data["t"]])
    between = K.to_numpy()[np.ix_(data["g"], data["g"])]
    V = between * (z @ fit.varcorr["g"].cov.to_numpy() @ z.T) + fit.scale * np.eye(len(data))
    check_all(fit, V)


def test_levels_that_are_the_same(data):
    """Twins: K is singular, and so is G."""
    K = np.eye(14)
    K[0, 1] = K[1, 0] = 1.0
    fit = lf.lmm("y ~ x + (1 | g)", data, relationship={"g": K}).at([0.8])
    equations = fit.mixed_model_equations()
    assert equations.form == "spherical"
    assert "levels of `g` are related as one" in str(equations)
    assert np.allclose(equations.random["g"], fit.random_effects["g"], rtol=1e-8)
    between = K[np.ix_(data["g"], data["g"])]
    check_all(fit, fit.varcorr["g"].cov.iloc[0, 0] * between + fit.scale * np.eye(len(data)))


def test_effects_over_time(data):
    fit = lf.lmm("y ~ x + ou(0 + t | g)", data).at([0.9, 0.6])
    V = fit.scale * (0.81 * ar1(data, 0.6) + np.eye(len(data)))
    check_all(fit, V)
