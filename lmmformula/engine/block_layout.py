"""The tail as dense blocks: the connected components of the graph of coupled levels.

Crossed factors give one component (a dense tail), nested factors give one small component for each
top-level group (a block-diagonal tail), and anything between is sparse. Components of similar size
are stored together, padded, so that every operation is one batched call.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from lmmformula._arrays import FloatArray, IntArray
from lmmformula.engine.layout import FactorLayout, LevelPairs, TailLayout, column_starts

__all__ = [
    "SPARSE_MAP_LIMIT",
    "BlockTailLayout",
    "Bucket",
    "blocks_held",
    "sparse_map_size",
    "tail_layout",
]


SPARSE_MAP_LIMIT = 40_000_000
"""Entries of a sparse map beyond which the tail is one dense block."""
CHEAP_BLOCK = 600
"""Columns of a block up to which the exact Hessian costs little."""


@dataclass(frozen=True, slots=True, eq=False)
class Bucket:
    """Components of the tail that are stored together.

    Attributes
    ----------
    columns : ndarray, shape (B, m)
        Tail column in every slot of every component; ``n_columns`` of the tail marks padding.
    parts : tuple of (slice, int)
        Slots of each tail factor and the number of levels they hold (padding included).
    offset : int
        Where the (B, m, m) blocks begin in the flat storage.
    """

    columns: IntArray
    parts: tuple[tuple[slice, int], ...]
    offset: int

    @property
    def shape(self) -> tuple[int, int, int]:
        """(B, m, m)."""
        n, m = self.columns.shape
        return n, m, m

    @property
    def size(self) -> int:
        """Length in flat storage."""
        n, m = self.columns.shape
        return n * m * m


@dataclass(frozen=True, slots=True, eq=False)
class BlockTailLayout(TailLayout):
    """Coupled levels as dense blocks, in buckets of equal shape.

    Attributes
    ----------
    buckets : tuple of Bucket
    bucket_of, row_of, slot_of : ndarray, shape (n_columns,)
        Address of every tail column.
    """

    factors: tuple[FactorLayout, ...]
    starts: tuple[int, ...]
    buckets: tuple[Bucket, ...]
    bucket_of: IntArray
    row_of: IntArray
    slot_of: IntArray

    @property
    def n_columns(self) -> int:
        """Columns of the tail, X and y apart."""
        return len(self.slot_of)

    @property
    def storage(self) -> int:
        """Length of the flat storage of all blocks."""
        return sum(bucket.size for bucket in self.buckets)

    @property
    def is_single(self) -> bool:
        """One component: a dense tail."""
        return len(self.buckets) == 1 and len(self.buckets[0].columns) == 1

    @property
    def kind(self) -> str:
        """None, dense or blocks."""
        if not self.factors:
            return "none"
        return "dense" if self.is_single else "blocks"

    @property
    def factor_entries(self) -> int:
        """All of them."""
        return self.storage

    @property
    def traces_are_cheap(self) -> bool:
        """While no block is large."""
        return max((b.columns.shape[1] for b in self.buckets), default=0) <= CHEAP_BLOCK

    def address(self, left: IntArray, right: IntArray) -> IntArray:
        """Flat storage positions of entries (left, right); both must share a component."""
        if self.is_single:
            return left * self.n_columns + right
        offset = np.array([bucket.offset for bucket in self.buckets])
        width = np.array([bucket.columns.shape[1] for bucket in self.buckets])
        bucket = self.bucket_of[left]
        m = width[bucket]
        position: IntArray = (
            offset[bucket] + (self.row_of[left] * m + self.slot_of[left]) * m + self.slot_of[right]
        )
        return position

    def blocks(self, flat: FloatArray) -> list[FloatArray]:
        """Views of the flat storage, one (B, m, m) array for each bucket."""
        return [
            flat[bucket.offset : bucket.offset + bucket.size].reshape(bucket.shape)
            for bucket in self.buckets
        ]

    def gather(self, values: FloatArray) -> list[FloatArray]:
        """Rows of ``values`` (n_columns, t) by bucket, shape (B, m, t), zero in the padding."""
        if self.is_single:
            return [values[None]]
        padded = np.concatenate([values, np.zeros((1, values.shape[1]))])
        return [padded[bucket.columns] for bucket in self.buckets]

    def apply(self, blocks: list[FloatArray], values: FloatArray) -> FloatArray:
        """Block-diagonal ``blocks`` times ``values`` (n_columns, t)."""
        gathered = self.gather(values)
        return self.scatter(
            [np.matmul(block, part) for block, part in zip(blocks, gathered, strict=True)]
        )

    def times(self, flat: FloatArray, values: FloatArray) -> FloatArray:
        """Batched products."""
        return self.apply(self.blocks(flat), values)

    def completed(self, flat: FloatArray) -> FloatArray:
        """Add the transposed blocks."""
        for block in self.blocks(flat):
            block += block.transpose(0, 2, 1).copy()
        return flat

    def inner(self, left: FloatArray, right: FloatArray) -> float:
        """Both triangles are stored."""
        return float(np.sum(left * right))

    def scatter(self, parts: list[FloatArray]) -> FloatArray:
        """Inverse of ``gather``."""
        if self.is_single:
            return parts[0][0]
        values = np.zeros((self.n_columns + 1, parts[0].shape[2]))
        for bucket, part in zip(self.buckets, parts, strict=True):
            values[bucket.columns] = part
        return values[:-1]


def tail_layout(
    factors: tuple[FactorLayout, ...], pairs: Sequence[LevelPairs], n_first: int
) -> BlockTailLayout:
    """Find the tail's components and pack them into buckets.

    Parameters
    ----------
    factors : tuple of FactorLayout
        The tail's factors.
    pairs : sequence of LevelPairs
        For each tail factor the (eliminated level, tail level) pairs that occur together.
    n_first : int
        Number of levels of the eliminated factor.

    Notes
    -----
    Components so widely crossed that their sparse map would be too large are treated as one, and
    so is a tail with related levels.
    """
    starts = column_starts(factors)
    n_columns = sum(factor.n_columns for factor in factors)
    if not factors:
        empty = np.zeros(0, dtype=np.int64)
        return BlockTailLayout((), (), (), empty, empty, empty)
    component = [np.zeros(factor.n_levels, dtype=np.int64) for factor in factors]
    related = any(factor.relationship is not None for factor in factors)
    if not related and sparse_map_size(factors, pairs, n_first) <= SPARSE_MAP_LIMIT:
        component = _components(factors, pairs, n_first)
    buckets = _pack(factors, starts, component, n_columns)
    bucket_of, row_of, slot_of = (np.zeros(n_columns, dtype=np.int64) for _ in range(3))
    for number, bucket in enumerate(buckets):
        rows, slots = np.nonzero(bucket.columns < n_columns)
        columns = bucket.columns[rows, slots]
        bucket_of[columns], row_of[columns], slot_of[columns] = number, rows, slots
    return BlockTailLayout(factors, starts, buckets, bucket_of, row_of, slot_of)


def blocks_held(k: int) -> float:
    """Copies of the tail's blocks that are in memory at the peak of a fit with derivatives.

    Measured: 10 where the first factor has one effect for each level, and three more for every
    further entry of its covariance.

    Parameters
    ----------
    k : int
        Effects for each level of the first factor.
    """
    return 7.0 + 1.5 * k * (k + 1)


def sparse_map_size(
    factors: tuple[FactorLayout, ...], pairs: Sequence[LevelPairs], n_first: int
) -> float:
    """Pairs of tail columns that share an eliminated level, summed over those levels."""
    touched = np.zeros(n_first)
    for factor, pair in zip(factors, pairs, strict=True):
        touched += factor.k * np.bincount(pair.left, minlength=n_first)
    return float(np.sum(touched * (touched + 1.0))) / 2.0


def _components(
    factors: tuple[FactorLayout, ...], pairs: Sequence[LevelPairs], n_first: int
) -> list[IntArray]:
    """Component number of every level of every tail factor."""
    offsets = np.cumsum([n_first, *(factor.n_levels for factor in factors)])
    rows = np.concatenate([pair.left for pair in pairs])
    columns = np.concatenate(
        [pair.right + offset for pair, offset in zip(pairs, offsets[:-1], strict=True)]
    )
    n_nodes = int(offsets[-1])
    graph = coo_array((np.ones(len(rows), dtype=np.int8), (rows, columns)), (n_nodes, n_nodes))
    _, label = connected_components(graph, directed=False)
    return [np.asarray(label[start:stop], dtype=np.int64) for start, stop in pairwise(offsets)]


def _pack(
    factors: tuple[FactorLayout, ...],
    starts: tuple[int, ...],
    component: list[IntArray],
    n_columns: int,
) -> tuple[Bucket, ...]:
    """Components with the same (rounded-up) number of levels per factor share a bucket."""
    labels, inverse = np.unique(np.concatenate(component), return_inverse=True)
    n_components = len(labels)
    split = np.split(inverse, np.cumsum([len(part) for part in component])[:-1])
    counts = np.stack([np.bincount(part, minlength=n_components) for part in split], axis=1)
    rounded = counts
    if n_components > 1:
        rounded = np.where(counts > 2, 2 ** np.ceil(np.log2(np.maximum(counts, 1))), counts).astype(
            np.int64
        )
    shapes, shape_of = np.unique(rounded, axis=0, return_inverse=True)
    order = [np.argsort(part, kind="stable") for part in split]
    first = [np.concatenate([[0], np.cumsum(counts[:, f])]) for f in range(len(factors))]
    buckets, offset = [], 0
    for number in range(len(shapes)):
        members = np.nonzero(shape_of == number)[0]
        held = counts[members].max(axis=0)
        parts, columns, slot = [], [], 0
        for f, factor in enumerate(factors):
            n, k = int(held[f]), factor.k
            position = first[f][members][:, None] + np.arange(n)
            present = np.arange(n) < counts[members, f][:, None]
            level = order[f][np.where(present, position, 0)]
            column = starts[f] + level[:, :, None] * k + np.arange(k)
            columns.append(
                np.where(present[:, :, None], column, n_columns).reshape(len(members), n * k)
            )
            parts.append((slice(slot, slot + n * k), n))
            slot += n * k
        bucket = Bucket(np.concatenate(columns, axis=1), tuple(parts), offset)
        buckets.append(bucket)
        offset += bucket.size
    return tuple(buckets)
