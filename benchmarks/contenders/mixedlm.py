"""mixedlm (Python and Rust)."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import mixedlm
import numpy as np

from benchmarks.contenders.base import Answer, Plan
from benchmarks.problems import Problem

__all__ = ["MixedLm"]


class MixedLm:
    """``mixedlm.lmer`` with its defaults."""

    @property
    def version(self) -> str:
        """Version of the package."""
        return version("mixedlm")

    def plan(self, problem: Problem) -> Plan:
        """Nothing to translate: the formulas are lme4's."""
        return Plan(problem.criterion)

    def fit(self, plan: Plan, frame: Any, formula: str) -> Any:
        """Fit and read."""
        return _read(mixedlm.lmer(formula, frame, REML=plan.reml))

    def refitter(self, plan: Plan, frame: Any, formula: str) -> Callable[[Any], Any]:
        """Return ``refit`` of a fitted model."""
        fitted = mixedlm.lmer(formula, frame, REML=plan.reml)
        return lambda y: _read(fitted.refit(y))

    def answer(self, reading: Any) -> Answer:
        """Summarise a reading."""
        result = reading[0]
        notes = [] if result.converged else ["not converged"]
        if result.at_boundary:
            notes.append("singular")
        return Answer(float(reading[-1]), int(result.function_evals), "criterion", "; ".join(notes))


def _read(result: Any) -> tuple[Any, ...]:
    bse = np.sqrt(np.diag(result.vcov()))
    return (result, result.beta, bse, result.theta, result.sigma, result.deviance)
