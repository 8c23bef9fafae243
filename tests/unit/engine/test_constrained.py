"""The deviance with one parameter held: against dense algebra and differences."""

from __future__ import annotations

import numpy as np
import pytest

from lmmformula.engine import BlockedSystem, Objective, assemble
from lmmformula.engine.constrained import Held, HeldObjective
from lmmformula.engine.deviance import Deviance, HeldCoefficient
from tests.unit.engine.cases import CASES, Dense, draw, evaluated, with_zeros

STEP = 1e-5
DIFFERENCE_RTOL = 1e-6
"""Central differences with a step of 1e-5 leave about 1e-8; flat directions lose two digits."""

VALUES = {"sigma": 0.8, "fixed": 0.3, "sd": 0.7, "cor": 0.37}


def parameters(system: BlockedSystem) -> list[Held]:
    """One parameter of each kind for every term."""
    held = [Held("sigma"), Held("fixed", column=system.p - 1)]
    for term in system.terms:
        k = term.structure.k
        held.append(Held("sd", term.index, (k - 1,)))
        if term.structure.name == "us" and k > 1:
            held.append(Held("cor", term.index, (k - 1, 0)))
    return held


def coordinates(system: BlockedSystem, held: Held, c: float, seed: int = 3):
    """Return the objective and free coordinates near a random point."""
    objective = Objective(system, reml=False)
    factors = objective.factors(draw(objective, seed))
    target = HeldObjective(system, held, c)
    rng = np.random.default_rng(seed)
    return target, target.start(factors, -0.3) + 0.1 * rng.normal(size=target.n_phi)


@pytest.mark.parametrize("name", CASES)
def test_derivatives(name):
    system = assemble([CASES[name]])
    for held in parameters(system):
        c = VALUES[held.kind]
        target, phi = coordinates(system, held, c)
        point = target.evaluate(phi)
        z = np.append(phi, c)
        gradient, hessian = np.zeros(len(z)), np.zeros((len(z), len(z)))
        for i, unit in enumerate(STEP * np.eye(len(z))):
            up = HeldObjective(system, held, (z + unit)[-1]).evaluate((z + unit)[:-1])
            down = HeldObjective(system, held, (z - unit)[-1]).evaluate((z - unit)[:-1])
            gradient[i] = (up.value - down.value) / (2 * STEP)
            hessian[i] = (up.full_gradient - down.full_gradient) / (2 * STEP)
        ours = point.full_gradient
        assert np.abs(ours - gradient).max() <= DIFFERENCE_RTOL * np.abs(gradient).max()
        exact = point.full_hessian(exact=True)
        assert np.abs(exact - hessian).max() <= DIFFERENCE_RTOL * np.abs(hessian).max()


@pytest.mark.parametrize("name", CASES)
def test_the_value_is_held(name):
    system = assemble([CASES[name]])
    for held in parameters(system):
        target, phi = coordinates(system, held, VALUES[held.kind])
        point = target.evaluate(phi)
        beta = point.deviance.beta
        found = held.estimate(system, point.factors, point.eta, beta)
        assert found == pytest.approx(VALUES[held.kind], abs=1e-10)


@pytest.mark.parametrize("name", CASES)
def test_directions_are_those_in_which_the_deviance_changes(name):
    system = assemble([CASES[name]])
    for held in parameters(system):
        target, phi = coordinates(system, held, VALUES[held.kind])
        point = target.evaluate(phi)
        V = point.effective
        assert np.allclose(V.T @ V, np.eye(V.shape[1]))
        off = np.eye(len(phi)) - V @ V.T  # rotations: the gradient has no part along them
        assert np.abs(off @ point.gradient).max() <= 1e-9 * np.abs(point.gradient).max()


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("singular", [False, True])
def test_deviance_at_the_best_variance_is_the_criterion(name, singular):
    point, _ = evaluated(name, reml=False, singular=singular)
    twin = Deviance(point.objective.system, point.objective.factors(point.phi), None)
    assert twin.value == pytest.approx(point.value, rel=1e-13)
    assert twin.slope_log_variance == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize("name", CASES)
def test_held_coefficient_is_constrained_least_squares(name):
    rows = CASES[name]
    objective = Objective(assemble([rows]), reml=False)
    point = objective.evaluate(with_zeros(objective, draw(objective, 2)))
    exact = Dense.at(point, rows)
    f, value = np.arange(1.0, objective.system.p + 1), 0.4
    held = Deviance(objective.system, exact.factors, 0.2, HeldCoefficient(f, value))
    HX = exact.H_inverse @ exact.X
    p = len(f)
    bordered = np.block([[exact.X.T @ HX, f[:, None]], [f[None], np.zeros((1, 1))]])
    beta = np.linalg.solve(bordered, np.append(HX.T @ exact.y, value))[:p]
    residual = exact.y - exact.X @ beta
    assert np.allclose(held.beta, beta, rtol=1e-9, atol=1e-9)
    assert held.pwrss == pytest.approx(residual @ exact.H_inverse @ residual, rel=1e-9)


def test_at_the_end_of_its_range_an_effect_is_gone():
    system = assemble([CASES["one factor"]])
    term = next(term for term in system.terms if term.structure.k > 1)
    held = Held("sd", term.index, (1,))
    target, phi = coordinates(system, held.at_end(), 0.0)
    point = target.evaluate(phi)
    assert held.estimate(system, point.factors, point.eta, point.deviance.beta) == 0.0
    near, _ = coordinates(system, held, 1e-9)
    assert near.evaluate(near.start(point.factors, point.eta)).value == pytest.approx(point.value)


@pytest.mark.parametrize("c", [-1.0, 1.0])
def test_correlation_at_the_end_of_its_range(c):
    system = assemble([CASES["one factor"]])
    term = next(term for term in system.terms if term.structure.k > 1)
    held = Held("cor", term.index, (1, 0))
    target, phi = coordinates(system, held.at_end(), c)
    point = target.evaluate(phi)
    found = held.estimate(system, point.factors, point.eta, point.deviance.beta)
    assert found == pytest.approx(c)
    near, _ = coordinates(system, held, c * (1 - 1e-10))
    value = near.evaluate(near.start(point.factors, point.eta)).value
    assert value == pytest.approx(point.value, abs=1e-3)
