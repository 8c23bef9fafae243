"""Adjustments for several tests and intervals at once, family by family."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import special

from lmmformula._arrays import FloatArray
from lmmformula.errors import OptionError
from lmmformula.inference.effects.wald import critical_value, two_sided_p
from lmmformula.inference.marginal.spherical import JointTail
from lmmformula.inference.marginal.studentized import range_quantile, range_tail

__all__ = ["ADJUSTMENTS", "Adjustment", "Family", "check_adjustment"]


@dataclass(frozen=True, eq=False)
class Family:
    """Tests that are judged together; those that are not estimable are NaN and still count.

    Attributes
    ----------
    statistic, df : ndarray, shape (m,)
        t statistics and their degrees of freedom.
    L : ndarray, shape (m, p)
        Combinations of the fixed effects that are tested.
    covariance : ndarray, shape (m, m)
        Of the estimates.
    n_means : int
        Number of means that pairwise comparisons compare.
    """

    statistic: FloatArray
    df: FloatArray
    L: FloatArray
    covariance: FloatArray
    n_means: int

    @property
    def size(self) -> int:
        """Number of tests."""
        return len(self.statistic)

    @property
    def raw(self) -> FloatArray:
        """Two-sided p-values of the tests alone."""
        return two_sided_p(self.statistic, self.df)

    @cached_property
    def joint(self) -> JointTail:
        """Joint distribution of the statistics that there are."""
        known = np.isfinite(self.df) | np.isinf(self.df)
        known &= np.diag(self.covariance) > 0
        return JointTail.of(self.covariance[np.ix_(known, known)])

    @cached_property
    def rank(self) -> int:
        """Dimension of the space of the contrasts."""
        known = ~np.isnan(self.L).any(axis=1)
        return int(np.linalg.matrix_rank(self.L[known])) if known.any() else 0


@dataclass(frozen=True, slots=True)
class Adjustment:
    """One way to judge a family.

    Attributes
    ----------
    p_values : callable
        Family -> adjusted p-values.
    critical : callable
        (family, alpha) -> half widths of simultaneous intervals in standard errors.
    told : str
        What notes say; takes ``{n}`` tests, ``{k}`` means and the ``{rank}``.
    """

    p_values: Callable[[Family], FloatArray]
    critical: Callable[[Family, float], FloatArray]
    told: str


def _tukey_p(family: Family) -> FloatArray:
    return range_tail(np.sqrt(2.0) * np.abs(family.statistic), family.n_means, family.df)


def _tukey_critical(family: Family, alpha: float) -> FloatArray:
    # df of rows that are equal but for rounding share one search
    df = [float(f"{nu:.11g}") for nu in family.df]
    ranges = [range_quantile(alpha, family.n_means, nu) for nu in df]
    return np.asarray(ranges, dtype=np.float64) / math.sqrt(2.0)


def _scheffe_p(family: Family) -> FloatArray:
    ratio = family.statistic**2 / family.rank
    is_normal = np.isinf(family.df)
    by_f = special.fdtrc(family.rank, np.where(is_normal, 1.0, family.df), ratio)
    return np.asarray(np.where(is_normal, special.chdtrc(family.rank, family.rank * ratio), by_f))


def _scheffe_critical(family: Family, alpha: float) -> FloatArray:
    is_normal = np.isinf(family.df)
    by_f = special.fdtri(family.rank, np.where(is_normal, 1.0, family.df), 1 - alpha)
    by_chi = special.chdtri(family.rank, alpha) / family.rank
    return np.asarray(np.sqrt(family.rank * np.where(is_normal, by_chi, by_f)))


def _mvt_p(family: Family) -> FloatArray:
    pairs = zip(np.abs(family.statistic), family.df, strict=True)
    return np.array(
        [
            np.nan if np.isnan(c) else family.joint.probability(float(c), float(nu))
            for c, nu in pairs
        ]
    )


def _mvt_critical(family: Family, alpha: float) -> FloatArray:
    known = {
        nu: np.nan if np.isnan(nu) else family.joint.critical(alpha, nu)
        for nu in {float(f"{nu:.9g}") for nu in family.df}
    }
    return np.array([known.get(float(f"{nu:.9g}"), np.nan) for nu in family.df])


def _stepwise(
    family: Family, scale: Callable[[FloatArray, int], FloatArray], is_up: bool
) -> FloatArray:
    """Sequentially adjusted p-values; tests without a p-value count, as in R's ``p.adjust``."""
    raw = family.raw
    known = np.flatnonzero(~np.isnan(raw))
    order = known[np.argsort(raw[known], kind="stable")]
    scaled = scale(np.arange(1.0, len(order) + 1.0), family.size) * raw[order]
    steps = np.minimum.accumulate(scaled[::-1])[::-1] if is_up else np.maximum.accumulate(scaled)
    adjusted = np.full(len(raw), np.nan)
    adjusted[order] = np.minimum(steps, 1.0)
    return adjusted


def _bonferroni_critical(family: Family, alpha: float) -> FloatArray:
    return critical_value(alpha / family.size, family.df)


def _sidak_critical(family: Family, alpha: float) -> FloatArray:
    return critical_value(-float(np.expm1(np.log1p(-alpha) / family.size)), family.df)


ADJUSTMENTS: dict[str, Adjustment] = {
    "tukey": Adjustment(_tukey_p, _tukey_critical, "Tukey's method for comparing {k} estimates"),
    "bonferroni": Adjustment(
        lambda family: np.minimum(family.size * family.raw, 1.0),
        _bonferroni_critical,
        "Bonferroni's method for {n} tests",
    ),
    "scheffe": Adjustment(_scheffe_p, _scheffe_critical, "Scheffé's method with rank {rank}"),
    "holm": Adjustment(
        lambda family: _stepwise(family, lambda i, n: n + 1.0 - i, is_up=False),
        _bonferroni_critical,
        "Holm's method for {n} tests; limits by Bonferroni's",
    ),
    "sidak": Adjustment(
        lambda family: -np.expm1(family.size * np.log1p(-family.raw)),
        _sidak_critical,
        "Šidák's method for {n} tests",
    ),
    "mvt": Adjustment(_mvt_p, _mvt_critical, "multivariate t distribution of {n} tests"),
    "fdr": Adjustment(
        lambda family: _stepwise(family, lambda i, n: n / i, is_up=True),
        _bonferroni_critical,
        "false discovery rate of {n} tests; limits by Bonferroni's method",
    ),
    "none": Adjustment(
        lambda family: family.raw,
        lambda family, alpha: critical_value(alpha, family.df),
        "",
    ),
}
"""Every adjustment by name."""


def check_adjustment(adjust: str, is_pairwise: bool) -> None:
    """Raise unless ``adjust`` is known and fits the contrasts."""
    if adjust not in ADJUSTMENTS:
        raise OptionError(
            f"`adjust={adjust!r}` is not an adjustment for several tests.",
            got=f"available: {', '.join(ADJUSTMENTS)}",
            suggestion='`adjust="holm"`',
            argument="adjust",
            value=adjust,
            available=tuple(ADJUSTMENTS),
        )
    if adjust == "tukey" and not is_pairwise:
        raise OptionError(
            "Tukey's method is for all pairwise comparisons, which these contrasts are not.",
            got='`adjust="tukey"`',
            suggestion='`adjust="mvt"`, the exact counterpart for any set of contrasts',
            argument="adjust",
            value=adjust,
            available=tuple(name for name in ADJUSTMENTS if name != "tukey"),
        )
