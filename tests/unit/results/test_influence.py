"""Leverage, Cook's distance and deletions: what they hold, and what they refuse."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import lmmformula as lf
from lmmformula.errors import DataError, DimensionError, OptionError, RankWarning

FORMULA = "Reaction ~ Days + (Days | Subject)"


@pytest.fixture(scope="module")
def data():
    frame = lf.load_dataset("sleepstudy")
    frame.index = [f"row {i}" for i in range(len(frame))]
    return frame


@pytest.fixture(scope="module")
def fit(data):
    return lf.lmer(FORMULA, data)


def test_leverage_is_a_named_result(fit):
    leverage = fit.leverage()
    frame = leverage.to_frame()
    assert list(frame.columns) == ["hat", "fixed", "random"]
    assert list(frame.index) == list(fit.fittedvalues.index)
    assert np.allclose(frame["hat"], frame["fixed"] + frame["random"])
    assert np.allclose(np.asarray(leverage), leverage.hat)
    assert len(leverage) == 180
    assert "n_obs=180" in repr(leverage)
    assert 2 < leverage.effective_parameters < 36


def test_leverage_is_the_response_of_the_fitted_values(fit, data):
    row, step = 17, 1e-3
    y = data["Reaction"].to_numpy().copy()
    y[row] += step
    moved = fit.model.with_response(y).at(fit.theta)
    change = (moved.fittedvalues.iloc[row] - fit.fittedvalues.iloc[row]) / step
    assert fit.leverage().hat.iloc[row] == pytest.approx(change, rel=1e-6)


def test_standardized_residuals_are_standard(fit):
    draws = fit.simulate(400, seed=1)
    values = [
        fit.model.with_response(draws[name].to_numpy()).at(fit.theta).residuals("standardized")
        for name in draws.columns
    ]
    assert np.var(values, axis=0) == pytest.approx(np.ones(180), abs=0.3)
    assert np.var(values) == pytest.approx(1.0, abs=0.01)


def test_influence_of_rows_is_that_of_refits_at_the_same_theta(fit, data):
    influence = fit.influence()
    assert not influence.exact
    assert influence.by is None
    for row in (0, 57):
        less = lf.lmm(FORMULA, data.drop(index=f"row {row}")).at(fit.theta)
        change = (less.params - fit.params).to_numpy()
        assert influence.dfbeta.iloc[row].to_numpy() == pytest.approx(change, rel=1e-7)
        scaled = change / less.bse.to_numpy()
        assert influence.dfbetas.iloc[row].to_numpy() == pytest.approx(scaled, rel=1e-7)
        assert influence.sigma.iloc[row] == pytest.approx(less.sigma)


def test_influence_of_levels_is_that_of_refits(fit, data):
    influence = fit.influence("Subject")
    less = lf.lmer(FORMULA, data[data["Subject"] != "335"])
    change = (less.params - fit.params).to_numpy()
    assert influence.dfbeta.loc["335"].to_numpy() == pytest.approx(change, rel=1e-5)
    assert influence.converged.all()
    step = fit.influence("Subject", exact=False)
    fixed = lf.lmm(FORMULA, data[data["Subject"] != "335"]).at(fit.theta)
    change = (fixed.params - fit.params).to_numpy()
    assert step.dfbeta.loc["335"].to_numpy() == pytest.approx(change, rel=1e-8)
    distance = change @ np.linalg.solve(fit.cov_params(), change) / 2 * 16 / 18
    assert step.cooks_distance["335"] == pytest.approx(distance)


def test_influence_as_a_table(fit):
    influence = fit.influence("Subject", exact=False)
    frame = influence.to_frame()
    assert list(frame.columns) == [
        "leverage",
        "cooks_distance",
        "sigma",
        "dfbetas_Intercept",
        "dfbetas_Days",
    ]
    assert list(frame.index) == list(fit.random_effects["Subject"].index)
    assert frame["leverage"].sum() == pytest.approx(fit.leverage().effective_parameters)
    assert len(influence) == 18
    assert "theta fixed" in repr(influence)


def test_units_of_another_column(fit, data):
    days = data["Days"].astype(int)
    influence = fit.influence(days, exact=False)
    assert influence.by == "Days"
    assert list(influence.cooks_distance.index) == list(range(10))
    fixed = lf.lmm(FORMULA, data[days != 3]).at(fit.theta)
    change = (fixed.params - fit.params).to_numpy()
    assert influence.dfbeta.loc[3].to_numpy() == pytest.approx(change, rel=1e-7)


def test_labels_of_rows_that_were_dropped_are_dropped(data):
    gaps = data.copy()
    gaps.loc["row 3", "Days"] = np.nan
    with pytest.warns(lf.DroppedRowsWarning):
        fit = lf.lmer("Reaction ~ Days + (1 | Subject)", gaps)
    by_column = fit.influence(gaps["Subject"], exact=False)
    by_name = fit.influence("Subject", exact=False)
    assert np.allclose(by_column.cooks_distance, by_name.cooks_distance)


def test_distance_with_fewer_levels_than_coefficients():
    data = lf.load_dataset("penicillin")
    fit = lf.lmer("diameter ~ plate + (1 | sample)", data)
    influence = fit.influence("sample", exact=False)
    assert (influence.cooks_distance >= 0).all()


def test_units_that_alone_tell_about_a_coefficient(data):
    data = data.assign(own=(data["Subject"] == "308") * data["Days"])
    fit = lf.lmer("Reaction ~ Days + own + (1 | Subject)", data)
    for exact in (False, True):
        with pytest.warns(RankWarning) as caught:
            influence = fit.influence("Subject", exact=exact)
        assert caught[0].message.units == ("308",)
        assert influence.dfbetas.isna().all(axis=1).sum() == 1
        assert np.isnan(influence.cooks_distance["308"])
        assert not influence.converged["308"]


def test_rows_that_determine_their_own_value(data):
    data = data.assign(one=(np.arange(180) == 5).astype(float))
    fit = lf.lmer("Reaction ~ Days + one + (1 | Subject)", data)
    assert fit.leverage().hat.iloc[5] == pytest.approx(1.0)
    with pytest.warns(RankWarning) as caught:
        influence = fit.influence()
    assert caught[0].message.units == ("row 5",)
    assert np.isnan(influence.cooks_distance.iloc[5])
    assert influence.cooks_distance.notna().sum() == 179
    assert np.isnan(fit.residuals("standardized").iloc[5])
    assert fit.augment()[".cooksd"].isna().sum() == 1


def test_models_without_fixed_effects(data):
    fit = lf.lmer("Reaction ~ 0 + (1 | Subject)", data)
    influence = fit.influence("Subject")
    assert influence.dfbetas.shape == (18, 0)
    assert influence.cooks_distance.isna().all()
    assert influence.sigma.notna().all()
    assert fit.influence().cooks_distance.isna().all()


def test_augment_has_the_diagnostics(fit, data):
    frame = fit.augment(data)
    assert list(frame.columns[-13:])[2:6] == [".fitted", ".resid", ".hat", ".cooksd"]
    assert np.allclose(frame[".hat"], fit.leverage().hat)
    assert np.allclose(frame[".cooksd"], fit.influence().cooks_distance)


@pytest.mark.parametrize("ask", ["leverage", "influence"])
def test_results_without_rows(fit, ask):
    with pytest.raises(DataError) as caught:
        getattr(fit.without_data(), ask)()
    assert caught.value.needs == f"`{ask}`"


def test_units_must_be_known(fit):
    with pytest.raises(OptionError) as caught:
        fit.influence("Days")
    assert caught.value.available == ("Subject",)


@pytest.mark.parametrize(
    "by", [np.zeros(5), np.zeros((180, 2)), 3, pd.Series([None] + ["a"] * 179, dtype=object)]
)
def test_labels_must_fit_the_rows(fit, by):
    with pytest.raises(DimensionError) as caught:
        fit.influence(by)
    assert caught.value.n_obs == 180
