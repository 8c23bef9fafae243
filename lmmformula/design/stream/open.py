"""Which data come in pieces, and what reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import narwhals as nw

from lmmformula.design.stream.declare import declarations
from lmmformula.design.stream.frames import FramesStream, TableStream
from lmmformula.design.stream.parquet import ParquetStream
from lmmformula.design.stream.readers import (
    DaskStream,
    DatasetStream,
    DuckStream,
    LazyStream,
    ReaderStream,
)
from lmmformula.design.stream.stream import Stream
from lmmformula.errors import DataError, OptionError

__all__ = ["STREAMS", "open_stream", "stream"]

STREAMS: tuple[Any, ...] = (
    ParquetStream,
    DaskStream,
    LazyStream,
    DuckStream,
    DatasetStream,
    ReaderStream,
    FramesStream,
)
"""Classes that read data in pieces, each asked in turn whether the data are its own."""


def open_stream(data: Any) -> Stream | None:
    """Open data that come in pieces.

    Parameters
    ----------
    data : object
        A path, dataset, reader, query or iterator of frames.

    Returns
    -------
    Stream or None
        None for tables, which are in memory already, and for what is no data at all.
    """
    if isinstance(data, Stream):
        return data
    data = nw.to_native(data, pass_through=True)
    if TableStream.accepts(data):
        return None
    for kind in STREAMS:
        if kind.accepts(data):
            opened: Stream = kind(data)
            return opened
    return None


def stream(
    source: Any,
    *,
    chunk_rows: int | None = None,
    schema: Any = None,
    levels: Mapping[str, Sequence[Any]] | None = None,
) -> Stream:
    """Read data in pieces instead of as a whole.

    ``lf.lmm`` does this by itself for paths, queries and iterators. Call it for the options, or
    to have a table in memory summed in chunks.

    Parameters
    ----------
    source : path, dataset, reader, query, iterator of frames, or table
        A Parquet file or a folder of them (folders named ``key=value`` give columns) or a list of
        those; a pyarrow dataset or ``RecordBatchReader``; a polars LazyFrame; a DuckDB relation; a
        Dask DataFrame; a list of frames, an iterator, or a function that returns one; a table of
        pandas, polars or pyarrow, or a dict of arrays.
    chunk_rows : int, optional
        Rows per chunk. By default about a million, or fewer if that takes more than 256 MB.
        Frames of an iterator are taken as they are.
    schema : mapping or Arrow or polars schema, optional
        What columns hold: ``"numbers"``, ``"text"``, ``"logical"``, ``"times"``, or a list of
        levels; types of pandas, polars and Arrow are understood as well. Chunks that differ are an
        error. Columns that it leaves out are taken from the first chunk.
    levels : mapping of str to sequence, optional
        All levels of categorical columns, in order. They need not be learned then, which can spare
        a pass over the data; a value outside them is an error.

    Returns
    -------
    Stream
        What ``lf.lmm`` takes as data.

    Raises
    ------
    DataError
        The source does not exist, cannot be read, or is of no known kind.
    OptionError
        An option does not fit the data, or a package is missing.

    Examples
    --------
    >>> import lmmformula as lf
    >>> data = lf.load_dataset("sleepstudy")
    >>> lf.stream([data[:90], data[90:]], levels={"Subject": sorted(set(data["Subject"]))})
    <Stream: a list of 2 frames, 180 rows, 3 columns>
    """
    opened = open_stream(source)
    if opened is None:
        native = nw.to_native(source, pass_through=True)
        if not TableStream.accepts(native):
            raise _unknown(source)
        opened = TableStream(native)
    if chunk_rows is not None:
        whole = isinstance(chunk_rows, int) and not isinstance(chunk_rows, bool)
        if not whole or chunk_rows < 1:
            raise OptionError(
                "`chunk_rows` must be a positive whole number.",
                got=f"`chunk_rows={chunk_rows!r}`",
                suggestion="`chunk_rows=1_000_000`, or leave it out",
                argument="chunk_rows",
            )
        opened.chunk_rows = chunk_rows
    declared, kinds = declarations(schema, levels or {})
    opened.declare(declared, kinds)
    return opened


def _unknown(source: Any) -> DataError:
    return DataError(
        "the data are of no kind that can be read in pieces.",
        got=f"an object of type {type(source).__module__}.{type(source).__qualname__}",
        suggestion="a path to Parquet files, a pyarrow dataset, a polars LazyFrame, a DuckDB "
        "relation, a Dask DataFrame, an iterator of frames or a table",
        kind=type(source).__qualname__,
    )
