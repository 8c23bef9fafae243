"""Repeated-measures designs against car and afex."""

from __future__ import annotations

import json
import warnings
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import lmmformula as lf
from lmmformula.datasets.csv import read_csv
from lmmformula.errors import InferenceWarning
from tests.reference import reader

HERE = Path(__file__).parent / "classical"
STORED = json.loads((HERE / "classical.json").read_text(encoding="utf-8"))["designs"]
EARLIER = json.loads((HERE / "car.json").read_text(encoding="utf-8"))["tests"]
RTOL = 1e-8
NAMES = {
    "Sum Sq": "sum_sq",
    "num Df": "num_df",
    "Error SS": "sum_sq_error",
    "den Df": "den_df",
    "F value": "F",
    "Pr(>F)": "pvalue",
    "GG eps": "eps_gg",
    "Pr(>F[GG])": "pvalue_gg",
    "HF eps": "eps_hf",
    "Pr(>F[HF])": "pvalue_hf",
}


def stored_frame(table) -> pd.DataFrame:
    index = ["Intercept" if row == "(Intercept)" else row for row in table["rows"]]
    return pd.DataFrame(table["columns"], index=index).rename(columns=NAMES)


@cache
def data(name: str) -> pd.DataFrame:
    return read_csv(HERE / "data" / f"{name}.csv")


@cache
def analysis(design_id: str, observed: bool = False):
    stored = STORED[design_id]
    rows = data(stored["data"])
    if design_id == "singular":
        rows = rows[rows["id"] <= 7]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InferenceWarning)
        return lf.rm_anova(
            rows,
            response=stored["response"],
            subject=stored["subject"],
            within=stored["within"],
            between=stored["between"],
            type=stored["type"],
            observed=stored["observed"] if observed else None,
        )


def assert_frames(ours: pd.DataFrame, stored: pd.DataFrame) -> None:
    ours = ours.loc[stored.index, stored.columns]
    for column in stored:
        np.testing.assert_allclose(ours[column], stored[column], RTOL, err_msg=column)


@pytest.mark.parametrize("design_id", STORED)
def test_univariate_tests(design_id):
    stored = stored_frame(STORED[design_id]["univariate"])
    ours = analysis(design_id).to_frame(intercept=True)
    assert ours.index.tolist() == stored.index.tolist()
    assert_frames(ours, stored)


@pytest.mark.parametrize("design_id", STORED)
def test_corrections(design_id):
    stored = stored_frame(STORED[design_id]["adjusted"])
    assert_frames(analysis(design_id).to_frame(), stored)


@pytest.mark.parametrize("design_id", STORED)
def test_sphericity(design_id):
    stored = stored_frame(STORED[design_id]["mauchly"])
    ours = analysis(design_id).mauchly.dropna()
    assert ours.index.tolist() == stored.index.tolist()
    assert_frames(ours, stored.rename(columns={"Test statistic": "W", "p-value": "pvalue"}))


@pytest.mark.parametrize("design_id", STORED)
def test_effect_sizes(design_id):
    stored = stored_frame(STORED[design_id]["effect_sizes"])
    assert_frames(analysis(design_id).to_frame(), stored)


@pytest.mark.parametrize("design_id", [name for name in STORED if STORED[name]["observed"]])
def test_effect_sizes_with_observed_factors(design_id):
    stored = stored_frame(STORED[design_id]["effect_sizes_observed"])
    assert_frames(analysis(design_id, observed=True).to_frame(), stored)


@pytest.mark.parametrize("design_id", [name for name in STORED if STORED[name]["multivariate"]])
def test_multivariate_tests(design_id):
    ours = analysis(design_id).multivariate(intercept=True).set_index(["effect", "test"])
    for effect, tests in STORED[design_id]["multivariate"].items():
        for test, values in tests.items():
            row = ours.loc[("Intercept" if effect == "(Intercept)" else effect, test)]
            np.testing.assert_allclose(row, values, rtol=RTOL, err_msg=f"{effect} {test}")


@pytest.mark.parametrize("name", EARLIER)
def test_three_programs(name):
    stored = EARLIER[name]
    ours = lf.rm_anova(
        reader.frame(stored["dataset"]),
        response=stored["response"],
        subject=stored["subject"],
        within=stored["within"],
        between=stored["between"],
    )
    frame = ours.to_frame(intercept=True)
    names = {"SS": "sum_sq", "NumDF": "num_df", "ErrorSS": "sum_sq_error", "DenDF": "den_df"}
    adjusted = {"GG_eps": "eps_gg", "p_GG": "pvalue_gg", "HF_eps": "eps_hf", "p_HF": "pvalue_hf"}
    univariate = stored_frame(stored["car_univariate"])
    assert_frames(frame, univariate.rename(columns={**names, "p": "pvalue"}))
    assert_frames(frame, stored_frame(stored["car_adjusted"]).rename(columns=adjusted))
    assert_frames(ours.mauchly, stored_frame(stored["mauchly"]).rename(columns={"p": "pvalue"}))
    afex = stored_frame(stored["afex_GG"])[["F", "pes", "ges", "p"]]
    between = [row for row in afex.index if row == stored["between"]]
    assert_frames(frame, afex.drop(index=between).rename(columns={"p": "pvalue_gg"}))
    assert_frames(frame, afex.loc[between].rename(columns={"p": "pvalue"}))


def test_groceries():
    row = lf.rm_anova(
        lf.load_dataset("grocery"), response="price", subject="item", within="store"
    ).to_frame()
    assert row.loc["store"].round(7).tolist()[:8] == pytest.approx(
        [4.3442088, 3, 27, 0.0127303, 0.6391090, 0.0309308, 0.8082292, 0.0203386], abs=1e-7
    )
