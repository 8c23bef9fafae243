"""Levels and types that are declared beforehand hold for every chunk."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import lmmformula as lf
from lmmformula.errors import DataError
from tests.refusals import refused
from tests.stream.tables import SOURCES, cut, needed, read, table

pytest.importorskip("pyarrow")


@pytest.mark.parametrize("kind", SOURCES)
def test_a_level_that_was_not_declared(kind, tmp_path):
    pytest.importorskip(needed(kind))
    data = table().fillna({"g": "mid"})
    source = SOURCES[kind](data, tmp_path)
    stream = lf.stream(source, chunk_rows=16, levels={"g": ["mid", "zeta", ""]})
    with refused(DataError, "`g` has a level in", "declare all levels of `g`") as caught:
        read(stream, ["g"])
    assert caught.value.levels == ["alpha"]
    assert caught.value.got == "'alpha'; declared are 'mid', 'zeta', ''"
    assert caught.value.where in caught.value.message


@pytest.mark.parametrize("kind", SOURCES)
def test_declared_levels_are_those_of_every_chunk(kind, tmp_path):
    pytest.importorskip(needed(kind))
    levels = {"g": ["zeta", "mid", "alpha", "", "unseen"], "n": list(range(-5, 6))}
    stream = lf.stream(SOURCES[kind](table(), tmp_path), chunk_rows=16, levels=levels)
    assert stream.declared("g") == levels["g"]
    found = {"g": [], "n": []}
    for chunk in stream.chunks(["g", "n"]):
        for name, values in found.items():
            column = chunk.source.column(name)
            assert list(column.levels) == levels[name]
            values += [column.levels[c] if c >= 0 else None for c in column.codes]
    assert found["g"] == [None if pd.isna(v) else v for v in table()["g"]]
    assert found["n"] == table()["n"].tolist()


def schemas():
    import polars as pl
    import pyarrow as pa

    return {
        "words": {"g": ["zeta", "mid"], "y": "numbers"},
        "pandas": {"g": pd.CategoricalDtype(["zeta", "mid"]), "y": np.dtype("f8")},
        "polars": pl.Schema({"g": pl.Enum(["zeta", "mid"]), "y": pl.Float64}),
        "arrow": pa.schema({"g": pa.string(), "y": pa.float32()}),
        "python": {"g": str, "y": float},
    }


@pytest.mark.parametrize("kind", ["words", "pandas", "polars", "arrow", "python"])
def test_schemas_of_every_kind(kind):
    pytest.importorskip("polars")
    schema = schemas()[kind]
    stream = lf.stream(cut(table()), schema=schema)
    if kind in ("words", "pandas", "polars"):
        assert stream.declared("g") == ["zeta", "mid"]
        with refused(DataError, "`g` has levels in frame 1", "declare all levels"):
            read(stream, ["g"])
    else:
        assert stream.keeps_order("g") is False
        read(stream, ["g", "y"])
    wrong = lf.stream(cut(table().assign(y="1")), schema=schema)
    with refused(DataError, "`y` changes its type", "convert `y`") as caught:
        read(wrong)
    assert caught.value.first_where == "the schema"
