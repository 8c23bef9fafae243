"""Every optimizer reaches the same optimum on the stock problems, and records how."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields

import numpy as np
import pytest

import lmmformula as lf
from lmmformula.optimize import OPTIMIZERS, Optimizer, OptimumStatus, minimize
from tests.tolerances import CRITERION_ATOL, assert_close

PROBLEMS = {
    "sleepstudy": "Reaction ~ Days + (Days | Subject)",
    "penicillin": "diameter ~ 1 + (1 | plate) + (1 | sample)",
    "pastes": "strength ~ 1 + (1 | batch/cask)",
}
STARTS = [None, 1.0, 0.3]


@pytest.fixture(scope="module", params=[(p, r) for p in PROBLEMS for r in (True, False)], ids=str)
def problem(request):
    """Return the system, the criterion, and the default optimizer's end point."""
    name, reml = request.param
    system = lf.lmm(PROBLEMS[name], lf.load_dataset(name)).system
    return system, reml, minimize(system, reml)[0]


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("start", STARTS)
def test_reaches_the_same_optimum(problem, name, start):
    system, reml, reference = problem
    optimum, estimates = minimize(system, reml, optimizer=name, start=start)
    assert optimum.objective == pytest.approx(reference.objective, abs=CRITERION_ATOL)
    assert_close(optimum.theta, reference.theta, 1e-3, "theta")
    assert optimum.status is OptimumStatus.CONVERGED
    assert optimum.min_eigenvalue > 0.0
    np.testing.assert_array_equal(optimum.theta, estimates.theta)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_records_every_evaluation(problem, name):
    system, reml, _ = problem
    seen = []
    optimum, _ = minimize(system, reml, optimizer=name, callback=seen.append)
    assert optimum.trace == tuple(seen)
    assert [step.evaluation for step in seen] == list(range(1, optimum.n_evaluations + 1))
    lowest = min(step.objective for step in seen)
    assert optimum.objective == pytest.approx(lowest, abs=1e-9)  # the last step is below rounding
    assert all(isinstance(step.kind, str) and step.kind for step in seen)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_settings_are_frozen_and_comparable(name):
    settings = OPTIMIZERS[name]()
    assert isinstance(settings, Optimizer)
    assert settings == OPTIMIZERS[name]()
    assert repr(settings).startswith(type(settings).__name__)
    assert "max_evaluations" in {field.name for field in fields(settings)}
    with pytest.raises(FrozenInstanceError):
        settings.max_evaluations = 1


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_names_itself_in_the_result(problem, name):
    system, reml, _ = problem
    settings = OPTIMIZERS[name](max_evaluations=700)
    assert minimize(system, reml, optimizer=settings)[0].settings is settings
