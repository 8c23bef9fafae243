r"""Correlation as a function of positions: what structured effects and residuals have in common.

A family gives the correlation of two positions and its derivatives in unconstrained parameters.
Correlations are written as sines, so that the ends of their range are ordinary stationary points
(as a variance of zero is one in its standard deviation), and rates as exponentials. Users see
``natural`` parameters.

References
----------
Pinheiro and Bates (2000), Mixed-Effects Models in S and S-PLUS, section 5.3.
Joe (2006), J. Multivariate Anal. 97, 2177-2189 (correlations from partial correlations).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Literal, TypeAlias

import numpy as np

from lmmformula._arrays import BoolArray, FloatArray, IntArray

__all__ = [
    "Correlation",
    "EffectsCorrelation",
    "Indexed",
    "Stationary",
    "distance",
    "mean_where",
    "place_index",
]

Time: TypeAlias = Literal["none", "discrete", "continuous"]
Link: TypeAlias = Literal["correlation", "positive"]


class Correlation(ABC):
    """Correlation of two positions, as a function of parameters.

    Parameters
    ----------
    size : int
        Number of positions that can be told apart (for exchangeable ones: the largest group).
    unit : float
        Typical distance of neighbours, which sets the scale of rates.

    Attributes
    ----------
    time : {"none", "discrete", "continuous"}
        What positions mean: nothing, whole numbers, or any coordinates.
    link : {"correlation", "positive"}
        Range of the natural parameters.
    closed : bool
        The ends of that range belong to it: matrices there are singular, but ordinary points.
    """

    time: ClassVar[Time] = "discrete"
    link: ClassVar[Link] = "correlation"
    closed: ClassVar[bool] = False

    def __init__(self, size: int, unit: float = 1.0) -> None:
        self.size, self.unit = size, unit

    @property
    @abstractmethod
    def names(self) -> tuple[str, ...]:
        """Names of the parameters."""

    @property
    def n_parameters(self) -> int:
        """How many."""
        return len(self.names)

    def start(self) -> FloatArray:
        """Parameters of no correlation (or little, where there is no such point)."""
        return np.zeros(self.n_parameters)

    @abstractmethod
    def starts(self, average: float) -> list[FloatArray]:
        """Parameters worth trying, given the average correlation; asked where there are any."""

    @abstractmethod
    def values(self, phi: FloatArray, left: FloatArray, right: FloatArray) -> FloatArray:
        """Correlations of positions (..., d) with others, shape (...); one at equal positions."""

    @abstractmethod
    def slopes(self, phi: FloatArray, left: FloatArray, right: FloatArray) -> FloatArray:
        """Their derivatives, shape (n_parameters, ...)."""

    @abstractmethod
    def natural(self, phi: FloatArray) -> FloatArray:
        """Parameters that users know."""

    @abstractmethod
    def from_natural(self, values: FloatArray) -> FloatArray:
        """Inverse of ``natural``."""

    @property
    def limits(self) -> tuple[float, float]:
        """Ends of the range of each natural parameter."""
        return -1.0, 1.0

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the natural parameters."""
        return self.names


class EffectsCorrelation(Correlation):
    """Families that random effects may have: parameters can be read off a matrix."""

    @abstractmethod
    def estimate(self, matrix: FloatArray, places: FloatArray) -> FloatArray:
        """Natural parameters of a correlation matrix (K, K) over places (K, d).

        NaN entries belong to places without variance; where all are, no correlation.
        """


class Indexed(Correlation):
    """Families whose natural parameters are entries of the matrix, each moved by several phi."""

    @abstractmethod
    def index(self, left: FloatArray, right: FloatArray) -> IntArray:
        """Which parameter is the correlation of two positions; -1 at equal ones."""


class Stationary(Correlation):
    """Families in which only the distance matters."""

    @abstractmethod
    def function(self, phi: FloatArray, lag: FloatArray) -> FloatArray:
        """Correlation at distances above zero."""

    @abstractmethod
    def function_slopes(self, phi: FloatArray, lag: FloatArray) -> FloatArray:
        """Its derivatives, shape (n_parameters, ...)."""

    def values(self, phi: FloatArray, left: FloatArray, right: FloatArray) -> FloatArray:
        """The function of the distance."""
        lag = distance(left, right)
        if not self.n_parameters:
            return np.where(lag > 0.0, 0.0, 1.0)
        return np.where(lag > 0.0, self.function(phi, lag), 1.0)

    def slopes(self, phi: FloatArray, left: FloatArray, right: FloatArray) -> FloatArray:
        """Zero at distance zero."""
        lag = distance(left, right)
        if not self.n_parameters:
            return np.zeros((0, *lag.shape))
        return np.where(lag > 0.0, self.function_slopes(phi, lag), 0.0)


def distance(left: FloatArray, right: FloatArray) -> FloatArray:
    """Euclidean distance over the last axis."""
    if left.shape[-1] == 1:
        return np.abs(left[..., 0] - right[..., 0])
    return np.asarray(np.sqrt(np.sum((left - right) ** 2, axis=-1)))


def place_index(positions: FloatArray) -> IntArray:
    """Whole-number positions as indices."""
    return positions[..., 0].astype(np.int64)


def mean_where(matrix: FloatArray, where: BoolArray) -> float:
    """Mean of the known entries; zero where there is none."""
    chosen = matrix[where & np.isfinite(matrix)]
    return float(chosen.mean()) if len(chosen) else 0.0
