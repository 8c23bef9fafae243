"""glmm (Rust): with its defaults, and without the work that the others do not do in a call."""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import glmm

from benchmarks.contenders.base import Answer, NotOfferedError, NotSupportedError, Plan
from benchmarks.problems import Problem

__all__ = ["Glmm", "GlmmLean"]


class Glmm:
    """``glmm.fit`` with its defaults: Satterthwaite degrees of freedom and Hessian errors."""

    options: dict[str, Any] = {}  # noqa: RUF012

    @property
    def version(self) -> str:
        """Version of the package."""
        return version("glmm")

    def plan(self, problem: Problem) -> Plan:
        """The formulas are lme4's, but a random term's effects must be columns."""
        if re.search(r"\([^|()]*[*:][^|()]*\|", problem.formula):
            raise NotSupportedError("no interactions among the effects of a random term")
        return Plan(problem.criterion, dict(self.options))

    def fit(self, plan: Plan, frame: Any, formula: str) -> Any:
        """Fit and read (theta: the variances and covariances, in units of the response)."""
        result = glmm.fit(frame, formula, reml=plan.reml, **plan.options)
        values = (result.beta, result.se, result.varcorr, result.dispersion**0.5)
        return (result, *values, -2.0 * result.loglik)

    def refitter(self, plan: Plan, frame: Any, formula: str) -> Callable[[Any], Any]:
        """Refits are whole calls in this package."""
        raise NotOfferedError("no refit with a new response; a whole call is needed")

    def answer(self, reading: Any) -> Answer:
        """Summarise a reading."""
        result = reading[0]
        notes = [] if result.converged else ["not converged"]
        if result.singular:
            notes.append("singular")
        kind = f"criterion, + {result.n_grad} gradients" if result.n_grad else "criterion"
        return Answer(float(reading[-1]), int(result.n_eval), kind, "; ".join(notes))


class GlmmLean(Glmm):
    """``glmm.fit`` without degrees of freedom and with lme4's standard errors."""

    options = {"satterthwaite": False, "wald_se": "rx"}  # noqa: RUF012
