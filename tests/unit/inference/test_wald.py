"""Single coefficients: statistics, p-values and limits."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from lmmformula.errors import OptionError
from lmmformula.inference.df import DF_METHODS, degrees_of_freedom
from lmmformula.inference.wald import coefficient_frame, critical_value, two_sided_p


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


@pytest.mark.parametrize("method", DF_METHODS)
def test_every_registered_method_gives_one_number_per_row(method):
    class Fit:
        n_fixed = 2

    df = degrees_of_freedom(method, Fit(), np.eye(2))
    assert df.shape == (2,)
    assert (df > 0).all()


@pytest.mark.parametrize(
    ("method", "words"),
    [
        ("satterthwaite", "comes with a later release"),
        ("kenward-roger", "comes with a later release"),
        ("residual", "is not a method"),
        (None, "is not a method"),
    ],
)
def test_other_methods_say_what_there_is(method, words):
    class Fit:
        n_fixed = 1

    with pytest.raises(OptionError, match=words) as caught:
        degrees_of_freedom(method, Fit(), np.eye(1))
    assert caught.value.available == ("wald",)
    assert caught.value.value == method
