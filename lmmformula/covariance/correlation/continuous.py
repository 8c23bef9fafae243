"""Correlations over times and places."""

from __future__ import annotations

import numpy as np

from lmmformula._arrays import FloatArray
from lmmformula.covariance.correlation.base import (
    EffectsCorrelation,
    Stationary,
    distance,
    mean_where,
)

__all__ = ["ContinuousAutoRegressive", "Exponential"]


class _Decaying(Stationary, EffectsCorrelation):
    """Exponential decay with the distance; the parameter is the log of the rate."""

    time = "continuous"

    def start(self) -> FloatArray:
        """Correlation 1/e at a typical distance."""
        return np.zeros(1)

    def starts(self, average: float) -> list[FloatArray]:
        """From fast to slow."""
        return [np.array([value]) for value in (-0.7, 1.0, -2.0, -4.0)]

    def function(self, phi: FloatArray, lag: FloatArray) -> FloatArray:
        """Exponential."""
        return np.asarray(np.exp(-np.exp(phi[0]) * lag / self.unit))

    def function_slopes(self, phi: FloatArray, lag: FloatArray) -> FloatArray:
        """In the log of the rate."""
        rate = np.exp(phi[0]) * lag / self.unit
        return np.asarray((-rate * np.exp(-rate))[None])

    def estimate(self, matrix: FloatArray, places: FloatArray) -> FloatArray:
        """From the correlation of the nearest places that vary."""
        lag = distance(places[:, None], places[None])
        known = np.isfinite(matrix) & (lag > 0.0)
        if not known.any():
            return self.natural(self.start())
        nearest = lag == lag[known].min()
        value = np.clip(mean_where(matrix, nearest), 1e-300, 1.0 - 1e-16)
        rate = -np.log(value) / lag[known].min()
        return self.natural(np.log(np.array([rate * self.unit])))


class ContinuousAutoRegressive(_Decaying):
    """Rho to the power of the time between: an Ornstein-Uhlenbeck process."""

    @property
    def names(self) -> tuple[str, ...]:
        """Correlation at distance one."""
        return ("rho",)

    @property
    def limits(self) -> tuple[float, float]:
        """Never negative."""
        return 0.0, 1.0

    def natural(self, phi: FloatArray) -> FloatArray:
        """Correlation at distance one."""
        return np.exp(-np.exp(phi) / self.unit)

    def from_natural(self, values: FloatArray) -> FloatArray:
        """Inverse."""
        return np.log(-np.log(np.clip(values, 1e-300, 1.0 - 1e-16)) * self.unit)


class Exponential(_Decaying):
    """Exponential decay with Euclidean distance."""

    link = "positive"

    @property
    def names(self) -> tuple[str, ...]:
        """Distance over which the correlation falls to 1/e."""
        return ("range",)

    @property
    def limits(self) -> tuple[float, float]:
        """Any length."""
        return 0.0, float("inf")

    def natural(self, phi: FloatArray) -> FloatArray:
        """The range."""
        return self.unit * np.exp(-phi)

    def from_natural(self, values: FloatArray) -> FloatArray:
        """Inverse."""
        return -np.log(np.maximum(values, 1e-300) / self.unit)
