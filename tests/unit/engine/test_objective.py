"""Starting values, packing, counting."""

from __future__ import annotations

import numpy as np
import pytest

from lmmformula.engine import Objective, assemble
from lmmformula.engine import objective as module
from lmmformula.engine.start import moment_start
from tests.unit.engine.cases import CASES, block, draw, matrices


@pytest.mark.parametrize("name", CASES)
class TestStart:
    """Where the optimizer begins."""

    def test_moments_are_finite_and_not_singular(self, name):
        objective = Objective(assemble([CASES[name]]))
        phi = objective.start()
        assert np.isfinite(phi).all()
        assert np.isfinite(objective.evaluate(phi).value)
        for Lambda in objective.factors(phi):
            assert np.linalg.svd(Lambda, compute_uv=False)[-1] > 1e-3

    @pytest.mark.parametrize("size", [0.0, 0.1, 3.0])
    def test_multiples_of_the_identity(self, name, size):
        objective = Objective(assemble([CASES[name]]))
        for Lambda in objective.factors(objective.start(size)):
            np.testing.assert_array_equal(Lambda, size * np.eye(len(Lambda)))


def test_moments_find_the_order_of_a_large_balanced_covariance():
    rng = np.random.default_rng(0)
    J, n = 2000, 8
    codes = np.repeat(np.arange(J), n)
    z = np.column_stack([np.ones(J * n), rng.normal(size=J * n)])
    b = rng.normal(size=(J, 2)) * [1.5, 0.7]
    y = np.sum(z * b[codes], axis=1) + rng.normal(size=J * n)
    objective = Objective(assemble([matrices(y, z, block(z, codes, "g"))]))
    theta = objective.theta(moment_start(objective.system))
    assert 0.5 < theta[0] / 1.5 < 1.5
    assert 0.5 < theta[2] / 0.7 < 1.5
    assert abs(theta[1]) < 0.1


@pytest.mark.parametrize("name", CASES)
def test_parts_cover_phi(name):
    objective = Objective(assemble([CASES[name]]))
    phi = np.arange(float(objective.n_phi))
    np.testing.assert_array_equal(np.concatenate([part for _, part in objective.parts(phi)]), phi)


def test_every_evaluation_is_counted(monkeypatch):
    computed = []
    inner = module.Evaluation
    monkeypatch.setattr(
        module, "Evaluation", lambda *arguments: computed.append(1) or inner(*arguments)
    )
    objective = Objective(assemble([CASES["crossed"]]))
    phi = draw(objective, 1)
    for _ in range(3):
        point = objective.evaluate(phi)
        _ = point.gradient, point.hessian(exact=True), point.hessian(exact=False), point.effective
        point.snapped(phi, 1e-3)
    objective.theta(phi)
    assert objective.n_evaluations == len(computed) == 3


@pytest.mark.parametrize("name", CASES)
def test_effective_directions_are_orthonormal(name):
    objective = Objective(assemble([CASES[name]]))
    basis = objective.evaluate(draw(objective, 1)).effective
    assert basis.shape == (objective.n_phi, objective.system.n_theta)
    np.testing.assert_allclose(basis.T @ basis, np.eye(basis.shape[1]), atol=1e-12)


@pytest.mark.parametrize("name", CASES)
def test_snapping_leaves_ordinary_covariances_alone(name):
    objective = Objective(assemble([CASES[name]]))
    phi = draw(objective, 1)
    np.testing.assert_array_equal(objective.evaluate(phi).snapped(phi, 1e-6), phi)
