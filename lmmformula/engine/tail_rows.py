"""The tail's conditional covariance as rows need it: by the levels that a row names.

Rows name levels of the factors, so they ask for entries of N and of C N between levels. Where
levels are related the engine's N is that of the independent sources u, and the entries wanted are
those of R N R' (``engine.relationship``); levels beyond the fitted ones are further rows of R.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

import numpy as np

from lmmformula._arrays import FloatArray, IntArray
from lmmformula.engine.evaluation import Evaluation
from lmmformula.engine.relationship import Relations
from lmmformula.engine.tail import BlockTail, Tail

__all__ = ["CHUNK_ELEMENTS", "TailRows"]

CHUNK_ELEMENTS = 8_000_000


class TailRows:
    """Entries of the tail's N between the levels that rows name.

    Parameters
    ----------
    evaluation : Evaluation
        With a tail.
    relations : Relations or None
        R of the levels that rows may name; None for independent levels.
    """

    def __init__(self, evaluation: Evaluation, relations: Relations | None) -> None:
        assert evaluation.tail is not None
        self.system, self.relations = evaluation.system, relations
        self.tail: Tail = evaluation.tail
        self.N_xy = evaluation.N_xy

    def column(self, factor: int, levels: IntArray) -> IntArray:
        """First column of levels of a tail factor, among the columns that rows name."""
        layout = self.system.tail
        starts = layout.starts if self.relations is None else self.relations.starts
        return starts[factor] + levels * layout.factors[factor].k

    def carried(self, factor: int) -> FloatArray:
        """B of one factor, (k, levels, p): the modes that each column of X would have."""
        return self._all_carried[factor]

    @cached_property
    def _all_carried(self) -> list[FloatArray]:
        values = self.N_xy[:, : self.system.p]
        starts = list(self.system.tail.starts)
        if self.relations is not None:
            values, starts = self.relations.forward(values), self.relations.starts
        pieces = np.split(values, starts[1:])
        return [
            np.ascontiguousarray(piece.reshape(-1, layout.k, self.system.p).transpose(1, 0, 2))
            for piece, layout in zip(pieces, self.system.tail.factors, strict=True)
        ]

    def entries(self, left: IntArray, right: IntArray) -> FloatArray:
        """N between columns of one component."""
        if self.relations is not None:
            return np.asarray(self._outward[left, right])
        return self.tail.flat_N[self.system.tail.address(left, right)]

    @cached_property
    def _outward(self) -> FloatArray:
        assert self.relations is not None
        n = self.relations.n_rows
        return self.relations.outward(self.tail.flat_N).reshape(n, n)

    @property
    def _blocks(self) -> BlockTail:
        """The tail as dense blocks; rows of a sparse one are in ``sparse.rows``."""
        assert isinstance(self.tail, BlockTail)
        return self.tail

    @cached_property
    def component(self) -> IntArray:
        """Number of the independent component that holds each column."""
        layout = self._blocks.layout
        if self.relations is not None:
            return np.zeros(self.relations.n_rows, dtype=np.int64)
        starts = np.cumsum([0, *(len(bucket.columns) for bucket in layout.buckets)])
        return starts[layout.bucket_of] + layout.row_of

    @cached_property
    def first_component(self) -> IntArray:
        """Component that each level of the first factor touches.

        C_j D C_j' with D the component's number on the diagonal is that number times the sum of
        squares of C_j; a level without any coupling belongs anywhere.
        """
        layout, cross = self.system.tail, self.system.cross
        if layout.is_single:
            return np.zeros(self.system.first.n_levels, dtype=np.int64)
        columns = np.arange(layout.n_columns)
        diagonal = layout.address(columns, columns)
        sums = []
        for values in (np.ones(layout.n_columns), self.component.astype(np.float64)):
            flat = np.zeros(layout.storage)
            flat[diagonal] = values
            sums.append(np.einsum("aaj->j", cross.adjoint(flat)))
        size, number = sums
        return np.rint(number / np.where(size > 0.0, size, 1.0)).astype(np.int64)

    def slots(self, columns: IntArray) -> IntArray:
        """Where ``coupled`` holds columns."""
        return columns if self.relations is not None else self._blocks.layout.slot_of[columns]

    @cached_property
    def _packed(self) -> FloatArray:
        """N as (q_tail, m): the entries of a column by slot in its component."""
        layout, N = self._blocks.layout, self._blocks.N
        if self.relations is not None:
            return self.relations.forward(N[0][0]).T
        if layout.is_single:
            return N[0][0]
        width = max(bucket.columns.shape[1] for bucket in layout.buckets)
        packed = np.zeros((layout.n_columns + 1, width))
        for bucket, block in zip(layout.buckets, N, strict=True):
            packed[bucket.columns, : block.shape[1]] = block
        return packed[:-1]

    def coupled(self) -> Iterator[tuple[int, FloatArray]]:
        """C N in pieces: first slot, (k, slots, J). A single piece is kept."""
        if self._whole is not None:
            yield 0, self._whole
            return
        step = max(1, CHUNK_ELEMENTS // self.system.first.n_columns)
        for start in range(0, self._packed.shape[1], step):
            piece = np.ascontiguousarray(self._packed[:, start : start + step])
            yield start, self.system.cross.times(piece)

    @cached_property
    def _whole(self) -> FloatArray | None:
        if self.system.first.n_columns * self._packed.shape[1] > CHUNK_ELEMENTS:
            return None
        return self.system.cross.times(self._packed)
