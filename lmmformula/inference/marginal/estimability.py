"""Estimates of linear combinations, and NaN for those that the data do not determine."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lmmformula._arrays import FloatArray
from lmmformula.design.notify import notify
from lmmformula.design.sources import listed
from lmmformula.errors import InferenceWarning
from lmmformula.inference.effects.approximation import Approximation
from lmmformula.inference.marginal.grid import Combinations

__all__ = ["estimated", "warn_of_missing"]


def estimated(rows: Combinations, used: Approximation) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Estimates, standard errors and degrees of freedom.

    Parameters
    ----------
    rows : Combinations
        What is estimated.
    used : Approximation
        Estimates, covariance and degrees of freedom.

    Returns
    -------
    value, se, df : ndarray, shape (m,)
        NaN where not estimable; df also where nothing varies.
    """
    known = rows.is_estimable
    L = rows.L[known]
    value, se, df = np.full((3, len(known)), np.nan)
    value[known] = L @ used.beta + rows.offset[known]
    se[known] = np.sqrt(np.maximum(np.einsum("ij,jk,ik->i", L, used.vcov, L), 0.0))
    varies = known & (se > 0)
    df[varies] = used.df(rows.L[varies])
    return value, se, df


def warn_of_missing(what: str, labels: Sequence[str]) -> None:
    """Warn that some quantities cannot be estimated, by name.

    Parameters
    ----------
    what : str
        "marginal mean", "contrast", ...
    labels : sequence of str
        Which; none means no warning.
    """
    if not labels:
        return
    plural = "s" if len(labels) > 1 else ""
    notify(
        InferenceWarning(
            f"{len(labels)} {what}{plural} cannot be estimated: the data do not determine "
            "combinations that they rest on.",
            got=listed(labels),
            suggestion="means of an interaction instead of averages over it, "
            "`at={...}` with fewer levels, or a formula without that interaction",
            cells=tuple(labels),
        )
    )
