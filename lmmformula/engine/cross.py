"""The block of cross-products between the first factor and the tail, as an operator.

Elimination is linear in the eliminated levels' blocks N_j: the tail loses ``sum_j C_j' N_j C_j``.
Sparse crossings store that linear map once as a sparse matrix; dense ones use matrix products.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator

import numpy as np
from scipy.sparse import csr_array

from lmmformula._arrays import CodeArray, FloatArray, IntArray
from lmmformula.engine.block_layout import SPARSE_MAP_LIMIT, sparse_map_size
from lmmformula.engine.crossproducts import PairBlocks
from lmmformula.engine.layout import FactorLayout, TailLayout
from lmmformula.engine.relationship import Relations

__all__ = [
    "Cross",
    "DenseCross",
    "NoCross",
    "RelatedCross",
    "SparseCross",
    "cross_blocks",
    "entry_pairs",
]

DENSE_FRACTION = 0.1
CHUNK_ELEMENTS = 8_000_000


class Cross(ABC):
    """C, with one (k, q_tail) block for each level of the first factor."""

    @abstractmethod
    def schur(self, root: FloatArray) -> FloatArray:
        """``sum_j C_j' K_j' K_j C_j`` in the tail's flat storage; root K is (k, k, J)."""

    @abstractmethod
    def adjoint(self, flat: FloatArray) -> FloatArray:
        """``C_j B C_j'`` for every level, (k, k, J); B symmetric in the tail's flat storage."""

    @abstractmethod
    def times(self, values: FloatArray) -> FloatArray:
        """``C_j @ values``, (k, t, J); values (q_tail, t)."""

    @abstractmethod
    def transpose_times(self, blocks: FloatArray) -> FloatArray:
        """``sum_j C_j' W_j``, (q_tail, t); blocks W (k, t, J)."""

    @abstractmethod
    def grams(self, left: FloatArray, directions: FloatArray) -> Iterator[FloatArray]:
        """``sum_j (E_j C_j)' D (E_j C_j)`` for each direction D (k, k); left E is (k, k, J)."""


class NoCross(Cross):
    """No tail, or no level of the first factor: zeros of the right shape."""

    def __init__(self, first: FactorLayout, tail: TailLayout) -> None:
        self._shape, self._tail = (first.k, first.n_levels), tail

    def schur(self, root: FloatArray) -> FloatArray:
        """Nothing."""
        return np.zeros(self._tail.storage)

    def adjoint(self, flat: FloatArray) -> FloatArray:
        """Nothing to add."""
        k, n_levels = self._shape
        return np.zeros((k, k, n_levels))

    def times(self, values: FloatArray) -> FloatArray:
        """Nothing to add."""
        k, n_levels = self._shape
        return np.zeros((k, values.shape[1], n_levels))

    def transpose_times(self, blocks: FloatArray) -> FloatArray:
        """Nothing to add."""
        return np.zeros((self._tail.n_columns, blocks.shape[1]))

    def grams(self, left: FloatArray, directions: FloatArray) -> Iterator[FloatArray]:
        """Nothing, once for each direction."""
        for _ in directions:
            yield np.zeros(self._tail.storage)


