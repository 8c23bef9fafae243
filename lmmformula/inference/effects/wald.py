"""Tests and intervals from estimates, their covariance and degrees of freedom."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import special

from lmmformula._arrays import FloatArray
from lmmformula.errors import OptionError

__all__ = ["coefficient_columns", "coefficient_frame", "critical_value", "f_p_value", "two_sided_p"]


def check_alpha(alpha: float) -> float:
    """Return ``alpha`` if it is a probability strictly between 0 and 1."""
    if isinstance(alpha, bool) or not isinstance(alpha, int | float | np.number):
        raise OptionError(
            "`alpha` must be a number between 0 and 1.",
            got=f"`alpha={alpha!r}`",
            suggestion="`alpha=0.05` for 95 % intervals",
        )
    if not 0 < alpha < 1:
        raise OptionError(
            "`alpha` must lie between 0 and 1.",
            got=f"`alpha={alpha!r}`",
            suggestion="`alpha=0.05` for 95 % intervals",
        )
    return float(alpha)


def critical_value(alpha: float, df: FloatArray) -> FloatArray:
    """Two-sided quantile of Student's t; of the normal where ``df`` is infinite."""
    upper = 1 - alpha / 2
    is_normal = np.isinf(df)
    quantile = special.stdtrit(np.where(is_normal, 1.0, df), upper)
    return np.asarray(np.where(is_normal, special.ndtri(upper), quantile))


def two_sided_p(statistic: FloatArray, df: FloatArray) -> FloatArray:
    """Two-sided p-value of Student's t; of the normal where ``df`` is infinite."""
    size = -np.abs(statistic)
    is_normal = np.isinf(df)
    student = special.stdtr(np.where(is_normal, 1.0, df), size)
    return np.asarray(2 * np.where(is_normal, special.ndtr(size), student))


def f_p_value(statistic: float, num_df: int, den_df: float) -> float:
    """P-value of an F statistic; of the chi-square where ``den_df`` is infinite."""
    if np.isinf(den_df):
        return float(special.chdtrc(num_df, num_df * statistic))
    return float(special.fdtrc(num_df, den_df, statistic))


def coefficient_columns(
    beta: FloatArray, se: FloatArray, df: FloatArray, alpha: float
) -> dict[str, FloatArray]:
    """Tests and limits of single coefficients.

    Parameters
    ----------
    beta, se, df : ndarray, shape (p,)
        Estimates, standard errors, degrees of freedom (infinite for the normal).
    alpha : float
        One less the level of the intervals.

    Returns
    -------
    dict of str to ndarray
        ``estimate, se, df, statistic, pvalue, lower, upper``.
    """
    half = critical_value(check_alpha(alpha), df) * se
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = beta / se
    return {
        "estimate": beta,
        "se": se,
        "df": df,
        "statistic": statistic,
        "pvalue": two_sided_p(statistic, df),
        "lower": beta - half,
        "upper": beta + half,
    }


def coefficient_frame(
    names: Sequence[str], beta: FloatArray, se: FloatArray, df: FloatArray, alpha: float
) -> pd.DataFrame:
    """Put estimates, tests and limits of single coefficients into one table.

    Parameters
    ----------
    names : sequence of str, length p
        Names of the coefficients.
    beta, se, df, alpha
        As for ``coefficient_columns``.

    Returns
    -------
    DataFrame
        Columns ``estimate, se, df, statistic, pvalue, lower, upper``.
    """
    return pd.DataFrame(coefficient_columns(beta, se, df, alpha), index=pd.Index(list(names)))
