"""Estimates at a point, in the user's columns and units, against dense algebra."""

from __future__ import annotations

import numpy as np
import pytest

from lmmformula.engine import Objective, assemble, conditional_covariances, estimate, estimates_at
from lmmformula.engine import objective as objective_module
from lmmformula.errors import DimensionError, NumericalError
from tests import dense
from tests.tolerances import EVALUATION_RTOL, assert_close
from tests.unit.engine.cases import CASES, draw, with_zeros


@pytest.fixture(params=[(name, singular) for name in CASES for singular in (False, True)], ids=str)
def case(request):
    name, singular = request.param
    rows = CASES[name]
    objective = Objective(assemble([rows]))
    phi = draw(objective, 7)
    point = objective.evaluate(with_zeros(objective, phi) if singular else phi)
    return rows, objective.system, estimates_at(point)


def covariance_of_rows(rows, theta):
    """Return V (relative to sigma^2), and Z and the covariance of b for every term."""
    w = np.ones(rows.n_obs) if rows.weights is None else rows.weights
    V, pieces = np.diag(1.0 / w), []
    for term, template in zip(rows.random, dense.templates(theta, rows.random), strict=True):
        Z = dense.spread(term)
        L = np.eye(term.n_levels) if term.relationship is None else term.relationship
        D = np.kron(L @ L.T, template @ template.T)
        pieces.append((Z, D))
        V = V + Z @ D @ Z.T
    return V, pieces


def test_fixed_effects_and_sigma(case):
    rows, _, ours = case
    beta, inverse = dense.generalized_least_squares(rows, ours.theta)
    assert_close(ours.beta, beta, 1e-8, "beta")
    assert_close(ours.vcov_beta, ours.sigma**2 * inverse, 1e-8, "vcov")
    V, _ = covariance_of_rows(rows, ours.theta)
    r = rows.working_response - rows.X @ beta
    quadratic = r @ np.linalg.solve(V, r)
    assert ours.pwrss == pytest.approx(quadratic, rel=1e-9)
    assert ours.sigma == pytest.approx(np.sqrt(quadratic / (rows.n_obs - rows.p)), rel=1e-9)
    w = np.ones(rows.n_obs) if rows.weights is None else rows.weights
    expected = np.linalg.slogdet(V)[1] + np.sum(np.log(w))
    assert ours.logdet_L == pytest.approx(expected, rel=1e-9, abs=1e-9)
    assert ours.logdet_RX == pytest.approx(-np.linalg.slogdet(inverse)[1], rel=1e-9, abs=1e-9)


def test_conditional_modes(case):
    rows, _, ours = case
    V, pieces = covariance_of_rows(rows, ours.theta)
    r = np.linalg.solve(V, rows.working_response - rows.X @ ours.beta)
    scale = max(np.abs(D @ (Z.T @ r)).max() for Z, D in pieces)
    for b, (Z, D) in zip(ours.random, pieces, strict=True):
        np.testing.assert_allclose(b.ravel(), D @ (Z.T @ r), rtol=0.0, atol=1e-8 * scale)


def test_conditional_covariances(case):
    rows, system, ours = case
    V, pieces = covariance_of_rows(rows, ours.theta)
    found = conditional_covariances(system, ours)
    for blocks, (Z, D), term in zip(found, pieces, rows.random, strict=True):
        full = ours.sigma**2 * (D - D @ Z.T @ np.linalg.solve(V, Z @ D))
        J, k = term.n_levels, term.n_effects
        expected = np.einsum("jajb->jab", full.reshape(J, k, J, k))
        assert blocks.shape == (J, k, k)
        atol = 1e-9 * max(np.abs(full).max(), ours.sigma**2 * np.abs(D).max())
        np.testing.assert_allclose(blocks, expected, rtol=0.0, atol=atol)


def test_templates_are_theta(case):
    rows, _, ours = case
    for T, expected in zip(ours.templates, dense.templates(ours.theta, rows.random), strict=True):
        np.testing.assert_array_equal(T, expected)
        np.testing.assert_array_equal(T, np.tril(T))
        assert (np.diag(T) >= 0.0).all()


def test_counts(case):
    rows, system, ours = case
    assert (ours.n_obs, ours.p, ours.n_theta) == (rows.n_obs, rows.p, system.n_theta)
    assert ours.criterion == "REML"
    assert repr(ours).startswith("Estimates(criterion='REML', objective=")


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("name", CASES)
def test_theta_survives_the_round_trip(name, reml):
    objective = Objective(assemble([CASES[name]]), reml)
    phi = draw(objective, 5)
    theta, value = objective.theta(phi), objective.evaluate(phi).value
    again = estimate(objective.system, theta, reml)
    assert again.objective == pytest.approx(value, rel=EVALUATION_RTOL)
    assert again.criterion == ("REML" if reml else "ML")
    assert_close(again.theta, theta, 1e-10)
    assert_close(objective.theta(objective.phi_from_theta(theta)), theta, 1e-10)


@pytest.mark.parametrize("shape", [(0,), (4,), (3, 1), ()])
def test_theta_of_the_wrong_shape(shape):
    system = assemble([CASES["one factor"]])
    assert system.n_theta == 3
    with pytest.raises(DimensionError):
        estimate(system, np.ones(shape))


@pytest.mark.parametrize("size", [np.nan, 1e200])
def test_where_the_likelihood_cannot_be_computed(size):
    system = assemble([CASES["one factor"]])
    with pytest.raises(NumericalError, match="theta"):
        estimate(system, np.full(system.n_theta, size))


def test_estimates_at_a_point_do_not_compute_the_criterion_again(monkeypatch):
    objective = Objective(assemble([CASES["crossed"]]))
    point = objective.evaluate(objective.start())
    monkeypatch.setattr(objective_module, "Evaluation", None)
    assert estimates_at(point).objective == point.value
    assert objective.n_evaluations == 1


UNIT = np.ones(1)


class TestLowerTemplate:
    """The lower Cholesky factor of a covariance given by any square factor."""

    @pytest.mark.parametrize("k", [1, 2, 5])
    @pytest.mark.parametrize("rank", [0, 1, 4, 5])
    def test_keeps_the_covariance(self, k, rank):
        factor = np.random.default_rng(0).normal(size=(k, k))
        factor[:, rank:] = 0.0
        ours = objective_module.lower_template(factor, UNIT)
        np.testing.assert_allclose(ours @ ours.T, factor @ factor.T, atol=1e-12)
        np.testing.assert_array_equal(ours, np.tril(ours))
        assert np.sum(np.diag(ours) > 0.0) == min(k, rank)

    @pytest.mark.parametrize("size", [1e-200, 1e200])
    def test_survives_extreme_units(self, size):
        factor = np.array([[1.0, 0.5], [0.25, 2.0]])
        ours = objective_module.lower_template(size * factor, size)
        np.testing.assert_allclose(ours, size * objective_module.lower_template(factor, UNIT))

    def test_a_perfect_correlation_leaves_an_exact_zero(self):
        ours = objective_module.lower_template(np.outer([1.0, 3.0], [0.3, 0.7]), UNIT)
        assert ours[1, 1] == 0.0
