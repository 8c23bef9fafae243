"""One-shot data kept on disk, so that they can be read twice."""

from __future__ import annotations

import logging
import shutil
import tempfile
import weakref
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from lmmformula.design.columns import Categories, Numbers
from lmmformula.design.stream.arrow import ArrowPiece
from lmmformula.design.stream.disk import check_space, sized
from lmmformula.design.stream.packages import required
from lmmformula.design.stream.parquet_files import unreadable
from lmmformula.design.stream.pieces import PieceSource
from lmmformula.design.stream.stream import Chunk, Stream

__all__ = ["SpooledStream", "rewindable"]

_LOG = logging.getLogger("lmmformula")
INSTEAD = (
    "pass what can be read twice, such as a Parquet file or a function that returns a new "
    "iterator; or declare all `levels=`; or point the variable TMPDIR to a larger disk"
)


def rewindable(stream: Stream, columns: Sequence[str]) -> Stream:
    """Return a stream that can be read again and again.

    Parameters
    ----------
    stream : Stream
        Returned as it is if its rows can be read twice; otherwise read now, to the end.
    columns : sequence of str
        The columns that will be needed.

    Returns
    -------
    Stream
        A ``SpooledStream`` where rows had to be kept; ``close()`` it after the last pass.

    Raises
    ------
    DataError
        The rows cannot be read, or do not fit on the disk.
    OptionError
        pyarrow is not installed.
    """
    return stream if stream.rewindable else SpooledStream(stream, columns)


class SpooledStream(Stream):
    """The rows of another stream in temporary Parquet files.

    The files are removed by ``close()``, at the end of a ``with`` block, when nobody has the
    stream any more, when the program ends, and when anything interrupts the writing.

    Parameters
    ----------
    stream : Stream
        Read to its end.
    columns : sequence of str
        Columns to keep.
    folder : str or Path, optional
        Where; by default the folder for temporary files.
    """

    prefetch = True

    def __init__(
        self, stream: Stream, columns: Sequence[str], folder: str | Path | None = None
    ) -> None:
        super().__init__()
        self.names = tuple(dict.fromkeys(columns))
        self.description = stream.description
        place = Path(tempfile.mkdtemp(prefix="lmmformula-", dir=folder))
        self._remove = weakref.finalize(self, shutil.rmtree, place, ignore_errors=True)
        try:
            writer = _Writer(place, stream)
            for chunk in stream.chunks(self.names):
                writer.add(chunk, self.names)
            writer.close()
        except BaseException:
            self._remove()
            raise
        self._groups = writer.groups
        self.n_rows = writer.n_rows
        known = {name: stream.declared(name) for name in self.names}
        kinds = {name: stream.expected(name) for name in self.names}
        self.declare(
            {name: levels for name, levels in known.items() if levels is not None},
            {name: kind for name, kind in kinds.items() if kind is not None},
        )
        _LOG.info(
            "%s can be read once; %s rows (%s) were kept in %s until the fit is done",
            self.description,
            f"{self.n_rows:,}",
            sized(writer.n_bytes),
            place.parent,
        )

    @staticmethod
    def accepts(data: Any) -> bool:
        """Nothing: it is made by ``rewindable``."""
        return False

    def close(self) -> None:
        """Remove the files."""
        self._remove()

    def __enter__(self) -> SpooledStream:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _pieces(self, columns: Sequence[str]) -> Iterator[tuple[PieceSource, str]]:
        arrow = required("pyarrow", "Arrow data")
        parquet = required("pyarrow.parquet", "reading Parquet files")
        try:
            for path, wheres in self._groups:
                with parquet.ParquetFile(path) as file:
                    for group, where in enumerate(wheres):
                        table = file.read_row_group(group, columns=list(columns))
                        yield ArrowPiece(table), where
                        del table
        except (arrow.ArrowException, OSError) as error:
            raise unreadable(f"the temporary file of {self.description}", error) from error
        finally:
            arrow.default_memory_pool().release_unused()


class _Writer:
    """Parquet files, one row group per chunk; a new file where the types change their width."""

    def __init__(self, folder: Path, stream: Stream) -> None:
        self._parquet = required("pyarrow.parquet", "reading an iterator twice")
        self._folder, self._stream = folder, stream
        self._file: Any = None
        self._texts: dict[str, Any] = {}
        self.groups: list[tuple[Path, list[str]]] = []
        self.n_rows = self.n_bytes = 0

    def add(self, chunk: Chunk, columns: Sequence[str]) -> None:
        """Write one chunk, if it fits."""
        arrow = required("pyarrow", "Arrow data")
        table = arrow.table({name: self._array(chunk.source.column(name)) for name in columns})
        needed = table.nbytes
        if not self.n_rows and self._stream.n_rows is not None:
            needed = int(needed / table.num_rows * self._stream.n_rows)
        check_space(
            self._folder, needed, f"keeping the rows of {self._stream.description}", INSTEAD
        )
        if self._file is None or not self._file.schema.equals(table.schema):
            self.close()
            path = self._folder / f"part-{len(self.groups)}.parquet"
            self.groups.append((path, []))
            self._file = self._parquet.ParquetWriter(path, table.schema, compression="lz4")
        self._file.write_table(table, row_group_size=table.num_rows)
        self.groups[-1][1].append(chunk.where)
        self.n_rows += table.num_rows
        self.n_bytes += table.nbytes

    def close(self) -> None:
        """Finish the last file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _array(self, value: Numbers | Categories) -> Any:
        arrow = required("pyarrow", "Arrow data")
        if isinstance(value, Numbers):
            return arrow.array(value.values, mask=value.missing)
        gone = value.codes < 0
        codes = arrow.array(np.where(gone, 0, value.codes).astype(np.int32), mask=gone)
        known = self._texts.get(value.name)
        levels = arrow.array(list(value.levels), type=known if not len(value.levels) else None)
        if arrow.types.is_null(levels.type):
            levels = levels.cast(arrow.string())
        elif known is None:
            self._texts[value.name] = levels.type
        whole = arrow.DictionaryArray.from_arrays(codes, levels)
        return whole if self._stream.keeps_order(value.name) else whole.cast(levels.type)
