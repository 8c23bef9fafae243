"""Arrow columns as numbers and categories, without a copy where the bytes are already right."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal

import narwhals as nw
import numpy as np
import pandas as pd

from lmmformula.design.columns import Categories, Numbers
from lmmformula.design.notify import notify
from lmmformula.design.read_narwhals import read_narwhals
from lmmformula.design.read_pandas import unusable
from lmmformula.design.stream.kinds import Expected, Kind
from lmmformula.design.stream.packages import required
from lmmformula.design.stream.pieces import PieceSource
from lmmformula.errors import DataWarning

__all__ = ["ArrowPiece", "expected_of", "kind_of", "own_order", "regrouped", "row_bytes"]

TEXT_BYTES = 16
"""Bytes that a value without a fixed width is reckoned to take."""


class ArrowPiece(PieceSource):
    """An Arrow table.

    Parameters
    ----------
    table : pyarrow.Table
    constants : mapping of str to int or str or None
        Columns that have one value in all rows, and are not in the table: the names of folders.
    schema : pyarrow.Schema, optional
        What the columns are in the data, where text was read as dictionaries to save time.
    """

    def __init__(
        self, table: Any, constants: Mapping[str, Any] | None = None, schema: Any = None
    ) -> None:
        super().__init__()
        self._table = table
        self._schema = schema or table.schema
        self._constants = constants or {}
        self.names = (*table.column_names, *self._constants)
        self.n_rows = table.num_rows
        self.index = pd.RangeIndex(self.n_rows)

    @classmethod
    def of(cls, data: Any) -> ArrowPiece:
        """Open a table or a record batch."""
        if type(data).__name__ == "RecordBatch":
            data = required("pyarrow", "an Arrow record batch").Table.from_batches([data])
        return cls(data)

    @staticmethod
    def accepts(data: Any) -> bool:
        """Whether this class reads such data."""
        return type(data).__module__ == "pyarrow.lib" and type(data).__name__ == "Table"

    def type_of(self, name: str) -> str:
        """The Arrow type."""
        if name in self._constants:
            return "the name of a folder"
        return str(self._schema.field(name).type)

    def own_order(self, name: str) -> bool:
        """Whether it is a dictionary."""
        return name not in self._constants and own_order(self._schema.field(name))

    def _column(self, name: str) -> Numbers | Categories:
        if name in self._constants:
            return _constant(name, self._constants[name], self.n_rows)
        return read_arrow(name, self._schema.field(name), self._table.column(name))


def _constant(name: str, value: Any, n_rows: int) -> Numbers | Categories:
    if isinstance(value, str):
        return Categories(name, np.zeros(n_rows, dtype=np.int32), [value])
    if value is None:
        return Numbers(name, np.full(n_rows, np.nan))
    return Numbers(name, np.full(n_rows, value, dtype=np.int64))


def own_order(field: Any) -> bool:
    """Whether the categories of a column have an order of their own.

    Dictionaries have; but polars writes its plain categoricals as such, whose order means nothing.
    """
    is_dictionary = type(field.type).__name__ == "DictionaryType"
    return is_dictionary and not any(
        key.startswith(b"_PL_CATEGORICAL") for key in field.metadata or {}
    )


def expected_of(field: Any, where: str) -> Expected | None:
    """Return what a column is by its Arrow type; None if the type does not tell."""
    kind = kind_of(field)
    if kind == "other" or kind == "nothing":
        return None
    return Expected(kind, str(field.type), where)


def kind_of(field: Any) -> Kind | Literal["other"]:
    """Return the kind of a column (as ``checked.Kind``), from its Arrow type alone."""
    types = required("pyarrow", "Arrow data").types
    kind = field.type
    if types.is_dictionary(kind):
        return "categories" if own_order(field) else "text"
    if str(kind) in ("string", "large_string", "string_view"):
        return "text"
    if types.is_boolean(kind):
        return "logical"
    if types.is_null(kind):
        return "nothing"
    if types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind):
        return "numbers"
    return "times" if types.is_temporal(kind) and not types.is_time(kind) else "other"


def row_bytes(schema: Any, columns: Iterable[str]) -> int:
    """Return about how many bytes a row of these columns takes."""
    total = 0
    for name in columns:
        position = schema.get_field_index(name)
        kind = schema.field(position).type if position >= 0 else None
        try:
            total += max(1, kind.bit_width // 8) if kind is not None else 4
        except ValueError:
            total += TEXT_BYTES
    return total


def read_arrow(name: str, field: Any, chunked: Any) -> Numbers | Categories:
    """Read one Arrow column.

    Parameters
    ----------
    name : str
        Its name, for messages.
    field : pyarrow.Field
        What the column is in the data.
    chunked : pyarrow.ChunkedArray
        Its values; text may have been read as a dictionary.

    Raises
    ------
    DataError
        Its type is one that a model cannot use.
    """
    types = required("pyarrow", "Arrow data").types
    if types.is_run_end_encoded(chunked.type):
        compute = required("pyarrow.compute", "Arrow data")
        chunked = compute.run_end_decode(chunked)
        field = field.with_type(chunked.type)
    kind = kind_of(field)
    if kind in ("text", "categories"):
        return _labels(name, chunked, sort=kind == "text")
    if types.is_decimal(chunked.type):
        chunked = _from_decimals(name, chunked)
    if types.is_floating(chunked.type):
        return Numbers(name, _whole(chunked).to_numpy(zero_copy_only=False))
    if types.is_integer(chunked.type) or kind == "logical":
        missing = None
        if chunked.null_count:
            missing = np.asarray(chunked.is_null().to_numpy())
            chunked = chunked.fill_null(False if kind == "logical" else 0)
        return Numbers(name, _whole(chunked).to_numpy(zero_copy_only=False), missing)
    if kind == "other":
        raise unusable(name, str(chunked.type))
    return read_narwhals(name, nw.from_native(chunked, series_only=True))


def _from_decimals(name: str, chunked: Any) -> Any:
    notify(
        DataWarning(
            f"`{name}` holds decimal numbers; they were converted to double precision.",
            column=name,
        )
    )
    return chunked.cast(required("pyarrow", "Arrow data").float64())


def _whole(chunked: Any) -> Any:
    """One array; the same memory where the column already is one."""
    if chunked.num_chunks == 1:
        return chunked.chunk(0)
    arrow = required("pyarrow", "Arrow data")
    if not chunked.num_chunks:
        return arrow.array([], type=chunked.type)
    return arrow.concat_arrays(chunked.chunks)


def _labels(name: str, chunked: Any, *, sort: bool) -> Categories:
    """Codes and levels: a dictionary's own order, or sorted."""
    arrow = required("pyarrow", "Arrow data")
    if not arrow.types.is_dictionary(chunked.type):
        chunked = chunked.dictionary_encode()
    array = _whole(chunked.unify_dictionaries())
    dictionary = array.dictionary
    codes = array.indices.cast(arrow.int32()).fill_null(-1).to_numpy(zero_copy_only=False)
    if not sort:
        return Categories(name, codes, dictionary.to_pylist())
    order = required("pyarrow.compute", "Arrow data").sort_indices(dictionary)
    rank = np.empty(len(dictionary) + 1, dtype=np.int32)
    rank[order.to_numpy()] = np.arange(len(dictionary), dtype=np.int32)
    rank[-1] = -1
    return Categories(name, rank[codes], dictionary.take(order).to_pylist())


def regrouped(batches: Iterable[Any], rows: int) -> Iterator[tuple[Any, int, int]]:
    """Join small record batches and cut large ones.

    Parameters
    ----------
    batches : iterable of pyarrow.RecordBatch
    rows : int
        Rows of each table but the last.

    Yields
    ------
    pyarrow.Table, int, int
        The rows, and the numbers (from 0) of the first and the last batch that they come from.
    """
    table = required("pyarrow", "Arrow data").Table
    waiting: list[Any] = []
    size = first = number = 0
    for number, batch in enumerate(batches):
        taken = 0
        while taken < batch.num_rows:
            if not waiting:
                first = number
            part = batch.slice(taken, rows - size)
            waiting.append(part)
            taken += part.num_rows
            size += part.num_rows
            if size == rows:
                yield table.from_batches(waiting), first, number
                waiting, size = [], 0
    if waiting:
        yield table.from_batches(waiting), first, number
