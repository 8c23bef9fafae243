"""Statuses, records, choice of the optimizer."""

from __future__ import annotations

import pickle

import pytest

from lmmformula.errors import OptionError
from lmmformula.optimize import OPTIMIZERS, Newton, Optimum, OptimumStatus, Step
from lmmformula.optimize.registry import resolve_optimizer


@pytest.mark.parametrize("status", OptimumStatus)
def test_every_status_has_a_message(status):
    assert status.message
    assert status.message[0].islower()
    assert not status.message.endswith(".")


def optimum(status):
    return Optimum(None, 1.0, status, 3, 0.0, 1.0, (Step(1, 1.0, 0.0, 0.0, "start"),), Newton())


@pytest.mark.parametrize("status", OptimumStatus)
def test_converged_is_a_proof(status):
    assert optimum(status).converged is (status == "converged")


def test_optimum_is_one_line_and_survives_pickling():
    ours = optimum(OptimumStatus.CONVERGED)
    assert "trace" not in repr(ours)
    assert "\n" not in repr(ours)
    again = pickle.loads(pickle.dumps(ours))
    assert (again.status, again.trace, again.settings) == (ours.status, ours.trace, ours.settings)


def test_the_default_is_newton():
    assert resolve_optimizer(None) == Newton()


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_by_name(name):
    assert resolve_optimizer(name) == OPTIMIZERS[name]()


def test_settings_pass_through():
    settings = Newton(max_evaluations=7)
    assert resolve_optimizer(settings) is settings


@pytest.mark.parametrize("choice", ["bobyqa", "Newton", "", 3, [], Newton])
def test_unknown_ones_list_what_there_is(choice):
    with pytest.raises(OptionError) as caught:
        resolve_optimizer(choice)
    assert caught.value.available == tuple(OPTIMIZERS)
    assert all(name in caught.value.suggestion for name in OPTIMIZERS)
    assert caught.value.got == repr(choice)
