"""What cannot be read in pieces is refused, with the file, the row group and the column."""

from __future__ import annotations

import builtins
import importlib
import sqlite3

import numpy as np
import pandas as pd
import pytest

import lmmformula as lf
from lmmformula.errors import DataError, OptionError
from tests.refusals import refused
from tests.stream.tables import (
    COLUMNS,
    SOURCES,
    arrow,
    cut,
    joined,
    needed,
    parquet_file,
    parquet_folder,
    read,
    table,
)

pq = pytest.importorskip("pyarrow.parquet")


def write(folder, name, frame, **options):
    folder.mkdir(exist_ok=True)
    pq.write_table(frame if hasattr(frame, "schema") else arrow(frame), folder / name, **options)
    return folder


def test_a_path_that_does_not_exist(tmp_path):
    parquet_file(table(), tmp_path)
    near = tmp_path / "rows.parquet"
    with refused(DataError, "there is no file or folder", f"`{near}`") as caught:
        lf.stream(tmp_path / "row.parquet")
    assert caught.value.path == str(tmp_path / "row.parquet")
    with refused(DataError, "there is no file or folder", "a path to a Parquet file"):
        lf.stream(str(tmp_path / "nowhere" / "rows.parquet"))


def test_a_folder_without_parquet_files(tmp_path):
    with refused(DataError, "has no Parquet files", ".parquet") as caught:
        lf.stream(tmp_path)
    assert caught.value.got == "an empty folder"
    (tmp_path / "rows.csv").write_text("y\n1\n")
    with refused(DataError, "has no Parquet files", ".parquet") as caught:
        lf.stream(tmp_path)
    assert "rows.csv" in caught.value.got


@pytest.mark.parametrize("damage", ["text", "empty", "cut"])
def test_a_file_that_is_not_parquet(tmp_path, damage):
    folder = parquet_folder(table(), tmp_path)
    path = folder / "part-2.parquet"
    content = {"text": b"y,x\n1,2\n", "empty": b"", "cut": path.read_bytes()[:-20]}
    path.write_bytes(content[damage])
    with refused(DataError, "rows/part-2.parquet cannot be read", "damaged, cut short") as caught:
        lf.stream(folder)
    assert caught.value.where == "rows/part-2.parquet"


@pytest.mark.parametrize("chunk_rows", [10, 25, 1000])
def test_garbage_in_a_row_group(tmp_path, chunk_rows):
    """Small row groups that are read together, and large ones that are read in parts."""
    rows = pd.DataFrame({"y": np.random.default_rng(0).normal(size=100), "x": 1.0})
    folder = write(tmp_path / "rows", "a.parquet", rows, row_group_size=20, use_dictionary=False)
    path = folder / "a.parquet"
    start = pq.read_metadata(path).row_group(3).column(0).data_page_offset
    content = bytearray(path.read_bytes())
    content[start : start + 40] = b"\xff" * 40
    path.write_bytes(bytes(content))
    stream = lf.stream(folder, chunk_rows=chunk_rows)
    with refused(DataError, "rows/a.parquet, row group 3", "damaged") as caught:
        read(stream)
    assert "row group 3" in caught.value.where
    read(stream, ["x"])  # the other column is whole


def test_a_checksum_that_does_not_fit(tmp_path):
    """Values that still decode are found out where the writer left checksums."""
    rows = pd.DataFrame({"y": np.arange(100.0)})
    options = {"use_dictionary": False, "compression": "none", "write_page_checksum": True}
    folder = write(tmp_path / "rows", "a.parquet", rows, **options)
    path = folder / "a.parquet"
    content = bytearray(path.read_bytes())
    place = content.index(np.float64(77.0).tobytes())
    content[place] = 1
    path.write_bytes(bytes(content))
    with refused(DataError, "a.parquet, row group 0 cannot be read", "damaged"):
        read(lf.stream(folder))


