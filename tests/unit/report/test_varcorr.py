"""Variance components as R lays them out."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from lmmformula.errors import OptionError
from lmmformula.matrices import RandomBlock
from lmmformula.report import VarCorr


def block(*effects, group="Subject", structure="us"):
    return RandomBlock(
        z=np.zeros((0, len(effects))),
        codes=np.zeros(0, dtype=np.int32),
        levels=np.array(["1"], dtype=object),
        effect_names=effects,
        group=group,
        structure=structure,
        text=f"({' + '.join(effects)} | {group})",
    )


@pytest.fixture
def varcorr():
    blocks = [
        block("Intercept", "Days", "x"),
        block("Intercept"),
        block("a", "b", structure="diag"),
    ]
    template = np.array([[2.0, 0, 0], [0.6, 0.8, 0], [-1.0, 0, 0]])
    return VarCorr.from_estimates(blocks, [template, np.zeros((1, 1)), np.diag([1.0, 2.0])], 10.0)


def test_labels_are_unique_as_in_r(varcorr):
    assert [term.label for term in varcorr] == ["Subject", "Subject.1", "Subject.2"]
    assert len(varcorr) == 3


def test_views_of_a_term(varcorr):
    term = varcorr["Subject"]
    assert term.sd.to_dict() == pytest.approx({"Intercept": 20.0, "Days": 10.0, "x": 10.0})
    assert term.corr.loc["Days", "Intercept"] == pytest.approx(0.6)
    assert term.corr.loc["x", "Intercept"] == -1.0
    assert term.cov.loc["Days", "Days"] == pytest.approx(100.0)
    assert isinstance(term.corr, pd.DataFrame)


def test_frame_has_variances_first(varcorr):
    frame = varcorr.to_frame()
    assert list(frame.columns) == ["grp", "var1", "var2", "vcov", "sdcor"]
    first = frame[frame["grp"] == "Subject"]
    assert list(first["var1"]) == ["Intercept", "Days", "x", "Intercept", "Intercept", "Days"]
    assert list(first["var2"][3:]) == ["Days", "x", "x"]
    assert first["var2"][:3].isna().all()
    assert frame.iloc[-1][["grp", "sdcor"]].tolist() == ["Residual", 10.0]
    assert math.isnan(frame.iloc[-1]["var1"]) or frame.iloc[-1]["var1"] is None


def test_frame_in_the_order_of_theta(varcorr):
    frame = varcorr.to_frame("lower.tri")
    first = frame[frame["grp"] == "Subject"]
    assert list(first["var1"]) == ["Intercept", "Intercept", "Intercept", "Days", "Days", "x"]
    with pytest.raises(OptionError):
        varcorr.to_frame("alphabetical")


def test_parameter_names(varcorr):
    assert list(varcorr.parameters().index) == [
        "sd_Intercept|Subject",
        "cor_Days.Intercept|Subject",
        "cor_x.Intercept|Subject",
        "sd_Days|Subject",
        "cor_x.Days|Subject",
        "sd_x|Subject",
        "sd_Intercept|Subject.1",
        "sd_a|Subject",
        "sd_b|Subject",
        "sigma",
    ]


def test_a_zero_variance_has_no_correlations():
    varcorr = VarCorr.from_estimates([block("a", "b")], [np.array([[0.0, 0], [0, 1]])], 1.0)
    assert np.isnan(varcorr["Subject"].corr.loc["b", "a"])
    assert varcorr["Subject"].corr.loc["b", "b"] == 1.0


@pytest.mark.parametrize("scale", [1e-300, 1e300])
def test_scales_at_the_end_of_the_range(scale):
    varcorr = VarCorr.from_estimates([block("a", "b")], [np.array([[1.0, 0], [1, 1]])], scale)
    assert varcorr["Subject"].sd["b"] == pytest.approx(math.sqrt(2) * scale)
    assert varcorr["Subject"].corr.loc["b", "a"] == pytest.approx(math.sqrt(0.5))
    assert "Residual" in str(varcorr)


def test_an_unknown_label_lists_the_others(varcorr):
    with pytest.raises(OptionError) as caught:
        varcorr["Days"]
    assert caught.value.available == ("Subject", "Subject.1", "Subject.2")


def test_printed_table(varcorr):
    assert str(varcorr).splitlines() == [
        "Random effects",
        "---------------------------------------------------------",
        "Group      Effect     Variance  Std. dev.   Corr.",
        "---------------------------------------------------------",
        "Subject    Intercept     400.0      20.00",
        "           Days          100.0      10.00   0.600",
        "           x             100.0      10.00  -1.000  -0.600",
        "Subject.1  Intercept       0.0       0.00",
        "Subject.2  a             100.0      10.00",
        "           b             400.0      20.00",
        "Residual                 100.0      10.00",
        "---------------------------------------------------------",
    ]
    assert repr(varcorr) == str(varcorr)
    assert varcorr._repr_html_().startswith("<table")
