"""Tables of single-term deletions: the full model, then each smaller one tested against it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy import special

from lmmformula.design.notify import notify
from lmmformula.errors import ConvergenceWarning, OptionError
from lmmformula.inference.comparison.submodels import Submodel, SubmodelFit
from lmmformula.optimize import OptimumStatus

__all__ = ["COLUMNS", "FULL", "check_estimated", "deletion_frame"]

COLUMNS = ("npar", "llf", "aic", "lrt", "df", "pvalue")
FULL = "<none>"
NOISE = 1e-6


def check_estimated(results: Any, what: str) -> None:
    """Raise unless theta was estimated: likelihood ratios compare maxima."""
    if results.optimum.status is OptimumStatus.FIXED:
        raise OptionError(
            f"`{what}` compares maximized likelihoods, and this result has a given theta.",
            got="results of `model.at(theta)`",
            suggestion="`model.fit()`",
            status=results.optimum.status,
        )


def deletion_frame(
    results: Any, models: Sequence[Submodel], fits: Sequence[SubmodelFit]
) -> pd.DataFrame:
    """Tabulate fits by the same criterion.

    Parameters
    ----------
    results : LinearMixedResults
        Fit of the full model.
    models, fits : sequence
        The smaller models and their fits.

    Warns
    -----
    ConvergenceWarning
        A smaller model did not converge, or fits better than the full one.
    """
    npar = np.array([results.npar, *(fit.npar for fit in fits)], dtype=np.int64)
    objective = np.array([results.objective, *(fit.objective for fit in fits)])
    lrt, df = objective - objective[0], (npar[0] - npar).astype(np.float64)
    pvalue = np.full(len(lrt), np.nan)
    pvalue[df > 0] = special.chdtrc(df[df > 0], np.maximum(lrt[df > 0], 0.0))
    lrt[0] = df[0] = np.nan
    for model, fit, ratio, count in zip(models, fits, lrt[1:], df[1:], strict=True):
        if not fit.converged:
            notify(_not_converged(model))
        if ratio < -NOISE and count > 0:
            notify(_worse(model, results.formula, float(ratio)))
    values = (npar, -0.5 * objective, objective + 2.0 * npar, lrt, df, pvalue)
    index = pd.Index([FULL, *(model.label for model in models)], dtype=object)
    table = pd.DataFrame(dict(zip(COLUMNS, values, strict=True)), index=index)
    table.attrs["formulas"] = [results.formula, *(model.formula for model in models)]
    return table


def _not_converged(model: Submodel) -> ConvergenceWarning:
    return ConvergenceWarning(
        f"the fit without `{model.label}` is not proved to be at its optimum.",
        got=f"`{model.formula}`",
        suggestion="fit that formula by itself and look at its `optimum`",
        term=model.label,
    )


def _worse(model: Submodel, formula: str, ratio: float) -> ConvergenceWarning:
    return ConvergenceWarning(
        f"without `{model.label}` the likelihood is higher than with it: the full model is not at "
        "its global optimum.",
        got=f"lrt {ratio:.6g} against `{formula}`",
        suggestion="fit the full model again from another `start=`, such as `start=0.1`",
        term=model.label,
        lrt=ratio,
    )
