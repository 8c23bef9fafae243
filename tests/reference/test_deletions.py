"""Single-term deletions of random and fixed effects, against lmerTest and lme4."""

from __future__ import annotations

import json
import math
import warnings

import numpy as np
import pandas as pd
import pytest

import lmmformula as lf
from lmmformula.errors import LMMWarning
from tests.reference.reader import HERE, MODEL_IDS, fit, frame, reference
from tests.tolerances import assert_close, criterion_limit

RANOVA = tuple(name for name in MODEL_IDS if reference(name).fields.get("ranova"))
STORED = json.loads((HERE / "deletions" / "deletions.json").read_text())
COMPONENTS = json.loads((HERE / "varcomp_tests.json").read_text())["tests"]
COLUMNS = ["npar", "llf", "aic", "lrt", "df", "pvalue"]


def quiet(call, **options):
    """Call without warnings: some reductions are not nested, some fits singular."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LMMWarning)
        return call(**options)


def assert_p_values(table, statistics, expected, limit):
    """Compare log p: it moves by half a unit of the statistic."""
    for ours, df, theirs in zip(table["pvalue"], table["df"], expected, strict=True):
        if theirs is None or not df > 0:
            assert math.isnan(ours)
        elif theirs > 1e-300:
            assert abs(math.log(ours) - math.log(theirs)) <= 1e-9 * statistics + limit


@pytest.mark.parametrize("name", RANOVA)
def test_ranova(name):
    stored = reference(name).ranova
    expected = stored["columns"]
    table = quiet(quiet(fit, model_id=name).ranova)
    assert list(table.columns) == COLUMNS
    assert list(table.index) == stored["rows"]
    assert list(table["npar"]) == expected["npar"]
    limit = 2.0 * criterion_limit(2.0 * max(abs(value) for value in expected["logLik"]))
    assert list(table["llf"]) == pytest.approx(expected["logLik"], abs=limit)
    assert list(table["aic"]) == pytest.approx(expected["AIC"], abs=2 * limit)
    assert list(table["lrt"])[1:] == pytest.approx(expected["LRT"][1:], abs=2 * limit)
    assert list(table["df"])[1:] == expected["Df"][1:]
    if max(expected["LRT"][1:]) > limit:  # else log p is infinitely steep
        assert_p_values(table, max(expected["LRT"][1:]), expected["p"], 2 * limit)


def data() -> pd.DataFrame:
    """Return the unbalanced data of the stored deletions."""
    return pd.read_csv(HERE / "anova_terms" / "data.csv")


@pytest.mark.parametrize("name", STORED["drop1"])
def test_drop1(name):
    stored = STORED["drop1"][name]
    table = quiet(quiet(lf.lmer, formula=stored["formula"], data=data()).drop1)
    assert list(table.columns) == COLUMNS
    assert list(table.index) == stored["rows"]
    assert list(table["df"])[1:] == stored["df"][1:]
    assert list(table["aic"]) == pytest.approx(stored["AIC"], abs=1e-6)
    assert list(table["lrt"])[1:] == pytest.approx(stored["LRT"][1:], abs=1e-6)
    assert_p_values(table, max(stored["LRT"][1:]), stored["p"], 1e-6)


@pytest.mark.parametrize("whole", ["", "_whole"])
@pytest.mark.parametrize("criterion", ["REML", "ML"])
@pytest.mark.parametrize("name", STORED["ranova"])
def test_terms_that_are_recoded(name, criterion, whole):
    stored = STORED["ranova"][name][criterion + whole]
    formula = STORED["ranova"][name]["formula"]
    results = quiet(lf.lmer, formula=formula, data=data(), reml=criterion == "REML")
    table = quiet(results.ranova, reduce_terms=not whole)
    assert list(table.index) == stored["rows"]
    gap = np.asarray(table["llf"]) - np.array(stored["logLik"])
    assert np.all(gap > -1e-6)
    if name == "two_factors":  # R stops short of the full model's optimum, and warns
        gap = gap[1:]
    assert np.all(gap < 1e-6)
    if name == "repeated_group" and not whole:
        # lmerTest adds a second (1 | g) beside (x | g): the same model with a parameter too many
        assert list(table["npar"]) == [9, 7, 8]
    else:
        assert list(table["npar"]) == stored["npar"]


def _component_test(stored, boundary):
    sleepstudy = frame("sleepstudy")
    random = "" if "no random" in stored["h0"] else " + " + stored["h0"]
    large = lf.lmer(f"Reaction ~ Days + {stored['h1']}", sleepstudy, reml=stored["reml"])
    if not random:
        row = large.ranova(boundary=boundary).iloc[1]
        return row["lrt"], row["pvalue"]
    small = lf.lmer(f"Reaction ~ Days{random}", sleepstudy, reml=stored["reml"])
    row = lf.anova(small, large, refit=False, boundary=boundary).iloc[1]
    return row["chisq"], row["pvalue"]


@pytest.mark.parametrize("name", COMPONENTS)
def test_variance_components(name):
    stored = COMPONENTS[name]
    naive = stored.get("p_naive", stored.get("p_chisq1"))
    for boundary, expected in [(None, naive), ("chibar", stored.get("p_mixture", naive))]:
        statistic, pvalue = _component_test(stored, boundary)
        assert statistic == pytest.approx(stored["LRT"], abs=1e-6)
        assert_close([math.log(pvalue)], [math.log(expected)], 1e-6, "log p")
