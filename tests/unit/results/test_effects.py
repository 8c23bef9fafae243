"""Conditional modes and the coefficients of every level."""

from __future__ import annotations

import numpy as np
import pytest

import lmmformula as lf


@pytest.fixture(scope="module")
def fit():
    return lf.lmer("Reaction ~ Days + (Days | Subject)", lf.load_dataset("sleepstudy"))


def test_random_effects(fit):
    table = fit.random_effects["Subject"]
    assert table.shape == (18, 2)
    assert table.loc["308"].tolist() == pytest.approx(
        [2.25856554084833, 9.19897188094606], rel=1e-5
    )
    assert table.index.name == "Subject"


def test_long_form(fit):
    frame = fit.ranef()
    assert list(frame.columns) == ["grp", "level", "effect", "value"]
    assert len(frame) == 36
    wide = frame.pivot_table(index="level", columns="effect", values="value", sort=False)
    assert wide.loc["308", "Days"] == fit.random_effects["Subject"].loc["308", "Days"]


def test_conditional_standard_deviations(fit):
    frame = fit.ranef(condvar=True)
    assert frame["sd"][:18].tolist() == pytest.approx([12.0708368] * 18, rel=1e-5)
    assert frame["sd"][18:].tolist() == pytest.approx([2.30483702] * 18, rel=1e-5)


def test_terms_on_one_factor_are_merged():
    fit = lf.lmer("Reaction ~ Days + (Days || Subject)", lf.load_dataset("sleepstudy"))
    assert list(fit.random_effects) == ["Subject"]
    assert list(fit.random_effects["Subject"].columns) == ["Intercept", "Days"]
    assert fit.ngroups == {"Subject": 18}
    long = fit.ranef(condvar=True)
    assert list(long["effect"].unique()) == ["Intercept", "Days"]
    assert (long["sd"] > 0).all()
    assert [term.label for term in fit.varcorr] == ["Subject", "Subject.1"]


def test_several_factors_keep_the_order_of_their_terms():
    fit = lf.lmer("diameter ~ 1 + (1 | sample) + (1 | plate)", lf.load_dataset("penicillin"))
    assert list(fit.random_effects) == ["plate", "sample"]
    assert fit.ngroups == {"plate": 24, "sample": 6}
    assert list(fit.ranef(condvar=True)["grp"].unique()) == ["plate", "sample"]


def test_coefficients(fit):
    table = fit.coef()["Subject"]
    assert list(table.columns) == ["Intercept", "Days"]
    expected = fit.random_effects["Subject"] + fit.params
    assert np.allclose(table, expected)


def test_coefficients_without_a_fixed_counterpart():
    fit = lf.lmer("Reaction ~ 1 + (Days | Subject)", lf.load_dataset("sleepstudy"))
    table = fit.coef()["Subject"]
    assert list(table.columns) == ["Days", "Intercept"]
    assert np.allclose(table["Days"], fit.random_effects["Subject"]["Days"])
