"""What ``rm_anova`` refuses, and what it says."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

import lmmformula as lf
from lmmformula.errors import DataError, DesignError, OptionError

NOISE = np.random.default_rng(1).normal(size=48)
DATA = pd.DataFrame(
    [
        (f"s{i}", "old" if i < 4 else "young", visit, dose, 5.0 * i + visit)
        for i in range(8)
        for visit in (1, 2, 3)
        for dose in (0, 1)
    ],
    columns=["who", "age", "visit", "dose", "y"],
)
DATA["y"] += NOISE


def analyse(data=DATA, **options):
    options = {
        "response": "y",
        "subject": "who",
        "within": ["visit", "dose"],
        "between": "age",
        **options,
    }
    return lf.rm_anova(data, **options)


def failure(kind, data=DATA, **options):
    with pytest.raises(kind) as error:
        analyse(data, **options)
    assert error.value.got
    assert error.value.suggestion
    return error.value


@pytest.mark.parametrize(
    ("role", "names", "closest"),
    [
        ("response", "Y2", "y"),
        ("subject", "whom", "who"),
        ("within", ["visits", "dose"], "visit"),
        ("between", "Age", "age"),
    ],
)
def test_unknown_column(role, names, closest):
    error = failure(DataError, **{role: names})
    assert (error.role, error.closest) == (role, closest)
    assert set(error.available) == set(DATA)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("response", ["y"]),
        ("subject", 3),
        ("within", [1, 2]),
        ("between", 4),
        ("type", "I"),
        ("type", True),
        ("hf", "GG"),
        ("aggregate", "median"),
        ("missing", "ignore"),
        ("observed", "weight"),
    ],
)
def test_options(option, value):
    assert failure(OptionError, **{option: value}).option == option


def test_no_within_factor():
    error = failure(OptionError, within=[])
    assert "lf.aov('y ~ age', data)" in error.suggestion


def test_column_in_two_parts():
    assert failure(OptionError, between=["age", "dose"]).column == "dose"
    assert failure(OptionError, within=["visit", "visit"]).column == "visit"


@pytest.mark.parametrize("role", ["within", "between"])
def test_factor_with_one_level(role):
    rows = DATA[(DATA["visit"] == 1) & (DATA["age"] == "old")]
    options = {"within": "dose"} if role == "between" else {"between": None}
    error = failure(DesignError, rows, **options)
    assert error.column == {"within": "visit", "between": "age"}[role]
    assert len(error.levels) == 1


@pytest.mark.parametrize(
    "values", [DATA["who"], pd.date_range("2020-01-01", periods=len(DATA))], ids=["text", "dates"]
)
def test_response_that_is_not_numeric(values):
    assert failure(DataError, DATA.assign(y=np.asarray(values))).column == "y"


def test_infinite_response():
    data = DATA.copy()
    data.loc[5, "y"] = np.inf
    assert failure(DataError, data).rows.tolist() == [5]


def test_response_missing_everywhere():
    assert failure(DataError, DATA.assign(y=np.nan)).column == "y"


@pytest.mark.parametrize("column", ["who", "visit", "age"])
def test_labels_that_are_missing(column):
    data = DATA.astype({"visit": float})
    data.loc[[3, 9], column] = None if column != "visit" else np.nan
    error = failure(DataError, data)
    assert error.column == column
    assert error.rows.tolist() == [3, 9]


def test_subject_in_two_groups():
    data = DATA.copy()
    data.loc[:2, "age"] = "young"
    error = failure(DataError, data)
    assert error.subjects == ("s0",)
    assert error.column == "age"
    assert "'s0' in 'old' and 'young'" in error.got


def test_labels_used_again_in_every_group():
    again = DATA.assign(who=DATA["who"].str[1].astype(int) % 4)
    error = failure(DataError, again)
    assert len(error.subjects) == 4
    data = again
    code = error.suggestion.split("`")[-2]
    exec(code, {"data": data})
    pd.testing.assert_frame_equal(analyse(data).to_frame(), analyse().to_frame())


def test_subjects_that_lack_cells():
    data = DATA.drop(index=[7, 8]).copy()
    data.loc[12, "y"] = np.nan
    error = failure(DataError, data)
    assert error.subjects == ("s1", "s2")
    assert error.cells["s1"] == ("visit=1, dose=1", "visit=2, dose=0")
    assert "(visit=1, dose=0) (response missing)" in error.got.replace("dose=0 (", "dose=0) (", 1)
    call = error.suggestion.split("`")[1]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", lf.SingularFitWarning)
        fit = eval(call, {"lf": lf, "data": data.dropna()})
    assert fit.formula.endswith("(1 | who) + (1 | who:visit) + (1 | who:dose)")
    assert "6 complete subjects" in error.suggestion


def test_nobody_is_complete():
    data = DATA.drop(index=[6 * i + i % 6 for i in range(8)])
    error = failure(DataError, data, missing="drop")
    assert len(error.subjects) == 8
    assert 'missing="drop"' not in error.suggestion


def test_several_rows_per_cell():
    error = failure(DataError, within="visit")
    assert error.n_cells == 24
    assert len(error.rows) == 48
    assert 'aggregate="mean"' in error.suggestion
    analyse(within="visit", aggregate="mean")


def test_combination_of_groups_without_subjects():
    data = DATA.assign(sex=np.where(DATA["who"].isin(["s0", "s1", "s4", "s5"]), "f", "m"))
    analyse(data, between=["age", "sex"])
    data = data[~data["who"].isin(["s6", "s7"])]
    assert failure(DesignError, data, between=["age", "sex"]).cells == ("age=young, sex=m",)


def test_one_subject_per_group():
    error = failure(DesignError, DATA[DATA["who"].isin(["s0", "s4"])])
    assert (error.n_subjects, error.n_groups) == (2, 2)
    alone = failure(DesignError, DATA[DATA["who"] == "s0"], between=None)
    assert alone.n_subjects == 1


def test_measurement_among_the_factors():
    rng = np.random.default_rng(2)
    data = {
        "y": rng.normal(size=3000),
        "who": rng.integers(0, 900, 3000),
        "x": rng.normal(size=3000),
    }
    with pytest.raises(DataError) as error:
        lf.rm_anova(data, response="y", subject="who", within="x")
    assert error.value.n_cells == 3000


def test_no_rows_and_no_table():
    failure(DataError, DATA.iloc[:0])
    failure(DataError, "data.csv")