class DenseCross(Cross):
    """Matrix products over levels, a chunk of levels at a time where the block is stored sparse."""

    def __init__(
        self, effects: list[csr_array], *, densify: bool, relations: Relations | None = None
    ) -> None:
        self.k, (self.n_levels, self.n_columns) = len(effects), effects[0].shape
        self._sparse, self._relations = effects, relations
        self._dense = self._chunk(slice(0, self.n_levels)) if densify else None

    def _chunk(self, levels: slice) -> FloatArray:
        piece = np.stack([effect[levels].toarray() for effect in self._sparse], axis=1)
        return piece if self._relations is None else self._relations.columns(piece)

    def _chunks(self) -> Iterator[tuple[slice, FloatArray]]:
        """Dense pieces (levels, k, q_tail)."""
        if self._dense is not None:
            yield slice(0, self.n_levels), self._dense
            return
        step = max(1, CHUNK_ELEMENTS // (self.k * self.n_columns))
        for start in range(0, self.n_levels, step):
            levels = slice(start, min(start + step, self.n_levels))
            yield levels, self._chunk(levels)

    def _transformed(self, left: FloatArray, levels: slice, piece: FloatArray) -> FloatArray:
        """left_j @ C_j for a chunk."""
        if self.k == 1:
            return piece * left[0, 0, levels, None, None]
        return np.matmul(left[:, :, levels].transpose(2, 0, 1), piece)

    def schur(self, root: FloatArray) -> FloatArray:
        """One symmetric rank update a chunk."""
        total = np.zeros((self.n_columns, self.n_columns))
        for levels, piece in self._chunks():
            rows = self._transformed(root, levels, piece).reshape(-1, self.n_columns)
            total += rows.T @ rows
        return total.ravel()

    def adjoint(self, flat: FloatArray) -> FloatArray:
        """(C B) C', level by level."""
        B = flat.reshape(self.n_columns, self.n_columns)
        result = np.empty((self.k, self.k, self.n_levels))
        for levels, piece in self._chunks():
            product = (piece.reshape(-1, self.n_columns) @ B).reshape(piece.shape)
            result[:, :, levels] = np.matmul(product, piece.transpose(0, 2, 1)).transpose(1, 2, 0)
        return result

    def times(self, values: FloatArray) -> FloatArray:
        """Matrix product by chunk."""
        result = np.empty((self.k, values.shape[1], self.n_levels))
        for levels, piece in self._chunks():
            product = piece.reshape(-1, self.n_columns) @ values
            result[:, :, levels] = product.reshape(-1, self.k, values.shape[1]).transpose(1, 2, 0)
        return result

    def transpose_times(self, blocks: FloatArray) -> FloatArray:
        """Matrix product by chunk."""
        total = np.zeros((self.n_columns, blocks.shape[1]))
        for levels, piece in self._chunks():
            rows = blocks[:, :, levels].transpose(2, 0, 1).reshape(-1, blocks.shape[1])
            total += piece.reshape(-1, self.n_columns).T @ rows
        return total

    def grams(self, left: FloatArray, directions: FloatArray) -> Iterator[FloatArray]:
        """F_a' F_b for the pairs of effects (a, b) that a direction couples."""
        if self._dense is not None:
            F = self._transformed(left, slice(0, self.n_levels), self._dense).transpose(1, 0, 2)
            F = np.ascontiguousarray(F)
            for direction in directions:
                yield _coupled(F, direction).ravel()
            return
        totals = [np.zeros((self.n_columns, self.n_columns)) for _ in directions]
        for levels, piece in self._chunks():
            F = np.ascontiguousarray(self._transformed(left, levels, piece).transpose(1, 0, 2))
            for total, direction in zip(totals, directions, strict=True):
                total += _coupled(F, direction)
        yield from (total.ravel() for total in totals)


def _coupled(F: FloatArray, direction: FloatArray) -> FloatArray:
    """``sum_ab direction[a, b] F_a' F_b`` for a direction with few entries."""
    total = np.zeros((F.shape[2], F.shape[2]))
    for a, b in np.argwhere(np.triu(direction)):
        product = direction[a, b] * (F[a].T @ F[b])
        total += product if a == b else product + product.T
    return total


class SparseCross(Cross):
    """Level pairs only; the map from N to the tail's blocks is one sparse matrix.

    Off-diagonal entries are stored once and diagonal ones halved, so that adding the transpose
    completes the symmetric result.
    """

    def __init__(self, effects: list[csr_array], tail: TailLayout) -> None:
        self.k, (self.n_levels, self.n_columns) = len(effects), effects[0].shape
        self._effects = effects
        self._transposed = [csr_array(effect.T) for effect in effects]
        self._tail = tail
        self._pairs = [(a, b) for a in range(self.k) for b in range(a, self.k)]
        self._map_transposed = self._linear_map()
        self._map = self._map_transposed.T

    def _linear_map(self) -> csr_array:
        """One row for each pair of effects and level, one column for each entry of the storage."""
        pointer = self._effects[0].indptr.astype(np.int64)
        columns = self._effects[0].indices.astype(np.int64)
        left, right, counts = entry_pairs(pointer)
        address = self._tail.address(columns[left], columns[right]).astype(np.int32)
        half = np.where(left == right, 0.5, 1.0)
        data = []
        values = [effect.data for effect in self._effects]
        for a, b in self._pairs:
            product = values[a][left] * values[b][right]
            if a != b:
                product = product + values[b][left] * values[a][right]
            data.append(product * half)
        repeats = len(self._pairs)
        starts = np.concatenate([[0], np.cumsum(np.tile(counts, repeats))])
        shape = (repeats * self.n_levels, self._tail.storage)
        return csr_array((np.concatenate(data), np.tile(address, repeats), starts), shape=shape)

    def _apply(self, blocks: FloatArray) -> FloatArray:
        """``sum_j C_j' N_j C_j`` for symmetric N (k, k, J)."""
        stacked = np.concatenate([blocks[a, b] for a, b in self._pairs])
        return self._tail.completed(self._map @ stacked)

    def schur(self, root: FloatArray) -> FloatArray:
        """Sparse map applied to K'K."""
        return self._apply(np.einsum("maj,mbj->abj", root, root))

    def adjoint(self, flat: FloatArray) -> FloatArray:
        """Transposed map."""
        parts = (self._map_transposed @ flat).reshape(len(self._pairs), self.n_levels)
        result = np.empty((self.k, self.k, self.n_levels))
        for (a, b), part in zip(self._pairs, parts, strict=True):
            result[a, b] = result[b, a] = 2.0 * part if a == b else part
        return result

    def times(self, values: FloatArray) -> FloatArray:
        """Sparse products."""
        return np.stack([(effect @ values).T for effect in self._effects])

    def transpose_times(self, blocks: FloatArray) -> FloatArray:
        """Sparse products."""
        total = np.zeros((self.n_columns, blocks.shape[1]))
        for effect, block in zip(self._transposed, blocks, strict=True):
            total += effect @ block.T
        return total

    def combined(self, weights: FloatArray, levels: CodeArray | IntArray) -> csr_array:
        """``sum_a weights[i, a] C_a[levels[i]]`` as row i of a sparse matrix, (n, q_tail)."""
        rows = [
            csr_array(effect[levels].multiply(weight[:, None]))
            for effect, weight in zip(self._effects, weights.T, strict=True)
        ]
        return csr_array(sum(rows[1:], start=rows[0]))

    def grams(self, left: FloatArray, directions: FloatArray) -> Iterator[FloatArray]:
        """Sparse map applied to E' D E."""
        for direction in directions:
            inner = np.einsum("ab,bcj->acj", direction, left)
            yield self._apply(np.einsum("abj,acj->bcj", left, inner))


class RelatedCross(Cross):
    """C R for a tail with related levels: the sums of C, carried over by R."""

    def __init__(self, inner: Cross, relations: Relations) -> None:
        self.inner, self.relations = inner, relations

    def schur(self, root: FloatArray) -> FloatArray:
        """R' times those of C, times R."""
        return self.relations.inward(self.inner.schur(root))

    def adjoint(self, flat: FloatArray) -> FloatArray:
        """``C (R B R') C'``."""
        return self.inner.adjoint(self.relations.outward(flat))

    def times(self, values: FloatArray) -> FloatArray:
        """``C (R values)``."""
        return self.inner.times(self.relations.forward(values))

    def transpose_times(self, blocks: FloatArray) -> FloatArray:
        """``R' (C' W)``."""
        return self.relations.backward(self.inner.transpose_times(blocks))

    def grams(self, left: FloatArray, directions: FloatArray) -> Iterator[FloatArray]:
        """R' times those of C, times R."""
        for flat in self.inner.grams(left, directions):
            yield self.relations.inward(flat)


def entry_pairs(pointer: IntArray) -> tuple[IntArray, IntArray, IntArray]:
    """All pairs (left <= right) of entries within each row of a CSR matrix, and their counts."""
    counts = np.diff(pointer).astype(np.int64)
    entry = np.arange(int(counts.sum()))
    remaining = np.repeat(pointer[1:], counts) - entry
    left = np.repeat(entry, remaining)
    begin = np.cumsum(remaining) - remaining
    right = left + np.arange(len(left)) - np.repeat(begin, remaining)
    return left, right, counts * (counts + 1) // 2


def cross_blocks(first: FactorLayout, tail: TailLayout, pairs: list[PairBlocks]) -> Cross:
    """Choose the storage: dense products for dense crossings, a sparse map for the rest.

    Related levels make every crossing dense: C R is stored where it is small, and where the first
    factor has many levels R is applied to the sums instead.
    """
    if not (first.terms and tail.factors):
        return NoCross(first, tail)
    effects = _effect_matrices(first, tail, pairs)
    relations = Relations.of(tail)
    if relations is None:
        return _storage(first, tail, pairs, effects)
    few = first.n_columns <= tail.n_columns
    if few and first.n_columns * tail.n_columns <= 4 * CHUNK_ELEMENTS:
        return DenseCross(effects, densify=True, relations=relations)
    return RelatedCross(_storage(first, tail, pairs, effects), relations)


def _storage(
    first: FactorLayout, tail: TailLayout, pairs: list[PairBlocks], effects: list[csr_array]
) -> Cross:
    """C itself."""
    map_size = sparse_map_size(tail.factors, pairs, first.n_levels) * first.k * (first.k + 1) / 2
    crowded = effects[0].nnz > DENSE_FRACTION * first.n_levels * tail.n_columns
    if tail.is_single and (crowded or map_size > SPARSE_MAP_LIMIT):
        small = first.n_columns * tail.n_columns <= 4 * CHUNK_ELEMENTS
        return DenseCross(effects, densify=crowded or small)
    return SparseCross(effects, tail)


def _effect_matrices(
    first: FactorLayout, tail: TailLayout, pairs: list[PairBlocks]
) -> list[csr_array]:
    """C as one (J, q_tail) sparse matrix for each effect of the first factor, of one pattern."""
    rows, columns = [], []
    for factor, start, block in zip(tail.factors, tail.starts, pairs, strict=True):
        base = start + block.right.astype(np.int64) * factor.k
        rows.append(np.tile(block.left, factor.k))
        columns.append(np.concatenate([base + effect for effect in range(factor.k)]))
    row, column = np.concatenate(rows), np.concatenate(columns)
    order = np.lexsort((column, row))
    pointer = np.concatenate([[0], np.cumsum(np.bincount(row, minlength=first.n_levels))])
    shape = (first.n_levels, tail.n_columns)
    effects = []
    for a in range(first.k):
        values = np.concatenate([block.values[a].reshape(-1) for block in pairs])
        effects.append(csr_array((values[order], column[order], pointer), shape=shape))
    return effects
