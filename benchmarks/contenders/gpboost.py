"""GPBoost: Gaussian models with independent grouped random effects, by maximum likelihood."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import gpboost
import numpy as np
import pandas as pd

from benchmarks.contenders.base import Answer, NotOfferedError, NotSupportedError, Plan
from benchmarks.likelihood import minus_two_log_likelihood
from benchmarks.problems import Problem

__all__ = ["GpBoost"]


@dataclass(frozen=True)
class Recipe:
    """Columns of a model: GPBoost takes arrays, so a user writes the design by hand.

    ``fixed`` lists products of columns (factors expand to treatment dummies), ``groups`` lists the
    columns that together label each grouping factor.
    """

    response: str
    fixed: tuple[tuple[str, ...], ...]
    groups: tuple[tuple[str, ...], ...]


RECIPES: dict[str, Recipe] = {
    "warm-up": Recipe("y", (("x",),), (("g",),)),
    "penicillin": Recipe("diameter", (), (("plate",), ("sample",))),
    "cake": Recipe(
        "angle", (("recipe",), ("temp",), ("recipe", "temp")), (("recipe", "replicate"),)
    ),
    "scotssec": Recipe("attain", (("sex",),), (("primary",), ("second",))),
    "chem97": Recipe("score", (("gcsecnt",),), (("lea",), ("lea", "school"))),
    "insteval": Recipe("y", (("service",),), (("s",), ("d",), ("dept", "service"))),
}


class GpBoost:
    """``gpboost.GPModel`` with its defaults."""

    @property
    def version(self) -> str:
        """Version of the package."""
        return version("gpboost")

    def plan(self, problem: Problem) -> Plan:
        """Look the recipe up; correlated random effects cannot be expressed."""
        recipe = RECIPES.get(problem.name)
        if recipe is None:
            raise NotSupportedError("random effects of one factor cannot be correlated")
        threads = int(os.environ.get("OMP_NUM_THREADS", "1"))
        return Plan("ML", {"recipe": recipe, "threads": threads})

    def fit(self, plan: Plan, frame: Any, formula: str) -> Any:
        """Build the arrays, fit and read."""
        recipe: Recipe = plan.options["recipe"]
        X = _design(frame, recipe)
        y = frame[recipe.response].to_numpy(dtype=float)
        groups = np.column_stack([_codes(frame, columns) for columns in recipe.groups])
        model = gpboost.GPModel(
            group_data=groups, likelihood="gaussian", num_parallel_threads=plan.options["threads"]
        )
        model.fit(y=y, X=X)
        coefficients = model.get_coef(std_err=True, format_pandas=False)
        variances = model.get_cov_pars(format_pandas=False)
        sigma = float(np.sqrt(variances.ravel()[0]))
        objective = 2.0 * model.get_current_neg_log_likelihood()
        return (model, coefficients[0], coefficients[1], variances, sigma, objective, X, y, groups)

    def refitter(self, plan: Plan, frame: Any, formula: str) -> Callable[[Any], Any]:
        """Models with correlated slopes are refused before this is reached."""
        raise NotOfferedError("not offered for this model")

    def answer(self, reading: Any) -> Answer:
        """Evaluate the likelihood at the reported estimates (GPBoost's own value may differ)."""
        model, beta, _, variances, _, own, X, y, groups = reading
        sigma2, *components = np.asarray(variances).ravel()
        residual = y - X @ np.asarray(beta)
        value = minus_two_log_likelihood(residual, list(groups.T), sigma2, np.array(components))
        message = "" if abs(own - value) < 1e-3 else f"reports {own:.6f} itself"
        return Answer(value, int(model._get_num_optim_iter()), "iterations", message)


def _codes(frame: pd.DataFrame, columns: tuple[str, ...]) -> np.ndarray:
    codes = np.zeros(len(frame), dtype=np.int64)
    for column in columns:
        values = frame[column].cat
        codes = codes * len(values.categories) + values.codes.to_numpy()
    return codes


def _columns(frame: pd.DataFrame, name: str) -> list[np.ndarray]:
    column = frame[name]
    if not isinstance(column.dtype, pd.CategoricalDtype):
        return [column.to_numpy(dtype=float)]
    codes = column.cat.codes.to_numpy()
    return [(codes == i).astype(float) for i in range(1, len(column.cat.categories))]


def _design(frame: pd.DataFrame, recipe: Recipe) -> np.ndarray:
    columns = [np.ones(len(frame))]
    for term in recipe.fixed:
        product = [np.ones(len(frame))]
        for name in term:
            product = [a * b for b in _columns(frame, name) for a in product]
        columns.extend(product)
    return np.column_stack(columns)
