"""Intervals of predictions: what they contain, for which rows, and what they refuse."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import lmmformula as lf
from lmmformula.errors import DataError, DataWarning, OptionError

FORMULA = "Reaction ~ Days + (Days | Subject)"
NEW = pd.DataFrame(
    {"Days": [0.0, 4.5, 12.0, 4.5], "Subject": ["308", "331", "372", "308"]}, index=list("abcd")
)


@pytest.fixture(scope="module")
def data():
    frame = lf.load_dataset("sleepstudy")
    frame["w"] = np.linspace(0.5, 2.0, len(frame))
    return frame


@pytest.fixture(scope="module")
def fit(data):
    return lf.lmer(FORMULA, data)


@pytest.fixture(scope="module")
def weighted(data):
    return lf.lmer(FORMULA, data, weights="w")


def sigma_rows(fit, days):
    """Return z Sigma z' of the random effects of Subject."""
    Z = np.column_stack([np.ones(len(days)), days])
    return np.einsum("ij,jk,ik->i", Z, fit.varcorr["Subject"].cov.to_numpy(), Z)


def test_the_population_mean_has_the_fixed_effects_variance(fit):
    table = fit.predict(NEW, random="none", interval="confidence")
    assert list(table.columns) == ["predicted", "se", "lower", "upper"]
    assert list(table.index) == list(NEW.index)
    X = np.column_stack([np.ones(4), NEW["Days"]])
    expected = np.sqrt(np.einsum("ij,jk,ik->i", X, fit.cov_params().to_numpy(), X))
    assert table["se"].to_numpy() == pytest.approx(expected, rel=1e-9)
    assert np.allclose(table["predicted"], fit.predict(NEW, random="none"))
    limits = fit.conf_int(method="satterthwaite").loc["Intercept"]
    assert table.loc["a", ["lower", "upper"]].tolist() == pytest.approx(limits.tolist(), rel=1e-6)


def test_normal_limits_on_request(fit):
    table = fit.predict(NEW, random="none", interval="confidence", ddf="wald", alpha=0.1)
    half = 1.6448536269514722 * table["se"]
    assert np.allclose(table["upper"] - table["predicted"], half)
    assert np.allclose(table["predicted"] - table["lower"], half)
    limits = fit.conf_int(alpha=0.1).loc["Intercept"]
    assert table.loc["a", ["lower", "upper"]].tolist() == pytest.approx(limits.tolist())


def test_fitted_rows_have_the_variance_of_their_leverage(weighted, data):
    table = weighted.predict(interval="confidence")
    expected = weighted.sigma * np.sqrt(weighted.leverage().hat / data["w"])
    assert table["se"].to_numpy() == pytest.approx(expected.to_numpy(), rel=1e-9)
    again = weighted.predict(data, interval="confidence")
    assert np.allclose(table, again)


def test_an_observation_adds_the_residual_variance(weighted, data):
    mean = weighted.predict(interval="confidence")
    row = weighted.predict(interval="prediction")
    assert np.allclose(row["se"] ** 2, mean["se"] ** 2 + weighted.scale / data["w"])
    assert np.allclose(row, weighted.predict(data, interval="prediction"))


def test_new_levels_add_the_variance_of_their_effects(fit):
    new = NEW.assign(Subject="nobody")
    with pytest.raises(DataError):
        fit.predict(new, interval="confidence")
    population = fit.predict(NEW, random="none", interval="confidence")["se"] ** 2
    unknown = fit.predict(new, new_levels="zero", interval="confidence")["se"] ** 2
    assert np.allclose(unknown, population + sigma_rows(fit, NEW["Days"]))


def test_an_observation_has_the_effects_that_are_left_out(fit):
    left_out = fit.predict(NEW, random="none", interval="prediction")
    unknown = fit.predict(NEW.assign(Subject="nobody"), new_levels="zero", interval="prediction")
    assert np.allclose(left_out, unknown)
    population = fit.predict(NEW, random="none", interval="confidence")["se"] ** 2
    expected = population + sigma_rows(fit, NEW["Days"]) + fit.scale
    assert np.allclose(left_out["se"] ** 2, expected)
    without_group = fit.predict(NEW[["Days"]], random="none", interval="prediction")
    assert np.allclose(left_out, without_group)
    inside = fit.predict(random="none", interval="prediction")
    assert np.allclose(inside, fit.predict(fit.augment(), random="none", interval="prediction"))


def test_some_grouping_factors():
    data = lf.load_dataset("penicillin")
    fit = lf.lmer("diameter ~ 1 + (1 | plate) + (1 | sample)", data)
    new = pd.DataFrame({"plate": ["a", "a"], "sample": ["A", "new"]})
    mean = fit.predict(new, random=["plate"], interval="confidence")
    assert mean["se"].nunique() == 1
    row = fit.predict(new, random=["plate"], interval="prediction")["se"] ** 2
    both = fit.predict(new, new_levels="zero", interval="prediction")["se"] ** 2
    assert row[0] == pytest.approx(both[1])
    assert both[0] < both[1]
    sample = fit.varcorr["sample"].cov.to_numpy().item()
    assert row[0] == pytest.approx(mean["se"][0] ** 2 + sample + fit.scale)


def test_missing_values_stay_in_place(fit):
    new = pd.DataFrame({"Days": [1.0, np.nan, 2.0], "Subject": ["308", "308", None]})
    for interval in ("confidence", "prediction"):
        table = fit.predict(new, interval=interval)
        assert table.notna().all(axis=1).tolist() == [True, False, False]
        assert fit.predict(new, random="none", interval=interval).notna().all(axis=1)[2]


