"""The package itself, as a user calls it, and the stages of one call."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from typing import Any

import lmmformula as lf
from benchmarks.contenders.base import Answer, Plan
from benchmarks.problems import Problem

__all__ = ["LmmFormula", "stage_seconds"]


class LmmFormula:
    """``lmmformula.lmer`` with its defaults."""

    @property
    def version(self) -> str:
        """Version of the package."""
        return str(getattr(lf, "__version__", "development"))

    def plan(self, problem: Problem) -> Plan:
        """Nothing to translate."""
        return Plan(problem.criterion)

    def fit(self, plan: Plan, frame: Any, formula: str) -> Any:
        """Call ``lmer`` and read the five results."""
        return _read(lf.lmer(formula, frame, reml=plan.reml))

    def refitter(self, plan: Plan, frame: Any, formula: str) -> Callable[[Any], Any]:
        """Return ``refit`` of a fitted model."""
        fitted = lf.lmer(formula, frame, reml=plan.reml)
        return lambda y: _read(fitted.refit(y))

    def answer(self, reading: Any) -> Answer:
        """Summarise a reading."""
        result, objective = reading[0], reading[-1]
        optimum = result.optimum
        status = str(getattr(optimum.status, "value", optimum.status))
        notes = [] if status == "converged" else [status]
        if result.is_singular:
            notes.append("singular")
        return Answer(float(objective), int(optimum.n_evaluations), "criterion", "; ".join(notes))


def _read(result: Any) -> tuple[Any, ...]:
    return (result, result.params, result.bse, result.theta, result.sigma, result.objective)


def stage_seconds(
    problem: Problem, make_frame: Callable[[], Any], repetitions: int
) -> dict[str, list[float]]:
    """Seconds of each stage of a call: the median of each stands for the engine or the front end.

    ``evaluate`` is one criterion computation with its estimates, at the optimum.
    """
    from lmmformula.design import materialize
    from lmmformula.engine import assemble, estimate
    from lmmformula.formula import parse
    from lmmformula.optimize import minimize

    reml = problem.criterion == "REML"
    seconds: dict[str, list[float]] = {}

    def timed(stage: str, call: Callable[[], Any]) -> Any:
        start = time.perf_counter()
        value = call()
        seconds.setdefault(stage, []).append(time.perf_counter() - start)
        return value

    with warnings.catch_warnings():
        # Only times are wanted here: answers are checked where the whole call is timed.
        warnings.simplefilter("ignore")
        for i in range(repetitions + 1):
            if i == 1:
                seconds.clear()
            frame, text = make_frame(), problem.formula_variant(i)
            formula = timed("parse", lambda text=text: parse(text))
            design = timed("materialize", lambda f=formula, d=frame: materialize(f, d))
            system = timed("assemble", lambda m=design.matrices: assemble([m]))
            optimum, _ = timed("optimize", lambda s=system: minimize(s, reml))
            timed("evaluate", lambda s=system, o=optimum: estimate(s, o.theta, reml))
    return seconds
