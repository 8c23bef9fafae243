"""lme-python (Rust, lme-rs)."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import lme_python

from benchmarks.contenders.base import Answer, NotSupportedError, Plan
from benchmarks.problems import Problem

__all__ = ["LmePython"]


class LmePython:
    """``lme_python.lmer`` with its defaults."""

    @property
    def version(self) -> str:
        """Version of the package."""
        return version("lme-python")

    def plan(self, problem: Problem) -> Plan:
        """Nothing to translate: the formulas are lme4's."""
        return Plan(problem.criterion)

    def fit(self, plan: Plan, frame: Any, formula: str) -> Any:
        """Fit and read; it refuses three-way interactions and factors as random effects."""
        try:
            return _read(lme_python.lmer(formula, frame, plan.reml), plan)
        except ValueError as error:
            if str(error).startswith("not implemented") or "must be numeric" in str(error):
                raise NotSupportedError(str(error)) from error
            raise

    def refitter(self, plan: Plan, frame: Any, formula: str) -> Callable[[Any], Any]:
        """Return the fit of a prepared model (it takes the response as a list)."""
        prepared = lme_python.prepare_lmer(formula, frame)
        return lambda y: _read(prepared.fit(y=y.tolist(), reml=plan.reml), plan)

    def answer(self, reading: Any) -> Answer:
        """Summarise a reading."""
        result = reading[0]
        notes = "" if result.converged else "not converged"
        return Answer(float(reading[-1]), int(result.iterations or 0), "iterations", notes)


def _read(result: Any, plan: Plan) -> tuple[Any, ...]:
    objective = result.reml_criterion if plan.reml else -2.0 * result.log_likelihood
    sigma = result.sigma2**0.5
    return (result, result.coefficients, result.beta_se, result.theta, sigma, objective)
