"""Moments at zero covariance: against dense traces, and what they are worth as a start."""

from __future__ import annotations

import numpy as np
import pytest

from lmmformula.engine import Objective, assemble
from lmmformula.optimize import minimize
from tests.unit.engine.cases import CASES, Dense, block, matrices


def dense_moments(name, *, restricted):
    """tr(P H_i P H_j) with the identity last; elimination order."""
    rows = CASES[name]
    system = assemble([rows])
    twin = Dense(rows, system, [], restricted)
    P = np.eye(rows.n_obs)
    if restricted:
        P -= twin.X @ np.linalg.solve(twin.X.T @ twin.X, twin.X.T)
    by_model = twin.directions
    order = system.entry_order
    position = np.arange(len(by_model)) if order is None else np.argsort(order)
    products = [P @ by_model[i] for i in position] + [P]
    return system, np.array([[np.sum(A * B.T) for B in products] for A in products])


@pytest.mark.parametrize("restricted", [True, False])
@pytest.mark.parametrize("name", CASES)
def test_moments(name, restricted):
    system, expected = dense_moments(name, restricted=restricted)
    ours = system.moments[int(restricted)]
    np.testing.assert_allclose(ours, expected, rtol=1e-9, atol=1e-9 * np.abs(expected).max())


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("name", CASES)
class TestStart:
    """Where the optimizer begins."""

    def test_moments_are_finite_and_not_singular(self, name, reml):
        objective = Objective(assemble([CASES[name]]), reml)
        phi = objective.start()
        assert phi.shape == (objective.n_phi,)
        assert np.isfinite(objective.evaluate(phi).value)
        for Lambda in objective.factors(phi):
            assert np.linalg.svd(Lambda, compute_uv=False)[-1] > 1e-3

    @pytest.mark.parametrize("size", [0.0, 0.1, 3.0])
    def test_multiples_of_the_identity(self, name, reml, size):
        objective = Objective(assemble([CASES[name]]), reml)
        for Lambda in objective.factors(objective.start(size)):
            np.testing.assert_array_equal(Lambda, size * np.eye(len(Lambda)))


def test_balanced_data_start_at_the_optimum():
    rng = np.random.default_rng(0)
    codes, ones = np.repeat(np.arange(12), 5), np.ones((60, 1))
    y = 2.0 * rng.normal(size=12)[codes] + rng.normal(size=60)
    objective = Objective(assemble([matrices(y, ones, block(ones, codes, "g"))]))
    optimum, _ = minimize(objective.system)
    np.testing.assert_allclose(objective.theta(objective.start()), optimum.theta, rtol=1e-6)


def test_moments_find_a_large_covariance():
    """With many levels the start is a consistent estimate."""
    rng = np.random.default_rng(0)
    J, n = 2000, 8
    codes = np.repeat(np.arange(J), n)
    z = np.column_stack([np.ones(J * n), rng.normal(size=J * n)])
    b = rng.normal(size=(J, 2)) * [1.5, 0.7]
    y = np.sum(z * b[codes], axis=1) + rng.normal(size=J * n)
    objective = Objective(assemble([matrices(y, z, block(z, codes, "g"))]))
    theta = objective.theta(objective.start())
    np.testing.assert_allclose(theta, [1.5, 0.0, 0.7], atol=0.1)


def test_effects_that_are_all_zero_have_a_start():
    rng = np.random.default_rng(0)
    codes, ones = np.repeat(np.arange(12), 5), np.ones((60, 1))
    rows = matrices(rng.normal(size=60), ones, block(0.0 * ones, codes, "g"))
    assert np.isfinite(Objective(assemble([rows])).start()).all()
