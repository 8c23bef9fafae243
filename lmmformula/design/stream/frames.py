"""Frames one after the other: of a list, an iterator or a function, or cut from a table."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd

from lmmformula.design.stream.checked import CheckedSource
from lmmformula.design.stream.kinds import Expected
from lmmformula.design.stream.pieces import PieceSource, is_arrow, open_piece
from lmmformula.design.stream.stream import Stream, rows_per_chunk
from lmmformula.errors import DataError

__all__ = ["FramesStream", "TableStream"]

HEAD = 100
"""Rows that are looked at to know what a column is before all are read."""


class FramesStream(Stream):
    """Frames of a list, an iterator, or a function that returns an iterator.

    Parameters
    ----------
    data : sequence, iterator or callable
        A function is called for every pass; an iterator gives its frames once.

    Raises
    ------
    DataError
        There is no frame, or the first one is not a frame.
    """

    def __init__(self, data: Sequence[Any] | Iterator[Any] | Callable[[], Any]) -> None:
        super().__init__()
        self._data = data
        self._first: Any = None
        self.rewindable = callable(data) or not isinstance(data, Iterator)
        self.description = _described(data)
        frames = self._frames()
        first = next(frames, None)
        if first is None:
            raise DataError(
                f"{self.description} has no rows.",
                got="no frame at all",
                suggestion="an iterator that was used before is empty: make it anew",
            )
        self.names = tuple(open_piece(first, "frame 1").names)
        self._head: Any = _cut(first, self.names, 0, HEAD)
        if not self.rewindable:
            self._first = (first, frames)
        else:
            _close(frames)
        if isinstance(data, Sequence):
            self.n_rows = sum(open_piece(f, f"frame {i}").n_rows for i, f in enumerate(data, 1))

    @staticmethod
    def accepts(data: Any) -> bool:
        """Whether this class reads such data."""
        is_table = isinstance(data, Mapping) or nw.dependencies.is_into_dataframe(data)
        if is_table or isinstance(data, (str, bytes, type)):
            return False
        if isinstance(data, (list, tuple)):
            return bool(data) and not np.isscalar(data[0])
        return isinstance(data, Iterator) or (callable(data) and not hasattr(data, "columns"))

    def _known_kind(self, name: str) -> Expected | None:
        return None if self._head is None else _kind_in(self._head, name, "frame 1")

    def _frames(self) -> Iterator[Any]:
        if self._first is not None:
            first, rest = self._first
            self._first = None
            return chain([first], rest)
        data = self._data() if callable(self._data) else self._data
        if isinstance(data, Iterable) and not TableStream.accepts(data):
            return iter(data)
        return iter([data])  # one frame, or something that open_piece refuses

    def _pieces(self, columns: Sequence[str]) -> Iterator[tuple[PieceSource, str]]:
        if not isinstance(self._data, Sequence):
            self._head = None  # which would keep the first frame in memory
        frames = self._frames()
        try:
            for number, frame in enumerate(frames, 1):
                where = f"frame {number}"
                yield open_piece(frame, where), where
        finally:
            _close(frames)


class TableStream(Stream):
    """A table in memory, cut into slices.

    Parameters
    ----------
    data : frame or mapping of str to array
    """

    def __init__(self, data: Any) -> None:
        super().__init__()
        self._data = data
        piece = open_piece(data, "the table")
        self.names, self.n_rows = tuple(piece.names), piece.n_rows
        self.description = f"a table of type {type(data).__name__}"

    @staticmethod
    def accepts(data: Any) -> bool:
        """Whether this class reads such data."""
        return isinstance(data, Mapping) or bool(nw.dependencies.is_into_dataframe(data))

    def _known_kind(self, name: str) -> Expected | None:
        return _kind_in(_cut(self._data, (name,), 0, HEAD), name, "the first rows")

    def _known_levels(self, name: str) -> Sequence[Any] | None:
        piece = open_piece(self._data, "the table")
        if not piece.own_order(name):
            return None
        levels: Sequence[Any] = piece.column(name).levels  # type: ignore[union-attr]
        return levels

    def _pieces(self, columns: Sequence[str]) -> Iterator[tuple[PieceSource, str]]:
        rows = self.chunk_rows or rows_per_chunk(8 * len(columns))
        for start in range(0, self.n_rows or 0, rows):
            stop = min(start + rows, self.n_rows or 0)
            where = f"rows {start} to {stop - 1}"
            yield open_piece(_cut(self._data, columns, start, stop), where), where


def _close(frames: Iterator[Any]) -> None:
    close = getattr(frames, "close", None)
    if close is not None:
        close()


def _kind_in(head: Any, name: str, where: str) -> Expected | None:
    """What a column is in the first rows; None if they do not tell."""
    found: dict[str, Expected] = {}
    source = CheckedSource(open_piece(head, where), where, (name,), {}, found)
    try:
        source.column(name)
    except DataError:
        return None  # said when the column is read
    known = found[name]
    return None if known.kind == "nothing" else known


def _cut(data: Any, columns: Sequence[str], start: int, stop: int) -> Any:
    """Return some rows of a table without copying them."""
    if isinstance(data, pd.DataFrame):
        return data.iloc[start:stop]
    if isinstance(data, Mapping):
        return {name: _sliced(data[name], start, stop) for name in columns}
    if is_arrow(data):
        return data.select(list(columns)).slice(start, stop - start)
    return nw.from_native(data, eager_only=True).select(*columns)[start:stop].to_native()


def _sliced(values: Any, start: int, stop: int) -> Any:
    return values.iloc[start:stop] if isinstance(values, pd.Series) else values[start:stop]


def _described(data: Any) -> str:
    if isinstance(data, Sequence):
        return f"a list of {len(data)} frame{'s' if len(data) != 1 else ''}"
    if isinstance(data, Iterator):
        return "an iterator of frames"
    return f"the frames of `{getattr(data, '__name__', type(data).__name__)}`"
