"""Uncorrelated effects, what ``||`` means."""

from __future__ import annotations

import numpy as np

from lmmformula._arrays import BoolArray, FloatArray
from lmmformula.covariance.natural import NaturalParameter, triangle, triangle_values
from lmmformula.covariance.structure import Structure

__all__ = ["Diagonal"]


class Diagonal(Structure):
    """Uncorrelated effects, a standard deviation for each."""

    name = "diag"
    invariance = "diagonal"

    @property
    def free_entries(self) -> BoolArray:
        """Variances only."""
        return np.asarray(self.multiplicity == 1.0)

    @property
    def n_theta(self) -> int:
        """One standard deviation for each of the k effects."""
        return self.k

    @property
    def n_phi(self) -> int:
        """One standard deviation for each of the k effects."""
        return self.k

    def start(self, size: float = 1.0) -> FloatArray:
        """``size`` for every effect."""
        return np.full(self.k, size)

    def factor(self, phi: FloatArray) -> FloatArray:
        """diag(phi)."""
        return np.diag(phi)

    def jacobian(self, phi: FloatArray) -> FloatArray:
        """2 phi on the variances."""
        rows, columns = self.pairs
        derivative = np.zeros((len(rows), self.k))
        derivative[rows == columns, :] = np.diag(2.0 * phi)
        return derivative

    def curvature(self, phi: FloatArray, gradient: FloatArray) -> FloatArray:
        """2 D on the diagonal."""
        return np.diag(2.0 * np.diag(gradient))

    def from_moments(self, sigma: FloatArray, floor: float, ceiling: float) -> FloatArray:
        """Roots of the diagonal."""
        return np.sqrt(np.clip(np.diag(sigma), floor**2, ceiling**2))

    def effective(self, phi: FloatArray) -> FloatArray:
        """All of them."""
        return np.eye(self.k)

    def snap(self, phi: FloatArray, gradient: FloatArray, tolerance: float) -> FloatArray:
        """Set the small ones to zero."""
        keep = (np.abs(phi) > tolerance) | (np.diag(gradient) <= 0.0)
        return np.where(keep, phi, 0.0)

    def from_template(self, template: FloatArray) -> FloatArray:
        """Diagonal of the template."""
        return np.diag(template).copy()

    def theta(self, template: FloatArray) -> FloatArray:
        """Diagonal of the template."""
        return np.diag(template).copy()

    def template(self, theta: FloatArray) -> FloatArray:
        """diag(theta)."""
        return np.diag(theta)

    def theta_names(self, effects: tuple[str, ...], group: str) -> tuple[str, ...]:
        """``Subject.Intercept``, ``Subject.Days``."""
        return tuple(f"{group}.{effect}" for effect in effects)

    def natural_parameters(self, effects: tuple[str, ...]) -> tuple[NaturalParameter, ...]:
        """A standard deviation for each."""
        return triangle(effects, correlated=False)

    def natural(self, template: FloatArray) -> FloatArray:
        """A standard deviation for each."""
        return triangle_values(template, correlated=False)
