"""Rows that can be read once are kept on disk for as long as they are needed, and no longer."""

from __future__ import annotations

import gc
import logging
import tempfile

import numpy as np
import pandas as pd
import pytest

import lmmformula as lf
from lmmformula.design.sources import open_source
from lmmformula.design.stream.spool import SpooledStream, rewindable
from lmmformula.errors import DataError, OptionError
from tests.refusals import refused
from tests.stream.tables import COLUMNS, SOURCES, N, cut, joined, needed, table, whole

pytest.importorskip("pyarrow")


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch):
    """Where temporary files go."""
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    return place


def files(place):
    return [path for path in place.rglob("*") if path.is_file()]


@pytest.mark.parametrize("kind", SOURCES)
def test_spooled_rows_are_the_table(kind, tmp_path, temporary):
    pytest.importorskip(needed(kind))
    data = table()
    stream = lf.stream(SOURCES[kind](data, tmp_path), chunk_rows=16)
    expected = whole(open_source(data), COLUMNS)
    with SpooledStream(stream, COLUMNS) as kept:
        assert kept.rewindable
        assert kept.n_rows == N
        assert joined(kept, COLUMNS) == expected
        assert joined(kept, COLUMNS) == expected
        assert (kept.keeps_order("c"), kept.keeps_order("g")) == (True, False)
        assert kept.declared("c") == stream.declared("c")
        types = [next(kept.chunks([n])).source.column(n).values.dtype for n in ("y", "x", "n")]
        assert types == [np.float64, np.float32, np.int32]
        assert files(temporary)
    assert not list(temporary.iterdir())


def test_only_what_can_be_read_once_is_kept(temporary):
    again = lf.stream(cut(table()))
    assert rewindable(again, ["y"]) is again
    once = rewindable(lf.stream(iter(cut(table()))), ["y", "y"])
    assert once.names == ("y",)
    once.close()
    assert not list(temporary.iterdir())


def test_places_of_the_chunks_are_kept():
    with SpooledStream(lf.stream(iter(cut(table()))), ["y"]) as kept:
        assert [(c.where, c.start) for c in kept.chunks(["y"])] == [
            ("frame 1", 0),
            ("frame 3", 20),
            ("frame 4", 41),
        ]


def test_types_may_change_their_width():
    frames = [
        pd.DataFrame({"y": [1, 2], "g": [None, None]}),
        pd.DataFrame({"y": [1.5, None], "g": ["b", "a"]}),
    ]
    stream = lf.stream(iter(frames), schema={"g": "text"})
    with SpooledStream(stream, ["y", "g"]) as kept:
        assert joined(kept, ["y", "g"]) == {"y": [1, 2, 1.5, None], "g": [None, None, "b", "a"]}


def test_levels_that_were_declared_stay_declared():
    stream = lf.stream(iter(cut(table())), levels={"n": list(range(-9, 9))})
    with SpooledStream(stream, ["n"]) as kept:
        assert kept.declared("n") == list(range(-9, 9))
        assert joined(kept, ["n"])["n"] == table()["n"].tolist()
    stream = lf.stream(iter(cut(table())), levels={"g": ["mid"]})
    with refused(DataError, "`g` has levels in frame 1", "declare all levels"):
        SpooledStream(stream, ["g"])


def test_the_log_says_so(caplog):
    with caplog.at_level(logging.INFO, logger="lmmformula"):
        SpooledStream(lf.stream(iter(cut(table()))), ["y"]).close()
    assert "an iterator of frames can be read once; 57 rows (456 bytes) were kept" in caplog.text


def test_the_files_go_with_the_stream(temporary):
    kept = SpooledStream(lf.stream(iter(cut(table()))), ["y"])
    assert files(temporary)
    del kept
    gc.collect()
    assert not list(temporary.iterdir())


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_an_interruption_leaves_no_file(error, temporary):
    def frames():
        yield table()
        assert files(temporary)
        raise error

    with pytest.raises(error):
        SpooledStream(lf.stream(frames()), ["y"])
    assert not list(temporary.iterdir())
    kept = SpooledStream(lf.stream(iter(cut(table()))), ["y"])

    def interrupted():
        with kept:
            next(kept.chunks(["y"]))
            raise error

    with pytest.raises(error):
        interrupted()
    assert not list(temporary.iterdir())


@pytest.mark.parametrize("known", [True, False])
def test_a_disk_that_is_too_small(known, temporary, monkeypatch):
    from lmmformula.design.stream import disk

    usage = type("usage", (), {"free": disk.RESERVE + 200 if known else disk.RESERVE + 7})
    monkeypatch.setattr(disk.shutil, "disk_usage", lambda folder: usage)
    frames = cut(table())
    stream = lf.stream(frames if known else iter(frames))
    with refused(DataError, "would not fit on the disk", "TMPDIR") as caught:
        SpooledStream(stream, ["y"])
    assert caught.value.needed == (N * 8 if known else 20 * 8)
    assert "needed" in caught.value.got
    assert not list(temporary.iterdir())


def test_a_damaged_temporary_file(temporary):
    with SpooledStream(lf.stream(iter(cut(table()))), ["y"]) as kept:
        path = files(temporary)[0]
        path.write_bytes(path.read_bytes()[:-9])
        with refused(DataError, "the temporary file of an iterator of frames", "write or copy"):
            joined(kept, ["y"])


def test_pyarrow_is_needed(monkeypatch, temporary):
    def absent(name):
        raise ImportError(f"No module named {name!r}")

    monkeypatch.setattr("lmmformula.design.stream.packages.import_module", absent)
    stream = lf.stream(iter(cut(table())))
    with refused(OptionError, "needs the package `pyarrow`", "lmmformula[arrow]"):
        SpooledStream(stream, ["y"])
    assert not list(temporary.iterdir())
