"""Levels of integer keys from the statistics of Parquet files, without a pass of their own."""

from __future__ import annotations

import logging

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import lmmformula as lf
from lmmformula.design.stream import survey

N = 4000


@pytest.fixture
def hurried(monkeypatch):
    """As if four thousand rows were many."""
    monkeypatch.setattr(survey, "MANY_ROWS", 100)


def table(kind="int32", low=-3):
    rng = np.random.default_rng(4)
    g = rng.integers(0, 40, N)
    g[g % 7 == 3] = 1  # numbers between that do not occur
    frame = pd.DataFrame({"x": rng.normal(size=N), "g": (g + low).astype(kind)})
    frame["y"] = frame.x + rng.normal(size=40)[g] + rng.normal(size=N)
    return frame


def passes(caplog, formula, source):
    with caplog.at_level(logging.INFO, "lmmformula"):
        fit = lf.lmer(formula, source)
    return fit, [r.getMessage() for r in caplog.records if r.getMessage().startswith("pass")]


@pytest.mark.parametrize("kind", ["int8", "int32", "int64", "uint16"])
def test_one_pass_is_enough(hurried, caplog, tmp_path, kind):
    data = table(kind, low=0 if kind.startswith("u") else -3)
    folder = tmp_path / "parts"
    folder.mkdir()
    data[:2500].to_parquet(folder / "a.parquet", row_group_size=700)
    data[2500:].to_parquet(folder / "b.parquet")
    fit, told = passes(caplog, "y ~ x + (1 | g)", folder)
    assert len(told) == 1
    assert "sums its rows" in told[0]
    expected = lf.lmer("y ~ x + (1 | g)", data)
    assert fit.objective == pytest.approx(expected.objective, rel=1e-12)
    assert list(fit.random_effects["g"].index) == list(expected.random_effects["g"].index)
    assert fit.fingerprint == expected.fingerprint


def test_levels_whose_rows_are_incomplete_are_none(hurried, caplog, tmp_path):
    data = table()
    data.loc[data.g == data.g.min(), "y"] = np.nan
    data.loc[data.g == data.g.max(), "x"] = np.nan
    data.to_parquet(tmp_path / "rows.parquet")
    with pytest.warns(lf.DroppedRowsWarning):
        fit, told = passes(caplog, "y ~ x + (1 | g)", tmp_path / "rows.parquet")
    with pytest.warns(lf.DroppedRowsWarning):
        expected = lf.lmer("y ~ x + (1 | g)", data)
    assert len(told) == 1
    assert dict(fit.ngroups) == dict(expected.ngroups)
    assert fit.objective == pytest.approx(expected.objective, rel=1e-12)


@pytest.mark.parametrize("reason", ["no statistics", "wide", "text", "few rows", "interaction"])
def test_otherwise_levels_are_learned(monkeypatch, caplog, tmp_path, reason):
    if reason != "few rows":
        monkeypatch.setattr(survey, "MANY_ROWS", 100)
    data, formula = table(), "y ~ x + (1 | g)"
    if reason == "wide":
        data["g"] *= 1000
    if reason == "text":
        data["g"] = data.g.astype(str)
    if reason == "interaction":
        data["h"], formula = np.arange(N) % 3, "y ~ x + (1 | g:h)"
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.Table.from_pandas(data), path, write_statistics=reason != "no statistics")
    fit, told = passes(caplog, formula, path)
    assert len(told) == 2
    assert fit.objective == pytest.approx(lf.lmer(formula, data).objective, rel=1e-12)
