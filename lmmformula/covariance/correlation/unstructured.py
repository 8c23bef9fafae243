"""A correlation for every pair."""

from __future__ import annotations

import numpy as np

from lmmformula._arrays import FloatArray, IntArray
from lmmformula.covariance.correlation.base import Indexed, place_index

__all__ = ["UnstructuredCorrelation"]


class UnstructuredCorrelation(Indexed):
    """A correlation of its own for every pair of positions, by canonical partial correlations.

    Of residuals only: an unstructured term of random effects has a factor instead.
    """

    @property
    def names(self) -> tuple[str, ...]:
        """``cor_2.1``, ``cor_3.1``, ``cor_3.2``, ..."""
        return tuple(f"cor_{i + 1}.{j + 1}" for i in range(1, self.size) for j in range(i))

    def index(self, left: FloatArray, right: FloatArray) -> IntArray:
        """Lower triangle by rows."""
        one, other = place_index(left), place_index(right)
        row, column = np.maximum(one, other), np.minimum(one, other)
        return np.asarray(np.where(row == column, -1, row * (row - 1) // 2 + column))

    def starts(self, average: float) -> list[FloatArray]:
        """All correlations near the average, or none."""
        matrix = np.full((self.size, self.size), np.clip(average, 0.0, 0.9))
        np.fill_diagonal(matrix, 1.0)
        return [self.start(), self.from_natural(matrix[np.tril_indices(self.size, -1)])]

    def _factor(self, phi: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Cholesky factor (K, K), and the derivative (n, K) of the row that each moves."""
        K = self.size
        factor, slopes = np.zeros((K, K)), np.zeros((len(phi), K))
        factor[0, 0] = 1.0
        for i in range(1, K):
            begin = i * (i - 1) // 2
            angles = phi[begin : begin + i]
            sine, cosine = np.append(np.sin(angles), 1.0), np.cos(angles)
            factor[i, : i + 1] = sine * np.append(1.0, np.cumprod(cosine))
            for j in range(i):
                turned = cosine.copy()
                turned[j] = -np.sin(angles[j])
                row = sine * np.append(1.0, np.cumprod(turned))
                row[:j] = 0.0
                row[j] = np.cos(angles[j]) * np.prod(cosine[:j])
                slopes[begin + j, : i + 1] = row
        return factor, slopes

    def values(self, phi: FloatArray, left: FloatArray, right: FloatArray) -> FloatArray:
        """Entries of the matrix."""
        factor, _ = self._factor(phi)
        return np.asarray((factor @ factor.T)[place_index(left), place_index(right)])

    def slopes(self, phi: FloatArray, left: FloatArray, right: FloatArray) -> FloatArray:
        """Entries of its derivatives."""
        factor, slopes = self._factor(phi)
        matrices = np.zeros((len(phi), self.size, self.size))
        rows, _ = np.tril_indices(self.size, -1)
        turned = slopes @ factor.T
        for n, i in enumerate(rows):
            turned[n, i] = 0.0  # the diagonal stays one
            matrices[n, i] = turned[n]
            matrices[n, :, i] = turned[n]
        return matrices[:, place_index(left), place_index(right)]

    def natural(self, phi: FloatArray) -> FloatArray:
        """Lower triangle by rows."""
        factor, _ = self._factor(phi)
        return np.asarray((factor @ factor.T)[np.tril_indices(self.size, -1)])

    def from_natural(self, values: FloatArray) -> FloatArray:
        """Angles of a Cholesky factor."""
        matrix = np.eye(self.size)
        matrix[np.tril_indices(self.size, -1)] = values
        matrix = np.tril(matrix) + np.tril(matrix, -1).T
        phi, position = np.zeros(len(values)), 0
        factor = np.linalg.cholesky(matrix)
        for i in range(1, self.size):
            left = 1.0
            for j in range(i):
                phi[position] = np.arcsin(np.clip(factor[i, j] / np.sqrt(left), -1.0, 1.0))
                left = max(left - factor[i, j] ** 2, 1e-300)
                position += 1
        return phi
