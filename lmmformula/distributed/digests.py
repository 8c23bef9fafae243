"""Digests of rows that do not depend on how the rows are divided or ordered."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lmmformula._arrays import FloatArray

__all__ = ["LooseDigests"]

LANES = (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F)


class LooseDigests:
    """Sums of a hash of every row, in place of digests of whole arrays.

    A shuffle changes neither, so that fits of one Dask DataFrame can be compared however it was
    divided. Positions of rows mean nothing there and are only counted.
    """

    def __init__(self) -> None:
        self.n_obs = 0
        self._response: NDArray[np.uint64] = np.zeros(len(LANES), dtype=np.uint64)
        self._weights = self._response.copy()
        self._weighted = False

    def add(
        self, rows: NDArray[np.int64], response: FloatArray, weights: FloatArray | None
    ) -> None:
        """Add the rows of a chunk."""
        self.n_obs += len(rows)
        own = _bits(response)
        hashed = [_mixed(own + np.uint64(seed)) for seed in LANES]
        self._response += _sums(hashed)
        if weights is not None:
            more = _bits(weights)
            self._weights += _sums([_mixed(more ^ lane) for lane in hashed])
        if weights is not None:
            self._weighted = self._weighted or bool(np.any(weights != 1.0))

    def absorb(self, other: LooseDigests) -> None:
        """Add those of other rows."""
        self.n_obs += other.n_obs
        self._response = self._response + other._response
        self._weights = self._weights + other._weights
        self._weighted = self._weighted or other._weighted

    def total(self) -> tuple[str, str, str | None]:
        """Return the digests of rows, response and weights, None for weights that are all one."""
        weights = _text(self._weights) if self._weighted else None
        return f"{self.n_obs:032x}", _text(self._response), weights

    def close(self) -> None:
        """Nothing runs beside."""


def _bits(values: FloatArray) -> NDArray[np.uint64]:
    return (np.asarray(values, dtype=np.float64) + 0.0).view(np.uint64)


def _mixed(bits: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The finalizer of SplitMix64 (Steele, Lea and Flood 2014)."""
    z = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def _sums(lanes: list[NDArray[np.uint64]]) -> NDArray[np.uint64]:
    """Sums modulo 2^64."""
    return np.array([lane.sum(dtype=np.uint64) for lane in lanes])


def _text(lanes: NDArray[np.uint64]) -> str:
    return "".join(f"{int(lane):016x}" for lane in lanes)
