"""The analysis-of-variance table of one model's fixed effects."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from lmmformula._arrays import FloatArray
from lmmformula.design.notify import notify
from lmmformula.errors import InferenceWarning, OptionError
from lmmformula.inference.effects.anova_terms import Hypotheses, hypotheses
from lmmformula.inference.effects.approximation import Approximation
from lmmformula.inference.effects.wald import f_p_value
from lmmformula.postfit.requirements import kind_of_rows

__all__ = ["COLUMNS", "anova_frame", "hypothesis_frames"]

COLUMNS = ("sum_sq", "mean_sq", "num_df", "den_df", "F", "pvalue")
KINDS = {"I": "I", "II": "II", "III": "III", "1": "I", "2": "II", "3": "III"}


def anova_frame(results: Any, kind: Any, tests: Approximation) -> pd.DataFrame:
    """F tests of the terms.

    Parameters
    ----------
    results : LinearMixedResults
        The fit, with its rows.
    kind : str or int
        Type of the hypotheses.
    tests : Approximation
        Method for the tests.
    """
    found = _hypotheses(results, kind)
    _warn(found, _kind(kind))
    table = [_row(rows, tests) for rows in found.rows.values()]
    frame = pd.DataFrame(
        table, columns=list(COLUMNS), index=pd.Index(list(found.rows), dtype=object)
    )
    frame["num_df"] = frame["num_df"].astype(np.int64)
    return frame


def hypothesis_frames(results: Any, kind: Any) -> dict[str, pd.DataFrame]:
    """Return the tested combinations of fixed effects, by term."""
    names = list(results.fixed_names)
    return {
        label: pd.DataFrame(rows, columns=names)
        for label, rows in _hypotheses(results, kind).rows.items()
    }


def _hypotheses(results: Any, kind: Any) -> Hypotheses:
    """Take R of X = QR from the cross-products, unless these are weighted or whitened."""
    design, name = results.design, _kind(kind)
    if design.matrices.weights is not None or design.matrices.residual is not None:
        results.model.require_rows(f"`anova` of {kind_of_rows(design.matrices)}")
        return hypotheses(design, name)
    return hypotheses(design, name, _factor_of_columns(results.any_system))


def _factor_of_columns(system: Any) -> FloatArray:
    """R of X = QR from the cross-products of the working columns ``X @ fixed``."""
    fixed = system.basis.fixed
    units = np.diagonal(fixed)
    back = np.linalg.inv(fixed / units[:, None]) / units
    return np.asarray(np.linalg.cholesky(system.xy[:-1, :-1]).T @ back)


def _kind(kind: Any) -> str:
    name = str(kind).upper()
    if not isinstance(kind, bool) and name in KINDS:
        return KINDS[name]
    raise OptionError(
        f"`type={kind!r}` is not a type of analysis of variance.",
        got="available: I, II, III",
        suggestion='`anova(type="III")`',
        argument="type",
        value=kind,
        available=("I", "II", "III"),
    )


def _row(rows: Any, tests: Approximation) -> tuple[Any, ...]:
    nan = float("nan")
    if not len(rows):
        return nan, nan, 0, nan, nan, nan
    test = tests.joint(rows)
    mean_square = test.unscaled * tests.sigma**2
    p_value = f_p_value(test.statistic, test.num_df, test.den_df)
    return (
        mean_square * test.num_df,
        mean_square,
        test.num_df,
        test.den_df,
        test.statistic,
        p_value,
    )


def _warn(found: Hypotheses, kind: str) -> None:
    lost = tuple(label for label, rows in found.rows.items() if not len(rows))
    if lost:
        notify(
            InferenceWarning(
                "terms without any estimable effect cannot be tested.",
                got=f"{', '.join(f'`{label}`' for label in lost)}, which other terms determine",
                suggestion="take them out of the formula",
                terms=lost,
            )
        )
    if found.empty_cells:
        notify(
            InferenceWarning(
                f"some combinations of levels have no data, and type {kind} hypotheses depend on "
                "which ones.",
                got=f"no rows with {', '.join(f'`{name}`' for name in found.empty_cells)}",
                suggestion="look at `hypotheses()`; test the comparisons of interest by `f_test`",
                cells=found.empty_cells,
            )
        )
