"""Packing and counting."""

from __future__ import annotations

import numpy as np
import pytest

from lmmformula.engine import Objective, assemble
from lmmformula.engine import objective as module
from tests.unit.engine.cases import CASES, draw


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
