"""Likelihood-ratio tables: several models of the same rows and response."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Literal, Protocol

import numpy as np
import pandas as pd
from scipy import special

from lmmformula.design import Design
from lmmformula.design.notify import notify
from lmmformula.engine import Estimates, difference_error
from lmmformula.errors import ConvergenceWarning
from lmmformula.inference.comparison.boundary import (
    Boundary,
    Fitted,
    check_boundary,
    no_mixture_warning,
    null_for,
)
from lmmformula.inference.comparison.comparability import (
    Comparable,
    check_arguments,
    check_criteria,
    check_same_data,
    model_labels,
)
from lmmformula.inference.comparison.nested_pair import is_nested, not_nested_warning

__all__ = ["anova", "likelihood_ratio_frame"]

_NOISE = 1e-6
_CLEAR = 3.0
"""Monte Carlo standard errors from which a difference is more than noise."""


class _Fit(Comparable, Protocol):
    @property
    def npar(self) -> int: ...
    @property
    def aic(self) -> float: ...
    @property
    def bic(self) -> float: ...
    @property
    def llf(self) -> float: ...
    @property
    def design(self) -> Design: ...
    @property
    def estimates(self) -> Estimates: ...
    def refit_ml(self) -> _Fit: ...


def anova(
    *results: Any,
    refit: bool = True,
    names: Sequence[str] | None = None,
    boundary: Literal["chibar", "exact"] | None = None,
    seed: Any = None,
) -> pd.DataFrame:
    """Compare models of the same data by likelihood-ratio tests.

    Parameters
    ----------
    *results : LinearMixedResults
        Two or more fits. They are ordered by their number of parameters; each is tested against
        the one before it, so neighbours should be nested.
    refit : bool, default True
        Refit REML fits by maximum likelihood first. REML likelihoods compare only between
        models with the same fixed effects.
    names : sequence of str, optional
        Labels of the models in the order given; default: their formulas.
    boundary : {None, "chibar", "exact"}
        None refers ``chisq`` to chi-square with ``df`` degrees of freedom. Where variances are
        tested these p-values are too large, since zero is at the edge of their range: "chibar"
        takes the mixture of chi-squares that holds there, "exact" simulates the finite-sample
        distribution of a single variance (by REML, with ``refit=False``, also beside others).
    seed : int, SeedSequence or Generator, optional
        Source of randomness for "exact".

    Returns
    -------
    DataFrame
        Indexed by model; columns ``npar, aic, bic, llf, deviance, chisq, df, pvalue``, and
        ``mixture``, the null distribution, with ``boundary``; and ``chisq_error``, the Monte
        Carlo standard error of ``chisq``, where a model was fitted with random probes (those that
        the two models have in common cancel). A negative ``chisq`` is shown as it
        is: the models are not nested, or a fit is not at its optimum.

    Raises
    ------
    DataError
        The models are fitted to different rows, responses or weights.
    OptionError
        Fewer than two results, or REML fits that cannot be compared without ``refit``.

    Warns
    -----
    InferenceWarning
        Neighbours are not nested, or no mixture is known for what differs between them; the
        p-value is missing.
    ConvergenceWarning
        A model with more parameters has a lower likelihood.

    Notes
    -----
    The mixture (Self and Liang 1987; Stram and Lee 1994) holds for any number of parameters that
    may take either sign (fixed effects, covariances) with one new effect per correlated term, or
    any number of uncorrelated ones; the weights of several variances follow from their
    information. Several correlated effects at once, or a smaller model that is itself singular,
    have none.

    Examples
    --------
    >>> import lmmformula as lf
    >>> data = lf.load_dataset("sleepstudy")
    >>> small = lf.lmer("Reaction ~ Days + (1 | Subject)", data)
    >>> large = lf.lmer("Reaction ~ Days + (Days | Subject)", data)
    >>> table = lf.anova(small, large)
    >>> round(float(table["chisq"].iloc[1]), 3)
    42.139
    """
    check_arguments(results, names, "anova")
    check_boundary(boundary)
    labels = model_labels(results, names)
    check_same_data(results, labels)
    fits: list[_Fit]
    if refit:
        fits = [fit.refit_ml() if fit.criterion == "REML" else fit for fit in results]
    else:
        fits = list(results)
        check_criteria(fits, labels)
    order = sorted(range(len(fits)), key=lambda i: fits[i].npar)
    fits, labels = [fits[i] for i in order], [labels[i] for i in order]
    table = likelihood_ratio_frame(fits, labels)
    nested = _nested(fits, labels, table)
    if boundary is None:
        return table
    how = Boundary(boundary, fits[0].criterion == "REML", seed)
    return _corrected(table, fits, labels, nested, how)


def _nested(fits: Sequence[_Fit], labels: Sequence[str], table: pd.DataFrame) -> list[bool]:
    """Whether each model contains the one before it; p-values of those that do not are deleted."""
    holds = [False]
    pvalues = table["pvalue"].to_numpy(copy=True)
    for i in range(1, len(fits)):
        is_tested = bool(table["df"].iloc[i] > 0)
        small, large = fits[i - 1].design.matrices, fits[i].design.matrices
        known = is_nested(small, large) if is_tested else True
        if known is False:
            pvalues[i] = np.nan
            notify(not_nested_warning(labels[i - 1], labels[i]))
        holds.append(is_tested and known is True)
    table["pvalue"] = pvalues
    return holds


def _corrected(
    table: pd.DataFrame,
    fits: Sequence[_Fit],
    labels: Sequence[str],
    nested: Sequence[bool],
    how: Boundary,
) -> pd.DataFrame:
    """Replace the p-values and say which distribution they come from."""
    pvalues, texts = np.full(len(fits), np.nan), [""] * len(fits)
    for i in range(1, len(fits)):
        if np.isnan(table["pvalue"].iloc[i]):
            continue
        small, large = Fitted.of(fits[i - 1]), Fitted.of(fits[i])
        found = null_for(small, large, how, is_nested=nested[i])
        if isinstance(found, str):
            notify(no_mixture_warning(found, labels[i - 1], labels[i]))
            continue
        pvalues[i], texts[i] = found.survival(float(table["chisq"].iloc[i])), str(found)
    return table.assign(pvalue=pvalues, mixture=pd.array(texts, dtype=object))


def likelihood_ratio_frame(fits: Sequence[_Fit], labels: Sequence[str]) -> pd.DataFrame:
    """Tabulate fits that are known to be comparable, smallest model first."""
    llf = np.array([fit.llf for fit in fits])
    npar = np.array([fit.npar for fit in fits])
    chisq = np.concatenate([[np.nan], 2 * np.diff(llf)])
    df = np.concatenate([[np.nan], np.diff(npar)])
    tested = df > 0
    pvalue = np.full(len(fits), np.nan)
    pvalue[tested] = special.chdtrc(df[tested], np.maximum(chisq[tested], 0.0))
    columns = {
        "npar": npar,
        "aic": [fit.aic for fit in fits],
        "bic": [fit.bic for fit in fits],
        "llf": llf,
        "deviance": -2 * llf,
        "chisq": chisq,
        "df": df,
        "pvalue": pvalue,
    }
    probes = [fit.estimates.monte_carlo for fit in fits]
    errors = np.array([np.nan, *(difference_error(*pair) for pair in pairwise(probes))])
    _warn_worse(chisq, df, errors, labels)
    if any(part is not None for part in probes):
        columns["chisq_error"] = errors
    return pd.DataFrame(columns, index=pd.Index(list(labels), name="model"))


def _warn_worse(chisq: Any, df: Any, errors: Any, labels: Sequence[str]) -> None:
    for i in range(1, len(labels)):
        if df[i] > 0 and chisq[i] < -max(_NOISE, _CLEAR * errors[i]):
            notify(
                ConvergenceWarning(
                    f"`{labels[i]}` has more parameters than `{labels[i - 1]}` but a lower "
                    "likelihood.",
                    got=f"chisq {chisq[i]:.6g} on {df[i]:.0f} df",
                    suggestion="compare nested models only; look at `optimum` of both fits",
                    models=(labels[i - 1], labels[i]),
                )
            )
