"""Every kind of source, read in pieces, has the rows of the table in memory."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import lmmformula as lf
from lmmformula.design.sources import open_source
from lmmformula.design.stream.open import open_stream
from tests.stream.tables import (
    COLUMNS,
    SOURCES,
    N,
    arrow,
    cut,
    cut_at,
    joined,
    needed,
    parquet_file,
    parquet_folder,
    polars_frame,
    table,
    whole,
)

IN_MEMORY = {"pandas", "polars", "arrow", "dict"}
ONCE = {"record-reader", "arrow-stream", "arrow-batches", "iterator", "generator"}


@pytest.fixture(params=SOURCES)
def kind(request):
    pytest.importorskip(needed(request.param))
    return request.param


def test_chunks_are_the_table(kind, tmp_path):
    data = table()
    stream = lf.stream(SOURCES[kind](data, tmp_path), chunk_rows=16)
    assert set(stream.names) >= set(COLUMNS)
    assert joined(stream, COLUMNS) == whole(open_source(data), COLUMNS)


def test_numbers_keep_their_type(kind, tmp_path):
    stream = lf.stream(SOURCES[kind](table(), tmp_path), chunk_rows=16)
    for chunk in stream.chunks(COLUMNS):
        kinds = [chunk.source.column(name).values.dtype for name in ("y", "x", "n", "flag")]
        assert kinds == [np.float64, np.float32, np.int32, np.bool_]


def test_order_of_levels(kind, tmp_path):
    stream = lf.stream(SOURCES[kind](table(), tmp_path), chunk_rows=16)
    levels = []
    for chunk in stream.chunks(["c", "g"]):
        levels += [v for v in chunk.source.column("c").levels if v not in levels]
        text = list(chunk.source.column("g").levels)
        assert text == sorted(text)
    assert levels == ["low", "mid", "high"]
    assert stream.keeps_order("c") is True
    assert stream.keeps_order("g") is False


def test_kinds_known_beforehand(kind, tmp_path):
    stream = lf.stream(SOURCES[kind](table(), tmp_path))
    found = {name: stream.expected(name) for name in COLUMNS}
    assert {found[name].kind for name in ("y", "x", "n")} == {"numbers"}
    assert found["flag"].kind == "logical"
    assert found["g"] is None or found["g"].kind == "text"
    if found["c"] is not None and stream.declared("c") is None:
        assert found["c"].kind == "categories"
    assert stream.expected("nothing") is None
    joined(stream, COLUMNS)  # nothing contradicts it


def test_a_second_pass_reads_the_same(kind, tmp_path):
    stream = lf.stream(SOURCES[kind](table(), tmp_path), chunk_rows=16)
    first = joined(stream, ["y", "g"])
    assert stream.rewindable == (kind not in ONCE)
    if stream.rewindable:
        assert joined(stream, ["y", "g"]) == first
    else:
        with pytest.raises(lf.DataError, match="read already"):
            joined(stream, ["y", "g"])


def test_what_is_recognized_without_being_told(kind, tmp_path):
    found = open_stream(SOURCES[kind](table(), tmp_path))
    assert (found is None) == (kind in IN_MEMORY)


def test_an_early_end_leaves_no_thread(kind, tmp_path):
    import threading

    chunks = lf.stream(SOURCES[kind](table(), tmp_path), chunk_rows=8).chunks(["y"])
    next(chunks)
    chunks.close()
    assert not [t for t in threading.enumerate() if t.name == "lmmformula-reader"]


@pytest.mark.parametrize("kind", ["pandas", "polars", "polars-lazy", "duckdb", "dask"])
def test_levels_known_beforehand(kind, tmp_path):
    pytest.importorskip(needed(kind))
    stream = lf.stream(SOURCES[kind](table(), tmp_path))
    assert stream.declared("c") == ["low", "mid", "high"]
    assert stream.declared("g") is None


def test_an_enumeration_that_polars_wrote_is_known_beforehand(tmp_path):
    pytest.importorskip("polars", minversion="1.30")  # older ones do not write the levels
    stream = lf.stream(SOURCES["parquet-polars"](table(), tmp_path))
    assert stream.declared("c") == ["low", "mid", "high"]


@given(
    marks=st.lists(st.integers(0, N), max_size=6),
    chunk_rows=st.integers(1, 70),
    group=st.integers(1, 60),
)
def test_any_cut_gives_the_table(marks, chunk_rows, group, tmp_path_factory):
    pq = pytest.importorskip("pyarrow.parquet")
    data = table()
    expected = whole(open_source(data), COLUMNS)
    frames = cut_at(data, marks)
    assert joined(lf.stream(frames), COLUMNS) == expected
    folder = tmp_path_factory.mktemp("rows")
    for i, frame in enumerate(frames):
        pq.write_table(arrow(frame), folder / f"{i}.parquet", row_group_size=group)
    stream = lf.stream(folder, chunk_rows=chunk_rows)
    assert stream.n_rows == N
    assert joined(stream, COLUMNS) == expected
    assert joined(lf.stream(arrow(data).to_reader(group), chunk_rows=chunk_rows), COLUMNS) == (
        expected
    )


def test_names_of_folders_are_columns(tmp_path):
    ds = pytest.importorskip("pyarrow.dataset")
    data = table().assign(
        year=np.repeat([2019, 2020, 2021], N // 3), site=["a b", "c", "a b"] * (N // 3)
    )
    rows = arrow(data)
    keys = rows.select(["year", "site"]).schema
    partitioning = ds.partitioning(keys, flavor="hive")
    ds.write_dataset(rows, tmp_path / "rows", format="parquet", partitioning=partitioning)
    stream = lf.stream(tmp_path / "rows")
    eager = ds.dataset(tmp_path / "rows", partitioning="hive").to_table()
    columns = ["y", "g", "year", "site"]
    assert joined(stream, columns) == whole(open_source(eager), columns)
    assert stream.declared("site") == ["a b", "c"]
    assert stream.declared("year") is None
    also = lf.stream(ds.dataset(tmp_path / "rows", partitioning="hive"))
    assert joined(also, columns) == joined(stream, columns)


def test_where_names_file_and_row_groups(tmp_path):
    pytest.importorskip("pyarrow")
    folder = parquet_folder(table(), tmp_path)
    places = [c.where for c in lf.stream(folder, chunk_rows=10).chunks(["y"])]
    assert places[0] == "rows/part-0.parquet, row group 0, rows 0 to 9"
    assert places[-1] == "rows/part-3.parquet, row group 0, rows 10 to 15"
    dataset = pytest.importorskip("pyarrow.dataset").dataset(folder)
    assert [c.where for c in lf.stream(dataset, chunk_rows=10).chunks(["y"])] == places
    file = parquet_file(table(), tmp_path)
    places = [c.where for c in lf.stream(file, chunk_rows=18).chunks(["y"])]
    assert places[0] == "rows.parquet, row groups 0 to 1"
    assert places[-1] == "rows.parquet, row group 6"


def test_only_the_columns_asked_for_are_read(tmp_path):
    pq = pytest.importorskip("pyarrow.parquet")
    frame = pd.DataFrame({"y": np.arange(5.0), "odd": [[1], [2], [3], [4], [5]]})
    pq.write_table(arrow(frame), tmp_path / "rows.parquet")
    chunk = next(lf.stream(tmp_path / "rows.parquet").chunks(["y"]))
    assert chunk.source.names == ("y",)


def test_floats_without_gaps_are_not_copied():
    pytest.importorskip("pyarrow")
    values = np.arange(40.0)
    for data in ({"y": values}, pd.DataFrame({"y": values}, copy=False)):
        chunks = lf.stream(data, chunk_rows=16).chunks(["y"])
        assert all(np.shares_memory(c.source.column("y").values, values) for c in chunks)
    import pyarrow as pa

    shared = pa.table({"y": pa.array(values)})
    chunks = lf.stream(shared, chunk_rows=16).chunks(["y"])
    assert all(np.shares_memory(c.source.column("y").values, values) for c in chunks)


def test_an_eager_table_is_cut_without_a_copy():
    data = pd.DataFrame({f"x{i}": np.zeros(20_000) for i in range(10)})
    stream = lf.stream(data, chunk_rows=1000)
    tracemalloc.start()
    for chunk in stream.chunks(list(data)):
        chunk.source.column("x3")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 400_000  # of 1.6 MB


def test_integers_with_gaps_stay_integers(tmp_path):
    pytest.importorskip("pyarrow")
    frame = pd.DataFrame({"n": pd.array([1, None, 3, 4], dtype="Int16")})
    for data in (frame, arrow(frame), parquet_file(frame, tmp_path)):
        column = next(lf.stream(data).chunks(["n"])).source.column("n")
        assert column.values.dtype.kind == "i"
        assert column.missing.tolist() == [False, True, False, False]


def test_columns_of_other_arrow_types():
    pa = pytest.importorskip("pyarrow")
    import datetime
    import decimal

    data = pa.table(
        {
            "money": pa.array([decimal.Decimal("1.25"), None]),
            "runs": pa.RunEndEncodedArray.from_arrays([1, 2], [3.5, 4.5]),
            "day": pa.array([datetime.date(2020, 1, 2), None]),
            "wide": pa.array(["b", "a"], pa.large_string()),
            "codes": pa.array([7, 3]).dictionary_encode(),
            "none": pa.nulls(2),
        }
    )
    source = next(lf.stream(data).chunks(data.column_names)).source
    with pytest.warns(lf.DataWarning, match="decimal"):
        assert source.column("money").values[0] == 1.25
    assert source.column("runs").values.tolist() == [3.5, 4.5]
    assert source.column("day").missing_rows().tolist() == [False, True]
    assert list(source.column("wide").levels) == ["a", "b"]
    assert list(source.column("codes").levels) == [7, 3]
    assert np.isnan(source.column("none").values).all()


def test_plain_categoricals_of_polars_are_sorted(tmp_path):
    pl = pytest.importorskip("polars", minversion="1.30")  # older ones write them as enumerations
    frame = pl.DataFrame({"g": ["b", "a", "c"]}, schema={"g": pl.Categorical})
    frame.write_parquet(tmp_path / "rows.parquet")
    for data in (tmp_path / "rows.parquet", frame, frame.lazy(), [frame]):
        stream = lf.stream(data)
        chunk = next(stream.chunks(["g"]))
        assert list(chunk.source.column("g").levels) == ["a", "b", "c"]
        assert stream.keeps_order("g") is False


def test_older_polars_goes_through_a_file(monkeypatch, tmp_path):
    pl = pytest.importorskip("polars")
    monkeypatch.delattr(pl.LazyFrame, "collect_batches", raising=False)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    data = table()
    stream = lf.stream(polars_frame(data).lazy(), chunk_rows=16)
    assert joined(stream, COLUMNS) == whole(open_source(data), COLUMNS)
    assert not list(tmp_path.iterdir())


def test_default_chunks_are_bounded():
    from lmmformula.design.stream.stream import CHUNK_BYTES, CHUNK_ROWS, rows_per_chunk

    assert rows_per_chunk(32) == CHUNK_ROWS
    assert rows_per_chunk(8000) * 8000 <= CHUNK_BYTES
    assert rows_per_chunk(10**12) == 1


def test_repr_says_what_it_is():
    assert repr(lf.stream(cut(table()))) == "<Stream: a list of 4 frames, 57 rows, 7 columns>"
    assert "unknown number of rows" in repr(lf.stream(iter(cut(table()))))


def test_patterns_and_uris_are_paths(tmp_path):
    pytest.importorskip("pyarrow")
    folder = parquet_folder(table(), tmp_path)
    expected = joined(lf.stream(folder), ["y", "g"])
    assert joined(lf.stream(f"{folder}/part-*.parquet"), ["y", "g"]) == expected
    assert joined(lf.stream(folder.as_uri()), ["y", "g"]) == expected


def test_row_groups_larger_than_a_chunk_are_not_read_whole(tmp_path):
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    n = 400_000
    rows = pa.table({"y": np.random.default_rng(0).normal(size=n)})
    options = {"row_group_size": n, "use_dictionary": False, "compression": "none"}
    pq.write_table(rows, tmp_path / "rows.parquet", data_page_size=2**15, **options)
    del rows
    before = pa.total_allocated_bytes()
    for chunk in lf.stream(tmp_path / "rows.parquet", chunk_rows=5_000).chunks(["y"]):
        assert chunk.source.n_rows <= 5_000
        assert pa.total_allocated_bytes() - before < 1_600_000  # of 3.2 MB, and the buffer of 1 MB
