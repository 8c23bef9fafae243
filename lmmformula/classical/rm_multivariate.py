"""Multivariate tests of repeated measures: no assumption about the covariance of the cells.

References
----------
Anderson (2003), An Introduction to Multivariate Statistical Analysis, 3rd edition, chapter 8.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
import pandas as pd
import scipy.linalg
import scipy.stats

from lmmformula._arrays import FloatArray
from lmmformula.classical.rm_effects import Stratum
from lmmformula.classical.rm_sphericity import is_singular

__all__ = ["MULTIVARIATE", "multivariate_tests"]

Approximation: TypeAlias = tuple[float, float, float, float]
"""Statistic, F, numerator and denominator degrees of freedom."""


def _pillai(roots: FloatArray, q: int, f: int) -> Approximation:
    d = len(roots)
    s, m, n = min(d, q), 0.5 * (abs(d - q) - 1), 0.5 * (f - d - 1)
    value = float(np.sum(roots / (1.0 + roots)))
    first, second = 2 * m + s + 1, 2 * n + s + 1
    return value, second / first * value / (s - value), s * first, s * second


def _wilks(roots: FloatArray, q: int, f: int) -> Approximation:
    d = len(roots)
    value = float(np.prod(1.0 / (1.0 + roots)))
    room = d**2 + q**2 - 5
    power = np.sqrt(((d * q) ** 2 - 4) / room) if room > 0 else 1.0
    den = (f - 0.5 * (d - q + 1)) * power - (d * q - 2) / 2
    return value, (value ** (-1.0 / power) - 1.0) * den / (d * q), d * q, den


def _hotelling_lawley(roots: FloatArray, q: int, f: int) -> Approximation:
    d = len(roots)
    s, m, n = min(d, q), 0.5 * (abs(d - q) - 1), 0.5 * (f - d - 1)
    value = float(np.sum(roots))
    num, den = s * (2 * m + s + 1), 2 * (s * n + 1)
    return value, den * value / (s * num), num, den


def _roy(roots: FloatArray, q: int, f: int) -> Approximation:
    """Roy's F is an upper bound, so its p-value a lower one, unless q or d is 1."""
    value, num = float(np.max(roots)), max(len(roots), q)
    den = f - num + q
    return value, den * value / num, num, den


MULTIVARIATE: dict[str, Callable[[FloatArray, int, int], Approximation]] = {
    "Pillai": _pillai,
    "Wilks": _wilks,
    "Hotelling-Lawley": _hotelling_lawley,
    "Roy": _roy,
}


def multivariate_tests(strata: Sequence[Stratum]) -> pd.DataFrame:
    """Return four tests of every effect.

    Returns
    -------
    DataFrame
        Columns ``effect, test, value, F, num_df, den_df, pvalue``; missing values where the error
        matrix of a stratum is singular.
    """
    rows = []
    for stratum in strata:
        singular = is_singular(stratum)
        for effect in stratum.effects:
            roots = None if singular else scipy.linalg.eigh(effect.H, stratum.E, eigvals_only=True)
            for name, test in MULTIVARIATE.items():
                if roots is None:
                    rows.append((effect.name, name, *[np.nan] * 5))
                    continue
                value, F, num, den = test(np.maximum(roots, 0.0), effect.df, stratum.df)
                p = float(scipy.stats.f.sf(F, num, den)) if den > 0 else np.nan
                rows.append((effect.name, name, value, F if den > 0 else np.nan, num, den, p))
    names = ["effect", "test", "value", "F", "num_df", "den_df", "pvalue"]
    return pd.DataFrame(rows, columns=names)
