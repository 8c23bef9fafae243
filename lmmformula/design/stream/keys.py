"""Values of grouping factors as keys, and a fast way from keys to codes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lmmformula._arrays import CodeArray
from lmmformula.design.columns import Categories, Numbers, Value
from lmmformula.design.grouping import labelled_codes, whole_numbers

__all__ = ["KeyMap", "Keys", "keys_of"]

SPARSE = 16
"""Possible values per level beyond which a table of all of them is too large."""
SMALL_TABLE = 2**20
OCCURS_LIMIT = 2**26
"""Largest range of integers for which one flag for each is kept."""
PACKED_LIMIT = 2**62


def keys_of(value: Value, term: str) -> NDArray[Any]:
    """Return the values of a component of a grouping factor as an array of keys, none missing.

    Parameters
    ----------
    value : Value
        Integers, whole floats, true/false, times, or categories whose codes are final.
    term : str
        The term as written, for messages.
    """
    if isinstance(value, Categories):
        return value.codes
    if not isinstance(value, Numbers):
        labelled_codes(value, term)  # refuses
    assert isinstance(value, Numbers)
    kind = value.values.dtype.kind
    if kind == "f":
        return whole_numbers(value, term)
    return value.values.astype(np.int8) if kind == "b" else value.values


class KeyMap:
    """Codes of keys: a table where the keys are dense, otherwise a hash table built once.

    Parameters
    ----------
    keys : ndarray, shape (m,)
        Distinct keys.
    codes : ndarray of int, shape (m,)
        The code of each.
    """

    def __init__(self, keys: NDArray[Any], codes: NDArray[Any]) -> None:
        self._table: CodeArray | None = None
        self._low = 0
        if keys.size and keys.dtype.kind in "iu" and keys.dtype != np.uint64:
            keys = keys.astype(np.int64)
            low, high = int(keys.min()), int(keys.max())
            low = 0 if 0 <= low <= SMALL_TABLE else low
            if high - low < SPARSE * len(keys) + SMALL_TABLE:
                self._low = low
                self._table = np.full(high - low + 1, -1, dtype=np.int32)
                self._table[keys - low] = codes
                return
        self._dtype = keys.dtype
        self._index: Any = pd.Index(keys)
        self._codes = np.append(codes, -1).astype(np.int32)

    def __call__(self, keys: NDArray[Any]) -> CodeArray:
        """Return the codes of keys; -1 for those that are not known."""
        if not keys.size:
            return np.empty(0, dtype=np.int32)
        if self._table is None:
            same: Any = keys if keys.dtype == self._dtype else keys.astype(self._dtype)
            codes: CodeArray = self._codes[self._index.get_indexer(same)]
            return codes
        low, high = int(keys.min()), int(keys.max())
        top = self._low + len(self._table) - 1
        if low < self._low or high > top:
            inside = (keys >= self._low) & (keys <= top)
            out = np.full(len(keys), -1, dtype=np.int32)
            out[inside] = self._table[keys[inside].astype(np.int64) - self._low]
            return out
        at = keys if self._low == 0 else keys.astype(np.int64, copy=False) - self._low
        return self._table.take(at)


class Keys:
    """Distinct combinations of keys met so far, one array for each component.

    Integers of a moderate range cost one flag each; anything else is kept as sorted values.
    """

    def __init__(self, n_components: int) -> None:
        self._pieces: list[tuple[NDArray[Any], ...]] = []
        self._held = 0
        self._low = 0
        self._occurs: NDArray[np.bool_] | None = (
            np.zeros(0, dtype=bool) if n_components == 1 else None
        )

    def add(self, keys: Sequence[NDArray[Any]]) -> None:
        """Add rows, one key array for each component."""
        if not keys[0].size or self._flagged(keys[0]):
            return
        self._add_piece(_distinct(keys))

    def _add_piece(self, piece: tuple[NDArray[Any], ...]) -> None:
        self._pieces.append(piece)
        self._held += len(piece[0])
        if len(self._pieces) > 1 and self._held > 2 * len(self._pieces[0][0]) + SMALL_TABLE:
            self._pieces = [self._merged()]
            self._held = len(self._pieces[0][0])

    def distinct(self) -> tuple[NDArray[Any], ...]:
        """Return the combinations, in an order that does not depend on how the rows were cut."""
        if self._occurs is not None and self._occurs.size:
            found = np.flatnonzero(self._occurs) + self._low
            if not self._pieces:
                return (found,)
            self._pieces.append((found,))
        return self._merged() if self._pieces else ()

    def _merged(self) -> tuple[NDArray[Any], ...]:
        joined = [np.concatenate(parts) for parts in zip(*self._pieces, strict=True)]
        if len(joined) == 1:
            return (np.unique(joined[0]),)
        frame = pd.DataFrame(dict(enumerate(joined))).drop_duplicates()
        frame = frame.sort_values(list(frame.columns), kind="stable")
        return tuple(frame[column].to_numpy() for column in frame)

    def _flagged(self, keys: NDArray[Any]) -> bool:
        """Note single integers by flags, where their range allows it."""
        if self._occurs is None or keys.dtype.kind not in "iu" or keys.dtype == np.uint64:
            return False
        low, high = int(keys.min()), int(keys.max())
        if self._occurs.size:
            low, high = min(low, self._low), max(high, self._low + len(self._occurs) - 1)
        if high - low > OCCURS_LIMIT:
            return False
        if high - low + 1 > len(self._occurs):
            room = min(2 * (high - low + 1), OCCURS_LIMIT) if self._occurs.size else high - low + 1
            wider = np.zeros(max(room, high - low + 1), dtype=bool)
            wider[self._low - low : self._low - low + len(self._occurs)] = self._occurs
            self._low, self._occurs = low, wider
        elif low < self._low:
            self._occurs = np.concatenate([np.zeros(self._low - low, dtype=bool), self._occurs])
            self._low = low
        self._occurs[keys if self._low == 0 else keys.astype(np.int64) - self._low] = True
        return True


def _distinct(keys: Sequence[NDArray[Any]]) -> tuple[NDArray[Any], ...]:
    """Distinct combinations of one chunk."""
    if len(keys) == 1:
        return (np.asarray(pd.unique(pd.Series(keys[0]))),)
    spans: list[tuple[int, int]] = []
    size = 1
    for key in keys:
        if key.dtype.kind not in "iu" or key.dtype == np.uint64:
            size = PACKED_LIMIT
            break
        low, high = int(key.min()), int(key.max())
        spans.append((low, high - low + 1))
        size *= high - low + 1
    if size >= PACKED_LIMIT:
        frame = pd.DataFrame(dict(enumerate(keys))).drop_duplicates()
        return tuple(frame[column].to_numpy() for column in frame)
    packed = np.zeros(len(keys[0]), dtype=np.int64)
    for key, (low, span) in zip(keys, spans, strict=True):
        packed *= span
        packed += key
        packed -= low
    packed = np.asarray(pd.unique(packed))
    out: list[NDArray[Any]] = []
    for low, span in reversed(spans):
        packed, rest = np.divmod(packed, span)
        out.append(rest + low)
    return tuple(reversed(out))
