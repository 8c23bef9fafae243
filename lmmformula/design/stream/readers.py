"""Readers of other libraries that hand out record batches: Arrow, DuckDB, polars, Dask."""

from __future__ import annotations

import sys
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd

from lmmformula.design.stream.arrow import ArrowPiece, expected_of, regrouped, row_bytes
from lmmformula.design.stream.declare import kind_in_pandas, kind_in_polars
from lmmformula.design.stream.kinds import Expected, Kind
from lmmformula.design.stream.packages import required
from lmmformula.design.stream.pieces import PieceSource, open_piece
from lmmformula.design.stream.stream import Stream, rows_per_chunk
from lmmformula.errors import DataError

__all__ = ["DaskStream", "DatasetStream", "DuckStream", "LazyStream", "ReaderStream"]

DUCKDB_READERS = ("to_arrow_reader", "fetch_record_batch", "fetch_arrow_reader")
"""What one and the same method is called, newest name first."""

DUCKDB_KINDS: dict[str, Kind] = {
    "varchar": "text",
    "boolean": "logical",
    **dict.fromkeys(("tinyint", "smallint", "integer", "bigint", "hugeint"), "numbers"),
    **dict.fromkeys(("utinyint", "usmallint", "uinteger", "ubigint", "uhugeint"), "numbers"),
    **dict.fromkeys(("float", "double", "decimal"), "numbers"),
}
"""What columns are, by DuckDB's type."""


def _unreadable(stream: Stream, start: int, error: Exception) -> DataError:
    text = str(error).strip()
    return DataError(
        f"{stream.description} cannot be read from row {start} on.",
        got=f"{type(error).__name__}: {text.splitlines()[0] if text else ''}",
        suggestion="the message is the one of the library that reads the data",
        where=f"row {start}",
    )


class _Batches(Stream):
    """Record batches, joined or cut to chunks."""

    @abstractmethod
    def _batches(self, columns: Sequence[str], rows: int) -> Iterable[Any]:
        """Return the record batches, of about so many rows if that can be chosen."""

    @abstractmethod
    def _row_bytes(self, columns: Sequence[str]) -> int:
        """About how many bytes a row takes."""

    def _failures(self) -> tuple[type[Exception], ...]:
        """Exceptions with which the library says that it cannot read."""
        return (required("pyarrow", "Arrow data").ArrowException, OSError)

    def _pieces(self, columns: Sequence[str]) -> Iterator[tuple[PieceSource, str]]:
        rows = self.chunk_rows or rows_per_chunk(self._row_bytes(columns))
        start = 0
        try:
            for table, first, last in regrouped(self._batches(columns, rows), rows):
                numbers = f"es {first} to {last}" if last > first else f" {first}"
                yield ArrowPiece(table), f"record batch{numbers} of {self.description}"
                start += table.num_rows
                del table
        except self._failures() as error:
            raise _unreadable(self, start, error) from error
        finally:
            required("pyarrow", "Arrow data").default_memory_pool().release_unused()


class ReaderStream(_Batches):
    """A pyarrow RecordBatchReader, or anything that exports an Arrow stream; read once.

    Parameters
    ----------
    data : pyarrow.RecordBatchReader or object with ``__arrow_c_stream__``
    """

    rewindable = False
    description = "the record batch reader"

    def __init__(self, data: Any) -> None:
        super().__init__()
        arrow = required("pyarrow", "reading record batches")
        reader = data
        if not isinstance(data, arrow.RecordBatchReader):
            try:
                reader = arrow.RecordBatchReader.from_stream(data)
            except (arrow.ArrowException, TypeError) as error:
                raise _unreadable(self, 0, error) from error
        self._reader = reader
        self.names = tuple(reader.schema.names)

    @staticmethod
    def accepts(data: Any) -> bool:
        """Whether this class reads such data."""
        is_column = nw.dependencies.is_into_series(data)
        return hasattr(data, "__arrow_c_stream__") and not is_column

    def _known_kind(self, name: str) -> Expected | None:
        return expected_of(self._reader.schema.field(name), self.description)

    def _batches(self, columns: Sequence[str], rows: int) -> Iterable[Any]:
        return (batch.select(list(columns)) for batch in self._reader)

    def _row_bytes(self, columns: Sequence[str]) -> int:
        return row_bytes(self._reader.schema, columns)