def test_no_rows_and_other_frames(fit):
    empty = fit.predict(NEW[:0], interval="prediction")
    assert empty.shape == (0, 4)
    polars = pytest.importorskip("polars")
    table = fit.predict(polars.DataFrame(NEW.to_dict("list")), interval="prediction")
    assert np.allclose(table, fit.predict(NEW, interval="prediction"))


def test_results_without_rows_predict_new_ones(fit, weighted):
    for whole in (fit, weighted):
        new = NEW.assign(w=1.0)
        light = whole.without_data()
        for interval in ("confidence", "prediction"):
            assert np.allclose(
                light.predict(new, interval=interval), whole.predict(new, interval=interval)
            )
        with pytest.raises(DataError) as caught:
            light.predict(interval="confidence")
        assert "predict()" in caught.value.needs


def test_weights_of_new_observations(weighted):
    heavy = weighted.predict(NEW.assign(w=4.0), interval="prediction")["se"] ** 2
    mean = weighted.predict(NEW, interval="confidence")["se"] ** 2
    assert np.allclose(heavy, mean + weighted.scale / 4)
    with pytest.warns(DataWarning, match="weight of one"):
        plain = weighted.predict(NEW, interval="prediction")["se"] ** 2
    assert np.allclose(plain, mean + weighted.scale)
    with pytest.raises(DataError) as caught:
        weighted.predict(NEW.assign(w=[1.0, 0.0, 1.0, 1.0]), interval="prediction")
    assert caught.value.row == 1


def test_weights_given_as_an_array_are_missed(data):
    fit = lf.lmer(FORMULA, data, weights=data["w"].to_numpy())
    with pytest.warns(DataWarning, match="given as an array"):
        fit.predict(NEW, interval="prediction")
    assert fit.predict(interval="prediction").notna().all(axis=None)


def test_singular_fits_have_intervals():
    with pytest.warns(lf.SingularFitWarning):
        fit = lf.lmer("Yield ~ 1 + (1 | Batch)", lf.load_dataset("dyestuff2"))
    table = fit.predict(interval="confidence")
    assert np.allclose(table["se"], fit.bse["Intercept"])
    limits = fit.conf_int(method="satterthwaite")
    assert table["lower"].iloc[0] == pytest.approx(limits.loc["Intercept", "lower"])


def test_the_correction_of_the_fixed_part_is_kenward_and_rogers(data):
    some = data.iloc[np.sort(np.random.default_rng(7).permutation(180)[:100])]
    fit = lf.lmer(FORMULA, some)
    method = "kenward-roger-observed"
    table = fit.predict({"Days": [0.0]}, random="none", interval="confidence", ddf=method)
    theirs = fit.coefficient_frame(ddf=method).loc["Intercept"]
    columns = ["se", "lower", "upper"]
    assert table.loc[0, columns].tolist() == pytest.approx(theirs[columns].tolist(), rel=1e-6)
    level = {"Days": [0.0], "Subject": ["308"]}
    plain = fit.predict(level, interval="confidence")
    assert (fit.predict(level, interval="confidence", ddf=method)["se"] > plain["se"]).all()
    with pytest.raises(OptionError) as caught:
        fit.refit_ml().predict(level, interval="confidence", ddf=method)
    assert caught.value.value == method


def test_degrees_of_freedom_are_at_least_one():
    """Near a variance of zero the approximation falls below one, and quantiles explode."""
    rng = np.random.default_rng(0)
    group = np.repeat(np.arange(4), [3, 2, 4, 3])
    y = rng.normal(size=12)
    y -= np.array([y[group == g].mean() for g in range(4)])[group]
    y += np.array([-0.45, 0.45, -0.4, 0.4])[group]
    fit = lf.lmer("y ~ 1 + (1 | g)", pd.DataFrame({"y": y, "g": group.astype(str)}))
    assert not fit.is_singular
    table = fit.predict({"g": ["new"]}, new_levels="zero", interval="confidence")
    quantile = (table["upper"] - table["predicted"]) / table["se"]
    assert quantile[0] == pytest.approx(12.706, abs=1e-3)


def test_models_without_fixed_effects(data):
    fit = lf.lmer("Reaction ~ 0 + (1 | Subject)", data)
    table = fit.predict(pd.DataFrame({"Subject": ["308"]}), interval="confidence")
    block = fit.ranef(condvar=True).set_index("level")
    assert table["se"][0] == pytest.approx(block.loc["308", "sd"])


@pytest.mark.parametrize(
    ("arguments", "facts"),
    [
        ({"interval": "tolerance"}, {"argument": "interval", "value": "tolerance"}),
        ({"interval": True}, {"argument": "interval"}),
        ({"interval": "confidence", "ddf": "kenward-roger"}, {"argument": "ddf"}),
        ({"interval": "confidence", "ddf": ["wald"]}, {"argument": "ddf"}),
        ({"interval": "confidence", "ddf": None}, {"argument": "ddf"}),
        ({"interval": "confidence", "alpha": 0.0}, {}),
        ({"interval": "prediction", "alpha": 1}, {}),
        ({"interval": "prediction", "alpha": "5%"}, {}),
        ({"interval": "prediction", "alpha": -0.1}, {}),
        ({"interval": "prediction", "random": "some"}, {"available": ("Subject",)}),
        ({"interval": "prediction", "new_levels": "mean"}, {}),
    ],
)
def test_arguments(fit, arguments, facts):
    with pytest.raises(OptionError) as caught:
        fit.predict(NEW, **arguments)
    assert facts.items() <= caught.value.facts.items()
