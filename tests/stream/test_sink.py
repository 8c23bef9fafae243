"""A file that appears when it is complete, or not at all."""

from __future__ import annotations

import pandas as pd
import pytest

from lmmformula.design.stream import disk
from lmmformula.design.stream.sink import ParquetSink
from lmmformula.errors import DataError, OptionError
from tests.refusals import refused
from tests.stream.tables import arrow, cut, polars_frame, table

pq = pytest.importorskip("pyarrow.parquet")


def written(target, *batches):
    with ParquetSink(target) as sink:
        for batch in batches:
            sink.write(batch)


def makers():
    return {
        "pandas": lambda data: data,
        "arrow": arrow,
        "batches": lambda data: arrow(data).combine_chunks().to_batches()[0],
        "dict": lambda data: {name: data[name].to_numpy() for name in ("y", "x", "n")},
        "lists": lambda data: {name: data[name].tolist() for name in ("y", "n")},
        "polars": polars_frame,
    }


@pytest.mark.parametrize("kind", makers())
def test_batches_become_one_file(kind, tmp_path):
    if kind == "polars":
        pytest.importorskip("polars")
    data = table()
    target = tmp_path / "out.parquet"
    with ParquetSink(target) as sink:
        for part in cut(data, (0, 20, 41, 57)):
            sink.write(makers()[kind](part))
            assert not target.exists()
    assert sink.n_rows == 57
    assert [p.name for p in tmp_path.iterdir()] == ["out.parquet"]
    written = pq.read_table(target)
    for name in ("y", "n"):
        found = pd.Series(written[name].to_pandas().tolist())
        pd.testing.assert_series_equal(found, pd.Series(data[name].tolist()), check_dtype=False)
    assert pq.ParquetFile(target).num_row_groups == 3


def test_types_are_those_of_the_first_batch(tmp_path):
    with ParquetSink(tmp_path / "out.parquet") as sink:
        sink.write({"a": [1.5], "b": ["u"]})
        sink.write({"b": ["v"], "a": [2]})
    assert pd.read_parquet(tmp_path / "out.parquet").to_dict("list") == {
        "a": [1.5, 2.0],
        "b": ["u", "v"],
    }


def test_a_schema_of_the_caller(tmp_path):
    import pyarrow as pa

    schema = pa.schema([("a", pa.float32()), ("b", pa.string())])
    with ParquetSink(tmp_path / "out.parquet", schema=schema) as sink:
        sink.write({"a": [1.5], "b": [None]})
        sink.write({"a": [2.5], "b": ["v"]})
    assert pq.read_schema(tmp_path / "out.parquet").equals(schema)
    with ParquetSink(tmp_path / "none.parquet", schema=schema):
        pass
    assert pq.read_table(tmp_path / "none.parquet").num_rows == 0


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_an_interruption_leaves_the_target_as_it_was(error, tmp_path):
    target = tmp_path / "out.parquet"
    target.write_text("before")

    def interrupted():
        with ParquetSink(target) as sink:
            sink.write(table())
            assert len(list(tmp_path.iterdir())) == 2
            raise error

    with pytest.raises(error):
        interrupted()
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("out.parquet", "before")]


def test_a_complete_file_replaces_the_target(tmp_path):
    target = tmp_path / "out.parquet"
    target.write_text("before")
    with ParquetSink(str(target)) as sink:
        sink.write({"a": [1]})
    assert pq.read_table(target).to_pydict() == {"a": [1]}


def test_batches_that_do_not_fit_together(tmp_path):
    with refused(DataError, "has other columns than the first", "the same columns") as caught:
        written(tmp_path / "out.parquet", {"a": [1]}, {"b": [1]})
    assert caught.value.row == 1
    with refused(DataError, "columns of other types", "convert them"):
        written(tmp_path / "out.parquet", {"a": [1]}, {"a": ["u"]})
    assert not list(tmp_path.iterdir())


def test_nothing_to_write(tmp_path):
    with refused(DataError, "there was nothing to write", "at least one row"):
        written(tmp_path / "out.parquet")
    assert not list(tmp_path.iterdir())


def test_targets_that_cannot_be(tmp_path):
    (tmp_path / "results").mkdir()
    with refused(OptionError, "does not exist", "/results/out.parquet"):
        ParquetSink(tmp_path / "result" / "out.parquet")
    with refused(OptionError, "does not exist", "mkdir"):
        ParquetSink(tmp_path / "a" / "b" / "out.parquet")
    with refused(OptionError, "is a folder", "rows.parquet"):
        ParquetSink(tmp_path / "results")


def test_a_disk_that_is_too_small(tmp_path, monkeypatch):
    usage = type("usage", (), {"free": disk.RESERVE + 10**6})
    monkeypatch.setattr(disk.shutil, "disk_usage", lambda folder: usage)
    with refused(DataError, "would not fit on the disk", "another disk") as caught:
        ParquetSink(tmp_path / "out.parquet", estimate=2 * 10**9)
    assert caught.value.got.startswith("about 2.0 GB needed, 269.4 MB free")
    with ParquetSink(tmp_path / "out.parquet", estimate=1000) as sink:
        sink.write(table())
    usage.free = disk.RESERVE
    with refused(DataError, "the rest of", "another disk"):
        written(tmp_path / "more.parquet", table())
    assert [p.name for p in tmp_path.iterdir()] == ["out.parquet"]


def test_sizes_are_readable():
    assert [disk.sized(n) for n in (12, 4567, 2.5e7, 3.2e9, 1.5e13)] == [
        "12 bytes",
        "4.6 kB",
        "25.0 MB",
        "3.2 GB",
        "15,000.0 GB",
    ]
