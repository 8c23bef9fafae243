"""One-way random models against R: anova tables, lme4 fits, psych's intervals, power."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import lmmformula as lf
from tests.reference import reader
from tests.tolerances import assert_close

STORED = json.loads((Path(__file__).parent / "one_way" / "one_way.json").read_text("utf-8"))
CASES = [(kind, name) for kind in ("balanced", "unbalanced") for name in STORED[kind]]

LME4_RTOL = 1e-5
"""lme4's variances from its default tolerances on the deviance; largest gap seen: 3e-6."""


def analysis_of(kind, name):
    """Our analysis of the rows that the script used, and what it stored."""
    stored = STORED[kind][name]
    data = reader.frame(name).iloc[np.array(stored["rows"]) - 1]
    return lf.one_way_random("Yield", "Batch", data), stored


@pytest.mark.parametrize(("kind", "name"), CASES)
def test_anova(kind, name):
    analysis, stored = analysis_of(kind, name)
    table = analysis.anova
    assert_close(table["sum_sq"].iloc[:2], stored["sum_sq"], 1e-10)
    assert table["df"].iloc[:2].tolist() == stored["df"]
    assert_close(table["mean_sq"].iloc[:2], stored["mean_sq"], 1e-10)
    test = analysis.f_test()
    assert [test.statistic, test.pvalue] == pytest.approx([stored["F"], stored["p"]], rel=1e-9)
    assert [test.num_df, test.den_df] == stored["df"]


@pytest.mark.parametrize("method", ["ml", "reml"])
@pytest.mark.parametrize(("kind", "name"), CASES)
def test_lme4(kind, name, method):
    analysis, stored = analysis_of(kind, name)
    ours, theirs = getattr(analysis, method), stored[method]
    for field in ("mean", "mean_se", "var_group", "var_resid"):
        assert getattr(ours, field) == pytest.approx(theirs[field], rel=LME4_RTOL, abs=1e-10)
    assert ours.llf == pytest.approx(theirs["llf"], abs=1e-8)
    assert ours.llf >= theirs["llf"] - 1e-9
    assert ours.on_boundary == (theirs["var_group"] < 1e-10)
    if method == "reml":
        assert_close(analysis.blups["blup"], theirs["blup"], LME4_RTOL)


@pytest.mark.parametrize(
    ("name", "alpha"), [("dyestuff", 0.05), ("dyestuff", 0.2), ("dyestuff2", 0.05)]
)
def test_intraclass_correlation(name, alpha):
    analysis, _ = analysis_of("balanced", name)
    estimate, lower, upper = STORED["icc"][name][str(alpha)]
    for method in ("exact", "thomas-hultquist", "searle"):
        found = analysis.icc_interval(alpha, method)
        assert found.estimate == pytest.approx(estimate, rel=1e-10)
        assert [found.lower, found.upper] == pytest.approx([max(lower, 0.0), upper], rel=1e-10)
        assert found.is_exact


@pytest.mark.parametrize(
    "row", STORED["power"], ids=lambda row: "-".join(map(str, row.values()))[:20]
)
def test_power(row):
    analysis, _ = analysis_of("balanced", "dyestuff")
    found = analysis.power(row["ratio"], row["alpha"], groups=row["a"], size=row["n"])
    assert found == pytest.approx(row["power"], rel=1e-8)


def test_power_with_unequal_sizes():
    analysis, _ = analysis_of("unbalanced", "dyestuff")
    stored = STORED["simulated"]
    assert sorted(analysis.groups.sizes) == sorted(stored["sizes"])
    found, simulated = analysis.power(stored["ratio"]), np.array(stored["power"])
    error = np.sqrt(simulated * (1 - simulated) / stored["nsim"])
    assert np.all(np.abs(found - simulated) < 3.5 * error)
