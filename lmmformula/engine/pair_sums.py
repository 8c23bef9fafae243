"""Sums over pairs of levels, gathered block by block in memory of the size of the result.

Every block of rows gives sorted pairs. They are merged as in a binary counter, each run with the
next one of its size, so that a pair is touched once for each doubling. A merge holds the runs, the
result and little else: 35 bytes at most for every pair kept.
"""

from __future__ import annotations

import numpy as np

from lmmformula._arrays import FloatArray, IntArray
from lmmformula.engine.crossproducts import PairBlocks

__all__ = ["PairSums"]

_Run = tuple[IntArray, FloatArray]


class PairSums:
    """Running sum of the pair blocks of two factors.

    Parameters
    ----------
    n_right : int
        Levels of the second factor.
    """

    def __init__(self, n_right: int) -> None:
        self._n_right = n_right
        self._runs: list[_Run] = []

    def add(self, block: PairBlocks) -> None:
        """Add one block."""
        key = block.left.astype(np.int64) * self._n_right + block.right
        self._runs.append((key, block.values))
        while len(self._runs) > 1 and 2 * len(self._runs[-1][0]) >= len(self._runs[-2][0]):
            self._merge_last()

    def total(self) -> PairBlocks:
        """The sum of all blocks added so far."""
        while len(self._runs) > 1:
            self._merge_last()
        key, values = self._runs[0]
        left = (key // self._n_right).astype(np.int32)
        right = (key % self._n_right).astype(np.int32)
        return PairBlocks(left, right, values)

    def _merge_last(self) -> None:
        first, second = sorted((self._runs.pop(), self._runs.pop()), key=_length, reverse=True)
        self._runs.append(_merged(first, second))


def _length(run: _Run) -> int:
    return len(run[0])


def _merged(first: _Run, second: _Run) -> _Run:
    """Sum of two runs of sorted keys, the second no longer than the first; new arrays."""
    if np.array_equal(first[0], second[0]):
        return first[0], first[1] + second[1]
    at = np.searchsorted(first[0], second[0])
    is_new = first[0][np.minimum(at, len(first[0]) - 1)] != second[0]
    place = at + np.cumsum(is_new) - is_new
    old = np.ones(len(first[0]) + int(is_new.sum()), dtype=np.bool_)
    old[place[is_new]] = False
    key = np.empty(len(old), dtype=np.int64)
    key[old], key[place] = first[0], second[0]
    values = np.zeros((*first[1].shape[:2], len(old)))
    values[:, :, old] = first[1]
    values[:, :, place] += second[1]
    return key, values
