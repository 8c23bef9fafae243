"""Intervals of predictions and parts of the variance of fits by Krylov methods."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import lmmformula as lf
from lmmformula.engine.krylov import evaluation
from lmmformula.engine.objective import Point
from lmmformula.inference.diagnostics.variance_parts import variance_parts
from tests.refusals import refused

FORMULA = "y ~ x + (1 + x | user) + (1 | item)"


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(11)
    user = np.concatenate([np.arange(90), rng.integers(0, 90, 710)])
    item = np.concatenate([np.arange(40), rng.integers(0, 40, 760)])
    x = rng.normal(size=800)
    y = 1.0 + 0.5 * x + rng.normal(size=800) + 0.8 * rng.normal(size=90)[user]
    y += 0.6 * rng.normal(size=40)[item] + 0.4 * x * rng.normal(size=90)[user]
    named = {"user": user.astype(str), "item": item.astype(str)}
    return pd.DataFrame({"y": y, "x": x, **named})


@pytest.fixture(scope="module")
def fits(data):
    """The exact engine and the Krylov engine at one theta, which is not quite the optimum."""
    model = lf.lmm(FORMULA, data)
    theta = [0.8, 0.05, 0.4, 0.6]
    return model.at(theta), model.using("krylov").at(theta)


@pytest.fixture(scope="module")
def new(data):
    rows = data.iloc[[0, 1, 700, 700, 300]].reset_index(drop=True)
    rows.loc[1, "user"] = rows.loc[2, "item"] = "somebody"
    rows.loc[4, "x"] = np.nan
    return rows


@pytest.mark.parametrize("interval", ["confidence", "prediction"])
@pytest.mark.parametrize("random", ["all", "none", ["item"]])
def test_wald_limits(fits, new, interval, random):
    options = {"interval": interval, "random": random, "new_levels": "zero", "ddf": "wald"}
    exact, krylov = (fit.predict(new, **options) for fit in fits)
    pd.testing.assert_frame_equal(krylov, exact, rtol=1e-7, atol=1e-9)
    assert krylov["se"].isna().tolist() == [False] * 4 + [True]


@pytest.mark.parametrize("interval", ["confidence", "prediction"])
def test_satterthwaite_limits(fits, new, interval, monkeypatch):
    """With the average information for both, and no probes."""
    original = Point.hessian
    monkeypatch.setattr(Point, "hessian", lambda self, *, exact: original(self, exact=False))
    monkeypatch.setattr(evaluation, "FEW_LEVELS", 1_000)
    options = {"interval": interval, "new_levels": "zero"}
    exact, krylov = (fit.predict(new, **options) for fit in fits)
    pd.testing.assert_frame_equal(krylov, exact, rtol=1e-7, atol=1e-9)
    wald = fits[1].predict(new, **options, ddf="wald")
    assert (krylov["upper"] > wald["upper"]).tolist() == [True] * 4 + [False]


def test_fitted_rows(fits):
    exact, krylov = (fit.predict(interval="prediction", ddf="wald") for fit in fits)
    pd.testing.assert_frame_equal(krylov, exact, rtol=1e-7, atol=1e-9)


def test_what_is_refused(fits, new):
    with refused(lf.OptionError, "needs the exact engine", 'ddf="satterthwaite"'):
        fits[1].predict(new, interval="confidence", ddf="kenward-roger-observed")


def test_new_places_are_refused():
    rng = np.random.default_rng(2)
    data = pd.DataFrame({"t": np.tile(np.arange(4.0), 30), "g": np.repeat(np.arange(30), 4)})
    data["y"] = rng.normal(size=120)
    fit = lf.lmm("y ~ 1 + ou(t + 0 | g)", data).using("krylov").at([0.8, 0.5])
    asked = pd.DataFrame({"t": [1.0, 1.5], "g": [3, 3]})
    assert fit.predict(asked.head(1), interval="confidence").notna().all(axis=None)
    with refused(lf.OptionError, "were not fitted", 'method="exact"'):
        fit.predict(asked, interval="confidence")


def test_variance_parts(fits):
    exact, krylov = fits
    ours, theirs = variance_parts(krylov), variance_parts(exact)
    assert ours.random == pytest.approx(theirs.random, rel=1e-9)
    assert (ours.fixed, ours.residual) == pytest.approx((theirs.fixed, theirs.residual), rel=1e-9)
    assert str(krylov.icc()) == str(exact.icc())
    assert krylov.r2().marginal == pytest.approx(exact.r2().marginal, rel=1e-9)
    assert krylov.r2().conditional == pytest.approx(exact.r2().conditional, rel=1e-9)
