"""One fit on real systems: counting, exact zeros, starts, errors, other optimizers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import lmmformula as lf
from lmmformula.engine import assemble, estimate
from lmmformula.engine import objective as objective_module
from lmmformula.errors import DesignError, DimensionError, NumericalError, OptionError
from lmmformula.optimize import OPTIMIZERS, Cobyqa, Lbfgsb, Newton, OptimumStatus, minimize
from tests.unit.engine.cases import CASES, block, matrices


def system_of(formula, data):
    return lf.lmm(formula, lf.load_dataset(data)).system


@pytest.fixture(scope="module")
def sleepstudy_system():
    return system_of("Reaction ~ Days + (Days | Subject)", "sleepstudy")


@pytest.fixture
def computed(monkeypatch):
    """Collect the criterion's value wherever it is computed."""
    values, inner = [], objective_module.Evaluation

    def counting(*arguments):
        evaluation = inner(*arguments)
        values.append(evaluation.value)
        return evaluation

    monkeypatch.setattr(objective_module, "Evaluation", counting)
    return values


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_computation_of_the_criterion_is_counted(sleepstudy_system, computed, optimizer):
    seen = []
    optimum, estimates = minimize(sleepstudy_system, optimizer=optimizer, callback=seen.append)
    assert optimum.n_evaluations == len(computed) == len(optimum.trace) == len(seen)
    assert [step.objective for step in optimum.trace] == computed
    assert optimum.objective == estimates.objective
    assert optimum.objective == pytest.approx(min(computed), rel=1e-12)
    assert optimum.settings == OPTIMIZERS[optimizer]()


def test_rejected_steps_and_escapes_are_counted(computed):
    start = 1e-2
    optimum, _ = minimize(assemble([CASES["mixed structures"]]), start=start)
    assert optimum.n_evaluations == len(computed) == len(optimum.trace)
    assert optimum.trace[0].kind == "start"


@pytest.mark.parametrize("reml", [True, False])
def test_exact_zero_at_a_singular_fit(reml):
    optimum, estimates = minimize(system_of("Yield ~ 1 + (1 | Batch)", "dyestuff2"), reml)
    assert optimum.theta[0] == 0.0
    assert optimum.status is OptimumStatus.CONVERGED
    np.testing.assert_array_equal(estimates.random[0], 0.0)


@pytest.mark.parametrize("start", [None, 0.0, 0.1, 1.0, 3.0, np.array([2.0, -0.3, 0.1])], ids=str)
def test_every_start_arrives(sleepstudy_system, start):
    optimum, _ = minimize(sleepstudy_system, start=start)
    assert optimum.objective == pytest.approx(1743.6282719584, abs=1e-8)
    assert optimum.status is OptimumStatus.CONVERGED
    assert optimum.gradient_norm < 1e-4
    assert optimum.min_eigenvalue > 0.0


def test_the_optimum_is_what_its_estimates_say(sleepstudy_system):
    optimum, estimates = minimize(sleepstudy_system, reml=False)
    again = estimate(sleepstudy_system, optimum.theta, reml=False)
    assert estimates.criterion == "ML"
    assert again.objective == pytest.approx(optimum.objective, rel=1e-13)
    np.testing.assert_allclose(again.beta, estimates.beta, rtol=1e-9)


def test_fits_leave_the_system_alone(sleepstudy_system):
    first = minimize(sleepstudy_system)[0]
    minimize(sleepstudy_system, reml=False)
    again = minimize(sleepstudy_system)[0]
    assert again.objective == pytest.approx(first.objective, rel=1e-12)


@pytest.mark.parametrize("optimizer", [Lbfgsb(), Cobyqa()], ids=repr)
@pytest.mark.parametrize("name", ["one factor", "uncorrelated", "nested", "crossed"])
def test_other_optimizers_agree_with_newton(name, optimizer):
    system = assemble([CASES[name]])
    ours, other = minimize(system)[0], minimize(system, optimizer=optimizer)[0]
    assert other.objective == pytest.approx(ours.objective, abs=1e-6)
    assert ours.status is OptimumStatus.CONVERGED


def test_terms_that_cannot_be_told_apart_are_not_identified():
    rows = CASES["one factor"]
    twice = replace(rows, random=(rows.random[0], replace(rows.random[0], text="(again | g)")))
    optimum, _ = minimize(assemble([twice]))
    assert optimum.status is OptimumStatus.NOT_IDENTIFIED
    assert not optimum.converged


def test_random_effects_that_reproduce_the_response_are_refused():
    rng = np.random.default_rng(0)
    codes = np.repeat(np.arange(20), 5)
    ones = np.ones((100, 1))
    rows = matrices(rng.normal(size=20)[codes], ones, block(ones, codes, "g"))
    with pytest.raises(DesignError, match=r"\(e0 \| g\)"):
        minimize(assemble([rows]))


def test_the_limit_of_evaluations(sleepstudy_system):
    optimum, _ = minimize(sleepstudy_system, start=3.0, optimizer=Newton(max_evaluations=2))
    assert optimum.status is OptimumStatus.MAX_EVALUATIONS
    assert optimum.n_evaluations == 2
    assert not optimum.converged


class TestErrors:
    """Arguments that cannot be used."""

    def test_unknown_optimizer(self, sleepstudy_system):
        with pytest.raises(OptionError, match="optimizer"):
            minimize(sleepstudy_system, optimizer="nelder-mead")

    @pytest.mark.parametrize("start", [np.ones(2), np.ones((3, 1)), np.ones(4)])
    def test_start_of_the_wrong_shape(self, sleepstudy_system, start):
        with pytest.raises(DimensionError):
            minimize(sleepstudy_system, start=start)

    @pytest.mark.parametrize("start", [np.nan, np.full(3, np.nan), 1e200])
    def test_start_without_a_criterion(self, sleepstudy_system, start):
        with pytest.raises(NumericalError):
            minimize(sleepstudy_system, start=start)
