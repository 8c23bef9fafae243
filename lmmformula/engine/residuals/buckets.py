"""Groups of rows with correlated residuals, stored by size so that they are whitened together.

Rows of a bucket are stored position by position: all first rows of its groups, all second ones, and
so on. Groups with the same positions share one factor, and where all do, one matrix product.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from lmmformula._arrays import FloatArray, IntArray
from lmmformula.matrices import ResidualRows

__all__ = ["Bucket", "buckets_of"]


@dataclass(frozen=True, eq=False)
class Bucket:
    """Groups of one size.

    Attributes
    ----------
    rows : ndarray of int, shape (m, G)
        Row of the data at every position of every group.
    places : ndarray, shape (U, m, 1)
        The different patterns of positions, each in increasing order.
    which : ndarray of int, shape (G,)
        Pattern of every group.
    """

    rows: IntArray
    places: FloatArray
    which: IntArray

    @cached_property
    def counts(self) -> IntArray:
        """Number of groups with each pattern, (U,)."""
        return np.bincount(self.which, minlength=len(self.places))

    def multiply(self, matrices: FloatArray, columns: FloatArray) -> FloatArray:
        """Each group's matrix, of its pattern's (U, m, m), times its rows of ``columns``.

        Parameters
        ----------
        matrices : ndarray, shape (U, m, m)
        columns : ndarray, shape (m * G, c)
            In the bucket's storage.
        """
        m, n_groups = self.rows.shape
        if m == 1:
            return columns * matrices[0, 0, 0]
        if len(matrices) == 1:
            return (matrices[0] @ columns.reshape(m, -1)).reshape(columns.shape)
        groups = columns.reshape(m, n_groups, -1).transpose(1, 0, 2)
        turned = np.matmul(matrices[self.which], groups)
        return turned.transpose(1, 0, 2).reshape(columns.shape)


def buckets_of(residual: ResidualRows) -> list[Bucket]:
    """Sort the rows into buckets; each row is in exactly one."""
    n = len(residual.codes)
    if residual.correlation is None:
        return [Bucket(np.arange(n)[None], np.zeros((1, 1, 1)), np.zeros(n, dtype=np.int64))]
    order = np.lexsort((residual.positions, residual.codes))
    counts = np.bincount(residual.codes)
    counts = counts[counts > 0]
    begin = np.concatenate([[0], np.cumsum(counts)[:-1]])
    buckets = []
    for m in np.unique(counts):
        rows = order[begin[counts == m][:, None] + np.arange(m)]
        if m == 1:
            places, which = np.zeros((1, 1)), np.zeros(len(rows), dtype=np.int64)
        else:
            places, which = np.unique(residual.positions[rows], axis=0, return_inverse=True)
        buckets.append(Bucket(np.ascontiguousarray(rows.T), places[:, :, None], which.ravel()))
    return buckets
