"""Any positive semidefinite covariance: the default of a random-effects term."""

from __future__ import annotations

import numpy as np

from lmmformula._arrays import FloatArray
from lmmformula.covariance.natural import NaturalParameter, triangle, triangle_values
from lmmformula.covariance.structure import Structure

__all__ = ["Unstructured"]

GAUGE_TOLERANCE = 1e-7


class Unstructured(Structure):
    """Any positive semidefinite matrix; the optimizer moves a full square factor (k^2 entries).

    A lower-triangular factor makes narrow curved valleys near singular fits, where the pivot order
    fights the rotation of the null space. A full factor is flat along the rotations
    ``Lambda -> Lambda Q`` instead, and those are left out (``effective``).
    """

    name = "us"
    invariance = "linear"

    def __init__(self, k: int) -> None:
        super().__init__(k)
        self._skew = np.triu_indices(k, 1)

    @property
    def n_theta(self) -> int:
        """k(k+1)/2."""
        return self.k * (self.k + 1) // 2

    @property
    def n_phi(self) -> int:
        """k^2."""
        return self.k * self.k

    def start(self, size: float = 1.0) -> FloatArray:
        """``size`` times the identity, by rows."""
        return (size * np.eye(self.k)).ravel()

    def factor(self, phi: FloatArray) -> FloatArray:
        """``phi`` by rows."""
        return phi.reshape(self.k, self.k)

    def jacobian(self, phi: FloatArray) -> FloatArray:
        """dSigma/dLambda[a, b] = e_a Lambda[:, b]' + Lambda[:, b] e_a'."""
        k, (rows, columns) = self.k, self.pairs
        factor = self.factor(phi)
        derivative = np.zeros((len(rows), k, k))
        index = np.arange(len(rows))
        derivative[index, rows] += factor[columns]
        derivative[index, columns] += factor[rows]
        return derivative.reshape(len(rows), k * k)

    def curvature(self, phi: FloatArray, gradient: FloatArray) -> FloatArray:
        """2 D[a, a'] for entries of one column, zero between columns."""
        k = self.k
        outer: FloatArray = (2.0 * gradient)[:, None, :, None] * np.eye(k)[None, :, None, :]
        return outer.reshape(k * k, k * k)

    def effective(self, phi: FloatArray) -> FloatArray:
        """Complement of the rotations' tangents, Lambda A for skew A."""
        k = self.k
        if k == 1:
            return np.ones((1, 1))
        factor = self.factor(phi)
        rows, columns = self._skew
        index = np.arange(len(rows))
        tangents = np.zeros((len(rows), k, k))
        tangents[index, :, columns] = factor[:, rows].T
        tangents[index, :, rows] = -factor[:, columns].T
        _, size, right = np.linalg.svd(tangents.reshape(len(rows), k * k), full_matrices=True)
        n_rotations = int(np.sum(size > GAUGE_TOLERANCE * max(size[0], 1e-300)))
        return right[n_rotations:].T

    def snap(self, phi: FloatArray, gradient: FloatArray, tolerance: float) -> FloatArray:
        """Drop the small singular values whose direction the criterion does not want."""
        factor = self.factor(phi)
        if abs(np.linalg.det(factor)) > tolerance * float(phi @ phi) ** ((self.k - 1) / 2.0):
            return phi  # the smallest singular value is above det / |Lambda|^(k-1)
        left, size, right = np.linalg.svd(factor)
        wanted = np.einsum("ai,ab,bi->i", left, gradient, left) <= 0.0
        keep = (size > tolerance) | wanted
        if keep.all():
            return phi
        return np.asarray((left[:, keep] * size[keep]) @ right[keep]).ravel()

    def from_template(self, template: FloatArray) -> FloatArray:
        """The template itself is one of the square factors."""
        return template.ravel().copy()

    def theta(self, template: FloatArray) -> FloatArray:
        """Lower triangle by columns."""
        rows, columns = self.pairs
        return template[columns, rows]

    def template(self, theta: FloatArray) -> FloatArray:
        """Inverse of ``theta``."""
        rows, columns = self.pairs
        template = np.zeros((self.k, self.k))
        template[columns, rows] = theta
        return template

    def theta_names(self, effects: tuple[str, ...], group: str) -> tuple[str, ...]:
        """``Subject.Intercept``, ``Subject.Days.Intercept``, ``Subject.Days``."""
        rows, columns = self.pairs
        return tuple(
            f"{group}.{effects[j]}" if i == j else f"{group}.{effects[j]}.{effects[i]}"
            for i, j in zip(rows.tolist(), columns.tolist(), strict=True)
        )

    def natural_parameters(self, effects: tuple[str, ...]) -> tuple[NaturalParameter, ...]:
        """Lower triangle by columns."""
        return triangle(effects, correlated=True)

    def natural(self, template: FloatArray) -> FloatArray:
        """Lower triangle by columns."""
        return triangle_values(template, correlated=True)
