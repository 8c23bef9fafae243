r"""The studentized range distribution, by quadrature that keeps small probabilities exact.

The range of k standard normal variables exceeds w with probability

.. math:: \int k \varphi(z) \{\Phi(z)^{k-1} - [\Phi(z) - \Phi(z - w)]^{k-1}\} dz,

which is averaged over the distribution of :math:`s = \sqrt{\chi^2_\nu / \nu}`. Both integrands are
analytic and die out fast on both sides (the second in log s), where the trapezoidal rule
converges geometrically. The difference of powers is computed without cancellation.

References
----------
Copenhaver and Holland (1988), J. Stat. Comput. Simul. 30, 1-15 (the distribution).
Trefethen and Weideman (2014), SIAM Review 56, 385-458 (the rule).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
from scipy import special

from lmmformula._arrays import FloatArray

__all__ = ["range_quantile", "range_tail"]

INNER = 400
OUTER = 240
TABLE = 1601
LARGEST = 48.0
"""Range that normal variables do not exceed in double precision."""
NEGLIGIBLE = 60.0
"""Log of the density, below its peak, that is left out."""


def range_tail(q: FloatArray, k: int, df: FloatArray) -> FloatArray:
    """Probability that the studentized range of k means exceeds q.

    Parameters
    ----------
    q : ndarray, shape (m,)
        Non-negative values.
    k : int
        Number of means, at least 2.
    df : ndarray, shape (m,)
        Degrees of freedom; infinite for a known variance.
    """
    pairs = zip(np.asarray(q, float), np.asarray(df, float), strict=True)
    return np.array([_tail(float(x), k, float(nu)) for x, nu in pairs])


def _tail(q: float, k: int, df: float) -> float:
    if np.isnan(q) or np.isnan(df):
        return float("nan")
    if np.isinf(df):
        return float(_normal_tail(k)(np.array([q]))[0])
    log_s, weights = _scales(df)
    tail = float(weights @ _normal_tail(k)(q * np.exp(log_s)))
    return min(1.0, tail)


@lru_cache(maxsize=64)
def _normal_tail(k: int) -> Callable[[FloatArray], FloatArray]:
    """Tail of the range of k standard normal variables, tabulated in logs."""
    from scipy.interpolate import CubicSpline

    w = np.linspace(0.0, LARGEST, TABLE)
    z = np.linspace(-10.0, 46.0, INNER)
    below = special.ndtr(z)
    density = k * np.exp(-0.5 * z * z) / np.sqrt(2 * np.pi) * below ** (k - 1) * (z[1] - z[0])
    share = np.minimum(special.ndtr(z - w[:, None]) / below, 1.0 - 1e-16)
    lost = -np.expm1((k - 1) * np.log1p(-share))
    spline: Any = CubicSpline(w, np.log(lost @ density))

    def tail(values: FloatArray) -> FloatArray:
        logs = np.minimum(spline(np.minimum(values, LARGEST)), 0.0)
        return np.where(values > LARGEST, 0.0, np.exp(logs))

    return tail


@lru_cache(maxsize=256)
def _scales(df: float) -> tuple[FloatArray, FloatArray]:
    """Nodes in log s and their weights."""
    from scipy import optimize

    def drop(t: float) -> float:
        return float(df * (t - np.expm1(2 * t) / 2) + NEGLIGIBLE)

    low: float = optimize.brentq(drop, -NEGLIGIBLE / df - 1.0, 0.0)
    high: float = optimize.brentq(drop, 0.0, 0.5 * np.log(2 * NEGLIGIBLE / df + 4.0) + 1.0)
    t = np.linspace(low, high, OUTER)
    density = np.exp(df * (t - np.expm1(2 * t) / 2))
    return t, density / density.sum()


@lru_cache(maxsize=1024)
def range_quantile(alpha: float, k: int, df: float) -> float:
    """Value that the studentized range of k means exceeds with probability alpha."""
    from scipy import optimize

    if np.isnan(df):
        return float("nan")
    high = 4.0
    while _tail(high, k, df) > alpha:
        high *= 2.0
    found: float = optimize.brentq(lambda q: _tail(q, k, df) - alpha, 0.0, high, xtol=1e-12)
    return found
