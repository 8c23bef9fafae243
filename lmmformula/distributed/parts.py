"""One partition as a stream of its own, on the worker that has it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from lmmformula.design.stream.kinds import Expected
from lmmformula.design.stream.pieces import PieceSource, open_piece
from lmmformula.design.stream.stream import Chunk, Stream, rows_per_chunk
from lmmformula.errors import DataError

__all__ = ["PartStream", "Reading", "expectations"]


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """How every partition is read; small and picklable.

    Attributes
    ----------
    names : tuple of str
        All columns of the data.
    description : str
        What the data are, for messages.
    chunk_rows : int or None
        Rows per chunk.
    declared : dict of str to sequence
        Levels that are known beforehand.
    expected : dict of str to Expected
        Kinds of columns that are known beforehand.
    """

    names: tuple[str, ...]
    description: str
    chunk_rows: int | None
    declared: dict[str, Sequence[Any]]
    expected: dict[str, Expected]

    @classmethod
    def of(cls, stream: Stream, columns: Sequence[str]) -> Reading:
        """What a stream knows of some columns."""
        known = {name: stream.declared(name) for name in columns}
        declared = {name: levels for name, levels in known.items() if levels is not None}
        kinds = {name: stream.expected(name) for name in columns}
        expected = {name: kind for name, kind in kinds.items() if kind is not None}
        return cls(stream.names, stream.description, stream.chunk_rows, declared, expected)

    def part(self, frame: Any, number: int) -> PartStream:
        """Open one partition."""
        return PartStream(frame, number, self)


class PartStream(Stream):
    """One pandas frame, cut into chunks whose positions count from its own first row.

    Parameters
    ----------
    frame : pandas.DataFrame
    number : int
        Which partition it is.
    reading : Reading
    """

    def __init__(self, frame: Any, number: int, reading: Reading) -> None:
        super().__init__()
        self._frame = frame
        self.names, self.n_rows = reading.names, len(frame)
        self.description = f"partition {number} of {reading.description}"
        self.chunk_rows = reading.chunk_rows
        self.declare(reading.declared, reading.expected)

    @staticmethod
    def accepts(data: Any) -> bool:
        """Nothing: it is made on a worker."""
        return False

    def rows(self, columns: Sequence[str]) -> Iterator[Chunk]:
        """Chunks, none where the partition is empty."""
        if self.n_rows:
            with closing(self.chunks(columns)) as chunks:  # type: ignore[type-var]
                yield from chunks

    def seen(self, columns: Sequence[str]) -> dict[str, Expected]:
        """Kinds of columns as far as they were known or have been read."""
        kinds = {name: self.expected(name) for name in columns}
        return {name: kind for name, kind in kinds.items() if kind is not None}

    def _pieces(self, columns: Sequence[str]) -> Iterator[tuple[PieceSource, str]]:
        rows = self.chunk_rows or rows_per_chunk(8 * len(columns))
        for start in range(0, len(self._frame), rows):
            cut = self._frame.iloc[start : start + rows]
            where = self.description
            if len(self._frame) > rows:
                where = f"{where}, rows {start} to {start + len(cut) - 1}"
            yield open_piece(cut, where), where


def expectations(
    first: Mapping[str, Expected], second: Mapping[str, Expected]
) -> dict[str, Expected]:
    """What two partitions together say of their columns.

    Raises
    ------
    DataError
        They contradict each other.
    """
    found = dict(first)
    for name, kind in second.items():
        known = found.get(name)
        if known is None or known.kind == "nothing":
            found[name] = kind
        elif kind.kind not in ("nothing", known.kind):
            raise DataError(
                f"`{name}` changes its type: it is {known.type} in {known.where} and {kind.type} "
                f"in {kind.where}.",
                got=f"{known.type}, then {kind.type}",
                suggestion=f"`ddf.astype({{{name!r}: ...}})`",
                column=name,
                where=kind.where,
                first_where=known.where,
                types=(known.type, kind.type),
            )
    return found
