"""A small table, every way in which it can arrive in pieces, and its pieces put together again."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from lmmformula.design.columns import Categories, Numbers
from lmmformula.design.sources import Source

N = 57
COLUMNS = ("y", "x", "n", "flag", "g", "c", "t")


CONNECTIONS: dict[int, Any] = {}


def table(n: int = N, seed: int = 3) -> pd.DataFrame:
    """Floats of two widths, integers, logicals, text with gaps, categories in their own order."""
    rng = np.random.default_rng(seed)
    text = rng.choice(["zeta", "alpha", "mid", ""], n).astype(object)
    text[rng.random(n) < 0.1] = None
    y = rng.normal(size=n)
    y[rng.random(n) < 0.1] = np.nan
    return pd.DataFrame(
        {
            "y": y,
            "x": rng.normal(size=n).astype(np.float32),
            "n": rng.integers(-5, 5, n).astype(np.int32),
            "flag": rng.random(n) < 0.5,
            "g": text,
            "c": pd.Categorical(rng.choice(["low", "mid", "high"], n), ["low", "mid", "high"]),
            "t": pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 99, n), unit="D"),
        }
    )


def cut(data: Any, marks: Sequence[int] = (0, 20, 20, 41, N)) -> list[Any]:
    """Frames of the rows between the marks, one of them empty."""
    return [data[a:b] for a, b in pairwise(marks)]


def cut_at(data: Any, marks: Sequence[int]) -> list[Any]:
    """Frames of all rows, cut at the marks; equal marks leave an empty one."""
    return cut(data, [0, *sorted(marks), len(data)])


def arrow(data: pd.DataFrame) -> Any:
    import pyarrow as pa

    return pa.Table.from_pandas(data, preserve_index=False)


def parquet_file(data: pd.DataFrame, folder: Any) -> Any:
    import pyarrow.parquet as pq

    path = folder / "rows.parquet"
    pq.write_table(arrow(data), path, row_group_size=9)
    return path


def parquet_folder(data: pd.DataFrame, folder: Any) -> Any:
    import pyarrow.parquet as pq

    place = folder / "rows"
    place.mkdir()
    for i, part in enumerate(cut(data)):
        pq.write_table(arrow(part), place / f"part-{i}.parquet", row_group_size=50)
    (place / "_SUCCESS").write_text("")
    (place / "_ignored.parquet").write_text("not a Parquet file")
    return place


def parquet_list(data: pd.DataFrame, folder: Any) -> Any:
    place = parquet_folder(data, folder)
    return [str(place / f"part-{i}.parquet") for i in range(4)]


def parquet_dataset(data: pd.DataFrame, folder: Any) -> Any:
    import pyarrow.dataset as ds

    return ds.dataset(parquet_folder(data, folder), format="parquet")


def feather_dataset(data: pd.DataFrame, folder: Any) -> Any:
    import pyarrow.dataset as ds

    path = folder / "rows.feather"
    data.to_feather(path)
    return ds.dataset(path, format="feather")


def filtered_dataset(data: pd.DataFrame, folder: Any) -> Any:
    import pyarrow.dataset as ds

    more = pd.concat([data.assign(keep=True), data.assign(keep=False)])
    return ds.dataset(parquet_file(more, folder)).filter(ds.field("keep"))


def record_reader(data: pd.DataFrame, folder: Any) -> Any:
    return arrow(data).to_reader(10)


class Exported:
    """Something of another library that exports an Arrow stream and nothing else."""

    def __init__(self, data: pd.DataFrame) -> None:
        self._table = arrow(data)

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        return self._table.__arrow_c_stream__(requested_schema)


def polars_frame(data: pd.DataFrame) -> Any:
    import polars as pl

    levels = data["c"].cat.categories.tolist()
    plain = pl.from_pandas(data.assign(c=data["c"].astype(str)))
    return plain.with_columns(pl.col("c").cast(pl.Enum(levels)))


def polars_file(data: pd.DataFrame, folder: Any) -> Any:
    path = folder / "polars.parquet"
    polars_frame(data).write_parquet(path, row_group_size=20)
    return path


def duckdb_relation(data: pd.DataFrame, folder: Any) -> Any:
    import duckdb

    connection = duckdb.connect(str(folder / "rows.duckdb"))
    connection.execute("SET threads = 1")
    connection.register("data", data)
    relation = connection.sql("select * from data")
    CONNECTIONS[id(relation)] = connection  # older relations do not hold theirs
    return relation


def dask_frame(data: pd.DataFrame, folder: Any) -> Any:
    import dask
    import dask.dataframe as dd

    with dask.config.set({"dataframe.convert-string": False}):
        return dd.from_pandas(data, npartitions=4, sort=False)


SOURCES: dict[str, Any] = {
    "parquet-file": parquet_file,
    "parquet-folder": parquet_folder,
    "parquet-list": parquet_list,
    "parquet-dataset": parquet_dataset,
    "parquet-polars": polars_file,
    "feather-dataset": feather_dataset,
    "filtered-dataset": filtered_dataset,
    "record-reader": record_reader,
    "arrow-stream": lambda data, folder: Exported(data),
    "arrow-batches": lambda data, folder: iter(arrow(data).to_batches(12)),
    "polars-lazy": lambda data, folder: polars_frame(data).lazy(),
    "polars-frames": lambda data, folder: cut(polars_frame(data)),
    "duckdb": duckdb_relation,
    "dask": dask_frame,
    "iterator": lambda data, folder: iter(cut(data)),
    "generator": lambda data, folder: (frame for frame in cut(data)),
    "function": lambda data, folder: lambda: iter(cut(data)),
    "list": lambda data, folder: cut(data),
    "dicts": lambda data, folder: [dict(part.items()) for part in cut(data)],
    "pandas": lambda data, folder: data,
    "polars": lambda data, folder: polars_frame(data),
    "arrow": lambda data, folder: arrow(data),
    "dict": lambda data, folder: {name: data[name] for name in data},
}
"""Ways for a pandas table to arrive."""

PACKAGES = {
    "parquet": "pyarrow",
    "feather": "pyarrow",
    "filtered": "pyarrow",
    "record": "pyarrow",
    "arrow": "pyarrow",
    "polars": "polars",
    "duckdb": "duckdb",
    "dask": "dask.dataframe",
}


def needed(kind: str) -> str:
    """The package that a kind of source needs."""
    return PACKAGES.get(kind.split("-")[0], "pandas")


def plain(value: Numbers | Categories) -> list[Any]:
    """The values as Python has them, None where missing."""
    gone = value.missing_rows()
    missing = np.zeros(len(numbers(value)), dtype=bool) if gone is None else gone
    if isinstance(value, Categories):
        known = [value.levels[code] if code >= 0 else None for code in value.codes]
    else:
        known = value.values.tolist() if not value.is_time else list(value.values.astype("M8[s]"))
    return [None if m else v for v, m in zip(known, missing, strict=True)]


def numbers(value: Numbers | Categories) -> Any:
    return value.codes if isinstance(value, Categories) else value.values


def joined(stream: Any, columns: Sequence[str]) -> dict[str, list[Any]]:
    """All chunks of a stream, one after the other."""
    found: dict[str, list[Any]] = {name: [] for name in columns}
    start = 0
    for chunk in stream.chunks(columns):
        assert chunk.start == start
        assert chunk.source.n_rows > 0
        start += chunk.source.n_rows
        for name in columns:
            found[name] += plain(chunk.source.column(name))
    assert stream.n_rows in (None, start)
    return found


def read(stream: Any, columns: Sequence[str] = ("y",)) -> None:
    """Go through all chunks and columns."""
    for chunk in stream.chunks(columns):
        for name in columns:
            chunk.source.column(name)


def whole(source: Source, columns: Sequence[str]) -> dict[str, list[Any]]:
    """The columns of a source that is in memory."""
    return {name: plain(source.column(name)) for name in columns}
