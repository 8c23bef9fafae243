r"""Power of the F test of a variance between groups, and the sample size that it needs.

With :math:`\lambda = \sigma_A^2/\sigma^2` and groups of one size n the F ratio is
:math:`(1 + n\lambda)` times a central F variable, at any :math:`\lambda`. With unequal sizes the
sum of squares between groups is a sum of independent chi-squares with weights
:math:`1 + \lambda\mu_k`, :math:`\mu_k` the eigenvalues of :math:`diag(n) - nn'/N`, and the
probability that the F ratio exceeds its critical value follows by inverting a characteristic
function.

References
----------
Scheffe (1959), The Analysis of Variance, section 7.2.
Imhof (1961), Biometrika 48, 419-426.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import integrate, special

from lmmformula._arrays import FloatArray, IntArray
from lmmformula.errors import NumericalError, OptionError

__all__ = [
    "SampleSize",
    "balanced_power",
    "check_count",
    "check_ratio",
    "check_share",
    "needed_groups",
    "needed_size",
    "unbalanced_power",
]

LARGEST = 10**7
"""Groups, or rows per group, at which the search for a sample size gives up."""


@dataclass(frozen=True, slots=True)
class SampleSize:
    """A balanced design that reaches the power asked for.

    Attributes
    ----------
    groups, size : int
        Number of groups and rows in each.
    power : float
        Exact power of the design.
    """

    groups: int
    size: int
    power: float

    @property
    def total(self) -> int:
        """Rows in all."""
        return self.groups * self.size


def balanced_power(ratio: FloatArray, alpha: float, groups: int, size: int) -> FloatArray:
    """Probability that F exceeds its critical value, groups of one size.

    Parameters
    ----------
    ratio : ndarray
        Variance between groups over variance within.
    alpha : float
        Level of the test.
    groups, size : int
        Number of groups, rows in each.
    """
    between, within = groups - 1, groups * (size - 1)
    critical = special.fdtri(between, within, 1.0 - alpha)
    return np.asarray(special.fdtrc(between, within, critical / (1.0 + size * ratio)))


def unbalanced_power(ratio: float, alpha: float, sizes: IntArray) -> float:
    """Probability that F exceeds its critical value, groups of any sizes."""
    n, a = float(sizes.sum()), len(sizes)
    between, within = a - 1, n - a
    spread = np.diag(sizes.astype(np.float64)) - np.outer(sizes, sizes) / n
    mu = np.linalg.eigvalsh(spread)[1:]
    critical = special.fdtri(between, within, 1.0 - alpha)
    weights = np.append(1.0 + ratio * mu, -critical * between / within)
    return positive_probability(weights, np.append(np.ones(between), within))


def positive_probability(weights: FloatArray, df: FloatArray) -> float:
    """Probability that a weighted sum of independent chi-squares is positive (Imhof)."""
    weights = weights / np.abs(weights).max()

    def integrand(t: float) -> float:
        u = t / (1.0 - t)
        turn = 0.5 * float(df @ np.arctan(weights * u))
        shrink = 0.25 * float(df @ np.log1p((weights * u) ** 2))
        return float(np.sin(turn) * np.exp(-shrink)) / (u * (1.0 - t) ** 2)

    value, error = integrate.quad(integrand, 0.0, 1.0, epsabs=1e-10, epsrel=1e-10, limit=1000)[:2]
    if error > 1e-6:
        raise NumericalError(
            "the power could not be computed to six digits.",
            got=f"an estimated error of {error:.1g}",
            suggestion="`power(ratio, groups=..., size=...)` for groups of one size",
        )
    return float(np.clip(0.5 + value / np.pi, 0.0, 1.0))


def needed_groups(ratio: float, power: float, alpha: float, size: int) -> SampleSize:
    """Smallest number of groups of a given size."""
    return _searched(ratio, power, alpha, size=size)


def needed_size(ratio: float, power: float, alpha: float, groups: int) -> SampleSize:
    """Smallest size of a given number of groups."""
    return _searched(ratio, power, alpha, groups=groups)


def _searched(ratio: float, power: float, alpha: float, **fixed: int) -> SampleSize:
    """Double the free number until the power suffices, then halve the interval."""
    free = "size" if "groups" in fixed else "groups"

    def reached(count: int) -> float:
        design = {**fixed, free: count}
        return float(balanced_power(np.array(ratio), alpha, **design))

    low, high = 1, 2
    while reached(high) < power:
        low, high = high, 2 * high
        if high > LARGEST:
            raise _out_of_reach(ratio, power, free, fixed)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if reached(middle) >= power else (middle, high)
    return SampleSize(**{**fixed, free: high}, power=reached(high))


def _out_of_reach(ratio: float, power: float, free: str, fixed: dict[str, int]) -> OptionError:
    given = ", ".join(f"{name}={count}" for name, count in fixed.items())
    other = next(iter(fixed))
    return OptionError(
        f"no design of this kind reaches a power of {power:g}.",
        got=f"ratio {ratio:g}, {given}, {free} up to {LARGEST}",
        suggestion=f"more {other}: `sample_size({ratio:g}, {other}={2 * fixed[other]})`"
        if other == "groups"
        else "a larger ratio, or a smaller power",
        argument=free,
    )


def check_ratio(ratio: Any) -> FloatArray:
    """Ratios of variances as an array; they cannot be negative."""
    try:
        values = np.asarray(ratio, dtype=np.float64)
    except (TypeError, ValueError):
        values = np.array(np.nan)
    if np.isfinite(values).all() and (values >= 0.0).all():
        return values
    raise OptionError(
        "`ratio` must be var_group / var_resid, zero or above.",
        got=f"`ratio={ratio!r:.80}`",
        suggestion="`power(0.5)`: a group variance half as large as the residual one",
        argument="ratio",
    )


def check_share(value: Any, name: str, example: str) -> float:
    """Return a number strictly between 0 and 1."""
    is_number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    if is_number and 0.0 < value < 1.0:
        return float(value)
    raise OptionError(
        f"`{name}` must lie between 0 and 1.",
        got=f"`{name}={value!r}`",
        suggestion=f"`{example}`",
        argument=name,
    )


def check_count(value: Any, name: str) -> int:
    """Return a whole number of at least 2."""
    is_number = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if is_number and 2 <= value <= LARGEST:
        return int(value)
    raise OptionError(
        f"`{name}` must be a whole number, at least 2.",
        got=f"`{name}={value!r}`",
        suggestion=f"`{name}=10`",
        argument=name,
    )


def as_given(values: FloatArray, ratio: ArrayLike) -> Any:
    """Return a float where one ratio was given, an array where several were."""
    return float(values) if np.ndim(ratio) == 0 else values