class DatasetStream(_Batches):
    """A pyarrow dataset that is not plain Parquet: other formats, filters, unions.

    Parameters
    ----------
    data : pyarrow.dataset.Dataset
    """

    prefetch = True
    description = "the dataset"

    def __init__(self, data: Any) -> None:
        super().__init__()
        self._dataset = data
        self.names = tuple(data.schema.names)

    @staticmethod
    def accepts(data: Any) -> bool:
        """Whether this class reads such data."""
        return type(data).__module__ in ("pyarrow._dataset", "pyarrow.dataset") and hasattr(
            data, "scanner"
        )

    def _known_kind(self, name: str) -> Expected | None:
        return expected_of(self._dataset.schema.field(name), self.description)

    def _batches(self, columns: Sequence[str], rows: int) -> Iterable[Any]:
        scanner = self._dataset.scanner(
            columns=list(columns), batch_size=rows, batch_readahead=1, fragment_readahead=1
        )
        batches: Iterable[Any] = scanner.to_batches()
        return batches

    def _row_bytes(self, columns: Sequence[str]) -> int:
        return row_bytes(self._dataset.schema, columns)


class DuckStream(_Batches):
    """A DuckDB relation; the query runs again for every pass.

    Parameters
    ----------
    data : duckdb.DuckDBPyRelation
    """

    prefetch = True
    description = "the DuckDB relation"

    def __init__(self, data: Any) -> None:
        super().__init__()
        required("pyarrow", "reading a DuckDB relation")
        self._relation = data
        self.names = tuple(data.columns)
        self._types = dict(zip(self.names, data.types, strict=True))

    @staticmethod
    def accepts(data: Any) -> bool:
        """Whether this class reads such data."""
        return type(data).__name__ == "DuckDBPyRelation"

    def _known_kind(self, name: str) -> Expected | None:
        kind = DUCKDB_KINDS.get(self._types[name].id)
        return kind and Expected(kind, str(self._types[name]), self.description)

    def _known_levels(self, name: str) -> Sequence[Any] | None:
        kind = self._types[name]
        return list(dict(kind.children)["values"]) if kind.id == "enum" else None

    def _batches(self, columns: Sequence[str], rows: int) -> Iterable[Any]:
        quoted = ", ".join('"' + name.replace('"', '""') + '"' for name in columns)
        chosen = self._relation.project(quoted)
        read = next(name for name in DUCKDB_READERS if hasattr(chosen, name))
        batches: Iterable[Any] = getattr(chosen, read)(rows)
        return batches

    def _row_bytes(self, columns: Sequence[str]) -> int:
        return 8 * len(columns)

    def _failures(self) -> tuple[type[Exception], ...]:
        return (*super()._failures(), required("duckdb", "a DuckDB relation").Error)


