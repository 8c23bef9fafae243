"""The criterion of structured residuals is the dense one, and so are its derivatives."""

from __future__ import annotations

import numpy as np
import pytest

from lmmformula.engine import Objective, assemble, estimate, replace_response, variance_information
from lmmformula.errors import DesignError
from lmmformula.optimize import minimize
from lmmformula.residual_covariance import CORRELATIONS
from tests.unit.engine.residuals.cases import dense_criterion, design, relative_covariance

CASES = [
    *((name, (), (), False) for name in CORRELATIONS),
    ("ar1", (), ("group",), False),
    ("ar1", ("ident", "power"), ("group", "site"), True),
    ("cs", (), ("site",), True),
    ("car1", ("exp by stratum",), ("group",), False),
    ("homtoep", ("visits",), (), True),
    (None, ("ident",), ("group", "item"), False),
    (None, ("power", "ident"), ("group", "site", "item"), True),
    (None, ("exp by stratum",), (), False),
]


@pytest.fixture(params=CASES, ids=str)
def matrices(request):
    correlation, variances, random, weights = request.param
    return design(correlation, variances, random, weights=weights)


@pytest.fixture(params=[True, False], ids=["REML", "ML"])
def reml(request):
    return request.param


@pytest.fixture
def objective(matrices, reml):
    return Objective(assemble([matrices]), reml)


@pytest.fixture
def phi(objective):
    rng = np.random.default_rng(5)
    return objective.start(0.8) + 0.15 * rng.normal(size=objective.n_phi)


def differences(function, phi, step):
    """Return central differences in every coordinate, first axis."""
    return np.array(
        [
            (function(phi + step * e) - function(phi - step * e)) / (2 * step)
            for e in np.eye(len(phi))
        ]
    )


def test_the_value_is_the_dense_one(matrices, objective, phi, reml):
    V = relative_covariance(matrices, objective, phi)
    assert objective.evaluate(phi).value == pytest.approx(
        dense_criterion(matrices, V, reml), rel=1e-11
    )


def test_the_gradient_is_the_derivative(objective, phi):
    ours = objective.evaluate(phi).gradient
    numeric = differences(lambda p: objective.evaluate(p).value, phi, 1e-5)
    np.testing.assert_allclose(ours, numeric, atol=1e-7 * np.abs(numeric).max())


def test_the_exact_hessian_is_the_second_derivative(objective, phi):
    ours = objective.evaluate(phi).hessian(exact=True)
    numeric = differences(lambda p: objective.evaluate(p).gradient, phi, 1e-5)
    np.testing.assert_allclose(ours, ours.T)
    np.testing.assert_allclose(ours, numeric, atol=1e-6 * np.abs(numeric).max())


def test_average_information_is_the_dense_one(matrices, objective, phi, reml):
    ours = objective.evaluate(phi).hessian(exact=False)
    V = relative_covariance(matrices, objective, phi)
    inverse, X, y = np.linalg.inv(V), matrices.X, matrices.y
    P = inverse - inverse @ X @ np.linalg.solve(X.T @ inverse @ X, X.T @ inverse)
    s, nu = y @ P @ y, objective.evaluate(phi).evaluation.nu
    moved = differences(lambda p: relative_covariance(matrices, objective, p), phi, 1e-6)
    W = moved @ (P @ y)
    c = W @ (P @ y)
    expected = nu / s * (W @ P @ W.T) - nu / s**2 * np.outer(c, c)
    rows = slice(objective.n_phi - objective.n_residual, None)
    scale = np.abs(expected).max()
    np.testing.assert_allclose(ours[rows], expected[rows], atol=1e-7 * scale)


def test_estimates_are_generalised_least_squares(matrices, objective, phi):
    theta = objective.theta(phi)
    found = estimate(objective.system, theta, objective.reml)
    inverse = np.linalg.inv(relative_covariance(matrices, objective, phi))
    M = matrices.X.T @ inverse @ matrices.X
    beta = np.linalg.solve(M, matrices.X.T @ inverse @ matrices.y)
    np.testing.assert_allclose(found.beta, beta, rtol=1e-9)
    np.testing.assert_allclose(
        found.vcov_beta, found.sigma**2 * np.linalg.inv(M), rtol=1e-8, atol=1e-12
    )
    np.testing.assert_allclose(objective.theta(objective.phi_from_theta(theta)), theta, rtol=1e-8)
    for block, T, modes in zip(matrices.random, found.templates, found.random, strict=True):
        r = inverse @ (matrices.y - matrices.X @ beta)
        sums = np.zeros_like(modes)
        np.add.at(sums, block.codes, block.z * r[:, None])
        np.testing.assert_allclose(modes, sums @ T @ T.T, rtol=1e-7, atol=1e-9)


def test_satterthwaites_derivatives_are_those_of_the_covariance(objective, phi):
    system, reml = objective.system, objective.reml
    theta = objective.theta(phi)
    information = variance_information(system, theta, reml)
    point = objective.evaluate(objective.phi_from_theta(theta))
    sigma2 = point.evaluation.pwrss / point.evaluation.nu

    def relative(p):
        inner = objective.evaluate(p).evaluation
        turned = system.basis.fixed @ inner.Phi @ system.basis.fixed.T
        return sigma2 * system.basis.scale**2 * turned

    values, vectors = np.linalg.eigh(
        point.effective.T @ point.hessian(exact=True) @ point.effective
    )
    keep = values > 1e-8 * values.max()
    moves = point.effective @ vectors[:, keep]
    expected = np.einsum("mi,ijk->mjk", moves.T, differences(relative, point.phi, 1e-5))
    scale = np.abs(expected).max()
    np.testing.assert_allclose(information.derivatives[:-1], expected, atol=1e-7 * scale)


def test_the_order_of_rows_does_not_matter():
    first, second = design("ar1", ("ident",), ("group",)), design("ar1", ("ident",), ("group",))
    objective = Objective(assemble([first]), True)
    found = [minimize(assemble([m]), True)[1].objective for m in (first, second)]
    assert found[0] == pytest.approx(found[1], rel=1e-12)
    assert objective.n_residual == 2


def test_a_new_response_is_a_new_model():
    matrices = design("ar1", ("power",), ("group",))
    other = design("ar1", ("power",), ("group",)).y[::-1].copy()
    system = replace_response(assemble([matrices]), matrices, other)
    import dataclasses

    afresh = assemble([dataclasses.replace(matrices, y=other)])
    theta = np.array([0.7, 0.1, 0.4, 0.3, 0.2])
    ours, fresh = (estimate(s, theta).objective for s in (system, afresh))
    assert ours == pytest.approx(fresh, rel=1e-11)


def test_a_correlation_that_is_not_positive_definite_has_no_likelihood():
    objective = Objective(assemble([design("ar1")]), True)
    assert objective.evaluate(np.array([np.pi / 2])).value == np.inf


def test_correlated_rows_must_share_the_levels_of_every_factor():
    with pytest.raises(DesignError, match="different levels of `item`") as caught:
        assemble([design("ar1", (), ("group", "item"))])
    assert caught.value.facts["group"] == "item"
