"""Where the entries of a sparse tail are stored, and in which order it is eliminated.

Two levels are coupled when some eliminated level touches both. Flat storage has the levels' own
blocks first, factor by factor, then one block for every coupled pair of levels, earlier level in
rows. The symbolic part of the elimination is done once, here.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from scipy.sparse import csr_array, triu

from lmmformula._arrays import FloatArray, IntArray
from lmmformula.engine.layout import FactorLayout, LevelPairs, TailLayout, column_starts
from lmmformula.engine.sparse.fronts import Fronts, fronts_of
from lmmformula.engine.sparse.schedule import Batch, Columns, schedule

__all__ = ["SparseTailLayout", "coupled_levels"]


class SparseTailLayout(TailLayout):
    """Coupled pairs of levels, and the fronts by which they are eliminated.

    Parameters
    ----------
    factors : tuple of FactorLayout
        The factors that are not eliminated first; levels unrelated.
    pattern : csr_array, shape (n_levels, n_levels)
        Symmetric pattern of the coupled levels, numbered over all factors, diagonal included.
    """

    def __init__(self, factors: tuple[FactorLayout, ...], pattern: csr_array) -> None:
        self.factors, self.starts = factors, column_starts(factors)
        self._columns = _columns(factors)
        width = self._columns.width
        self.fronts: Fronts = fronts_of(pattern, width)
        beyond = triu(pattern, 1, format="coo")
        order = np.lexsort((beyond.col, beyond.row))
        left, right = beyond.row[order].astype(np.int64), beyond.col[order].astype(np.int64)
        self._n_levels = len(width)
        self._keys = np.append(left * self._n_levels + right, self._n_levels**2)  # none beyond
        self._left, self._right = left, right
        own = width * width
        self._own = np.cumsum(own) - own
        sizes = width[left] * width[right]
        self._n_own = int(own.sum())
        self._offset = self._n_own + np.cumsum(sizes) - sizes
        self._storage = self._n_own + int(sizes.sum())

    def __repr__(self) -> str:
        return f"SparseTailLayout(n_columns={self.n_columns}, storage={self.storage})"

    @property
    def storage(self) -> int:
        """Length of the flat storage."""
        return self._storage

    @property
    def kind(self) -> str:
        """Sparse."""
        return "sparse"

    @property
    def traces_are_cheap(self) -> bool:
        """They need all of the inverse."""
        return False

    @property
    def factor_entries(self) -> int:
        """Pivots by pivots and boundary, over all fronts."""
        return sum(n * p * (p + c) for n, p, c in (batch.shape for batch in self.batches))

    def holds(self, left: IntArray, right: IntArray) -> IntArray:
        """Whether columns belong to one level or to coupled levels."""
        one, other = self._columns.level_of[left], self._columns.level_of[right]
        key = np.minimum(one, other) * self._n_levels + np.maximum(one, other)
        return (one == other) | (self._keys[np.searchsorted(self._keys, key)] == key)

    def address(self, left: IntArray, right: IntArray) -> IntArray:
        """Flat storage positions of entries (left, right) of coupled levels."""
        columns = self._columns
        one, other = columns.level_of[left], columns.level_of[right]
        a, b = columns.effect_of[left], columns.effect_of[right]
        turned = one > other
        one, other = np.where(turned, other, one), np.where(turned, one, other)
        a, b = np.where(turned, b, a), np.where(turned, a, b)
        pair = np.searchsorted(self._keys, one * self._n_levels + other)
        begin = np.where(one == other, self._own[one], np.append(self._offset, 0)[pair])
        return np.asarray(begin + a * columns.width[other] + b)

    def completed(self, flat: FloatArray) -> FloatArray:
        """Entries between levels are stored once: only levels' own blocks have a transpose."""
        for block in self.own_blocks(flat):
            block += block.transpose(0, 2, 1).copy()
        return flat

    def own_blocks(self, flat: FloatArray) -> list[FloatArray]:
        """Views of the levels' own blocks, (J, k, k) for each factor."""
        blocks, start = [], 0
        for factor in self.factors:
            size = factor.n_levels * factor.k**2
            shape = factor.n_levels, factor.k, factor.k
            blocks.append(flat[start : start + size].reshape(shape))
            start += size
        return blocks

    def times(self, flat: FloatArray, values: FloatArray) -> FloatArray:
        """Sparse product."""
        return np.asarray(self.matrix(flat) @ values)

    def inner(self, left: FloatArray, right: FloatArray) -> float:
        """Entries between levels count twice."""
        own = float(left[: self._n_own] @ right[: self._n_own])
        return own + 2.0 * float(left[self._n_own :] @ right[self._n_own :])

    def matrix(self, flat: FloatArray) -> csr_array:
        """A matrix in flat storage as a sparse one, both triangles."""
        where = self._where
        return csr_array((flat[where.data], where.indices, where.indptr), shape=where.shape)

    @cached_property
    def _where(self) -> csr_array:
        """Position in storage of every entry of the matrix, both triangles."""
        row, column, position = self._entries
        n = self.n_columns
        order = np.lexsort((column, row))
        pointer = np.concatenate([[0], np.cumsum(np.bincount(row, minlength=n))])
        return csr_array((position[order], column[order], pointer), shape=(n, n))

    @property
    def _entries(self) -> tuple[IntArray, IntArray, IntArray]:
        """(row, column, position) of every entry, both triangles."""
        levels = np.arange(self._n_levels)
        own = self._expanded(levels, levels, self._own)
        upper = self._expanded(self._left, self._right, self._offset)
        lower = upper[1], upper[0], upper[2]
        row, column, position = (np.concatenate(x) for x in zip(own, upper, lower, strict=True))
        return row, column, position

    def _expanded(
        self, left: IntArray, right: IntArray, offset: IntArray
    ) -> tuple[IntArray, IntArray, IntArray]:
        """(row, column, position) of the entries of level pairs."""
        columns, first = self._columns, self._columns.first
        size = columns.width[left] * columns.width[right]
        pair = np.repeat(np.arange(len(left)), size)
        inside = np.arange(len(pair)) - np.repeat(np.cumsum(size) - size, size)
        a, b = np.divmod(inside, columns.width[right][pair])
        return first[left[pair]] + a, first[right[pair]] + b, offset[pair] + inside

    @cached_property
    def batches(self) -> list[Batch]:
        """Fronts in the order of their elimination."""
        return schedule(self.fronts, self._columns, *self._entries)


