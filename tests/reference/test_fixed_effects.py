"""Degrees of freedom, adjusted covariances and F tables of every stored model."""

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
from lmmformula.errors import LMMWarning
from tests.reference.reader import MODEL_IDS, fit, reference
from tests.tolerances import ADJUSTED_RTOL, DF_RTOL, HYPOTHESIS_RTOL, assert_close

REML_IDS = tuple(
    name for name in MODEL_IDS if "coef" in (reference(name).fields.get("kenward_roger") or {})
)
COLUMNS = {"sum_sq": "SumSq", "mean_sq": "MeanSq", "den_df": "DenDF", "F": "F"}
TERMS = Path(__file__).parent / "anova_terms"

POOLED_QUIRK = {("polynomial", 2)}
"""lmerTest takes `b` as contained in `poly(x, 2):b`, because the basis is a matrix in R; for a
numeric `x` it does not, nor do we."""


@pytest.fixture(autouse=True)
def silence():
    """Ignore warnings about the fits, which are tested for elsewhere."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LMMWarning)
        yield


def assert_each_close(ours: Any, expected: Any, rtol: float, what: str) -> None:
    """Compare every entry relative to itself."""
    np.testing.assert_allclose(
        np.asarray(ours, float), np.asarray(expected, float), rtol=rtol, err_msg=what
    )


def assert_same_table(ours: pd.DataFrame, stored: dict[str, Any], rtol: float) -> None:
    """Compare an F table with lmerTest's, which lists terms without effects last."""
    rows = [name.replace("^", " ** ") for name in stored["rows"]]
    columns = stored["columns"]
    assert set(ours.index) == set(rows)
    if not rows:
        return
    ours = ours.loc[rows]
    known = np.array([value is not None for value in columns["F"]])
    assert (ours["num_df"][~known] == 0).all()
    assert ours.loc[~known, "pvalue"].isna().all()
    picked = {name: np.array(columns[theirs], float)[known] for name, theirs in COLUMNS.items()}
    assert_each_close(ours["num_df"][known], np.array(columns["NumDF"], float)[known], 0, "num_df")
    for name, values in picked.items():
        assert_each_close(ours[name][known], values, rtol, name)
    p_values = np.array(columns["p"], float)[known]
    np.testing.assert_allclose(ours["pvalue"][known], p_values, rtol=100 * rtol, atol=1e-12)


@pytest.mark.parametrize("name", MODEL_IDS)
def test_satterthwaite_coefficients(name):
    ref, ours = reference(name), fit(name)
    columns = ref.satterthwaite["coef"]["columns"]
    frame = ours.summary().frame
    assert_each_close(frame["df"], columns["df"], DF_RTOL, "df")
    assert_each_close(ours.df_tests, columns["df"], DF_RTOL, "df_tests")
    np.testing.assert_allclose(ours.pvalues, columns["p"], rtol=1e-4, atol=1e-12)
    assert frame["lower"].le(frame["upper"]).all()


@pytest.mark.parametrize("kind", [1, 2, 3])
@pytest.mark.parametrize("name", MODEL_IDS)
def test_satterthwaite_anova(name, kind):
    stored = reference(name).satterthwaite[f"anova{kind}"]
    assert_same_table(fit(name).anova(kind), stored, max(DF_RTOL, HYPOTHESIS_RTOL))


@pytest.mark.parametrize("name", REML_IDS)
def test_kenward_roger_coefficients(name):
    stored, ours = reference(name).kenward_roger, fit(name)
    columns = stored["coef"]["columns"]
    frame = ours.coefficient_frame(ddf="kenward-roger")
    assert_each_close(frame["df"], columns["df"], ADJUSTED_RTOL, "df")
    assert_each_close(frame["se"], columns["se"], ADJUSTED_RTOL, "se")
    assert_close(ours.approximation("kenward-roger").vcov, stored["vcov_adj"], ADJUSTED_RTOL)


@pytest.mark.parametrize(
    "name", [name for name in REML_IDS if "anova3" in reference(name).kenward_roger]
)
def test_kenward_roger_anova(name):
    stored = reference(name).kenward_roger["anova3"]
    assert_same_table(fit(name).anova(ddf="kenward-roger"), stored, ADJUSTED_RTOL)


@cache
def _terms() -> tuple[dict[str, Any], pd.DataFrame]:
    stored = json.loads((TERMS / "anova_terms.json").read_text())
    return stored["cases"], pd.read_csv(TERMS / "data.csv")


@cache
def _fit_of_case(name: str) -> lf.LinearMixedResults:
    cases, data = _terms()
    case = cases[name]
    if case["empty"]:
        data = data[~((data["a"] == "a2") & (data["b"] == "b2"))]
    contrasts = {k: v.removeprefix("contr.") for k, v in (case["contrasts"] or {}).items()}
    return lf.lmer(case["formula"], data, contrasts=contrasts or None)


@pytest.mark.parametrize("kind", [1, 2, 3])
@pytest.mark.parametrize("name", list(_terms()[0]))
def test_hypotheses_of_unbalanced_designs(name, kind):
    stored = _terms()[0][name][f"anova{kind}"]
    ours = _fit_of_case(name).anova(kind)
    if (name, kind) in POOLED_QUIRK:
        same = ours.index != "b"
        rows = [row for row in stored["rows"] if row != "b"]
        at = [stored["rows"].index(row) for row in rows]
        columns = {key: [values[i] for i in at] for key, values in stored["columns"].items()}
        ours, stored = ours[same], {"rows": rows, "columns": columns}
    assert_same_table(ours, stored, HYPOTHESIS_RTOL)


@pytest.mark.parametrize("name", list(_terms()[0]))
def test_kenward_roger_of_unbalanced_designs(name):
    stored = _terms()[0][name]["kenward_roger3"]
    assert_same_table(_fit_of_case(name).anova(ddf="kenward-roger"), stored, ADJUSTED_RTOL)
