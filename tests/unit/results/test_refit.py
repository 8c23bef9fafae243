"""The same model on another response."""

from __future__ import annotations

import numpy as np
import pytest

import lmmformula as lf
from lmmformula.errors import DataError, DimensionError

FORMULA = "Reaction ~ Days + (Days | Subject)"


@pytest.fixture(scope="module")
def data():
    frame = lf.load_dataset("sleepstudy")
    frame["w"] = np.linspace(0.5, 2.0, len(frame))
    frame["known"] = np.sin(np.arange(len(frame)))
    return frame


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("extra", [{}, {"weights": "w", "offset": "known"}])
def test_refit_is_a_fit_of_the_new_response(data, reml, extra):
    first = lf.lmer(FORMULA, data, reml, **extra)
    y = first.simulate(1, seed=5)["sim_1"]
    again = first.refit(y)
    fresh = lf.lmer(FORMULA, data.assign(Reaction=y), reml, **extra)
    assert again.objective == pytest.approx(fresh.objective, abs=1e-7)
    assert again.params.tolist() == pytest.approx(fresh.params.tolist(), rel=1e-6)
    assert again.criterion == first.criterion
    assert np.allclose(again.resid, fresh.resid, atol=1e-3)
    assert np.allclose(first.fittedvalues + first.resid, data["Reaction"])


def test_refit_of_the_same_response_changes_nothing(data):
    first = lf.lmer(FORMULA, data)
    again = first.refit(data["Reaction"])
    assert again.objective == pytest.approx(first.objective, abs=1e-9)
    assert again.optimum.n_evaluations <= first.optimum.n_evaluations


def test_several_factors():
    data = lf.load_dataset("penicillin")
    first = lf.lmer("diameter ~ 1 + (1 | plate) + (1 | sample)", data)
    y = first.simulate(1, seed=2)["sim_1"]
    fresh = lf.lmer("diameter ~ 1 + (1 | plate) + (1 | sample)", data.assign(diameter=y))
    assert first.refit(y).objective == pytest.approx(fresh.objective, abs=1e-7)


def test_a_response_for_every_row_of_the_data(data):
    data = data.copy()
    data.loc[5, "Days"] = np.nan
    with pytest.warns(lf.DroppedRowsWarning):
        first = lf.lmer(FORMULA, data)
    long = first.refit(data["Reaction"].to_numpy())
    short = first.refit(np.delete(data["Reaction"].to_numpy(), 5))
    assert long.objective == short.objective == pytest.approx(first.objective, abs=1e-8)


@pytest.mark.parametrize("y", [np.zeros(179), np.zeros((180, 1)), 3.0])
def test_wrong_shape(data, y):
    with pytest.raises(DimensionError) as caught:
        lf.lmer(FORMULA, data).refit(y)
    assert caught.value.n_obs == 180


def test_values_that_cannot_be_fitted(data):
    fit = lf.lmer(FORMULA, data)
    y = data["Reaction"].to_numpy().copy()
    y[3] = np.inf
    with pytest.raises(DataError) as caught:
        fit.refit(y)
    assert caught.value.row == 3
    with pytest.raises(DataError, match="not numeric"):
        fit.refit(["a"] * 180)


def test_results_at_a_given_theta_can_be_refitted(data):
    model = lf.lmm(FORMULA, data)
    again = model.at([1.0, 0.0, 0.2]).refit(data["Reaction"])
    assert again.converged
    assert again.objective == pytest.approx(model.fit().objective, abs=1e-8)