def coupled_levels(
    factors: tuple[FactorLayout, ...], pairs: Sequence[LevelPairs], n_first: int
) -> csr_array:
    """Pattern of the tail levels that share an eliminated level, diagonal included.

    Parameters
    ----------
    factors : tuple of FactorLayout
        The tail's factors, at least one.
    pairs : sequence of LevelPairs
        For each tail factor the (eliminated level, tail level) pairs that occur together.
    n_first : int
        Number of levels of the eliminated factor.
    """
    offsets = np.cumsum([0, *(factor.n_levels for factor in factors)])
    n = int(offsets[-1])
    rows = np.concatenate([pair.left.astype(np.int64) for pair in pairs])
    columns = np.concatenate(
        [pair.right.astype(np.int64) + start for pair, start in zip(pairs, offsets, strict=False)]
    )
    rows = np.concatenate([rows, n_first + np.arange(n)])
    columns = np.concatenate([columns, np.arange(n)])
    ones = np.ones(len(rows), dtype=np.int32)
    touches = csr_array((ones, (rows, columns)), shape=(n_first + n, n))
    return csr_array(touches.T @ touches)


def _columns(factors: tuple[FactorLayout, ...]) -> Columns:
    """Columns of the tail by level."""
    width = np.repeat([factor.k for factor in factors], [factor.n_levels for factor in factors])
    of = np.repeat(np.arange(len(factors)), [factor.n_levels for factor in factors])
    level = np.repeat(np.arange(len(width)), width)
    first = np.cumsum(width) - width
    return Columns(level, np.arange(len(level)) - first[level], width, of)
