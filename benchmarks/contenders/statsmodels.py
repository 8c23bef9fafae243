"""statsmodels MixedLM.

Crossed factors are written as variance components of one group that holds every row, as the
statsmodels documentation does; correlated terms on crossed factors have no such form.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

import numpy as np
from statsmodels.regression.mixed_linear_model import MixedLM

from benchmarks.contenders.base import Answer, NotOfferedError, NotSupportedError, Plan
from benchmarks.problems import Problem

__all__ = ["StatsModels"]


@dataclass(frozen=True)
class Recipe:
    """Arguments of ``MixedLM.from_formula``; no groups means one group for all rows."""

    fixed: str
    groups: tuple[str, ...] = ()
    re_formula: str | None = None
    components: dict[str, str] = field(default_factory=dict)


_TIMSS = "science ~ grpCmath + grpMmath + grade + gender + grpChoursTV + grpMhoursTV"
_CROSSED = {"s": "0 + C(s)", "d": "0 + C(d)", "dept_service": "0 + C(dept):C(service)"}
RECIPES: dict[str, Recipe] = {
    "warm-up": Recipe("y ~ x", ("g",)),
    "sleepstudy": Recipe("Reaction ~ Days", ("Subject",), "~ Days"),
    "penicillin": Recipe(
        "diameter ~ 1", components={"plate": "0 + C(plate)", "sample": "0 + C(sample)"}
    ),
    "cake": Recipe("angle ~ recipe * temp", ("recipe", "replicate")),
    "scotssec": Recipe(
        "attain ~ sex", components={"primary": "0 + C(primary)", "second": "0 + C(second)"}
    ),
    "chem97": Recipe("score ~ gcsecnt", ("lea",), "1", {"school": "0 + C(school)"}),
    "insteval": Recipe("y ~ service", components=_CROSSED),
    "timss_full": Recipe(_TIMSS, ("idschool",), "~ grpCmath + grpChoursTV"),
    "kkl15": Recipe("rt ~ tar", ("subj",), "~ tar"),
    "million": Recipe("y ~ x", ("g",), "~ x"),
}


class StatsModels:
    """``MixedLM.from_formula(...).fit()`` with its defaults."""

    @property
    def version(self) -> str:
        """Version of the package."""
        return version("statsmodels")

    def plan(self, problem: Problem) -> Plan:
        """Look the recipe up."""
        recipe = RECIPES.get(problem.name)
        if recipe is None:
            raise NotSupportedError("no correlated random effects on crossed factors")
        return Plan(problem.criterion, {"recipe": recipe})

    def fit(self, plan: Plan, frame: Any, formula: str) -> Any:
        """Fit and read."""
        recipe: Recipe = plan.options["recipe"]
        keywords: dict[str, Any] = {"groups": _groups(frame, recipe.groups)}
        if recipe.components:
            keywords["vc_formula"] = recipe.components
            keywords["re_formula"] = recipe.re_formula or "0"
        elif recipe.re_formula:
            keywords["re_formula"] = recipe.re_formula
        result = MixedLM.from_formula(recipe.fixed, frame, **keywords).fit(reml=plan.reml)
        theta = (result.cov_re, result.vcomp)
        sigma = float(np.sqrt(result.scale))
        return (result, result.fe_params, result.bse_fe, theta, sigma, -2.0 * result.llf)

    def refitter(self, plan: Plan, frame: Any, formula: str) -> Callable[[Any], Any]:
        """There is no refit with a new response."""
        raise NotOfferedError("no refit with a new response; a whole call is needed")

    def answer(self, reading: Any) -> Answer:
        """Summarise a reading; the package does not tell its evaluations."""
        message = "" if reading[0].converged else "not converged"
        return Answer(float(reading[-1]), None, "", message)


def _groups(frame: Any, columns: tuple[str, ...]) -> Any:
    if not columns:
        return np.ones(len(frame))
    labels = frame[columns[0]].astype(str)
    for column in columns[1:]:
        labels = labels + ":" + frame[column].astype(str)
    return frame[columns[0]] if len(columns) == 1 else labels
