"""Tables by error strata against R's ``aov``."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import lmmformula as lf
from lmmformula.datasets.csv import read_csv
from lmmformula.errors import InferenceWarning, RankWarning
from tests.reference import reader

HERE = Path(__file__).parent / "classical"
STORED = json.loads((HERE / "classical.json").read_text(encoding="utf-8"))["strata"]
EARLIER = json.loads((HERE / "car.json").read_text(encoding="utf-8"))["tests"]
RTOL = 1e-8
NAMES = ["df", "sum_sq", "mean_sq", "F", "pvalue"]


def data(stored) -> pd.DataFrame:
    rows = read_csv(HERE / "data" / f"{stored['data']}.csv")
    for name in stored["factors"]:
        rows[name] = rows[name].astype("category")
    return rows.drop(index=[row - 1 for row in stored["drop"]])


def assert_table(ours: pd.DataFrame, stored: pd.DataFrame) -> None:
    assert ours[["stratum", "term"]].values.tolist() == stored[["stratum", "term"]].values.tolist()
    for name in NAMES:
        expected = stored[name].astype(float)
        np.testing.assert_allclose(ours[name].astype(float), expected, RTOL, err_msg=name)


@pytest.mark.parametrize("table_id", STORED)
def test_tables(table_id):
    stored = STORED[table_id]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", (InferenceWarning, RankWarning))
        ours = lf.aov(stored["formula"], data(stored)).to_frame()
    assert_table(ours, pd.DataFrame(stored["rows"]).rename(columns={"p": "pvalue"}))


@pytest.mark.parametrize("inner", [False, True], ids=["subject", "subject/within"])
@pytest.mark.parametrize("name", EARLIER)
def test_repeated_measures(name, inner):
    stored = EARLIER[name]
    subject, within = stored["subject"], stored["within"]
    terms = f"{stored['between']} * {within}" if stored["between"] else within
    error = f"{subject}/{within}" if inner else subject
    formula = f"{stored['response']} ~ {terms} + Error({error})"
    rows = []
    table = stored["aov_error_subject_within" if inner else "aov_error_subject"]
    columns = {"Df": "df", "SumSq": "sum_sq", "MeanSq": "mean_sq", "F": "F", "p": "pvalue"}
    for stratum, part in table.items():
        frame = pd.DataFrame(part["columns"]).rename(columns=columns)
        frame.insert(0, "term", part["rows"])
        frame.insert(0, "stratum", stratum.removeprefix("Error: "))
        rows.append(frame.astype({"F": float, "pvalue": float}))
    assert_table(
        lf.aov(formula, reader.frame(stored["dataset"])).to_frame(),
        pd.concat(rows, ignore_index=True),
    )
