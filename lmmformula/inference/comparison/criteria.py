r"""Information criteria of several models side by side.

With k parameters, n rows and log-likelihood :math:`\ell`: AIC :math:`= -2\ell + 2k`, its
small-sample form AICc :math:`= AIC + 2k(k + 1)/(n - k - 1)`, BIC :math:`= -2\ell + k\log n`. The
Akaike weight of a model is :math:`\exp(-\Delta/2)` over the sum of these, :math:`\Delta` its AIC
less the smallest one.

References
----------
Hurvich and Tsai (1989), Biometrika 76, 297-307.
Burnham and Anderson (2002), Model Selection and Multimodel Inference, 2nd ed., chapter 2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from lmmformula.design.notify import notify
from lmmformula.errors import ConvergenceWarning
from lmmformula.inference.comparison.comparability import (
    check_arguments,
    check_criteria,
    check_same_data,
    model_labels,
)
from lmmformula.report.printed import Printed
from lmmformula.report.render import Medium, render
from lmmformula.report.table import Column, Table

__all__ = ["Comparison", "compare"]

COLUMNS = ("npar", "llf", "aic", "aicc", "bic", "delta_aic", "weight", "criterion")


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Comparison(Printed):
    """Information criteria of several models, the smallest AIC first.

    Attributes
    ----------
    frame : DataFrame
        Indexed by model; columns ``npar, llf, aic, aicc, bic, delta_aic, weight, criterion``.
    """

    frame: pd.DataFrame

    @property
    def best(self) -> str:
        """Name of the model with the smallest AIC."""
        return str(self.frame.index[0])

    def to_frame(self) -> pd.DataFrame:
        """Return a copy of the table."""
        return self.frame.copy()

    def __len__(self) -> int:
        return len(self.frame)

    def _write(self, medium: Medium) -> str:
        return render(_table(self.frame), medium)


def compare(*results: Any, refit: bool = False, names: Sequence[str] | None = None) -> Comparison:
    """Put the information criteria of several models side by side.

    Parameters
    ----------
    *results : LinearMixedResults
        Two or more fits of the same rows and response, in any order; they need not be nested.
    refit : bool, default False
        Refit REML fits by maximum likelihood first. REML likelihoods compare only between models
        with the same fixed effects, such as two covariance structures.
    names : sequence of str, optional
        Labels of the models in the order given; default: their formulas.

    Returns
    -------
    Comparison
        Prints itself; ``to_frame()`` has one row per model, the smallest AIC first, with columns
        ``npar, llf, aic, aicc, bic, delta_aic, weight, criterion``. ``aicc`` is missing where the
        rows do not outnumber the parameters by two; ``weight`` are the Akaike weights.

    Raises
    ------
    DataError
        The models are fitted to different rows, responses or weights.
    OptionError
        Fewer than two results, or REML fits whose likelihoods do not compare.

    Warns
    -----
    ConvergenceWarning
        A model is not at a proved optimum, so its criteria may be too large.

    Notes
    -----
    The criteria are marginal: they count the parameters of the model, not the effects that it
    predicts. ``results.conditional_aic()`` is about the groups at hand. Every covariance parameter
    counts as one, also at the boundary of its range.

    Examples
    --------
    >>> import lmmformula as lf
    >>> data = lf.load_dataset("sleepstudy")
    >>> small = lf.lmer("Reaction ~ Days + (Days || Subject)", data)
    >>> large = lf.lmer("Reaction ~ Days + (Days | Subject)", data)
    >>> table = lf.compare(small, large).to_frame()
    >>> table["delta_aic"].round(3).tolist()
    [0.0, 1.959]
    """
    check_arguments(results, names, "compare")
    labels = model_labels(results, names)
    check_same_data(results, labels)
    fits = [f.refit_ml() if refit and f.criterion == "REML" else f for f in results]
    check_criteria(fits, labels, "compare")
    for fit, label in zip(fits, labels, strict=True):
        if not fit.converged:
            notify(_not_converged(label, fit.status))
    frame = _frame(fits, labels)
    return Comparison(frame.sort_values("aic", kind="stable"))


def _frame(fits: Sequence[Any], labels: Sequence[str]) -> pd.DataFrame:
    npar = np.array([fit.npar for fit in fits], dtype=np.int64)
    aic = np.array([fit.aic for fit in fits], dtype=np.float64)
    left = np.array([fit.nobs for fit in fits]) - npar - 1.0
    with np.errstate(divide="ignore"):
        aicc = np.where(left > 0, aic + 2.0 * npar * (npar + 1.0) / left, np.nan)
    delta = aic - aic.min()
    weight = np.exp(-0.5 * delta)
    values = (
        npar,
        [fit.llf for fit in fits],
        aic,
        aicc,
        [fit.bic for fit in fits],
        delta,
        weight / weight.sum(),
        pd.array([fit.criterion for fit in fits], dtype=object),
    )
    index = pd.Index(list(labels), name="model", dtype=object)
    return pd.DataFrame(dict(zip(COLUMNS, values, strict=True)), index=index)


def _table(frame: pd.DataFrame) -> Table:
    columns = (
        Column("Model"),
        Column("Parameters", "count"),
        Column("Log-lik.", "criterion"),
        Column("AIC", "criterion"),
        Column("AICc", "criterion"),
        Column("BIC", "criterion"),
        Column("Δ AIC", "criterion"),
        Column("Weight", "correlation"),
    )
    rows = tuple((str(name), *row[:-1]) for name, *row in frame.itertuples())
    criterion = "REML" if frame["criterion"].iloc[0] == "REML" else "maximum likelihood"
    return Table(f"Information criteria (fits by {criterion})", columns, rows)


def _not_converged(label: str, status: str) -> ConvergenceWarning:
    return ConvergenceWarning(
        f"`{label}` is not proved to be at its optimum, so its criteria may be too large.",
        got=status,
        suggestion="look at `optimum`; fit it again from another `start=`",
        model=label,
    )