def test_a_file_that_goes_away_or_changes(tmp_path):
    folder = parquet_folder(table(), tmp_path)
    stream = lf.stream(folder)
    write(folder, "part-3.parquet", table(5))
    with refused(DataError, "part-3.parquet has changed since it was opened", "fit again"):
        read(stream)
    (folder / "part-3.parquet").unlink()
    with refused(DataError, "part-3.parquet cannot be read", "write or copy"):
        read(stream)


def test_a_file_without_a_column(tmp_path):
    folder = parquet_folder(table(), tmp_path)
    write(folder, "part-2.parquet", table().drop(columns="x"))
    stream = lf.stream(folder)
    with refused(DataError, "(row group 0) has no column `x`", "anew with `x`") as caught:
        stream.chunks(["y", "x"])  # before a row is read
    assert (caught.value.column, caught.value.where) == ("x", "rows/part-2.parquet")
    assert len(joined(stream, ["y"])["y"]) > 57


def test_a_file_with_another_type(tmp_path):
    folder = parquet_folder(table(), tmp_path)
    write(folder, "part-2.parquet", table().assign(y="1"), row_group_size=20)
    with refused(DataError, "`y` changes its type", "one type of `y`") as caught:
        lf.stream(folder).chunks(["y"])
    error = caught.value
    assert "rows/part-2.parquet (row groups 0 to 2)" in error.message
    assert error.where == "rows/part-2.parquet"
    assert error.first_where == "rows/part-0.parquet"
    assert error.types[0] == "double"
    assert error.types[1].endswith("string")
    assert "double, then" in error.got


def test_wider_numbers_and_missing_columns_are_no_other_type(tmp_path):
    import pyarrow as pa

    first = pa.table({"y": pa.array([1, 2], pa.int32()), "g": pa.nulls(2)})
    second = pa.table({"y": pa.array([1.5, None]), "g": ["b", "a"]})
    folder = write(tmp_path / "rows", "a.parquet", first)
    write(folder, "b.parquet", second)
    found = joined(lf.stream(folder), ["y", "g"])
    assert found == {"y": [1, 2, 1.5, None], "g": [None, None, "b", "a"]}


FRAMES = {
    "text": pd.DataFrame({"y": ["1", "2"]}),
    "logical": pd.DataFrame({"y": [True, False]}),
    "times": pd.DataFrame({"y": pd.to_datetime(["2020-01-01", "2020-01-02"])}),
    "categories": pd.DataFrame({"y": pd.Categorical(["b", "a"])}),
}


@pytest.mark.parametrize("kind", FRAMES)
def test_a_frame_with_another_type(kind):
    frames = [pd.DataFrame({"y": [1.0, 2.0]}), FRAMES[kind]]
    with refused(DataError, "`y` changes its type", "convert `y`") as caught:
        read(lf.stream(frames))
    assert "float64 in frame 1" in caught.value.message
    assert "in frame 2" in caught.value.message
    assert caught.value.types[0] == "float64"
    with refused(DataError, "`y` changes its type", "convert `y`"):
        read(lf.stream(frames[::-1]))


def test_a_frame_without_a_column():
    frames = [table()[["y", "x"]], table()[["y"]]]
    with refused(DataError, "frame 2 has no column `x`", "every column") as caught:
        read(lf.stream(frames), ["x"])
    assert caught.value.available == ("y",)


def test_frames_of_nothing_but_missing_values_fit():
    """A chunk of a CSV file in which a text column is empty has it as floats."""
    frames = [
        pd.DataFrame({"g": ["b", None], "y": [1.0, 2.0], "f": [True, False]}),
        pd.DataFrame({"g": [np.nan, np.nan], "y": [None, None], "f": [None, None]}),
        pd.DataFrame({"g": ["a", "b"], "y": [3, 4], "f": [False, True]}),
    ]
    found = joined(lf.stream(frames), ["g", "y", "f"])
    assert found["g"] == ["b", None, None, None, "a", "b"]
    assert found["y"] == [1.0, 2.0, None, None, 3, 4]
    assert found["f"] == [True, False, None, None, False, True]


