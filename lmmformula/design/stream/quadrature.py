"""Many values as a few weighted points with the same polynomial moments.

The Gauss rule with d + 1 points integrates polynomials up to degree 2d + 1 as the values
themselves do, so the orthogonal polynomials up to degree d of all values are those of the rules of
the chunks together (Golub and Welsch 1969, doi:10.1090/S0025-5718-69-99647-1). Rules are made by
the three-term recurrence, never from powers, which would lose all digits.
"""

from __future__ import annotations

import numpy as np
import scipy.linalg

from lmmformula._arrays import FloatArray

__all__ = ["Quadrature"]

PROBE = 4096
HELD = 4096
"""Weighted points kept before they are made one rule again."""


class Quadrature:
    """A running rule for polynomials up to a degree.

    Parameters
    ----------
    degree : int
        Degree of the polynomials wanted.
    """

    def __init__(self, degree: int) -> None:
        self.degree = degree
        self.distinct: FloatArray | None = np.empty(0)
        self._points: list[FloatArray] = []
        self._weights: list[FloatArray] = []

    def add(self, values: FloatArray) -> None:
        """Add values, none missing."""
        if not values.size:
            return
        self._count_distinct(values)
        points, weights = self._compressed(values, None)
        self._points.append(points)
        self._weights.append(weights)
        if sum(map(len, self._points)) > HELD:
            points, weights = self._joined()
            points, weights = self._compressed(points, weights)
            self._points, self._weights = [points], [weights]

    def absorb(self, other: Quadrature) -> None:
        """Add the values of another rule of the same degree."""
        both = None
        if self.distinct is not None and other.distinct is not None:
            both = np.union1d(self.distinct, other.distinct)
        self.distinct = both if both is not None and len(both) <= self.degree else None
        self._points += other._points
        self._weights += other._weights

    def recurrence(self) -> tuple[FloatArray, FloatArray]:
        """Return the coefficients and squared norms of the orthogonal polynomials."""
        points, weights = self._joined()
        return _stieltjes(points, weights, self.degree)

    def _joined(self) -> tuple[FloatArray, FloatArray]:
        return np.concatenate(self._points), np.concatenate(self._weights)

    def _count_distinct(self, values: FloatArray) -> None:
        """Keep the distinct values as long as they are few enough to matter."""
        if self.distinct is None:
            return
        few = np.union1d(self.distinct, values[:PROBE])
        if len(few) <= self.degree and len(values) > PROBE:
            few = np.union1d(few, values)
        self.distinct = few if len(few) <= self.degree else None

    def _compressed(
        self, values: FloatArray, weights: FloatArray | None
    ) -> tuple[FloatArray, FloatArray]:
        """Return a rule of at most degree + 1 points."""
        needed = self.degree + 1
        if len(np.unique(values[:PROBE])) <= needed:
            points, inverse = np.unique(values, return_inverse=True)
            if len(points) <= needed:
                return points, np.bincount(inverse, weights, len(points)).astype(np.float64)
        size = np.ones_like(values) if weights is None else weights
        middle = float(np.average(values, weights=weights))
        alpha, norms = _stieltjes(values - middle, size, needed)
        beside = np.sqrt(norms[1:needed] / norms[: needed - 1])
        nodes, vectors = scipy.linalg.eigh_tridiagonal(alpha, beside)
        return np.asarray(nodes + middle), np.asarray(norms[0] * vectors[0] ** 2)


def _stieltjes(
    points: FloatArray, weights: FloatArray, degree: int
) -> tuple[FloatArray, FloatArray]:
    """Coefficients (degree,) and squared norms (degree + 1,) of the recurrence."""
    alpha, norms = np.empty(degree), np.empty(degree + 1)
    before, now = np.zeros_like(points), np.ones_like(points)
    for k in range(degree + 1):
        weighted = weights * now
        norms[k] = weighted @ now
        if k == degree:
            break
        alpha[k] = (points * weighted) @ now / norms[k]
        back = norms[k] / norms[k - 1] if k else 0.0
        before, now = now, (points - alpha[k]) * now - back * before
    return alpha, norms
