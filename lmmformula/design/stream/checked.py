"""Chunks that keep the promises of the first: the same kinds of columns, and declared levels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lmmformula.design.columns import Categories, Numbers
from lmmformula.design.sources import Source, listed
from lmmformula.design.stream.kinds import Expected, Kind
from lmmformula.design.stream.levels import DeclaredLevels
from lmmformula.design.stream.pieces import PieceSource
from lmmformula.errors import DataError

__all__ = ["CheckedSource"]


class CheckedSource(Source):
    """A piece whose columns are what those of the pieces before were.

    Parameters
    ----------
    piece : PieceSource
    where : str
        Which piece it is, for messages.
    columns : sequence of str
        Columns that it must have.
    declared : mapping of str to DeclaredLevels
        Levels to which values must belong.
    expected : dict of str to Expected
        What is known of the columns; what this piece shows first is added.

    Raises
    ------
    DataError
        A column is missing.
    """

    def __init__(
        self,
        piece: PieceSource,
        where: str,
        columns: Sequence[str],
        declared: Mapping[str, DeclaredLevels],
        expected: dict[str, Expected],
    ) -> None:
        super().__init__()
        self._piece, self._where = piece, where
        self._declared, self._expected = declared, expected
        self.names, self.n_rows, self.index = piece.names, piece.n_rows, piece.index
        for name in columns:
            if name not in piece.names:
                raise DataError(
                    f"{where} has no column `{name}`, which the rows before it have.",
                    got=f"columns {listed(piece.names)}",
                    suggestion="every file or frame needs every column of the model",
                    column=name,
                    where=where,
                    available=piece.names,
                )

    @staticmethod
    def accepts(data: Any) -> bool:
        """Nothing: it is made by the stream."""
        return False

    def _column(self, name: str) -> Numbers | Categories:
        try:
            value = self._piece.column(name)
        except DataError as error:
            raise self._placed(error) from error
        if name in self._declared:
            return self._declared[name].place(value, self._where)
        kind = self._kind(name, value)
        known = self._expected.get(name)
        if known is None or known.kind == "nothing":
            self._note(name, value, kind, known)
        elif kind != known.kind:
            value = self._reconciled(name, value, kind, known)
        return value

    def _placed(self, error: DataError) -> DataError:
        """The same error, which says where it happened."""
        facts = {"where": self._where, **error.facts}
        got = f"{error.got}, in {self._where}" if error.got else self._where
        return type(error)(error.message, got=got, suggestion=error.suggestion, **facts)

    def _kind(self, name: str, value: Any) -> Kind:
        if isinstance(value, Categories):
            return "categories" if self._piece.own_order(name) else "text"
        if value.is_logical:
            return "logical"
        return "times" if value.is_time else "numbers"

    def _note(
        self, name: str, value: Numbers | Categories, kind: Kind, known: Expected | None
    ) -> None:
        """Note what the column is, as soon as a value of it has been seen."""
        nothing = _all_missing(value)
        if known is not None and kind != "numbers" and not nothing:
            raise self._changed(name, kind, known)  # its chunks so far were handed out as numbers
        self._expected[name] = Expected(
            "nothing" if nothing and kind == "numbers" else kind,
            self._piece.type_of(name),
            self._where,
        )

    def _reconciled(
        self, name: str, value: Numbers | Categories, kind: Kind, known: Expected
    ) -> Numbers | Categories:
        """A column of nothing but missing values fits anywhere; others are an error."""
        if not _all_missing(value):
            raise self._changed(name, kind, known)
        if known.kind in ("text", "categories"):
            return Categories(name, np.full(self.n_rows, -1, dtype=np.int32), ())
        gone = np.ones(self.n_rows, dtype=bool)
        if known.kind == "logical":
            return Numbers(name, np.zeros(self.n_rows, dtype=bool), gone)
        if known.kind == "times":
            return Numbers(name, np.full(self.n_rows, "NaT", dtype="M8[s]"))
        return Numbers(name, np.full(self.n_rows, np.nan))

    def _changed(self, name: str, kind: Kind, known: Expected) -> DataError:
        here = self._piece.type_of(name)
        before = "nothing but missing values" if known.kind == "nothing" else known.type
        return DataError(
            f"`{name}` changes its type: it is {before} in {known.where} and {here} in "
            f"{self._where}.",
            got=f"{before}, then {here}",
            suggestion=f"convert `{name}` to one type in all files or frames"
            if known.kind != "nothing"
            else f"say what it is: `lf.stream(..., schema={{{name!r}: {kind!r}}})`",
            column=name,
            where=self._where,
            first_where=known.where,
            types=(before, here),
        )


def _all_missing(value: Numbers | Categories) -> bool:
    gone = value.missing_rows()
    return gone is not None and bool(gone.all())
