r"""Null distributions of likelihood-ratio statistics when variances are zero under the hypothesis.

If the smaller model sets m variances to zero that may not be negative, and r parameters that may
take either sign, the statistic is asymptotically a mixture of chi-squares with r to r + m degrees
of freedom (chi-bar-square). With one variance the weights are a half each; with more they are
probabilities of orthants and depend on how the estimates of the variances correlate.

References
----------
Self and Liang (1987), J. Amer. Statist. Assoc. 82, 605-610.
Stram and Lee (1994), Biometrics 50, 1171-1177.
Kudo (1963), Biometrika 50, 403-418 (weights).
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from scipy import special

from lmmformula._arrays import FloatArray

__all__ = ["Mixture", "chi_bar_square", "cone_weights"]

AT_ZERO = 1e-6
"""Statistics below it are rounding."""
LARGEST = 6
"""Variances beyond which the weights take too long."""


@dataclass(frozen=True, slots=True)
class Mixture:
    """A mixture of chi-square distributions; zero degrees of freedom are a mass at zero.

    Attributes
    ----------
    df : tuple of int
        Degrees of freedom.
    weights : tuple of float
        Their weights.
    """

    df: tuple[int, ...]
    weights: tuple[float, ...]

    def survival(self, statistic: float) -> float:
        """Probability of a statistic at least as large."""
        if statistic < AT_ZERO:
            return 1.0
        tails = (float(special.chdtrc(df, statistic)) if df else 0.0 for df in self.df)
        return sum(weight * tail for weight, tail in zip(self.weights, tails, strict=True))

    def __str__(self) -> str:
        if len(self.df) == 1:
            return f"chi2({self.df[0]})"
        pairs = zip(self.weights, self.df, strict=True)
        return " + ".join(f"{weight:.3g} chi2({df})" for weight, df in pairs)


def chi_bar_square(n_free: int, vcov: FloatArray) -> Mixture:
    """Mixture for parameters of either sign and variances.

    Parameters
    ----------
    n_free : int
        Number of parameters that may take either sign.
    vcov : ndarray, shape (m, m)
        Asymptotic covariance of the unrestricted estimates of the variances; for one variance
        its value does not matter.
    """
    weights = cone_weights(vcov)
    return Mixture(tuple(range(n_free, n_free + len(weights))), tuple(weights.tolist()))


def cone_weights(vcov: FloatArray) -> FloatArray:
    """Probability that j of m estimates, projected on the positive orthant, are positive.

    Parameters
    ----------
    vcov : ndarray, shape (m, m)
        Covariance of the estimates.

    Returns
    -------
    ndarray, shape (m + 1,)
        Sums to one.

    Notes
    -----
    Kudo's formula: a sum over subsets S of the probability that the estimates in S, given that
    the others are zero, are positive, times that of multipliers of the wrong sign for the others.
    """
    m = len(vcov)
    weights: FloatArray = np.zeros(m + 1)
    for size in range(m + 1):
        for chosen in itertools.combinations(range(m), size):
            rest = [i for i in range(m) if i not in chosen]
            own = list(chosen)
            others = vcov[np.ix_(rest, rest)]
            given = vcov[np.ix_(own, own)]
            if rest and own:
                link = vcov[np.ix_(own, rest)]
                given = given - link @ np.linalg.solve(others, link.T)
            inverse: FloatArray = np.asarray(np.linalg.inv(others), dtype=np.float64)
            weights[size] += _orthant(given) * _orthant(inverse)
    weights /= weights.sum()
    return weights


def _orthant(vcov: FloatArray) -> float:
    """Probability that a centred normal vector is positive; exact for up to three entries."""
    m = len(vcov)
    if m <= 1:
        return 0.5**m
    size = np.sqrt(np.diagonal(vcov))
    corr = np.clip(vcov / np.outer(size, size), -1.0, 1.0)
    angles = float(np.arcsin(corr[np.triu_indices(m, 1)]).sum())
    if m == 2:
        return 0.25 + angles / (2.0 * np.pi)
    if m == 3:
        return 0.125 + angles / (4.0 * np.pi)
    from scipy.stats import multivariate_normal

    normal = multivariate_normal(np.zeros(m), corr, allow_singular=True)
    return float(normal.cdf(np.zeros(m), rng=np.random.default_rng(0)))
