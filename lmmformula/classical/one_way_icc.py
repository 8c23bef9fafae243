r"""Intervals for the intraclass correlation of a one-way random model.

With :math:`w_i = n_i/(1 + \lambda n_i)` and m the mean so weighted,

.. math:: G(\lambda) = \frac{\sum_i w_i(\bar y_i - m)^2}{(a - 1)\,MSE}

has an F distribution at the true ratio :math:`\lambda = \sigma_A^2/\sigma^2`, whatever the sizes of
the groups, and falls as :math:`\lambda` grows (Wald). Where it crosses two quantiles of F are exact
limits; in balanced data :math:`G = F/(1 + n\lambda)` and they are the usual closed form. The
approximations for unbalanced data put one number for the sizes: Searle's :math:`n_0`, or the
harmonic mean with the unweighted means of Thomas and Hultquist.

References
----------
Wald (1940), Ann. Math. Stat. 11, 96-100.
Thomas and Hultquist (1978), Ann. Stat. 6, 582-587.
Searle, Casella and McCulloch (1992), Variance Components, section 3.6.
Burdick and Graybill (1992), Confidence Intervals on Variance Components, chapter 4.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import optimize, special

from lmmformula.classical.one_way_data import Groups
from lmmformula.classical.one_way_estimates import weighted_mean
from lmmformula.errors import OptionError

__all__ = ["INTERVALS", "IntraclassInterval", "icc_interval"]


@dataclass(frozen=True, slots=True)
class IntraclassInterval:
    """An intraclass correlation with confidence limits.

    Attributes
    ----------
    estimate : float
        From the moment estimates; negative where that of the group variance is.
    lower, upper : float
        Limits, at least zero.
    alpha : float
        One less the level.
    method : str
        A key of ``INTERVALS``.
    is_exact : bool
        Whether the level is exact for normal data.
    """

    estimate: float
    lower: float
    upper: float
    alpha: float
    method: str
    is_exact: bool


def _exact(groups: Groups, quantile: float) -> float:
    """Ratio at which Wald's statistic equals a quantile; zero if it is below it already there."""
    a, within = groups.n_groups, groups.mean_squares[1]

    def excess(ratio: float) -> float:
        weights = groups.sizes / (1.0 + ratio * groups.sizes)
        mean = weighted_mean(groups, ratio)[0]
        return float(weights @ (groups.means - mean) ** 2) / ((a - 1) * within) - quantile

    if excess(0.0) <= 0.0:
        return 0.0
    high = 1.0
    while excess(high) > 0.0:
        high *= 4.0
    return float(optimize.brentq(excess, 0.0, high, xtol=1e-300, rtol=1e-14))


def _thomas_hultquist(groups: Groups, quantile: float) -> float:
    """Variance of the unweighted means, harmonic mean of the sizes."""
    harmonic = groups.n_groups / float(np.sum(1.0 / groups.sizes))
    ratio = harmonic * float(np.var(groups.means, ddof=1)) / groups.mean_squares[1]
    return max(ratio / quantile - 1.0, 0.0) / harmonic


def _searle(groups: Groups, quantile: float) -> float:
    """The balanced formula with n0 for the size."""
    between, within = groups.mean_squares
    return max(between / within / quantile - 1.0, 0.0) / groups.n0


INTERVALS: dict[str, Callable[[Groups, float], float]] = {
    "exact": _exact,
    "thomas-hultquist": _thomas_hultquist,
    "searle": _searle,
}
"""Name -> limit of the ratio of variances, given the groups and a quantile of F."""


def icc_interval(groups: Groups, estimate: float, alpha: float, method: str) -> IntraclassInterval:
    """Estimate and limits by one method."""
    if method not in INTERVALS:
        raise OptionError(
            f"`method={method!r}` is not an interval of the intraclass correlation.",
            got=f"available: {', '.join(INTERVALS)}",
            suggestion='`method="exact"`',
            argument="method",
            available=tuple(INTERVALS),
        )
    limits = []
    for share in (1.0 - alpha / 2.0, alpha / 2.0):
        quantile = float(special.fdtri(*groups.df, share))
        ratio = INTERVALS[method](groups, quantile)
        limits.append(ratio / (1.0 + ratio))
    is_exact = method == "exact" or groups.is_balanced
    return IntraclassInterval(estimate, limits[0], limits[1], alpha, method, is_exact)
