"""Fitted values, residuals, predictions and simulated responses."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import lmmformula as lf
from lmmformula.errors import DataError, DataWarning, OptionError

FORMULA = "Reaction ~ Days + (Days | Subject)"


@pytest.fixture(scope="module")
def data():
    frame = lf.load_dataset("sleepstudy")
    frame.index = [f"row {i}" for i in range(len(frame))]
    frame["w"] = np.linspace(0.5, 2.0, len(frame))
    frame["known"] = np.sin(np.arange(len(frame)))
    return frame


@pytest.fixture(scope="module")
def fit(data):
    return lf.lmer(FORMULA, data)


@pytest.fixture(scope="module")
def weighted(data):
    return lf.lmer(FORMULA, data, weights="w", offset="known")


def test_fitted_values(fit, data):
    assert list(fit.fittedvalues.index) == list(data.index)
    assert fit.fittedvalues.iloc[0] == pytest.approx(253.663670389336, rel=1e-6)
    assert fit.resid.iloc[0] == pytest.approx(-4.10367038933578, rel=1e-4)
    assert np.allclose(fit.fittedvalues + fit.resid, data["Reaction"])


def test_kinds_of_residuals(weighted, data):
    raw = weighted.residuals()
    root = np.sqrt(data["w"])
    assert np.allclose(weighted.residuals("pearson"), raw * root)
    assert np.allclose(weighted.residuals("deviance"), raw * root)
    assert np.allclose(weighted.residuals("scaled"), raw * root / weighted.sigma)
    assert np.allclose(weighted.residuals("working"), raw)
    fixed = weighted.params["Intercept"] + weighted.params["Days"] * data["Days"] + data["known"]
    assert np.allclose(weighted.residuals("marginal"), data["Reaction"] - fixed)
    with pytest.raises(OptionError) as caught:
        weighted.residuals("jackknifed")
    assert "pearson" in caught.value.available


def test_prediction_of_the_fitted_rows(fit, data):
    assert np.allclose(fit.predict(), fit.fittedvalues)
    assert np.allclose(fit.predict(data), fit.fittedvalues)
    fixed = fit.params["Intercept"] + fit.params["Days"] * data["Days"]
    assert np.allclose(fit.predict(random="none"), fixed)
    assert np.allclose(fit.predict(data, random="none"), fixed)
    assert np.allclose(fit.predict(random=["Subject"]), fit.fittedvalues)
    assert np.allclose(fit.predict(random=[]), fixed)


def test_index_and_missing_rows_of_new_data(fit):
    new = pd.DataFrame(
        {"Days": [0.5, np.nan, 4.5], "Subject": ["308", "308", None]}, index=[9, 5, 7]
    )
    out = fit.predict(new)
    assert list(out.index) == [9, 5, 7]
    assert out[9] == pytest.approx(263.496799309607, rel=1e-6)
    assert np.isnan(out[[5, 7]]).all()
    population = fit.predict(new, random="none")
    assert population[7] == pytest.approx(298.507891666668, rel=1e-6)


def test_new_levels(fit):
    new = {"Days": [4.5, 4.5], "Subject": ["nobody", "331"]}
    with pytest.raises(DataError) as caught:
        fit.predict(new)
    assert caught.value.column == "Subject"
    assert caught.value.levels == ("nobody",)
    out = fit.predict(new, new_levels="zero")
    assert out.tolist() == pytest.approx([298.507891666668, 306.953569339871], rel=1e-6)
    assert fit.predict({"Days": [4.5]}, random="none")[0] == pytest.approx(298.507891666668)


def test_many_new_levels_are_counted(fit):
    new = {"Days": np.zeros(8), "Subject": [f"s{i}" for i in range(8)]}
    with pytest.raises(DataError, match="and 3 more"):
        fit.predict(new)


def test_some_grouping_factors():
    fit = lf.lmer("diameter ~ 1 + (1 | plate) + (1 | sample)", lf.load_dataset("penicillin"))
    both, plate = fit.predict(), fit.predict(random=["plate"])
    sample = fit.predict(random=["sample"])
    assert np.allclose(plate + sample - fit.params["Intercept"], both)
    new = {"plate": ["a"], "sample": ["?"]}
    assert fit.predict(new, random=["plate"])[0] == pytest.approx(plate.iloc[0])


@pytest.mark.parametrize("random", ["Subject", None, ["Days"], 3, "fitted"])
def test_random_must_name_grouping_factors(fit, random):
    with pytest.raises(OptionError) as caught:
        fit.predict(random=random)
    assert caught.value.available == ("Subject",)


def test_options_of_predict(fit, data):
    with pytest.raises(OptionError):
        fit.predict(data, new_levels="ignore")
    with pytest.raises(OptionError):
        fit.predict(new_levels="ignore")
    with pytest.raises(OptionError) as caught:
        fit.predict(data, interval="both")
    assert caught.value.available == ("confidence", "prediction")


def test_an_offset_named_by_column_is_added(weighted, data):
    assert np.allclose(weighted.predict(data), weighted.fittedvalues)


def test_an_offset_given_as_an_array_cannot_be(data):
    fit = lf.lmer(FORMULA, data, offset=data["known"].to_numpy())
    with pytest.warns(DataWarning, match="leave the offset out"):
        out = fit.predict(data)
    assert np.allclose(out, fit.fittedvalues - data["known"])


def test_an_array_offset_is_missed_beside_an_offset_term(data):
    known = data["known"].to_numpy()
    fit = lf.lmer("Reaction ~ Days + offset(w) + (Days | Subject)", data, offset=known)
    with pytest.warns(DataWarning, match="leave the offset out"):
        out = fit.predict(data)
    assert np.allclose(out, fit.fittedvalues - known)


def test_simulation_repeats_and_grows(fit):
    few, many = fit.simulate(2, seed=7), fit.simulate(3, seed=7)
    assert list(many.columns) == ["sim_1", "sim_2", "sim_3"]
    assert list(many.index) == list(fit.fittedvalues.index)
    pd.testing.assert_frame_equal(few, many[["sim_1", "sim_2"]])
    assert not np.allclose(few, fit.simulate(2, seed=8))


def test_simulation_leaves_the_global_state_alone(fit):
    np.random.seed(1)
    before = np.random.get_state()[1].copy()
    fit.simulate(1, seed=np.random.default_rng(3))
    assert (np.random.get_state()[1] == before).all()


def test_simulation_at_the_fitted_modes(fit):
    draws = fit.simulate(400, seed=1, random="fitted")
    centre = (draws.mean(axis=1) - fit.fittedvalues) / (fit.sigma / 20)
    assert abs(centre).max() < 5
    assert draws.sub(fit.fittedvalues, axis=0).to_numpy().std() == pytest.approx(
        fit.sigma, rel=0.01
    )


def test_simulated_variances(weighted, data):
    draws = weighted.simulate(2000, seed=1).to_numpy()
    Z = np.column_stack([np.ones(180), data["Days"]])
    expected = np.einsum("ij,jk,ik->i", Z, weighted.varcorr["Subject"].cov.to_numpy(), Z)
    expected += weighted.scale / data["w"].to_numpy()
    assert draws.var(axis=1, ddof=1) / expected == pytest.approx(np.ones(180), abs=0.2)
    same = data["Subject"] == "308"
    covariance = np.cov(draws[same.to_numpy()])
    assert covariance[0, 1] > 0
    assert draws.mean(axis=1) == pytest.approx(weighted.predict(random="none"), abs=8)


@pytest.mark.parametrize(
    "arguments",
    [
        {"n": 0, "seed": 1},
        {"n": 1.5, "seed": 1},
        {"n": True, "seed": 1},
        {"n": 1, "seed": None},
        {"n": 1, "seed": "one"},
        {"n": 1, "seed": -1},
        {"n": 1, "seed": 1, "random": "none"},
    ],
)
def test_arguments_of_simulate(fit, arguments):
    with pytest.raises(OptionError):
        fit.simulate(**arguments)


def test_a_seed_sequence_is_left_as_it_is():
    fit = lf.lmer("Reaction ~ Days + (Days | Subject)", lf.load_dataset("sleepstudy"))
    seed = np.random.SeedSequence(8)
    pd.testing.assert_frame_equal(fit.simulate(3, seed=seed), fit.simulate(3, seed=seed))
    rng = np.random.default_rng(8)
    assert not fit.simulate(1, seed=rng).equals(fit.simulate(1, seed=rng))
