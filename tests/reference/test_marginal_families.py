"""Weights, slopes, nesting, contrast families and adjustments are emmeans' (marginal/)."""

from __future__ import annotations

import json
import warnings
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import lmmformula as lf
from lmmformula.errors import DesignWarning, RankWarning
from tests.reference.reader import frame as stored_frame

HERE = Path(__file__).parent / "marginal"
CASES = {
    name: case
    for name, case in json.loads((HERE / "emmeans.json").read_text()).items()
    if name != "versions"
}
RTOL = 2e-6
"""R's fits stop within about 1e-6 of the optimum; slopes are differences over 1e-6 there."""
DF_RTOL = 2e-5
MVT_ATOL = 5e-5
"""Of probabilities by mvtnorm, whose own error is near 1e-5, as is ours."""


@cache
def data(name: str) -> pd.DataFrame:
    if name == "cake":
        return stored_frame("cake")
    table = pd.read_csv(HERE / f"{name}.csv", keep_default_na=False, dtype={"pot": str})
    return table.assign(
        **{c: pd.Categorical(table[c]) for c in table.columns if table[c].dtype.kind not in "if"}
    )


@cache
def fit(dataset: str, formula: str, prior: str | None) -> Any:
    coded = {"temperature": "poly"} if "temperature" in formula else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RankWarning)
        warnings.simplefilter("ignore", DesignWarning)
        return lf.lmer(formula, data(dataset), weights=prior, contrasts=coded)


def estimates(case: dict[str, Any]) -> Any:
    ours = fit(case["dataset"], case["formula"], case.get("prior"))
    options = {name: case[name] for name in ("by", "at", "weights", "ddf") if name in case}
    if case["call"] == "slopes":
        return ours.marginal_slopes(case["variable"], **options)
    return ours.marginal_means(case["variables"], **options)


def column(values: Any) -> np.ndarray:
    return np.atleast_1d(np.array(values, dtype=float))


@pytest.mark.parametrize("name", [name for name in CASES if CASES[name]["call"] != "mvt"])
def test_as_emmeans(name):
    case = CASES[name]
    found, table = estimates(case), case["table"]
    value = found.kind
    if "method" in case:
        found = found.contrasts(case["method"], case["adjust"], control=case.get("control"))
        value = "estimate"
    frame = found.to_frame()
    for factor in set(table) & set(frame.columns) - {"estimate", "se", "df", "lower", "upper"}:
        theirs = np.atleast_1d(table[factor])
        if factor == "contrast" and case["dataset"] == "cake" and case["method"] == "pairwise":
            assert list(frame[factor]) == list(theirs)
        if theirs.dtype.kind in "if":
            np.testing.assert_allclose(frame[factor].astype(float), theirs)
        else:
            assert list(frame[factor].astype(str)) == list(theirs)
    scale = np.abs(column(table["estimate"])).max()
    np.testing.assert_allclose(
        frame[value], column(table["estimate"]), rtol=RTOL, atol=RTOL * scale
    )
    np.testing.assert_allclose(frame["se"], column(table["se"]), rtol=RTOL)
    np.testing.assert_allclose(frame["df"], column(table["df"]), rtol=DF_RTOL)
    for end in ("lower", "upper"):
        np.testing.assert_allclose(frame[end], column(table[end]), rtol=RTOL, atol=5e-6 * scale)
    if "method" in case:
        np.testing.assert_allclose(frame["pvalue"], column(table["p"]), rtol=2e-4, atol=1e-7)


@pytest.mark.parametrize("name", [name for name in CASES if CASES[name]["call"] == "mvt"])
def test_multivariate_t(name):
    case = CASES[name]
    frame = estimates(case).contrasts(case["method"], "mvt").to_frame()
    np.testing.assert_allclose(frame["pvalue"], case["p"], atol=MVT_ATOL)
    critical = (frame["upper"] - frame["estimate"]) / frame["se"]
    np.testing.assert_allclose(critical, case["critical"], rtol=1e-4)