def test_a_first_frame_of_missing_values_needs_a_schema():
    frames = [pd.DataFrame({"g": [np.nan, np.nan]}), pd.DataFrame({"g": ["a", "b"]})]
    with refused(DataError, "`g` changes its type", "schema={'g': 'text'}"):
        read(lf.stream(frames), ["g"])
    found = joined(lf.stream(frames, schema={"g": "text"}), ["g"])
    assert found["g"] == [None, None, "a", "b"]
    assert joined(lf.stream(frames, levels={"g": ["b", "a"]}), ["g"]) == found


def test_objects_of_mixed_types():
    frames = [pd.DataFrame({"y": [1.0]}), pd.DataFrame({"y": pd.Series([1, "a"], dtype=object)})]
    with refused(DataError, "`y` is of a kind that a model cannot use", "convert it") as caught:
        read(lf.stream(frames))
    assert caught.value.where == "frame 2"
    assert "in frame 2" in caught.value.got


def test_arrow_types_that_no_model_can_use():
    data = arrow(pd.DataFrame({"y": [[1.0], [2.0]]}))
    with refused(DataError, "`y` is of a kind that a model cannot use", "convert it"):
        read(lf.stream(data))


def test_options_that_do_not_fit():
    frames = cut(table())
    with refused(OptionError, "`chunk_rows` must be", "chunk_rows=1_000_000"):
        lf.stream(frames, chunk_rows=0)
    with refused(OptionError, "`gg` is not a column", "`g`"):
        lf.stream(frames, levels={"gg": ["a"]})
    with refused(OptionError, "name a level twice", "once"):
        lf.stream(frames, levels={"g": ["a", "a"]})
    with refused(OptionError, "must be a list", "levels={'g'"):
        lf.stream(frames, levels={"g": "ab"})
    with refused(OptionError, "must be a mapping", "'numbers'"):
        lf.stream(frames, schema=["y"])
    with refused(OptionError, "has a type for `y`", "'numbers'"):
        lf.stream(frames, schema={"y": "wide"})
    with refused(DataError, "`yy` is not a column of", "`y`"):
        lf.stream(frames).chunks(["yy"])


@pytest.mark.parametrize("kind", ["parquet-file", "polars-lazy", "list", "pandas", "record-reader"])
def test_no_rows_at_all(kind, tmp_path):
    pytest.importorskip(needed(kind))
    stream = lf.stream(SOURCES[kind](table()[:0], tmp_path))
    with refused(DataError, "has no rows", "check the path, the filter or the query"):
        read(stream, COLUMNS)


def test_no_frame_at_all():
    with refused(DataError, "has no rows", "make it anew"):
        lf.stream(iter([]))
    used = iter(cut(table()))
    list(used)
    with refused(DataError, "has no rows", "make it anew"):
        lf.stream(used)


def test_an_iterator_can_be_read_once():
    stream = lf.stream(iter(cut(table())))
    read(stream)
    with refused(DataError, "have been read already", "lf.stream(lambda: ...)") as caught:
        read(stream)
    assert caught.value.kind == "consumed"


def test_what_is_no_data():
    with refused(DataError, "of no kind that can be read in pieces", "a path to Parquet"):
        lf.stream(3)
    with refused(DataError, "frame 1 cannot be read as a table", "frames of pandas"):
        lf.stream(iter([3]))


def test_errors_of_the_caller_s_iterator_are_the_caller_s():
    def frames():
        yield table()
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        read(lf.stream(frames))


def test_an_iterator_runs_in_the_caller_s_thread():
    """Connections to SQLite refuse any other."""
    with sqlite3.connect(":memory:") as connection:
        table()[["y", "n"]].to_sql("rows", connection, index=False)
        frames = pd.read_sql("select * from rows", connection, chunksize=10)
        assert joined(lf.stream(frames), ["n"])["n"] == table()["n"].tolist()
    connection.close()


