"""Data that come in pieces: what a stream promises, whatever is behind it.

A stream knows its columns, and hands out chunks of rows one after the other. Nothing else is
asked of it: whoever needs totals goes through the chunks and adds them up. To add a kind of
stream: a class with ``_pieces`` and ``accepts``, and a row of ``STREAMS`` in
``design/stream/open.py``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from lmmformula.design.sources import Source, closest_name, listed
from lmmformula.design.stream.checked import CheckedSource
from lmmformula.design.stream.kinds import Expected
from lmmformula.design.stream.levels import DeclaredLevels
from lmmformula.design.stream.pieces import PieceSource
from lmmformula.design.stream.prefetch import prefetched
from lmmformula.errors import DataError, OptionError

__all__ = ["CHUNK_BYTES", "CHUNK_ROWS", "Chunk", "Stream", "rows_per_chunk"]

CHUNK_ROWS = 2**20
"""Rows of a chunk unless the caller says otherwise or the columns are many."""

CHUNK_BYTES = 2**28
"""A chunk of the default size does not exceed this."""


@dataclass(frozen=True, slots=True, eq=False)
class Chunk:
    """Some consecutive rows of a stream.

    Attributes
    ----------
    source : Source
        Its columns. Numbers have the data's own type (float32 stays float32), and share the
        data's memory where they can. ``Categories.levels`` are the declared levels where the
        stream has them, otherwise those of this chunk, which the next one need not share.
    where : str
        Where the rows come from, for messages: ``"part-3.parquet, row group 7"``.
    start : int
        Number of rows in the chunks before this one.
    """

    source: Source
    where: str
    start: int


def rows_per_chunk(row_bytes: int) -> int:
    """Return the default number of rows of a chunk whose rows take so many bytes."""
    return max(1, min(CHUNK_ROWS, CHUNK_BYTES // max(1, row_bytes)))


class Stream(ABC):
    """Rows that are read piece by piece, made by ``lf.stream``.

    Attributes
    ----------
    names : tuple of str
        Column names.
    n_rows : int or None
        Number of rows, where it is known without reading them.
    rewindable : bool
        Whether the rows can be read more than once.
    description : str
        What the data are, for messages and the log.
    chunk_rows : int or None
        Rows per chunk that the caller asked for; None leaves it to the width of the rows.
    """

    names: tuple[str, ...]
    n_rows: int | None = None
    rewindable: bool = True
    description: str
    chunk_rows: int | None = None
    prefetch: bool = False

    def __init__(self) -> None:
        self._levels: dict[str, Sequence[Any]] = {}
        self._expected: dict[str, Expected] = {}
        self._begun = False

    def __repr__(self) -> str:
        rows = "an unknown number of" if self.n_rows is None else f"{self.n_rows:,}"
        return f"<Stream: {self.description}, {rows} rows, {len(self.names)} columns>"

    @staticmethod
    @abstractmethod
    def accepts(data: Any) -> bool:
        """Whether this class reads such data."""

    @abstractmethod
    def _pieces(self, columns: Sequence[str]) -> Iterator[tuple[PieceSource, str]]:
        """Yield pieces of the data with (at least) these columns, and where each comes from."""

    def _prepare(self, columns: Sequence[str]) -> None:  # noqa: B027 - most have nothing to check
        """Check what can be checked before the first row is read."""

    def _known_levels(self, name: str) -> Sequence[Any] | None:
        """Levels that the data themselves declare, known without reading rows."""
        return None

    def _known_kind(self, name: str) -> Expected | None:
        """What a column is, as far as its type tells without reading rows."""
        return None

    def declared(self, name: str) -> Sequence[Any] | None:
        """Return the levels of a column as far as they are known without reading rows.

        They come from ``lf.stream(levels=...)`` or ``schema=``, or from a type that lists them
        (a pandas categorical, a polars or DuckDB enumeration). Chunks then have these levels, and
        a value outside them is an error.
        """
        return self._levels[name] if name in self._levels else self._known_levels(name)

    def bounds(self, name: str) -> tuple[int, int] | None:
        """Smallest and largest value of a column of integers, where they are known beforehand."""
        return None

    def keeps_order(self, name: str) -> bool | None:
        """Whether a column's levels have an order of their own; None before it has been read.

        True for dictionaries and categoricals: levels of several chunks are joined in the order
        in which they appear. False for text: joined levels are sorted. Declared levels are in
        their final order either way.
        """
        if self.declared(name) is not None:
            return True
        known = self.expected(name)
        return None if known is None else known.kind == "categories"

    def expected(self, name: str) -> Expected | None:
        """Return what a column is; None if that cannot be known before it has been read."""
        if name not in self._expected and name in self.names:
            known = self._known_kind(name)
            if known is not None:
                self._expected[name] = known
        return self._expected.get(name)

    def declare(
        self, levels: Mapping[str, Sequence[Any]], kinds: Mapping[str, Expected] | None = None
    ) -> None:
        """Declare levels, and kinds of columns, that the data do not tell.

        Parameters
        ----------
        levels : mapping of str to sequence
            All levels of a column, in order.
        kinds : mapping of str to Expected, optional

        Raises
        ------
        OptionError
            A name is not a column, or a level occurs twice.
        """
        for name, values in levels.items():
            known = list(values)
            if len(set(known)) < len(known):
                twice = sorted({str(v) for v in known if known.count(v) > 1})
                raise OptionError(
                    f"the levels declared for `{name}` name a level twice.",
                    got=listed(twice),
                    suggestion="list every level once",
                    column=name,
                )
        for name in (*levels, *(kinds or {})):
            if name not in self.names:
                raise self._unknown(name, OptionError)
        self._levels.update({name: list(values) for name, values in levels.items()})
        self._expected.update(kinds or {})

    def chunks(self, columns: Sequence[str]) -> Iterator[Chunk]:
        """Go through the rows.

        Parameters
        ----------
        columns : sequence of str
            Columns that will be asked for; the others are not read.

        Yields
        ------
        Chunk
            Never an empty one.

        Raises
        ------
        DataError
            A column does not exist or changes its type on the way, a level is not among the
            declared ones, the data cannot be read, there are no rows, or they have been read
            already and cannot be read again.
        """
        for name in columns:
            if name not in self.names:
                raise self._unknown(name, DataError)
        if self._begun and not self.rewindable:
            raise DataError(
                f"the rows of {self.description} have been read already.",
                got="an iterator that can be read once",
                suggestion="pass a function that returns a new iterator, `lf.stream(lambda: ...)`, "
                "or make the iterator anew",
                kind="consumed",
            )
        wanted = tuple(dict.fromkeys(columns))
        self._prepare(wanted)
        self._begun = True
        return self._numbered(wanted)

    def _numbered(self, columns: tuple[str, ...]) -> Iterator[Chunk]:
        start = 0
        pieces = self._pieces(columns)
        declared = {
            name: DeclaredLevels(levels)
            for name in columns
            if (levels := self.declared(name)) is not None
        }
        with _closed(prefetched(pieces) if self.prefetch else pieces) as ready:
            for piece, where in ready:
                if not piece.n_rows:
                    continue
                yield Chunk(
                    CheckedSource(piece, where, columns, declared, self._expected), where, start
                )
                start += piece.n_rows
        if not start:
            raise DataError(
                f"{self.description} has no rows.",
                got="0 rows",
                suggestion="check the path, the filter or the query that the data come from",
            )

    def _unknown(self, name: str, kind: type[DataError | OptionError]) -> DataError | OptionError:
        near = closest_name(name, self.names)
        return kind(
            f"`{name}` is not a column of {self.description}.",
            got=f"columns {listed(self.names)}",
            suggestion=f"`{near}`" if near else None,
            column=name,
            available=self.names,
        )


@contextmanager
def _closed(pieces: Iterator[Any]) -> Iterator[Iterator[Any]]:
    """Close a generator when the chunks are no longer wanted."""
    try:
        yield pieces
    finally:
        close = getattr(pieces, "close", None)
        if close is not None:
            close()
