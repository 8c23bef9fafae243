"""Confidence limits from bootstrap replicates of one parameter."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import special

from lmmformula._arrays import FloatArray

__all__ = ["METHODS", "basic", "bca", "normal", "percentile", "shortest"]


def _quantiles(replicates: FloatArray, levels: FloatArray) -> FloatArray:
    """Order statistics at (B + 1) times the level, interpolated."""
    return np.asarray(np.quantile(replicates, levels, method="weibull"))


def _tails(alpha: float) -> FloatArray:
    return np.array([alpha / 2.0, 1.0 - alpha / 2.0])


def percentile(replicates: FloatArray, estimate: float, alpha: float) -> FloatArray:
    """Quantiles of the replicates."""
    return _quantiles(replicates, _tails(alpha))


def basic(replicates: FloatArray, estimate: float, alpha: float) -> FloatArray:
    """Quantiles of the replicates reflected about the estimate."""
    return np.asarray(2.0 * estimate - percentile(replicates, estimate, alpha)[::-1])


def normal(replicates: FloatArray, estimate: float, alpha: float) -> FloatArray:
    """Normal quantiles about the estimate less its bootstrap bias."""
    centre = 2.0 * estimate - replicates.mean()
    reach = special.ndtri(1.0 - alpha / 2.0) * replicates.std(ddof=1)
    return np.array([centre - reach, centre + reach])


def shortest(replicates: FloatArray, estimate: float, alpha: float) -> FloatArray:
    """Shortest interval that holds the share 1 - alpha of the replicates."""
    ordered = np.sort(replicates)
    held = max(1, int(np.ceil((1.0 - alpha) * len(ordered))))
    length = ordered[held - 1 :] - ordered[: len(ordered) - held + 1]
    start = int(np.argmin(length))
    return ordered[[start, start + held - 1]]


def bca(
    replicates: FloatArray, estimate: float, alpha: float, acceleration: float = 0.0
) -> FloatArray:
    """Bias-corrected and accelerated quantiles (Efron 1987).

    Ties with the estimate, as at a variance of zero, count half.
    """
    below = np.mean(replicates < estimate) + 0.5 * np.mean(replicates == estimate)
    edge = 0.5 / len(replicates)
    shift = special.ndtri(np.clip(below, edge, 1.0 - edge))
    z = shift + special.ndtri(_tails(alpha))
    levels = special.ndtr(shift + z / np.maximum(1.0 - acceleration * z, 1e-10))
    return _quantiles(replicates, levels)


METHODS: dict[str, Callable[[FloatArray, float, float], FloatArray]] = {
    "percentile": percentile,
    "basic": basic,
    "bca": bca,
    "shortest": shortest,
    "normal": normal,
}
