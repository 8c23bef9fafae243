"""Digests of rows that pass by: they tell whether two fits saw the same data.

Not for secrets: a sum of mixed bits times position, modulo 2^64, which numpy computes at the speed
of memory and which needs no more than the values of one block. Two different columns share a digest
by accident once in 2^64.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["PositionsDigest", "ValuesDigest"]

BLOCK = 1 << 15
ODD = np.uint64(0x9E3779B97F4A7C15)
STEP = np.uint64(0xC2B2AE3D27D4EB4F)
FIRST = np.uint64(0x165667B19E3779F9)
HALF = np.uint64(32)
_WEIGHTS = np.arange(BLOCK, dtype=np.uint64) * STEP + FIRST


class ValuesDigest:
    """Digest of a column of 8-byte values in their order."""

    def __init__(self) -> None:
        self.count = 0
        self._sum = np.uint64(0)

    def add(self, values: NDArray[np.float64] | NDArray[np.int64]) -> None:
        """Add the values that follow, shape (n,)."""
        for start in range(0, len(values), BLOCK):
            piece: NDArray[Any] = np.ascontiguousarray(values[start : start + BLOCK])
            if piece.dtype.kind == "f":
                piece = piece + 0.0  # one zero, whatever its sign
            bits = piece.view(np.uint64) * ODD
            bits ^= bits >> HALF
            with np.errstate(over="ignore"):
                shift = np.uint64(self.count) * STEP
                self._sum += np.dot(bits, _WEIGHTS[: len(bits)]) + shift * bits.sum(dtype=np.uint64)
            self.count += len(bits)

    def text(self) -> str:
        """The digest, 16 hexadecimal digits."""
        with np.errstate(over="ignore"):
            total = (self._sum ^ np.uint64(self.count)) * ODD
        return f"{int(total):016x}"


class PositionsDigest:
    """Digest of increasing positions, from the ends of the runs that they form."""

    def __init__(self) -> None:
        self._ends = ValuesDigest()
        self._open: tuple[int, int] | None = None

    def add(self, positions: NDArray[np.int64]) -> None:
        """Add the positions that follow, shape (n,)."""
        if not len(positions):
            return
        runs = _runs(positions)
        if self._open is not None:
            if self._open[1] == runs[0, 0]:
                runs[0, 0] = self._open[0]
            else:
                runs = np.concatenate([np.array([self._open], dtype=np.int64), runs])
        self._ends.add(runs[:-1].ravel())
        self._open = (int(runs[-1, 0]), int(runs[-1, 1]))

    def text(self) -> str:
        """The digest, 16 hexadecimal digits; nothing can be added afterwards."""
        if self._open is not None:
            self._ends.add(np.array(self._open, dtype=np.int64))
            self._open = None
        return self._ends.text()


def _runs(positions: NDArray[np.int64]) -> NDArray[np.int64]:
    """Starts and ends of runs of neighbours, (n_runs, 2)."""
    first, last = int(positions[0]), int(positions[-1])
    if last - first + 1 == len(positions):
        return np.array([[first, last + 1]], dtype=np.int64)
    breaks = np.flatnonzero(np.diff(positions) != 1)
    starts = positions[np.concatenate([[0], breaks + 1])]
    stops = positions[np.concatenate([breaks, [len(positions) - 1]])] + 1
    return np.stack([starts, stops], axis=1).astype(np.int64)
