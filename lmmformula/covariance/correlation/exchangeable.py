"""No correlation, and the same for all."""

from __future__ import annotations

import numpy as np

from lmmformula._arrays import FloatArray
from lmmformula.covariance.correlation.base import (
    EffectsCorrelation,
    Stationary,
    distance,
    mean_where,
)

__all__ = ["CompoundSymmetry", "Independent"]


class Independent(EffectsCorrelation):
    """No correlation."""

    time = "none"

    @property
    def names(self) -> tuple[str, ...]:
        """None."""
        return ()

    def starts(self, average: float) -> list[FloatArray]:
        """Nothing to try."""
        return []

    def values(self, phi: FloatArray, left: FloatArray, right: FloatArray) -> FloatArray:
        """One at equal positions, zero elsewhere."""
        return np.where(distance(left, right) == 0.0, 1.0, 0.0)

    def slopes(self, phi: FloatArray, left: FloatArray, right: FloatArray) -> FloatArray:
        """None."""
        return np.zeros((0, *distance(left, right).shape))

    def natural(self, phi: FloatArray) -> FloatArray:
        """None."""
        return phi.copy()

    def from_natural(self, values: FloatArray) -> FloatArray:
        """None."""
        return values.copy()

    def estimate(self, matrix: FloatArray, places: FloatArray) -> FloatArray:
        """None."""
        return np.zeros(0)


class CompoundSymmetry(Stationary, EffectsCorrelation):
    """One correlation for all; it may be as low as -1 / (size - 1)."""

    time = "none"
    closed = True

    @property
    def names(self) -> tuple[str, ...]:
        """One correlation, where there are two positions."""
        return ("rho",) if self.size > 1 else ()

    @property
    def limits(self) -> tuple[float, float]:
        """As low as -1 / (size - 1)."""
        return -1.0 / max(self.size - 1, 1), 1.0

    @property
    def _ends(self) -> tuple[float, float]:
        lowest = -1.0 / (self.size - 1)
        return 0.5 * (1.0 + lowest), 0.5 * (1.0 - lowest)

    def start(self) -> FloatArray:
        """Zero correlation."""
        return self.from_natural(np.zeros(self.n_parameters))

    def starts(self, average: float) -> list[FloatArray]:
        """The average, and two more."""
        lowest = -1.0 / max(self.size - 1, 1)
        tried = (average, 0.2, 0.7)
        return [self.from_natural(np.array([np.clip(r, 0.8 * lowest, 0.95)])) for r in tried]

    def function(self, phi: FloatArray, lag: FloatArray) -> FloatArray:
        """The same for every distance."""
        return np.full(lag.shape, self.natural(phi)[0])

    def function_slopes(self, phi: FloatArray, lag: FloatArray) -> FloatArray:
        """The same for every distance."""
        return np.full((1, *lag.shape), self._ends[1] * np.cos(phi[0]))

    def natural(self, phi: FloatArray) -> FloatArray:
        """The correlation."""
        middle, half = self._ends if self.size > 1 else (0.0, 1.0)
        return middle + half * np.sin(phi)

    def from_natural(self, values: FloatArray) -> FloatArray:
        """Inverse."""
        if not self.n_parameters:
            return np.zeros(0)
        middle, half = self._ends
        return np.arcsin(np.clip((values - middle) / half, -1.0, 1.0))

    def estimate(self, matrix: FloatArray, places: FloatArray) -> FloatArray:
        """Mean of the correlations."""
        if not self.n_parameters:
            return np.zeros(0)
        return np.array([mean_where(matrix, ~np.eye(len(matrix), dtype=bool))])
