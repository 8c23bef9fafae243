"""Which Parquet files a path or a dataset means, and what their footers say."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from glob import glob
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from lmmformula.datasets import list_datasets
from lmmformula.design.sources import closest_name, listed
from lmmformula.design.stream.packages import required
from lmmformula.errors import DataError

__all__ = [
    "ParquetFile",
    "files_of_dataset",
    "files_of_path",
    "integer_bounds",
    "opened",
    "unreadable",
]

ENDINGS = (".parquet", ".parq", ".pq")
BUFFER = 2**20
CSV = "`polars.scan_csv({path!r})` or `pandas.read_csv({path!r}, chunksize=100_000)` in its place"
ARROW = "`pyarrow.dataset.dataset({path!r}, format='feather')` in its place"
ELSEWHERE = {"csv": CSV, "tsv": CSV, "txt": CSV, "feather": ARROW, "arrow": ARROW, "ipc": ARROW}
NO_VALUE = "__HIVE_DEFAULT_PARTITION__"


@dataclass(frozen=True, slots=True, eq=False)
class ParquetFile:
    """One file, as its footer describes it.

    Attributes
    ----------
    label : str
        Its path as messages write it.
    path : str
    filesystem : pyarrow.fs.FileSystem or None
        None for a file of this machine.
    schema : pyarrow.Schema
        Equal schemas of several files are one object.
    group_rows : tuple of int
        Rows of each row group.
    keys : dict of str to int or str or None
        Values that the names of its folders give.
    """

    label: str
    path: str
    filesystem: Any
    schema: Any
    group_rows: tuple[int, ...]
    keys: dict[str, Any]


def opened(
    path: str, filesystem: Any, dictionaries: Sequence[str] = (), *, buffered: bool = False
) -> Any:
    """Open a file for reading; the caller closes it.

    Parameters
    ----------
    path, filesystem
        As in ``ParquetFile``.
    dictionaries : sequence of str
        Text columns to be read as dictionaries, which saves time and memory.
    buffered : bool
        Whether to read row groups bit by bit, because one as a whole might be too large.
    """
    parquet = required("pyarrow.parquet", "reading Parquet files")
    return parquet.ParquetFile(
        path,
        filesystem=filesystem,
        read_dictionary=list(dictionaries) or None,
        buffer_size=BUFFER if buffered else 0,
        pre_buffer=filesystem is not None and not buffered,
        page_checksum_verification=True,
    )


def unreadable(where: str, error: BaseException) -> DataError:
    """Return the error for a file, or a part of one, that cannot be read."""
    return DataError(
        f"{where} cannot be read.",
        got=f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}",
        suggestion="write or copy the file anew; it is damaged, cut short, or not Parquet",
        where=where,
    )


def files_of_path(paths: Sequence[str | Path]) -> tuple[list[ParquetFile], str]:
    """Return the files that paths mean, in the order of their names, and what to call them.

    Parameters
    ----------
    paths : sequence of str or Path
        Files, folders of files (``key=value`` folders give columns), or patterns (``*.parquet``).

    Raises
    ------
    DataError
        A path does not exist, a folder has no Parquet files, or a footer cannot be read.
    """
    found: list[tuple[str, Path, dict[str, Any]]] = []
    for given in paths:
        path = Path(given).expanduser()
        if path.is_dir():
            found += _in_folder(path)
        elif path.exists():
            found.append((path.name, _parquet(path), {}))
        elif matches := sorted(Path(match) for match in glob(str(path))):
            found += [(match.name, _parquet(match), {}) for match in matches if match.is_file()]
        else:
            raise _absent(path)
    _use_numbers([keys for *_, keys in found])
    description = str(paths[0]) if len(paths) == 1 else f"{len(paths)} Parquet files"
    return _described((label, str(path), None, keys) for label, path, keys in found), description


def files_of_dataset(dataset: Any) -> list[ParquetFile]:
    """Return the files of a pyarrow dataset of Parquet files."""
    keys_of = required("pyarrow.dataset", "reading Parquet files").get_partition_keys
    fragments = list(dataset.get_fragments())
    if not fragments:
        raise DataError(
            "the dataset has no files.",
            got="a dataset without fragments",
            suggestion="check the folder that it was made from",
        )
    common = posixpath.commonpath([posixpath.dirname(fragment.path) for fragment in fragments])
    above = posixpath.dirname(common)
    return _described(
        (
            fragment.path.removeprefix(above).lstrip("/"),
            fragment.path,
            fragment.filesystem,
            dict(keys_of(fragment.partition_expression)),
        )
        for fragment in fragments
    )


def _in_folder(folder: Path) -> list[tuple[str, Path, dict[str, Any]]]:
    files = sorted(
        (
            path
            for path in folder.rglob("*")
            if path.suffix.lower() in ENDINGS
            and path.is_file()
            and not any(part[0] in "._" for part in path.relative_to(folder).parts)
        ),
        key=lambda path: path.relative_to(folder).as_posix(),
    )
    if not files:
        others = sorted(path.name for path in folder.iterdir())
        raise DataError(
            f"the folder `{folder}` has no Parquet files.",
            got=f"{listed(others, 6)}" if others else "an empty folder",
            suggestion=f"files that end in {', '.join(ENDINGS)}; those that begin with `_` or `.` "
            "are not read",
            path=str(folder),
        )
    return [
        (f"{folder.name}/{path.relative_to(folder).as_posix()}", path, _keys(path, folder))
        for path in files
    ]


def _keys(path: Path, folder: Path) -> dict[str, Any]:
    """The columns that folders named ``key=value`` stand for."""
    parts = [part.split("=", 1) for part in path.relative_to(folder).parts[:-1] if "=" in part]
    return {key: None if value == NO_VALUE else unquote(value) for key, value in parts}


def _use_numbers(files: list[dict[str, Any]]) -> None:
    """Make the values of a key integers if all of them are."""
    for key in {key for keys in files for key in keys}:
        values = [keys[key] for keys in files if keys.get(key) is not None]
        if values and all(re.fullmatch(r"-?(0|[1-9]\d{0,17})", value) for value in values):
            for keys in files:
                if keys.get(key) is not None:
                    keys[key] = int(keys[key])


def _described(files: Iterable[tuple[str, str, Any, dict[str, Any]]]) -> list[ParquetFile]:
    """Read the footers."""
    arrow = required("pyarrow", "reading Parquet files")
    schemas: list[Any] = []
    found = []
    for label, path, filesystem, keys in files:
        try:
            with opened(path, filesystem) as file:
                footer, schema = file.metadata, file.schema_arrow
                rows = tuple(footer.row_group(i).num_rows for i in range(footer.num_row_groups))
        except (arrow.ArrowException, OSError) as error:
            raise unreadable(label, error) from error
        known = next((s for s in schemas if s.equals(schema, check_metadata=True)), None)
        if known is None:
            schemas.append(schema)
        own = {key: value for key, value in keys.items() if key not in schema.names}
        found.append(ParquetFile(label, path, filesystem, known or schema, rows, own))
    return found


def _parquet(path: Path) -> Path:
    """Refuse formats that other libraries read piece by piece."""
    ending = path.name.removesuffix(".gz").rsplit(".", 1)[-1].lower()
    if ending not in ELSEWHERE:
        return path
    raise DataError(
        f"`{path.name}` is not a Parquet file.",
        got=f"a file that ends in .{ending}",
        suggestion=ELSEWHERE[ending].format(path=str(path)),
        path=str(path),
    )


def _absent(path: Path) -> DataError:
    if path.name in set(list_datasets()["name"]):
        return DataError(
            f"there is no file or folder `{path}`, but a data set of the package has that name.",
            got=f"`{str(path)!r}`",
            suggestion=f"`lf.load_dataset({path.name!r})`",
            path=str(path),
        )
    beside = sorted(p.name for p in path.parent.iterdir()) if path.parent.is_dir() else []
    near = closest_name(path.name, beside)
    return DataError(
        f"there is no file or folder `{path}`.",
        got=f"`{path.parent}` has {listed(beside, 6)}"
        if beside
        else f"`{path.parent}` is empty or does not exist; the current folder is `{Path.cwd()}`",
        suggestion=f"`{path.parent / near}`" if near else "a path to a Parquet file or a folder",
        path=str(path),
    )


def integer_bounds(file: ParquetFile, name: str) -> tuple[int, int] | None:
    """Smallest and largest value of a column of integers by the statistics of its row groups.

    None where the column is of another type, or a row group has no statistics.
    """
    if not re.fullmatch(r"u?int\d+", str(file.schema.field(name).type)):
        return None
    with opened(file.path, file.filesystem) as parquet:
        metadata = parquet.metadata
        paths = [metadata.schema.column(i).path for i in range(metadata.num_columns)]
        if name not in paths:
            return None
        column, ends = paths.index(name), []
        for group in range(metadata.num_row_groups):
            known = metadata.row_group(group).column(column).statistics
            if known is None or not known.has_min_max:
                return None
            ends.append((int(known.min), int(known.max)))
    if not ends:
        return None
    return min(low for low, _ in ends), max(high for _, high in ends)
