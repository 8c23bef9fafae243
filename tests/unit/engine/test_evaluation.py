"""The criterion and its derivatives: against dense formulas and against central differences."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lmmformula.engine import Objective, assemble, evaluation, tail
from lmmformula.engine.evaluation import Evaluation
from lmmformula.engine.hessian import average_information, exact_hessian
from tests import dense
from tests.tolerances import EVALUATION_RTOL
from tests.unit.engine.cases import CASES, Dense, draw, evaluated

BRANCHES = ["direct", "by inverse"]
STEP = 1e-5


def close(ours, expected, rtol=1e-9):
    scale = np.abs(expected).max()
    np.testing.assert_allclose(ours, expected, rtol=0.0, atol=rtol * scale + 1e-14)


@pytest.fixture(params=BRANCHES)
def branch(request, monkeypatch):
    """Both ways in which the tail takes products with E."""
    if request.param == "by inverse":
        monkeypatch.setattr(tail, "DIRECT_SIZE", 0)


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("singular", [False, True])
@pytest.mark.parametrize("name", CASES)
class TestAgainstDense:
    """Explicit n x n formulas in the entries of the covariances."""

    def test_value(self, name, singular, reml):
        point, twin = evaluated(name, reml, singular=singular)
        theta = point.objective.theta(point.phi)
        expected = dense.objective_over_rows(twin.matrices, theta, reml)
        assert point.value == pytest.approx(expected, rel=EVALUATION_RTOL)

    def test_pieces(self, name, singular, reml):
        point, twin = evaluated(name, reml, singular=singular)
        ours = point.evaluation
        information = twin.X.T @ twin.H_inverse @ twin.X
        assert ours.logdet_H == pytest.approx(-np.linalg.slogdet(twin.H_inverse)[1], rel=1e-10)
        assert ours.logdet_X == pytest.approx(np.linalg.slogdet(information)[1], rel=1e-10)
        assert ours.pwrss == pytest.approx(twin.s, rel=1e-10)
        close(ours.Phi, np.linalg.inv(information))
        close(ours.beta, np.linalg.solve(information, twin.X.T @ twin.H_inverse @ twin.y), 1e-8)

    def test_rows_of_each_factor(self, name, singular, reml):
        point, twin = evaluated(name, reml, singular=singular)
        ours = point.evaluation
        HX = twin.H_inverse @ twin.X
        J, k = twin.system.first.n_levels, twin.system.first.k
        first = (twin.Z[0].T @ HX).reshape(J, k, HX.shape[1]).transpose(1, 2, 0)
        if J:
            close(ours.first_X, first)
            close(ours.first_residual, (twin.Z[0].T @ twin.r).reshape(J, k).T)
        if ours.tail is not None:
            Z = np.hstack(twin.Z[1:])
            close(ours.tail_X, Z.T @ HX)
            close(ours.tail_residual, Z.T @ twin.r)

    def test_gradient(self, name, singular, reml, branch):
        point, twin = evaluated(name, reml, singular=singular)
        ours = np.concatenate(
            [
                term.structure.multiplicity * D[term.structure.pairs]
                for term, D in zip(twin.system.terms, point.evaluation.gradients, strict=True)
            ]
        )
        close(ours, twin.gradient)

    def test_average_information(self, name, singular, reml, branch):
        point, twin = evaluated(name, reml, singular=singular)
        close(average_information(point.evaluation), twin.hessian(exact=False))

    def test_exact_hessian(self, name, singular, reml, branch):
        point, twin = evaluated(name, reml, singular=singular)
        close(exact_hessian(point.evaluation), twin.hessian(exact=True))


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("singular", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_derivatives_in_phi_are_those_of_differences(name, singular, reml, branch):
    point, _ = evaluated(name, reml, singular=singular)
    objective, phi = point.objective, point.phi
    gradient, hessian = np.empty(len(phi)), np.empty((len(phi),) * 2)
    for i, direction in enumerate(STEP * np.eye(len(phi))):
        up, down = objective.evaluate(phi + direction), objective.evaluate(phi - direction)
        gradient[i] = (up.value - down.value) / (2.0 * STEP)
        hessian[i] = (up.gradient - down.gradient) / (2.0 * STEP)
    exact = point.hessian(exact=True)
    scale = max(np.abs(exact).max(), np.abs(point.gradient).max(), 1.0)
    np.testing.assert_allclose(point.gradient, gradient, atol=1e-7 * scale)
    np.testing.assert_allclose(exact, hessian, atol=1e-7 * scale)
    np.testing.assert_array_equal(exact, exact.T)


@pytest.mark.parametrize("name", CASES)
def test_zero_covariance_is_stationary(name):
    objective = Objective(assemble([CASES[name]]))
    point = objective.evaluate(np.zeros(objective.n_phi))
    np.testing.assert_array_equal(point.gradient, 0.0)


@pytest.mark.parametrize("name", CASES)
def test_rotations_leave_the_criterion_alone(name):
    objective = Objective(assemble([CASES[name]]))
    point = objective.evaluate(draw(objective, 4))
    rng = np.random.default_rng(0)
    turned = []
    for term, part in objective.parts(point.phi):
        k = term.structure.k
        if term.structure.invariance == "linear":
            part = (part.reshape(k, k) @ np.linalg.qr(rng.normal(size=(k, k)))[0]).ravel()
        turned.append(part)
    assert objective.evaluate(np.concatenate(turned)).value == pytest.approx(point.value, rel=1e-13)
    basis = point.effective
    close(basis @ (basis.T @ point.gradient), point.gradient)


@pytest.mark.parametrize("size", [1e200, np.inf, np.nan])
@pytest.mark.parametrize("name", ["one factor", "crossed", "nested", "uncorrelated"])
def test_where_the_arithmetic_fails_the_criterion_is_infinite(name, size):
    objective = Objective(assemble([CASES[name]]))
    assert objective.evaluate(np.full(objective.n_phi, size)).value == np.inf


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("name", ["one factor", "nested"])
def test_no_fixed_effects(name, reml):
    rows = CASES[name]
    rows = replace(rows, X=np.zeros((rows.n_obs, 0)), fixed_names=())
    objective = Objective(assemble([rows]), reml)
    point = objective.evaluate(draw(objective, 2))
    twin = Dense.at(point, rows)
    expected = dense.objective_over_effects(rows, objective.theta(point.phi), reml)
    assert point.value == pytest.approx(expected, rel=EVALUATION_RTOL)
    close(exact_hessian(point.evaluation), twin.hessian(exact=True))


def test_derivatives_are_computed_when_asked_for(monkeypatch):
    def fail(*_):
        raise AssertionError

    monkeypatch.setattr(evaluation, "symmetrized", fail)
    system = assemble([CASES["crossed"]])
    factors = [np.eye(term.structure.k) for term in system.terms]
    ours = Evaluation(system, factors, True)
    assert np.isfinite(ours.value)
    with pytest.raises(AssertionError):
        _ = ours.gradients
