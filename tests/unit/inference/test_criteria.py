"""Information criteria side by side."""

from __future__ import annotations

import numpy as np
import pytest
from statsmodels.tools.eval_measures import aic, aicc, bic

import lmmformula as lf
from lmmformula.errors import ConvergenceWarning, DataError, OptionError

SMALL = "Reaction ~ 1 + (Days | Subject)"
MIDDLE = "Reaction ~ Days + (1 | Subject)"
LARGE = "Reaction ~ Days + (Days | Subject)"


@pytest.fixture
def fits(sleepstudy):
    return [lf.lmer(formula, sleepstudy, reml=False) for formula in (SMALL, MIDDLE, LARGE)]


def test_criteria(fits):
    found = lf.compare(*fits)
    table = found.to_frame()
    assert list(table.columns) == [
        "npar", "llf", "aic", "aicc", "bic", "delta_aic", "weight", "criterion",
    ]  # fmt: skip
    assert table.index.name == "model"
    assert list(table.index) == [LARGE, SMALL, MIDDLE]
    assert found.best == LARGE
    assert len(found) == 3
    for row, fit in zip(table.itertuples(), [fits[2], fits[0], fits[1]], strict=True):
        expected = [rule(fit.llf, fit.nobs, fit.npar) for rule in (aic, aicc, bic)]
        assert [row.aic, row.aicc, row.bic] == pytest.approx(expected, abs=1e-9)
        assert (row.npar, row.llf, row.criterion) == (fit.npar, fit.llf, "ML")
    assert table["delta_aic"].to_numpy() == pytest.approx(table["aic"] - table["aic"].iloc[0])
    relative = table["weight"] / table["weight"].iloc[0]
    assert relative.to_numpy() == pytest.approx(np.exp(-table["delta_aic"] / 2))
    assert table["weight"].sum() == pytest.approx(1.0)


def test_the_frame_is_a_copy(fits):
    found = lf.compare(*fits)
    table = found.to_frame()
    table.loc[LARGE, "aic"] = 0.0
    assert found.to_frame().loc[LARGE, "aic"] == pytest.approx(fits[2].aic)


def test_reml_fits_with_the_same_fixed_effects(sleepstudy):
    one, two = lf.lmer(MIDDLE, sleepstudy), lf.lmer(LARGE, sleepstudy)
    table = lf.compare(one, two, names=["one", "two"]).to_frame()
    assert list(table.index) == ["two", "one"]
    assert table.loc["one", "aic"] == one.aic
    assert set(table["criterion"]) == {"REML"}
    refitted = lf.compare(one, two, refit=True).to_frame()
    assert set(refitted["criterion"]) == {"ML"}
    assert refitted.loc[LARGE, "aic"] == pytest.approx(two.refit_ml().aic)


def test_reml_fits_with_other_fixed_effects(sleepstudy):
    one, two = lf.lmer(SMALL, sleepstudy), lf.lmer(LARGE, sleepstudy)
    with pytest.raises(OptionError) as caught:
        lf.compare(one, two)
    assert "lf.compare(..., refit=True)" in caught.value.suggestion
    assert lf.compare(one, two, refit=True).best == LARGE
    with pytest.raises(OptionError) as caught:
        lf.compare(one, two.refit_ml())
    assert "REML" in caught.value.got


def test_other_data(sleepstudy):
    one = lf.lmer(MIDDLE, sleepstudy)
    with pytest.raises(DataError) as caught:
        lf.compare(one, lf.lmer(LARGE, sleepstudy.iloc[:-1]))
    assert caught.value.models == (MIDDLE, LARGE)


@pytest.mark.parametrize("arguments", [lambda f: f[:1], lambda f: [f[0], "model"]])
def test_bad_arguments(fits, arguments):
    with pytest.raises(OptionError) as caught:
        lf.compare(*arguments(fits))
    assert "lf.compare(" in caught.value.suggestion
    with pytest.raises(OptionError):
        lf.compare(*fits, names=["a"])


def test_too_few_rows_for_the_correction():
    data = lf.load_dataset("machines").iloc[[0, 1, 3, 4, 6, 7]]
    one = lf.lmer("score ~ 1 + (1 | Worker)", data, False)
    two = lf.lmer("score ~ factor + (1 | Worker)", data.assign(factor=list("ababab")), False)
    wide = lf.lmer("score ~ f + x + (1 | Worker)", data.assign(f=list("ababab"), x=range(6)), False)
    table = lf.compare(one, two, wide).to_frame()
    assert table.loc[one.formula, "aicc"] == pytest.approx(one.aic + 2 * 3 * 4 / 2)
    assert np.isfinite(table.loc[two.formula, "aicc"])
    assert np.isnan(table.loc[wide.formula, "aicc"])


def test_a_fit_at_a_given_theta_is_told(sleepstudy):
    fitted = lf.lmer(MIDDLE, sleepstudy)
    given = lf.lmm(LARGE, sleepstudy).at([1.0, 0.0, 0.2])
    with pytest.warns(ConvergenceWarning) as caught:
        lf.compare(fitted, given)
    assert caught[0].message.model == LARGE


def test_it_prints(fits):
    found = lf.compare(*fits)
    assert "AICc" in str(found)
    assert "maximum likelihood" in str(found)
    assert "<table" in found.as_html()
