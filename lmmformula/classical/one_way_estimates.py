r"""Estimates of a one-way random model: from moments, and by (restricted) maximum likelihood.

:math:`y_{ij} = \mu + a_i + e_{ij}`, :math:`a_i \sim N(0, \sigma_A^2)`,
:math:`e_{ij} \sim N(0, \sigma^2)`. In balanced data the likelihood equations have a closed
solution. In unbalanced data the likelihood is a function of the ratio
:math:`\lambda = \sigma_A^2 / \sigma^2` alone, and the zero of its slope is found by bracketing.
With :math:`w_i = n_i / (1 + \lambda n_i)`, :math:`m = \sum w_i \bar y_i / \sum w_i` and
:math:`S = SSE + \sum w_i (\bar y_i - m)^2`,

.. math:: -2\ell = \nu\,(1 + \log(2\pi S/\nu)) + \sum_i \log(1 + \lambda n_i)
          \;[\,+ \log \textstyle\sum w_i\,],

:math:`\nu = N`, or :math:`N - 1` and the last term for REML. None of this uses the engine of the
mixed models, so that each can be checked by the other.

References
----------
Searle, Casella and McCulloch (1992), Variance Components, chapters 3 and 4.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import optimize

from lmmformula._arrays import FloatArray
from lmmformula.classical.one_way_data import Groups

__all__ = ["OneWayEstimates", "by_likelihood", "by_moments", "weighted_mean"]

GRID = np.concatenate([[0.0], np.geomspace(1e-8, 1e12, 401)])
"""Ratios, times the mean group size, between which slopes of the likelihood are compared."""


@dataclass(frozen=True, slots=True)
class OneWayEstimates:
    """Estimates by one method.

    Attributes
    ----------
    method : str
        "moments", "ML" or "REML".
    mean : float
        Estimate of the overall mean; in unbalanced data weighted by the estimated variances.
    mean_se : float
        Its standard error, the variances taken as known.
    var_group, var_resid : float
        Variances between and within groups. The one from moments may be negative.
    on_boundary : bool
        The variance between groups is zero, or negative for moments.
    llf : float
        Log-likelihood (restricted for REML); missing for moments.
    """

    method: str
    mean: float
    mean_se: float
    var_group: float
    var_resid: float
    on_boundary: bool
    llf: float

    @property
    def ratio(self) -> float:
        """``var_group / var_resid``."""
        return self.var_group / self.var_resid

    @property
    def icc(self) -> float:
        """``var_group / (var_group + var_resid)``."""
        return self.var_group / (self.var_group + self.var_resid)


def weighted_mean(groups: Groups, ratio: float) -> tuple[float, float]:
    """Return the mean weighted by ``n / (1 + ratio n)``, and the sum of these weights."""
    weights = groups.sizes / (1.0 + ratio * groups.sizes)
    centre = groups.means[0]
    total = float(weights.sum())
    return float(centre + weights @ (groups.means - centre) / total), total


def by_moments(groups: Groups) -> OneWayEstimates:
    """Equate mean squares to their expectations; a negative variance stays negative."""
    between, within = groups.mean_squares
    var_group = (between - within) / groups.n0
    return _estimates(groups, "moments", var_group, within, math.nan)


def by_likelihood(groups: Groups, *, reml: bool) -> OneWayEstimates:
    """Maximize the (restricted) likelihood over non-negative variances.

    Parameters
    ----------
    groups : Groups
    reml : bool
        The restricted likelihood.
    """
    likelihood = _Profile(groups, reml)
    if groups.is_balanced:
        var_group, var_resid = _closed_form(groups, reml)
    else:
        ratio = likelihood.best_ratio()
        var_resid = likelihood.variance(ratio)
        var_group = ratio * var_resid
    llf = -0.5 * likelihood.value(var_group / var_resid)
    return _estimates(groups, "REML" if reml else "ML", var_group, var_resid, llf)


def _closed_form(groups: Groups, reml: bool) -> tuple[float, float]:
    """Both variances in balanced data; at the boundary all variation is residual."""
    a, n = groups.n_groups, float(groups.sizes[0])
    between, within = groups.mean_squares
    var_group = ((1.0 if reml else 1.0 - 1.0 / a) * between - within) / n
    if var_group > 0.0:
        return var_group, within
    pooled = groups.ss_between + groups.ss_within
    return 0.0, pooled / (groups.n_obs - (1 if reml else 0))


def _estimates(
    groups: Groups, method: str, var_group: float, var_resid: float, llf: float
) -> OneWayEstimates:
    mean, total = weighted_mean(groups, max(var_group, 0.0) / var_resid)
    mean_se = math.sqrt(var_resid / total)
    return OneWayEstimates(method, mean, mean_se, var_group, var_resid, var_group <= 0.0, llf)


class _Profile:
    """Minus twice the log-likelihood as a function of the ratio of variances, and its slope."""

    def __init__(self, groups: Groups, reml: bool) -> None:
        self.groups, self.reml = groups, reml
        self.nu = groups.n_obs - (1 if reml else 0)

    def _parts(self, ratio: float) -> tuple[FloatArray, FloatArray, float]:
        """Weights, squared distances from the weighted mean, residual sum of squares."""
        groups = self.groups
        weights = groups.sizes / (1.0 + ratio * groups.sizes)
        squares = (groups.means - weighted_mean(groups, ratio)[0]) ** 2
        return weights, squares, groups.ss_within + float(weights @ squares)

    def variance(self, ratio: float) -> float:
        """Residual variance at a ratio."""
        return self._parts(ratio)[2] / self.nu

    def value(self, ratio: float) -> float:
        """Minus twice the (restricted) log-likelihood."""
        weights, _, total = self._parts(ratio)
        value = self.nu * (1.0 + math.log(2.0 * math.pi * total / self.nu))
        value += float(np.log1p(ratio * self.groups.sizes).sum())
        return value + (math.log(weights.sum()) if self.reml else 0.0)

    def slope(self, ratio: float) -> float:
        """Derivative of ``value``."""
        weights, squares, total = self._parts(ratio)
        slope = -self.nu * float(weights**2 @ squares) / total + float(weights.sum())
        if self.reml:
            slope -= float(weights @ weights) / float(weights.sum())
        return slope

    def best_ratio(self) -> float:
        """Ratio at the global minimum: the lowest of zero and the zeros of the slope."""
        grid = GRID * self.groups.n_groups / self.groups.n_obs
        slopes = np.array([self.slope(ratio) for ratio in grid])
        candidates = [0.0] if slopes[0] >= 0.0 else []
        for i in np.flatnonzero((slopes[:-1] < 0.0) & (slopes[1:] >= 0.0)):
            root = optimize.brentq(
                self.slope, grid[i], grid[i + 1], xtol=1e-15 * grid[i + 1], rtol=1e-14
            )
            candidates.append(float(root))
        return min(candidates or [float(grid[-1])], key=self.value)
