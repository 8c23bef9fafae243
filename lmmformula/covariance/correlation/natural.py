"""A family in its natural parameters, for holding one of them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from lmmformula._arrays import FloatArray
from lmmformula.covariance.correlation.base import Correlation, EffectsCorrelation, Indexed

__all__ = ["NaturalCoordinates", "NaturalEffects"]


class NaturalCoordinates(Correlation):
    """Correlations as they are: a family whose parameters are entries of the matrix.

    Not all values make a positive definite matrix, so this is for minimizing from inside only.

    Parameters
    ----------
    family : Indexed
    """

    def __init__(self, family: Indexed) -> None:
        super().__init__(family.size, family.unit)
        self.family = family

    @property
    def names(self) -> tuple[str, ...]:
        """The family's."""
        return self.family.names

    def starts(self, average: float) -> list[FloatArray]:
        """None: there is always a point to start from."""
        return []

    def values(self, phi: FloatArray, left: FloatArray, right: FloatArray) -> FloatArray:
        """Look them up."""
        index = self.family.index(left, right)
        return np.where(index < 0, 1.0, np.append(phi, 1.0)[index])

    def slopes(self, phi: FloatArray, left: FloatArray, right: FloatArray) -> FloatArray:
        """One where the parameter stands."""
        index = self.family.index(left, right)
        units = np.arange(len(phi)).reshape(-1, *[1] * index.ndim)
        return np.asarray((index == units).astype(np.float64))

    def natural(self, phi: FloatArray) -> FloatArray:
        """Themselves."""
        return phi.copy()

    def from_natural(self, values: FloatArray) -> FloatArray:
        """Themselves."""
        return values.copy()


class NaturalEffects(NaturalCoordinates, EffectsCorrelation):
    """The same for random effects.

    Parameters
    ----------
    family : Indexed
    estimate : callable
        The family's, as of ``EffectsCorrelation``.
    """

    def __init__(
        self, family: Indexed, estimate: Callable[[FloatArray, FloatArray], FloatArray]
    ) -> None:
        super().__init__(family)
        self._estimate = estimate

    def estimate(self, matrix: FloatArray, places: FloatArray) -> FloatArray:
        """The family's."""
        return self._estimate(matrix, places)
