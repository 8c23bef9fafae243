"""Parquet files of simulated data: drawn once, kept under a key of their contents."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.scale.simulations import Simulation

__all__ = ["NoRoomError", "default_cache", "stored"]

BYTES_PER_VALUE = {"double": 8.3, "int32": 4.2}  # normal draws do not compress; codes hardly do
SPARE = 2 * 2**30


class NoRoomError(Exception):
    """The disk has no room for the data."""


def default_cache() -> Path:
    """Return the folder for data where none is named: below the system's temporary directory."""
    return Path(tempfile.gettempdir()) / "lmmformula-scale"


def stored(data: Simulation, cache: Path, parts: int = 1) -> Path:
    """Return the Parquet file (a folder of ``parts`` files) of a data set, drawn if need be.

    Parameters
    ----------
    data : Simulation
    cache : Path
        Folder; made if it does not exist.
    parts : int, default 1
        Number of files. The rows are the same and in the same order whatever it is.

    Raises
    ------
    NoRoomError
        Less free disk than the file needs and 2 GiB to spare; nothing was written.
    """
    digest = hashlib.sha256(f"{parts}:{data.key}".encode()).hexdigest()[:12]
    path = cache / f"{data.name}-{data.n_rows}-{digest}{'.parquet' if parts == 1 else ''}"
    if path.exists():
        return path
    cache.mkdir(parents=True, exist_ok=True)
    check_room(data, cache)
    partial = cache / f".{path.name}.{os.getpid()}.partial"
    try:
        if parts == 1:
            _write(data, partial, range(data.n_pieces))
        else:
            _write_parts(data, partial, parts)
        os.replace(partial, path)
    finally:
        _discard(partial)
    return path


def expected_bytes(data: Simulation) -> int:
    """Size of the file, a little more than it will be."""
    per_row = sum(BYTES_PER_VALUE[str(field.type)] for field in schema(data))
    return int(per_row * data.n_rows) + 2**16


def check_room(data: Simulation, folder: Path) -> None:
    """Raise NoRoomError where the disk is too full."""
    needed, free = expected_bytes(data) + SPARE, shutil.disk_usage(folder).free
    if free < needed:
        raise NoRoomError(
            f"{data.name} needs {needed / 2**30:.1f} GiB of disk (2 of them to spare), "
            f"{folder} has {free / 2**30:.1f} free"
        )


def schema(data: Simulation) -> pa.Schema:
    """Columns and types; the file also says what it is."""
    codes = {factor.name for factor in data.factors}
    fields = [(name, pa.int32() if name in codes else pa.float64()) for name in data.columns]
    return pa.schema(fields, metadata={"simulation": data.key})


def _write(data: Simulation, path: Path, pieces: range) -> None:
    """Write pieces as row groups of one file, with pyarrow's own defaults."""
    with pq.ParquetWriter(path, schema(data)) as writer:
        for i in pieces:
            drawn = data.piece(i)
            table = pa.table(drawn, schema=schema(data))
            writer.write_table(table, row_group_size=len(table))


def _write_parts(data: Simulation, folder: Path, parts: int) -> None:
    folder.mkdir()
    ends = [data.n_pieces * i // parts for i in range(parts + 1)]
    for i in range(parts):
        _write(data, folder / f"part-{i:04d}.parquet", range(ends[i], ends[i + 1]))


def _discard(partial: Path) -> None:
    if partial.is_dir():
        shutil.rmtree(partial)
    else:
        partial.unlink(missing_ok=True)
