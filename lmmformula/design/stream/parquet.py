"""Parquet: a file, a folder of files, or a pyarrow dataset of them, row group by row group."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from lmmformula.design.sources import listed
from lmmformula.design.stream.arrow import ArrowPiece, expected_of, kind_of, row_bytes
from lmmformula.design.stream.kinds import Expected
from lmmformula.design.stream.packages import required
from lmmformula.design.stream.parquet_files import (
    ParquetFile,
    files_of_dataset,
    files_of_path,
    integer_bounds,
    opened,
    unreadable,
)
from lmmformula.design.stream.pieces import PieceSource
from lmmformula.design.stream.stream import Stream, rows_per_chunk
from lmmformula.errors import DataError

__all__ = ["ParquetStream"]

PART = 1.5
"""A row group is read in parts if it is larger than a chunk by more than this factor."""


MOST_FOOTERS = 200
"""Files whose footers are read once more for the range of a column."""


class ParquetStream(Stream):
    """Parquet files.

    Parameters
    ----------
    data : str or Path, sequence of them, or pyarrow.dataset.FileSystemDataset
        Files and folders, in the order given; within a folder in the order of their paths. A URI
        (``s3://bucket/rows``) is opened by pyarrow.

    Raises
    ------
    DataError
        A path does not exist, has no Parquet files, or a footer cannot be read.
    """

    prefetch = True

    def __init__(self, data: Any) -> None:
        super().__init__()
        required("pyarrow.parquet", "reading Parquet files")
        remote = isinstance(data, str) and "://" in data
        if remote:
            data = _remote(data)
        if _is_dataset(data):
            self._files, self.description = files_of_dataset(data), "the dataset"
        else:
            paths = data if isinstance(data, (list, tuple)) else (data,)
            self._files, self.description = files_of_path(paths)
        first = self._files[0]
        self.names = (*first.schema.names, *first.keys)
        self.n_rows = sum(sum(file.group_rows) for file in self._files)

    @staticmethod
    def accepts(data: Any) -> bool:
        """Whether this class reads such data."""
        if isinstance(data, (list, tuple)):
            return bool(data) and all(isinstance(path, (str, Path)) for path in data)
        return isinstance(data, (str, Path)) or _is_dataset(data)

    def _known_kind(self, name: str) -> Expected | None:
        if any(isinstance(file.keys.get(name), int) for file in self._files):
            return Expected("numbers", "the name of a folder", self.description)
        self._prepare((name,))
        return self._expected.get(name)

    def _known_levels(self, name: str) -> Sequence[Any] | None:
        """Levels of an enumeration that polars wrote, or of the names of folders."""
        values = [file.keys[name] for file in self._files if name in file.keys]
        if values:
            known = {value for value in values if value is not None}
            return sorted(known) if all(isinstance(value, str) for value in known) else None
        field = self._files[0].schema.field(name)
        return _enumerated((field.metadata or {}).get(b"_PL_ENUM_VALUES2"))

    def bounds(self, name: str) -> tuple[int, int] | None:
        """Smallest and largest value of a column of integers, as the files' footers have them."""
        if len(self._files) > MOST_FOOTERS or any(name in file.keys for file in self._files):
            return None
        ends: list[tuple[int, int]] = []
        for file in self._files:
            found = integer_bounds(file, name)
            if found is None:
                return None
            ends.append(found)
        return min(low for low, _ in ends), max(high for _, high in ends)

    def _pieces(self, columns: Sequence[str]) -> Iterator[tuple[PieceSource, str]]:
        schema = self._files[0].schema
        rows = self.chunk_rows or rows_per_chunk(row_bytes(schema, columns))
        try:
            for file in self._files:
                wanted = [name for name in columns if name not in file.keys]
                for table, where in _tables(file, wanted, rows):
                    keys = {name: file.keys[name] for name in columns if name in file.keys}
                    yield ArrowPiece(table, keys, file.schema), where
                    del table
        finally:
            required("pyarrow", "Arrow data").default_memory_pool().release_unused()

    def _prepare(self, columns: Sequence[str]) -> None:
        """Compare the types of all files before the first row is read."""
        first: dict[str, tuple[Any, ParquetFile]] = {}
        seen: set[tuple[int, tuple[str, ...]]] = set()
        for file in self._files:
            if (mark := (id(file.schema), tuple(file.keys))) in seen:
                continue
            seen.add(mark)
            for name in columns:
                if name in file.keys:
                    continue
                if name not in file.schema.names:
                    raise self._lacking(file, name)
                field = file.schema.field(name)
                known, where = first.setdefault(name, (field, file))
                kinds = {kind_of(known), kind_of(field)}
                if len(kinds - {"nothing"}) > 1:
                    raise _differing(name, (known, where), (field, file))
                if kind_of(known) == "nothing":
                    first[name] = (field, file)
        for name, (field, file) in first.items():
            known_kind = expected_of(field, file.label)
            if known_kind is not None:
                self._expected.setdefault(name, known_kind)

    def _lacking(self, file: ParquetFile, name: str) -> DataError:
        return DataError(
            f"{file.label} ({_all_groups(file)}) has no column `{name}`, which "
            f"{self._files[0].label} has.",
            got=f"columns {listed(file.schema.names)}",
            suggestion=f"write the file anew with `{name}`, or leave it out of the folder",
            column=name,
            where=file.label,
            available=tuple(file.schema.names),
        )


def _tables(file: ParquetFile, columns: list[str], rows: int) -> Iterator[tuple[Any, str]]:
    """Read about ``rows`` rows at a time: several small row groups, or parts of a large one."""
    arrow = required("pyarrow", "Arrow data")
    text = [n for n in columns if kind_of(file.schema.field(n)) == "text"]
    try:
        large = max(file.group_rows, default=0) > PART * rows
        with opened(file.path, file.filesystem, text, buffered=large) as reader:
            _check_unchanged(file, reader.metadata)
            for groups in _grouped(file.group_rows, rows):
                where = _named(file.label, groups)
                if file.group_rows[groups[0]] > PART * rows:
                    yield from _parts(reader, groups[0], columns, rows, where)
                    continue
                try:
                    table = reader.read_row_groups(groups, columns=columns)
                except (arrow.ArrowException, OSError):
                    table = _by_group(reader, groups, columns, file.label)
                yield table, where
                del table
    except (arrow.ArrowException, OSError) as error:
        raise unreadable(file.label, error) from error


def _parts(
    reader: Any, group: int, columns: list[str], rows: int, where: str
) -> Iterator[tuple[Any, str]]:
    arrow = required("pyarrow", "Arrow data")
    start = 0
    batches = reader.iter_batches(rows, row_groups=[group], columns=columns)
    try:
        for batch in batches:
            stop = start + batch.num_rows
            yield arrow.Table.from_batches([batch]), f"{where}, rows {start} to {stop - 1}"
            start = stop
    except (arrow.ArrowException, OSError) as error:
        raise unreadable(f"{where}, from row {start}", error) from error


def _by_group(reader: Any, groups: list[int], columns: list[str], label: str) -> Any:
    """Read row groups one by one, to find the one that is damaged."""
    arrow = required("pyarrow", "Arrow data")
    tables = []
    for group in groups:
        try:
            tables.append(reader.read_row_group(group, columns=columns))
        except (arrow.ArrowException, OSError) as error:
            raise unreadable(_named(label, [group]), error) from error
    return arrow.concat_tables(tables)


def _grouped(group_rows: Sequence[int], rows: int) -> Iterator[list[int]]:
    """Join small row groups to pieces of at most about ``rows`` rows."""
    waiting: list[int] = []
    size = 0
    for group, n in enumerate(group_rows):
        if waiting and size + n > PART * rows:
            yield waiting
            waiting, size = [], 0
        waiting.append(group)
        size += n
        if size >= rows:
            yield waiting
            waiting, size = [], 0
    if waiting:
        yield waiting


def _named(label: str, groups: Sequence[int]) -> str:
    if len(groups) == 1:
        return f"{label}, row group {groups[0]}"
    return f"{label}, row groups {groups[0]} to {groups[-1]}"


def _all_groups(file: ParquetFile) -> str:
    last = len(file.group_rows) - 1
    return (
        "no row groups" if last < 0 else "row group 0" if last == 0 else f"row groups 0 to {last}"
    )


def _check_unchanged(file: ParquetFile, footer: Any) -> None:
    rows = tuple(footer.row_group(i).num_rows for i in range(footer.num_row_groups))
    if rows != file.group_rows:
        raise DataError(
            f"{file.label} has changed since it was opened.",
            got=f"{sum(file.group_rows)} rows in {len(file.group_rows)} row groups, then "
            f"{sum(rows)} in {len(rows)}",
            suggestion="fit again once nothing writes to the file any more",
            where=file.label,
        )


def _differing(
    name: str, one: tuple[Any, ParquetFile], other: tuple[Any, ParquetFile]
) -> DataError:
    types = (str(one[0].type), str(other[0].type))
    return DataError(
        f"`{name}` changes its type: it is {types[0]} in {one[1].label} and {types[1]} in "
        f"{other[1].label} ({_all_groups(other[1])}).",
        got=f"{types[0]}, then {types[1]}",
        suggestion=f"write the files anew with one type of `{name}`",
        column=name,
        where=other[1].label,
        first_where=one[1].label,
        types=types,
    )


def _remote(uri: str) -> Any:
    """Open the files of another machine."""
    dataset = required("pyarrow.dataset", "reading Parquet files").dataset
    try:
        return dataset(uri, format="parquet", partitioning="hive")
    except (required("pyarrow", "Arrow data").ArrowException, OSError, ValueError) as error:
        raise unreadable(f"`{uri}`", error) from error


def _is_dataset(data: Any) -> bool:
    """Whether it is a dataset of Parquet files, all rows of which are meant."""
    if type(data).__name__ != "FileSystemDataset" or not hasattr(data, "format"):
        return False
    options = getattr(data, "_scan_options", None) or {}
    return type(data.format).__name__ == "ParquetFileFormat" and options.get("filter") is None


def _enumerated(written: bytes | None) -> list[str] | None:
    """The levels of an enumeration as polars notes them: lengths and texts in turn."""
    if written is None:
        return None
    levels, rest = [], written
    while rest:
        found = re.match(rb"(\d+);", rest)
        if found is None:
            return None
        stop = found.end() + int(found[1])
        levels.append(rest[found.end() : stop].decode())
        rest = rest[stop:]
    return levels
