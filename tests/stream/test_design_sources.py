"""The design is the same from every source of pieces, and passes are spared where they can be."""

from __future__ import annotations

import logging

import numpy as np
import pandas as pd
import pytest

import lmmformula as lf
from lmmformula.design import materialize
from lmmformula.design.stream.spool import SpooledStream
from lmmformula.design.stream.streamed import stream_design
from lmmformula.formula import parse
from lmmformula.postfit.persist import without_rows
from tests.stream.same_design import same, same_rows
from tests.stream.tables import SOURCES, needed, table

pytest.importorskip("pyarrow")

FORMULA = "x ~ c * flag + n + (n | g) + (1 | c:n) + (1 | t)"
TABLE = table()


@pytest.mark.parametrize("kind", SOURCES)
@pytest.mark.filterwarnings("ignore::lmmformula.errors.DroppedRowsWarning")
def test_every_source_gives_the_design(kind, tmp_path):
    pytest.importorskip(needed(kind))
    options = {"weights": "exp(n)", "subset": "n > -5", "checks": "ignore"}
    whole = materialize(parse(FORMULA), TABLE, **options)
    stream = lf.stream(SOURCES[kind](TABLE, tmp_path), chunk_rows=17)
    made = stream_design(parse(FORMULA), stream, **options)
    chunks = made.summed(list)
    same_rows(whole.matrices, chunks, made)
    final, expected = made.finish(), without_rows(whole)
    same(final.matrices, expected.matrices, "matrices")
    same(final.spec, expected.spec, "spec")


def frames(n=40):
    rng = np.random.default_rng(2)
    data = pd.DataFrame(
        {
            "y": rng.normal(size=n),
            "x": rng.normal(size=n),
            "f": rng.choice(["low", "high"], n),
            "g": rng.choice(list("abcd"), n),
        }
    )
    return [data[:15], data[15:]]


LEVELS = {"g": list("abcd"), "f": ["low", "high"]}


def passes(formula, stream, **options):
    made = stream_design(parse(formula), stream, **options)
    made.summed(list)
    return made


def test_numbers_of_passes():
    assert passes("y ~ x + (1 | g)", lf.stream(frames())).n_passes == 2
    assert passes("y ~ x + (1 | g)", lf.stream(frames(), levels=LEVELS)).n_passes == 1
    assert passes("y ~ f + x + (1 | g)", lf.stream(frames(), levels=LEVELS)).n_passes == 1
    assert passes("y ~ scale(x) + (1 | g)", lf.stream(frames(), levels=LEVELS)).n_passes == 2
    assert passes("y ~ poly(scale(x), 2) + (1 | g)", lf.stream(frames())).n_passes == 3
    assert passes("y ~ poly(x, 2, raw = TRUE) + (1 | g)", lf.stream(frames())).n_passes == 2


def test_the_log_tells_of_passes_and_why(caplog):
    with caplog.at_level(logging.INFO, logger="lmmformula"):
        passes("y ~ ns(x, df = 3) + (1 | g)", lf.stream(frames()))
    said = [record.getMessage() for record in caplog.records]
    assert any("learns" in text and "`g`" in text and "ns(x, df=3)" in text for text in said)
    assert any("gathered in memory" in text for text in said)
    assert any("sums its rows" in text for text in said)


def test_a_repeated_pass_is_told_of(caplog):
    levels = {**LEVELS, "f": ["low", "never", "high"]}
    with caplog.at_level(logging.INFO, logger="lmmformula"):
        made = passes("y ~ f + (1 | g)", lf.stream(frames(), levels=levels))
    assert made.n_passes == 2
    assert made.finish().spec.factors == {"f": ("low", "high")}
    assert any("never" in record.getMessage() for record in caplog.records)


def test_an_iterator_is_read_once_where_that_is_enough():
    made = passes(
        "y ~ x + (1 | g)", lf.stream(iter(frames()), levels=LEVELS, schema={"x": "numbers"})
    )
    assert made.n_passes == 1
    assert not isinstance(made.stream, SpooledStream)
    again = passes("y ~ x + (1 | g)", lf.stream(frames()))
    same(made.finish().spec, again.finish().spec, "spec")


def test_an_iterator_is_kept_on_disk_where_it_is_not(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    made = stream_design(parse("y ~ scale(x) + f + (1 | g)"), lf.stream(iter(frames())))
    assert list(tmp_path.iterdir())
    made.summed(list)
    assert not list(tmp_path.iterdir())
    again = passes("y ~ scale(x) + f + (1 | g)", lf.stream(frames()))
    same(made.finish().spec, again.finish().spec, "spec")


def test_what_was_kept_on_disk_goes_when_the_design_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(lf.errors.FormulaError):
        stream_design(parse("y ~ scale(unknown) + (1 | g)"), lf.stream(iter(frames())))
    assert not list(tmp_path.iterdir())


def test_only_columns_that_are_needed_are_read():
    asked = []
    stream = lf.stream(frames())
    chunks = stream.chunks
    stream.chunks = lambda columns: asked.append(set(columns)) or chunks(columns)
    made = stream_design(parse("y ~ x + (1 | g)"), stream)
    made.summed(list)
    assert asked == [{"y", "x", "g"}, {"g"}, {"y", "x", "g"}]


def test_missing_rows_are_counted_and_kept_by_position():
    data = pd.concat(frames(), ignore_index=True)
    data.loc[[3, 20, 21], "x"] = np.nan
    made = stream_design(parse("y ~ x + (1 | g)"), lf.stream([data[:10], data[10:]]))
    with pytest.warns(lf.errors.DroppedRowsWarning, match="3 of 40 rows") as caught:
        made.summed(list)
    assert caught[0].message.counts == {"x": 3}
    assert made.finish().spec.dropped_rows.tolist() == [3, 20, 21]


def test_progress_counts_rows_of_the_data():
    seen = []
    made = stream_design(parse("y ~ x + (1 | g)"), lf.stream(frames()))
    made.summed(list, seen.append)
    assert seen == [15, 25]