def test_queries_that_fail(tmp_path):
    pl = pytest.importorskip("polars")
    duckdb = pytest.importorskip("duckdb")
    with refused(DataError, "the LazyFrame cannot be read", "the library"):
        lf.stream(pl.scan_parquet(tmp_path / "nothing.parquet"))
    text = pl.LazyFrame({"y": ["1", "a"]}).with_columns(pl.col("y").cast(pl.Float64))
    with refused(DataError, "the LazyFrame cannot be read", "the library"):
        read(lf.stream(text))
    broken = duckdb.sql("select cast(t.a as double) as y from (values ('1'), ('a')) as t(a)")
    with refused(DataError, "the DuckDB relation cannot be read", "the library"):
        read(lf.stream(broken))


def test_a_reader_that_fails_half_way():
    import pyarrow as pa

    def batches():
        yield from arrow(table()).to_batches(20)
        raise pa.ArrowInvalid("half way")

    reader = pa.RecordBatchReader.from_batches(arrow(table()).schema, batches())
    with refused(DataError, "the record batch reader cannot be read from row 48", "the library"):
        read(lf.stream(reader, chunk_rows=16))


@pytest.mark.parametrize("kind", ["parquet-file", "duckdb"])
def test_a_package_that_is_missing(monkeypatch, tmp_path, kind):
    pytest.importorskip(needed(kind))
    source = SOURCES[kind](table(), tmp_path)
    real = importlib.import_module

    def absent(name, *rest):
        if name.split(".")[0] == "pyarrow":
            raise ImportError(f"No module named {name!r}")
        return real(name, *rest)

    monkeypatch.setattr("lmmformula.design.stream.packages.import_module", absent)
    with refused(OptionError, "needs the package `pyarrow`", "lmmformula[arrow]") as caught:
        lf.stream(source)
    assert caught.value.suggestion == '`pip install "lmmformula[arrow]"`'


def test_frames_need_no_optional_package(monkeypatch):
    real = builtins.__import__

    def absent(name, *rest):
        if name.split(".")[0] in ("pyarrow", "polars", "duckdb", "dask"):
            raise ImportError(name)
        return real(name, *rest)

    data = table()[["y", "n"]]
    monkeypatch.setattr(builtins, "__import__", absent)
    assert joined(lf.stream(cut(data), schema={"y": "numbers"}), ["n"])["n"] == data["n"].tolist()


def test_files_of_other_kinds_say_what_reads_them(tmp_path):
    for name, advice in (("a.csv", "polars.scan_csv"), ("a.csv.gz", "pandas.read_csv")):
        (tmp_path / name).write_text("y\n1\n")
        with refused(DataError, f"`{name}` is not a Parquet file", advice):
            lf.stream(tmp_path / name)
    table().to_feather(tmp_path / "a.feather")
    with refused(DataError, "is not a Parquet file", "format='feather'"):
        lf.stream(tmp_path / "a.feather")


def test_the_name_of_a_data_set_is_no_path():
    with refused(DataError, "no file or folder `sleepstudy`", "lf.load_dataset('sleepstudy')"):
        lf.stream("sleepstudy")


def test_uris_that_cannot_be_read(tmp_path):
    with refused(DataError, "nothing.parquet` cannot be read", "write or copy"):
        lf.stream((tmp_path / "nothing.parquet").as_uri())


def test_an_iterator_of_paths(tmp_path):
    folder = parquet_folder(table(), tmp_path)
    with refused(DataError, "frame 1 cannot be read as a table", "list(paths)"):
        lf.stream(folder.glob("part-*"))


def stream_of(column):
    return column.__arrow_c_stream__()


def test_a_single_column():
    with refused(DataError, "of no kind that can be read in pieces", "or a table"):
        lf.stream(table()["y"])
    pytest.importorskip("pyarrow", minversion="16")
    column = arrow(table()).column("y")
    exported = type("Exported", (), {"__arrow_c_stream__": lambda self, *_: stream_of(column)})
    with refused(DataError, "the record batch reader cannot be read", "the library"):
        lf.stream(exported())


def test_a_function_that_returns_no_iterator():
    assert joined(lf.stream(lambda: table()), ["n"])["n"] == table()["n"].tolist()
    with refused(DataError, "frame 1 cannot be read as a table", "frames of pandas"):
        lf.stream(lambda: 3)
