"""Cross-products of two factors as an operator: sparse products with many columns at once.

The values stay where the sums over rows put them; one set of 32-bit indices serves every pair of
effects, and products with the transpose read the same arrays as a matrix stored by columns.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array

from lmmformula._arrays import CodeArray, FloatArray
from lmmformula.engine.crossproducts import PairBlocks
from lmmformula.engine.layout import FactorLayout

__all__ = ["Coupling"]


class Coupling:
    """Z_f'WZ_g of two factors f and g.

    Parameters
    ----------
    left, right : FactorLayout
    pairs : PairBlocks
        Sorted by ``left``; its values are not copied.

    Attributes
    ----------
    values : ndarray, shape (k_f, k_g, n_pairs)
    columns : ndarray of int, shape (n_pairs,)
        Level of g in every pair.
    """

    def __init__(self, left: FactorLayout, right: FactorLayout, pairs: PairBlocks) -> None:
        self.shape = left.n_levels, right.n_levels
        self.values = pairs.values
        counts = np.bincount(pairs.left, minlength=left.n_levels)
        small = len(pairs.right) < np.iinfo(np.int32).max
        index = np.dtype(np.int32 if small else np.int64)
        self._pointer = np.concatenate([[0], np.cumsum(counts)]).astype(index)
        self.columns: CodeArray = np.asarray(pairs.right, dtype=index)
        self._matrices = [[self.with_values(values) for values in row] for row in self.values]

    def with_values(self, values: FloatArray) -> csr_array:
        """Other numbers, one for each pair, as a sparse matrix of levels by levels."""
        return csr_array((values, self.columns, self._pointer), shape=self.shape, copy=False)

    @property
    def n_pairs(self) -> int:
        """Pairs of levels that occur together."""
        return len(self.columns)

    def rows(self) -> CodeArray:
        """Level of f in every pair; not kept."""
        return np.repeat(np.arange(self.shape[0], dtype=np.int32), np.diff(self._pointer))

    def dense(self) -> FloatArray:
        """Z_f'WZ_g as an array (k_f, k_g, J_f, J_g)."""
        return np.array([[matrix.toarray() for matrix in row] for row in self._matrices])

    def times(self, columns: FloatArray) -> FloatArray:
        """Z_f'WZ_g times columns (k_g, J_g, m): (k_f, J_f, m)."""
        result = []
        for row in self._matrices:
            parts = [matrix @ column for matrix, column in zip(row, columns, strict=True)]
            result.append(_summed(parts))
        return np.stack(result) if len(result) > 1 else result[0][None]

    def transposed_times(self, columns: FloatArray) -> FloatArray:
        """Z_g'WZ_f times columns (k_f, J_f, m): (k_g, J_g, m)."""
        result = []
        for transposed in zip(*self._matrices, strict=True):
            pairs = zip(transposed, columns, strict=True)
            result.append(_summed([matrix.T @ column for matrix, column in pairs]))
        return np.stack(result) if len(result) > 1 else result[0][None]

    def right_diagonals(self, middle: FloatArray) -> FloatArray:
        """Diagonal blocks of Z_g'WZ_f N Z_f'WZ_g, (k_g, k_g, J_g), N (k_f, k_f, J_f)."""
        other, k = self.values.shape[:2]
        out = np.zeros((k, k, self.shape[1]))
        for a in range(k):
            for b in range(a, k):
                for c in range(other):
                    for d in range(other):
                        products = self.with_values(self.values[c, a] * self.values[d, b])
                        out[a, b] += products.T @ middle[c, d]
                out[b, a] = out[a, b]
        return out


def _summed(parts: list[FloatArray]) -> FloatArray:
    total = np.asarray(parts[0])
    for part in parts[1:]:
        total += part
    return total
