"""Single coefficients: statistics, p-values and limits."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from lmmformula.errors import OptionError
from lmmformula.inference.effects.wald import (
    coefficient_frame,
    critical_value,
    f_p_value,
    two_sided_p,
)


def test_infinite_degrees_of_freedom_are_the_normal():
    df = np.array([np.inf, 5.0])
    assert critical_value(0.05, df) == pytest.approx([stats.norm.ppf(0.975), stats.t.ppf(0.975, 5)])
    p = two_sided_p(np.array([2.0, -2.0]), df)
    assert p == pytest.approx([2 * stats.norm.sf(2), 2 * stats.t.sf(2, 5)])


def test_tiny_p_values_do_not_vanish():
    assert two_sided_p(np.array([36.8]), np.array([np.inf]))[0] == pytest.approx(
        2 * stats.norm.sf(36.8), rel=1e-10
    )


def test_frame():
    frame = coefficient_frame(
        ["a", "b"], np.array([1.0, -2.0]), np.array([0.5, 4.0]), np.full(2, np.inf), 0.1
    )
    columns = ["estimate", "se", "df", "statistic", "pvalue", "lower", "upper"]
    assert list(frame.columns) == columns
    assert list(frame.index) == ["a", "b"]
    assert frame.loc["a", "upper"] == pytest.approx(1.0 + 0.5 * stats.norm.ppf(0.95))
    assert frame.loc["b", "statistic"] == -0.5


def test_a_standard_error_of_zero_gives_no_warning():
    frame = coefficient_frame(["a"], np.zeros(1), np.zeros(1), np.full(1, np.inf), 0.05)
    assert math.isnan(frame.loc["a", "pvalue"])


@pytest.mark.parametrize("alpha", [0, 1, -0.1, 95, "0.05", None, True, math.nan])
def test_alpha_must_be_a_probability(alpha):
    with pytest.raises(OptionError):
        coefficient_frame(["a"], np.ones(1), np.ones(1), np.full(1, np.inf), alpha)


@pytest.mark.parametrize("den_df", [3.5, np.inf])
def test_p_values_of_f(den_df):
    expected = stats.f.sf(2.5, 3, den_df) if np.isfinite(den_df) else stats.chi2.sf(7.5, 3)
    assert f_p_value(2.5, 3, den_df) == pytest.approx(expected)
