"""Likelihood-ratio tables, and what may not be compared."""

from __future__ import annotations

import math
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import stats

import lmmformula as lf
from lmmformula.errors import ConvergenceWarning, DataError, OptionError
from lmmformula.inference.comparison.likelihood_ratio import likelihood_ratio_frame

SMALL = "Reaction ~ Days + (1 | Subject)"
LARGE = "Reaction ~ Days + (Days | Subject)"


@pytest.fixture
def small(sleepstudy):
    return lf.lmer(SMALL, sleepstudy)


@pytest.fixture
def large(sleepstudy):
    return lf.lmer(LARGE, sleepstudy)


def test_reml_fits_are_refitted(small, large):
    before = large.objective
    table = lf.anova(large, small)
    assert list(table.columns) == ["npar", "aic", "bic", "llf", "deviance", "chisq", "df", "pvalue"]
    assert list(table.index) == [SMALL, LARGE]
    assert table.index.name == "model"
    assert table["deviance"].tolist() == pytest.approx([1794.07864, 1751.93934], abs=1e-5)
    assert table["chisq"].iloc[1] == pytest.approx(42.1392991, abs=1e-5)
    assert table["pvalue"].iloc[1] == pytest.approx(stats.chi2.sf(42.1392991, 2), rel=1e-5)
    assert math.isnan(table["chisq"].iloc[0])
    assert large.objective == before
    assert large.criterion == "REML"


def test_reml_fits_with_the_same_fixed_effects_may_stay(small, large):
    table = lf.anova(small, large, refit=False)
    assert table["chisq"].iloc[1] == pytest.approx(small.objective - large.objective)


def test_names(small, large):
    assert list(lf.anova(large, small, names=["L", "S"]).index) == ["S", "L"]
    ml = large.model.fit(reml=False)
    assert list(lf.anova(ml, large).index) == [f"{LARGE} [ML]", f"{LARGE} [REML]"]
    assert list(lf.anova(ml, ml).index) == [f"{LARGE} [ML] (1)", f"{LARGE} [ML] (2)"]


def test_equal_numbers_of_parameters_have_no_p_value(large):
    table = lf.anova(large, large)
    assert table["df"].iloc[1] == 0
    assert math.isnan(table["pvalue"].iloc[1])


def test_a_worse_larger_model_is_shown_and_said():
    class Fit:
        estimates = SimpleNamespace(monte_carlo=None)

        def __init__(self, npar, llf):
            self.npar, self.llf, self.aic, self.bic = npar, llf, 0.0, 0.0

    with pytest.warns(ConvergenceWarning) as caught:
        table = likelihood_ratio_frame([Fit(3, -10.0), Fit(4, -11.0)], ["a", "b"])
    assert table["chisq"].iloc[1] == -2.0
    assert table["pvalue"].iloc[1] == 1.0
    assert caught[0].message.models == ("a", "b")


def test_reml_with_other_fixed_effects(sleepstudy, small):
    null = lf.lmer("Reaction ~ 1 + (1 | Subject)", sleepstudy)
    with pytest.raises(OptionError) as caught:
        lf.anova(null, small, refit=False)
    assert "refit=True" in caught.value.suggestion
    assert lf.anova(null, small)["df"].iloc[1] == 1


def test_criteria_do_not_mix(small, large):
    with pytest.raises(OptionError):
        lf.anova(small, large.model.fit(reml=False), refit=False)


def test_other_rows(sleepstudy, small):
    fewer = lf.lmer(LARGE, sleepstudy.iloc[:170])
    with pytest.raises(DataError, match="different rows"):
        lf.anova(small, fewer)


def test_the_same_number_of_other_rows(sleepstudy):
    data = sleepstudy.assign(Reaction=np.round(sleepstudy["Reaction"], -3), x=1.0, z=1.0)
    data["Reaction"] = np.tile([200.0, 200.0, 300.0, 400.0, 250.0], 36)
    data["x"] = np.linspace(0, 1, 180)
    data["z"] = data["x"] ** 2
    data.loc[0, "x"] = np.nan
    data.loc[1, "z"] = np.nan
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # rows are dropped on purpose
        one = lf.lmer("Reaction ~ x + (1 | Subject)", data)
        two = lf.lmer("Reaction ~ z + x + (1 | Subject)", data, subset=data["x"].isna() | True)
        other = lf.lmer("Reaction ~ z + (1 | Subject)", data)
    assert one.nobs == other.nobs == 179
    for pair in ((one, other), (one, two)):
        with pytest.raises(DataError, match="different rows"):
            lf.anova(*pair)


def test_complete_rows_of_another_table_are_the_same_rows(sleepstudy):
    data = sleepstudy.copy()
    data.loc[3, "Days"] = np.nan
    with pytest.warns(lf.DroppedRowsWarning):
        one = lf.lmer(SMALL, data)
    two = lf.lmer(LARGE, data.dropna())
    assert lf.anova(one, two)["df"].iloc[1] == 2


def test_another_response(sleepstudy, small):
    other = lf.lmer("log(Reaction) ~ Days + (Days | Subject)", sleepstudy)
    with pytest.raises(DataError, match="different responses") as caught:
        lf.anova(small, other)
    assert "log(Reaction)" in caught.value.got


def test_other_weights(sleepstudy, small):
    weights = np.linspace(1, 2, 180)
    weighted = lf.lmer(LARGE, sleepstudy, weights=weights)
    with pytest.raises(DataError, match="different prior weights"):
        lf.anova(small, weighted)
    ones = lf.lmer(LARGE, sleepstudy, weights=np.ones(180))
    assert lf.anova(small, ones)["df"].iloc[1] == 2


def test_results_without_data_can_be_compared(small, large):
    table = lf.anova(small.without_data(), large.without_data())
    assert table["chisq"].iloc[1] == pytest.approx(lf.anova(small, large)["chisq"].iloc[1])


def test_arguments(small):
    with pytest.raises(OptionError, match="at least two"):
        lf.anova(small)
    with pytest.raises(OptionError, match="compares fitted"):
        lf.anova(small, small.model)
    with pytest.raises(OptionError, match="one label per model"):
        lf.anova(small, small, names=["a"])
