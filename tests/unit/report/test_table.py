"""Numbers become text once, by the kind of their column."""

from __future__ import annotations

import math

import pytest

from lmmformula.report import KINDS, Column, Table


def cells(kind, *values):
    table = Table("", (Column("x", kind),), tuple((value,) for value in values))
    return [row[0] for row in table.cells()]


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        ("text", "Days", "Days"),
        ("number", "1.0", "1.0"),
        ("count", 180, "180"),
        ("count", 180.0, "180"),
        ("statistic", 36.83831, "36.838"),
        ("statistic", 1.5e9, "1.5e+09"),
        ("df", 16.99999, "17.0"),
        ("df", math.inf, "inf"),
        ("p_value", 0.04, "0.040"),
        ("p_value", 0.0004, "<0.001"),
        ("p_value", 1.0, "1.000"),
        ("correlation", 0.0655, "0.066"),
        ("correlation", -1.0, "-1.000"),
        ("criterion", 1743.62827, "1743.628"),
    ],
)
def test_each_kind(kind, value, text):
    assert cells(kind, value) == [text]


WRITTEN_BY_THE_CALLER = ("text", "number", "decimal")


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in WRITTEN_BY_THE_CALLER])
def test_values_that_are_not_numbers(kind):
    assert cells(kind, None, math.nan, math.inf, -math.inf) == ["", "NaN", "inf", "-inf"]


def test_an_estimate_column_shares_its_decimals():
    assert cells("estimate", 251.405105, 10.467286) == ["251.41", "10.47"]
    assert cells("estimate", 0.0, 0.001234567) == ["0.000000", "0.001235"]
    assert cells("estimate", 123456.0, 2345.6) == ["123456", "2346"]


def test_a_tiny_value_beside_a_large_one_does_not_widen_the_column():
    assert cells("estimate", 251.4, 1.25e-6) == ["251.4", "1.25e-06"]
    assert cells("estimate", 2514.0, -0.125) == ["2514", "-0.125"]


def test_rounding_errors_are_zero():
    assert cells("estimate", 251.4, -1e-14) == ["251.4", "0.0"]


def test_decimals_of_another_column():
    columns = (Column("estimate", "estimate", 1), Column("se", "estimate"))
    table = Table("", columns, ((251.405105, 6.824557), (10.467286, 1.545789), (0.0001, None)))
    assert table.cells() == (("251.405", "6.825"), ("10.467", "1.546"), ("0.0001", ""))


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ((1.5e-300, 0.0), ["1.500e-300", "0"]),
        ((1e300, 1.0), ["1.000e+300", "1.000e+00"]),
        ((0.0, 0.0), ["0.000", "0.000"]),
        ((math.nan,), ["NaN"]),
    ],
)
def test_extreme_estimates(values, texts):
    assert cells("estimate", *values) == texts


def test_a_rounded_zero_has_no_sign():
    assert cells("statistic", -0.00001) == ["0.000"]
    assert cells("statistic", -0.001) == ["-0.001"]


def test_repr_says_the_size():
    table = Table("Fixed effects", (Column("a"), Column("b")), (("x", "y"),))
    assert repr(table) == "Table('Fixed effects', 1 rows x 2 columns)"
    assert table.heading == ("a", "b")