class LazyStream(Stream):
    """A polars LazyFrame; the query runs again for every pass, in the streaming engine.

    Parameters
    ----------
    data : polars.LazyFrame
    """

    prefetch = True
    description = "the LazyFrame"

    def __init__(self, data: Any) -> None:
        super().__init__()
        self._frame = data
        try:
            self._schema = data.collect_schema()
        except self._failures() as error:
            raise _unreadable(self, 0, error) from error
        self.names = tuple(self._schema.names())

    @staticmethod
    def accepts(data: Any) -> bool:
        """Whether this class reads such data."""
        return type(data).__name__ == "LazyFrame" and type(data).__module__.startswith("polars")

    def _failures(self) -> tuple[type[Exception], ...]:
        return (required("polars.exceptions", "a LazyFrame").PolarsError, OSError)

    def _known_kind(self, name: str) -> Expected | None:
        kind = kind_in_polars(self._schema[name])
        return kind and Expected(kind, str(self._schema[name]), self.description)

    def _known_levels(self, name: str) -> Sequence[Any] | None:
        kind = self._schema[name]
        is_enum = isinstance(kind, required("polars", "a LazyFrame").Enum)
        levels: list[Any] | None = kind.categories.to_list() if is_enum else None
        return levels

    def _pieces(self, columns: Sequence[str]) -> Iterator[tuple[PieceSource, str]]:
        rows = self.chunk_rows or rows_per_chunk(8 * len(columns))
        start = 0
        try:
            for frame in self._batches(columns, rows):
                stop = start + frame.height
                where = f"rows {start} to {stop - 1} of {self.description}"
                yield open_piece(frame, where), where
                start = stop
                del frame
        except self._failures() as error:
            raise _unreadable(self, start, error) from error

    def _batches(self, columns: Sequence[str], rows: int) -> Iterator[Any]:
        chosen = self._frame.select(list(columns))
        if not hasattr(chosen, "collect_batches"):
            yield from _by_file(chosen, rows)
            return
        batches = chosen.collect_batches(chunk_size=rows, lazy=True, engine="streaming")
        try:
            yield from batches
        finally:
            stop = getattr(batches, "stop", None)
            if stop is not None:
                stop()


def _by_file(frame: Any, rows: int) -> Iterator[Any]:
    """Older polars hands out no batches, but writes files in bounded memory."""
    polars = required("polars", "a LazyFrame")
    with TemporaryDirectory(prefix="lmmformula-") as folder:
        path = Path(folder) / "rows.parquet"
        frame.sink_parquet(path)
        for start in count(0, rows):
            part = polars.scan_parquet(path).slice(start, rows).collect()
            if not part.height:
                return
            yield part


class DaskStream(Stream):
    """A Dask DataFrame, partition by partition.

    Parameters
    ----------
    data : dask.dataframe.DataFrame
    """

    prefetch = True
    description = "the Dask DataFrame"

    def __init__(self, data: Any) -> None:
        super().__init__()
        self._frame = data
        self.names = tuple(data.columns)

    @staticmethod
    def accepts(data: Any) -> bool:
        """Whether this class reads such data."""
        return type(data).__module__.startswith("dask") and hasattr(data, "npartitions")

    def _known_kind(self, name: str) -> Expected | None:
        dtype = self._frame.dtypes[name]
        plain = isinstance(dtype, np.dtype) and dtype.kind != "O"
        kind = kind_in_pandas(dtype) if plain else None
        return kind and Expected(kind, str(dtype), self.description)

    def _known_levels(self, name: str) -> Sequence[Any] | None:
        dtype = self._frame.dtypes[name]
        if not isinstance(dtype, pd.CategoricalDtype) or not self._frame[name].cat.known:
            return None
        return dtype.categories.tolist()

    def _pieces(self, columns: Sequence[str]) -> Iterator[tuple[PieceSource, str]]:
        parts = self._frame[list(columns)].to_delayed()
        options = {} if _has_cluster() else {"scheduler": "synchronous"}
        for number, part in enumerate(parts):
            where = f"partition {number} of {self.description}"
            frame = part.compute(**options)
            rows = self.chunk_rows or rows_per_chunk(8 * len(columns))
            for start in range(0, len(frame), rows):
                cut = frame.iloc[start : start + rows]
                if len(frame) <= rows:
                    yield open_piece(cut, where), where
                else:
                    here = f"{where}, rows {start} to {start + len(cut) - 1}"
                    yield open_piece(cut, here), here
            del frame


def _has_cluster() -> bool:
    """Whether a distributed client is in use, which then holds what was persisted."""
    distributed = sys.modules.get("distributed")
    if distributed is None:
        return False
    try:
        distributed.default_client()
    except ValueError:
        return False
    return True
