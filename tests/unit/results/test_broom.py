"""Tidy tables in broom.mixed's layout."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import lmmformula as lf
from lmmformula.errors import DimensionError, OptionError


@pytest.fixture(scope="module")
def data():
    return lf.load_dataset("sleepstudy")


@pytest.fixture(scope="module")
def fit(data):
    return lf.lmer("Reaction ~ Days + (Days | Subject)", data)


def test_tidy(fit):
    frame = fit.tidy()
    assert list(frame.columns) == [
        "effect",
        "group",
        "term",
        "estimate",
        "std.error",
        "statistic",
        "df",
        "p.value",
    ]
    assert frame["df"][:2].tolist() == pytest.approx([17.0, 17.0])
    assert "df" not in fit.tidy(ddf="wald").columns
    assert list(frame["effect"]) == ["fixed"] * 2 + ["ran_pars"] * 4
    assert list(frame["term"]) == [
        "Intercept",
        "Days",
        "sd__Intercept",
        "sd__Days",
        "cor__Intercept.Days",
        "sd__Observation",
    ]
    assert list(frame["group"][2:]) == ["Subject", "Subject", "Subject", "Residual"]
    assert frame["estimate"].iloc[-1] == pytest.approx(fit.sigma)
    assert frame["std.error"][2:].isna().all()


def test_tidy_with_limits(fit):
    frame = fit.tidy(effects="fixed", conf_int=True)
    assert list(frame.columns[-2:]) == ["conf.low", "conf.high"]
    assert np.allclose(frame[["conf.low", "conf.high"]], fit.conf_int(method="satterthwaite"))


def test_tidy_modes(fit):
    frame = fit.tidy(effects=["ran_vals"], conf_int=True)
    assert len(frame) == 36
    assert list(frame.columns[:4]) == ["effect", "group", "level", "term"]
    assert np.allclose(frame["estimate"], fit.ranef()["value"])
    assert np.allclose(frame["std.error"], fit.ranef(condvar=True)["sd"])


def test_tidy_of_an_unknown_part(fit):
    with pytest.raises(OptionError) as caught:
        fit.tidy(effects=["ran_coefs"])
    assert caught.value.available == ("fixed", "ran_pars", "ran_vals")


def test_glance(fit):
    frame = fit.glance()
    assert list(frame.columns) == [
        "nobs",
        "sigma",
        "logLik",
        "AIC",
        "BIC",
        "REMLcrit",
        "df.residual",
    ]
    assert len(frame) == 1
    assert "deviance" in fit.refit_ml().glance().columns


def test_augment(fit, data):
    frame = fit.augment()
    assert list(frame.columns[:3]) == ["Reaction", "Days", "Subject"]
    assert list(frame["Subject"]) == list(data["Subject"].astype(str))
    assert np.allclose(frame[".fitted"] + frame[".resid"], frame["Reaction"])
    assert np.allclose(frame[".fixed"], fit.predict(random="none"))
    assert (frame[".weights"] == 1).all()
    assert (frame[".offset"] == 0).all()


def test_augment_of_given_data(data):
    data = data.assign(note="kept", w=np.linspace(1, 2, 180))
    data.loc[3, "Days"] = np.nan
    with pytest.warns(lf.DroppedRowsWarning):
        fit = lf.lmer("Reaction ~ Days + (Days | Subject)", data, weights="w")
    frame = fit.augment(data)
    assert len(frame) == 179
    assert 3 not in frame.index
    assert (frame["note"] == "kept").all()
    assert np.allclose(frame[".wtres"], np.sqrt(frame["w"]) * frame[".resid"])
    assert list(fit.augment(data.to_dict("list"))[".fitted"]) == list(frame[".fitted"])
    with pytest.raises(DimensionError):
        fit.augment(data.iloc[:10])


def test_augment_of_another_kind_of_frame(data):
    polars = pytest.importorskip("polars")
    table = polars.DataFrame(
        {
            name: data[name].astype(str) if name == "Subject" else data[name].to_numpy()
            for name in data.columns
        }
    )
    fit = lf.lmer("Reaction ~ Days + (Days | Subject)", table)
    frame = fit.augment(table)
    assert isinstance(frame, pd.DataFrame)
    assert frame.shape[0] == 180
