"""Structured residuals that these data cannot have: refused with the evidence."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from lmmformula.design.times import MOST_STEPS, count_within, numbers_in
from lmmformula.errors import DataError, DesignError, DesignWarning, FormulaError, FormulaWarning
from tests.unit.design.frames import N
from tests.unit.design.test_residual import data, design, made


def raised(kind, *args, **options):
    with pytest.raises(kind) as caught:
        design(*args, **options)
    assert caught.type is kind
    assert str(caught.value).count("\nGot: ") == 1
    assert str(caught.value).count("\nTry: ") == 1
    return caught.value


@pytest.mark.parametrize(
    ("text", "column", "closest"),
    [("ar1(visits | g)", "visits", "visit"), ("ar1(visit | G)", "G", "g")],
)
def test_misspelt_columns(text, column, closest):
    error = raised(FormulaError, text)
    assert (error.column, error.closest, error.term) == (column, closest, text)
    assert text.replace(column, closest) in error.suggestion


@pytest.mark.parametrize("text", ["ident(Sex)", "power(sizes)", "exp(x | Sex)"])
def test_misspelt_columns_of_variance_functions(text):
    error = raised(FormulaError, variance=text)
    assert error.term == text
    assert error.closest in ("sex", "size")


@pytest.mark.parametrize("text", ["ar1(age | sex)", "car1(age | sex)", "us(age | sex)"])
def test_two_rows_at_one_time(text):
    error = raised(DataError, text, rows=data().iloc[::-1])
    assert (error.group, error.level, error.time) == ("sex", "f", "8")
    assert error.rows.tolist() == [3, 7, 11]
    assert error.n_pairs == 16
    assert "f" in error.got
    assert "age 8" in error.got


def test_two_rows_at_one_time_by_their_places_in_the_data():
    rows = data(age=lambda d: np.where(d.index == 21, 8, d.age))
    error = raised(DataError, "ar1(age | g)", rows=rows, subset="x < 1e9 & age != 12")
    assert error.rows.tolist() == [20, 21]
    assert error.level == "f"


def test_times_that_are_not_whole():
    for text in ("ar1(t | g)", "arma(t | g)", "toep(t | g)", "hetar1(t | g)"):
        error = raised(DataError, text)
        assert error.column == "t"
        assert 'residual="car1(t | g)"' in error.suggestion
        assert "factor" not in error.suggestion
    for text in ("us(t | g)", "cs(t | g)"):
        assert "`factor(t)`" in raised(DataError, text).suggestion


def test_times_must_be_finite():
    rows = data(t=lambda d: np.where(d.index == 4, np.inf, d.t))
    for text in ("car1(t | g)", "ar1(t | g)"):
        error = raised(DataError, text, rows=rows)
        assert (error.role, error.column, error.rows.tolist()) == ("time", "t", [4])


def test_too_many_steps():
    rows = data(second=np.cumsum(np.arange(N) % 7 * MOST_STEPS + 1))
    error = raised(DesignError, "ar1(second | g)", rows=rows)
    assert 'car1(second | g)"' in error.suggestion
    spaced = data(second=lambda d: d.visit * 10**9)
    assert made("ar1(second | g)", rows=spaced).positions.max() == 4


def test_too_many_times_for_parameters_of_their_own():
    n = 402
    rows = {"y": np.arange(n) % 11, "x": np.arange(n) % 5, "v": np.arange(n) // 2}
    rows["g"] = np.arange(n) % 2
    for word in ("us", "toep"):
        error = raised(DesignError, f"{word}(v | g)", rows=rows)
        assert error.n_positions == n // 2
        assert "`ar1(v | g)`" in error.suggestion


def test_a_category_where_times_are_needed():
    error = raised(DataError, "car1(h | g)")
    assert error.column == "h"
    assert "`ar1(h | g)`" in error.suggestion


def test_several_columns_are_no_time():
    for text in ("car1(poly(t, 2) | g)", "ar1(poly(t, 2) | g)"):
        raised(DataError, text)


def test_measurements_do_not_group():
    assert raised(DataError, "ar1(visit | t)").column == "t"


def test_no_group_has_two_rows():
    error = raised(DesignError, "ar1(visit | id)", rows=data(id=np.arange(N)))
    assert error.group == "id"
    with pytest.warns(DesignWarning, match="two rows"):
        design("ar1(visit | id)", rows=data(id=np.arange(N)), checks="warn")
    assert design("ar1(visit | id)", rows=data(id=np.arange(N)), checks="ignore")


def staggered():
    """Half of the groups are seen at times 1 to 3, half at 2 to 4."""
    rows = data(visit=np.tile([1, 2, 3, 4], 6))
    return rows[~((rows.sex == "m") & (rows.visit == 1) | (rows.sex == "f") & (rows.visit == 4))]


def test_times_that_never_occur_together():
    error = raised(DesignError, "us(visit | g)", rows=staggered())
    assert (error.pair, error.n_pairs) == (("1", "4"), 1)
    assert "1 and 4" in error.got
    assert raised(DesignError, "us(visit | g, hom=True)", rows=staggered()).pair == ("1", "4")
    assert made("us(visit | g)", rows=staggered(), checks="ignore").labels == tuple("1234")


def test_distances_that_never_occur():
    error = raised(DesignError, "toep(visit | g)", rows=staggered())
    assert error.lags == (3,)
    rows = data(visit=np.tile([0, 1, 5, 6], 6))
    assert raised(DesignError, "homtoep(visit | g)", rows=rows).lags == (2, 3)


def test_times_without_rows():
    error = raised(DesignError, "hetar1(visit | g)")
    assert error.times == ("3",)
    assert error.suggestion == "`ar1(visit | g)`"


def test_a_random_intercept_beside_structures_that_hold_it():
    for text in ("cs(1 | g)", "us(age | g)", "homtoep(age | g)"):
        error = raised(DesignError, text, formula="y ~ x + (1 | g)")
        assert (error.term, error.group) == ("(1 | g)", "g")
    for text in ("cs(age | g)", "ar1(age | g)", "toep(age | g)", "arma(age | g)"):
        assert design(text, formula="y ~ x + (1 | g)")
    assert design("cs(1 | g)", formula="y ~ x + (1 | h)")


def test_levels_out_of_order():
    rows = data(v=np.tile(["1", "2", "10", "11"], 6))
    assert raised(DesignError, "ar1(v | g)", rows=rows).levels == ("1", "10", "11", "2")
    assert made("us(v | g)", rows=rows).labels == ("1", "10", "11", "2")


def test_unequal_steps_are_mentioned():
    v = pd.Categorical(np.tile(["w1", "w2", "w4", "w8"], 6), categories=["w1", "w2", "w4", "w8"])
    with pytest.warns(FormulaWarning) as caught:
        made("ar1(v | g)", rows=data(v=v))
    assert "car1(v | g)" in caught[0].message.suggestion


def test_strata_of_one_level():
    one = data(sex="m")
    assert raised(DesignError, variance="ident(sex)", rows=one).term == "ident(sex)"
    assert "`power(x)`" in raised(DesignError, variance="power(x | sex)", rows=one).suggestion


def test_a_power_of_zero():
    rows = data(size=lambda d: np.where(d.index.isin([3, 8]), 0.0, 1.0 + d.index))
    error = raised(DataError, variance="power(size)", rows=rows, subset="visit > 1")
    assert error.rows.tolist() == [3]
    assert error.suggestion == "`exp(size)`, which takes zeros"
    assert made(variance="exp(size)", rows=rows)


def test_covariates_must_be_numbers():
    error = raised(DataError, variance="power(h)")
    assert (error.column, error.suggestion[:10]) == ("h", "`ident(h)`")
    raised(DataError, variance="exp(poly(x, 2))")
    rows = data(size=lambda d: np.where(d.index == 4, np.inf, d["size"]))
    error = raised(DataError, variance="exp(size)", rows=rows)
    assert (error.role, error.rows.tolist()) == ("covariate", [4])


def test_covariates_must_vary():
    for text in ("power(one)", "exp(one)", "exp(one | sex)", "power(sign)"):
        rows = data(one=3.0, sign=lambda d: np.sign(d.x))
        column = raised(DesignError, variance=text, rows=rows).column
        assert column == ("sign" if "sign" in text else "one")
    rows = data(part=lambda d: np.where(d.sex == "m", 5.0, d["size"]))
    assert made(variance="power(part | sex)", rows=rows)


def test_covariates_whose_exponentials_overflow():
    rows = data(year=lambda d: 1e6 + d.x)
    for text, better in {"exp(year)": "exp(I(year - ", "power(year)": "power(I(year / "}.items():
        error = raised(DataError, variance=text, rows=rows)
        assert error.column == "year"
        assert better in error.suggestion
        pasted = error.suggestion.split("`")[1]
        assert made(variance=pasted, rows=rows)


def test_numbers_in_labels():
    assert numbers_in(["1", "2", "10"]).tolist() == [1, 2, 10]
    assert numbers_in(["week 2", "week 10"]).tolist() == [2, 10]
    assert numbers_in(["-1.5 h", "+2 h"]).tolist() == [-1.5, 2]
    assert numbers_in(["a", "b"]) is None
    assert numbers_in(["week 2", "day 10"]) is None
    assert numbers_in(["t1 a2", "t2 a2"]) is None


def test_counting_within_groups():
    codes = np.array([2, 0, 2, 1, 0, 2], dtype=np.int32)
    assert count_within(codes).tolist() == [0, 0, 1, 0, 1, 2]
