"""What adds up over the chunks of a streamed design besides the products of its columns."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmmformula._arrays import FloatArray
from lmmformula.design.checks import LARGEST, check_scale
from lmmformula.design.digests import PositionsDigest, ValuesDigest
from lmmformula.design.rank import clearly_full, triangular_factor

__all__ = ["Digests", "Extent", "Gram", "MissingRows"]

DROPPED_KEPT = 10**6
"""Positions of rows left out that are kept one by one."""


@dataclass(slots=True)
class Extent:
    """Smallest and largest value of something."""

    low: float = np.inf
    high: float = -np.inf

    def add(self, values: FloatArray, name: str) -> None:
        """Widen; values whose squares overflow are refused at once."""
        low, high = float(values.min()), float(values.max())
        if max(-low, high) >= LARGEST:
            check_scale(name, low, high)
        self.low, self.high = min(self.low, low), max(self.high, high)

    def absorb(self, other: Extent) -> None:
        """Widen to what another one holds."""
        self.low, self.high = min(self.low, other.low), max(self.high, other.high)

    def check(self, name: str) -> None:
        """Refuse a scale at which squares overflow or vanish."""
        if self.low <= self.high:
            check_scale(name, self.low, self.high)


class Digests:
    """Digests of rows, response and weights, as those of whole arrays would be.

    They are computed in a thread of their own, beside the sums.
    """

    def __init__(self) -> None:
        self._rows = PositionsDigest()
        self._response, self._weights = ValuesDigest(), ValuesDigest()
        self._weighted = False
        self._thread = ThreadPoolExecutor(1, "lmmformula-digest")
        self._pending: Future[None] | None = None

    def add(self, rows: NDArray[Any], response: FloatArray, weights: FloatArray | None) -> None:
        """Add the rows of a chunk; the arrays must not change any more."""
        self._wait()
        self._pending = self._thread.submit(self._update, rows, response, weights)

    def _update(self, rows: NDArray[Any], response: FloatArray, weights: FloatArray | None) -> None:
        self._rows.add(rows)
        self._response.add(response)
        if weights is not None:
            self._weights.add(weights)
            self._weighted = self._weighted or bool(np.any(weights != 1.0))

    def _wait(self) -> None:
        if self._pending is not None:
            self._pending.result()
            self._pending = None

    def total(self) -> tuple[str, str, str | None]:
        """Return the digests of rows, response and weights, None for weights that are all one."""
        self._wait()
        weights = self._weights.text() if self._weighted else None
        return self._rows.text(), self._response.text(), weights

    def close(self) -> None:
        """End the thread."""
        self._thread.shutdown(wait=True)


@dataclass(slots=True)
class MissingRows:
    """Rows left out.

    Attributes
    ----------
    counts : dict of str to int
        Missing values by variable.
    made : dict of str to int
        Values that expressions lost.
    n_rows, n_asked, n_dropped : int
        Rows seen, rows of the subset, rows of these left out.
    """

    counts: dict[str, int] = field(default_factory=dict)
    made: dict[str, int] = field(default_factory=dict)
    n_rows: int = 0
    n_asked: int = 0
    n_dropped: int = 0
    pieces: list[NDArray[Any]] = field(default_factory=list)

    def add(
        self,
        counts: Mapping[str, int],
        made: Mapping[str, int],
        n_rows: int,
        n_asked: int,
        dropped: NDArray[Any],
    ) -> None:
        """Add a chunk."""
        for own, more in ((self.counts, counts), (self.made, made)):
            for name, count in more.items():
                own[name] = own.get(name, 0) + count
        room = DROPPED_KEPT - min(self.n_dropped, DROPPED_KEPT)
        if dropped.size and room:
            self.pieces.append(dropped[:room])
        self.n_rows += n_rows
        self.n_asked += n_asked
        self.n_dropped += len(dropped)

    def absorb(self, other: MissingRows) -> None:
        """Add rows that follow, whose positions count from their own first one."""
        following = np.concatenate([np.empty(0, dtype=np.int64), *other.pieces]) + self.n_rows
        n_dropped = self.n_dropped + other.n_dropped
        self.add(other.counts, other.made, other.n_rows, other.n_asked, following)
        self.n_dropped = n_dropped

    @property
    def positions(self) -> NDArray[Any]:
        """Positions of the rows left out, the first million of them."""
        return np.concatenate([np.empty(0, dtype=np.int64), *self.pieces])


class Gram:
    """Cross-products of the columns of X, and their triangular factor as long as it may matter.

    Parameters
    ----------
    p : int
        Number of columns.
    """

    def __init__(self, p: int) -> None:
        self.sums: FloatArray = np.zeros((p, p))
        self.n_rows = 0
        self.factor: FloatArray | None = np.empty((0, p))

    def add(self, X: FloatArray, own: FloatArray) -> None:
        """Add rows and their cross-products.

        The factor is made as long as the sums so far cannot settle the rank: of a first chunk in
        which a level is absent, say. Where the sums cease to settle it later on, it takes another
        pass.
        """
        self.sums += own
        self.n_rows += len(X)
        if self.factor is not None:
            if self.settles():
                self.factor = None
            else:
                self.factor = triangular_factor(X, np.ones(X.shape[1]), self.factor)

    def absorb(self, other: Gram) -> None:
        """Add the sums of other rows, and their factor as long as it may matter."""
        self.sums += other.sums
        self.n_rows += other.n_rows
        if self.factor is None or other.factor is None or self.settles():
            self.factor = None
        elif len(other.factor):
            self.factor = triangular_factor(other.factor, np.ones(len(self.sums)), self.factor)

    def settles(self) -> bool:
        """Whether the sums show that no column can be dropped."""
        p = len(self.sums)
        return self.n_rows >= p and clearly_full(self.sums, np.sqrt(np.diag(self.sums)))
