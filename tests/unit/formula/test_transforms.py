"""Functions of formulas: R's columns, kept coefficients on new data, errors.

References were made by ``tests/reference/formula/transforms.R``.
"""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from formulaic.utils.stateful_transforms import stateful_eval

from lmmformula.errors import DataError, FormulaError
from lmmformula.formula import parse
from lmmformula.formula.transforms import TRANSFORMS

REFERENCE = json.loads(
    (Path(__file__).parents[2] / "reference" / "formula" / "transforms.json").read_text()
)
X, NEW = np.array(REFERENCE["x"]), np.array(REFERENCE["new"])


def evaluate(text, state=None, **columns):
    """Evaluate the left-hand side of a formula as the design does."""
    atom = parse(f"{text} ~ 1", require_random=False).response_atom
    environment = {**TRANSFORMS, **{name: columns[name] for name in atom.variables}}
    result = stateful_eval(atom.expr, environment, None, {} if state is None else state, None)
    return getattr(result, "__wrapped__", result)


@pytest.mark.parametrize("text", list(REFERENCE["bases"]))
def test_bases_are_those_of_r(text):
    expected, state = REFERENCE["bases"][text], {}
    fitted = evaluate(text, state, x=X)
    np.testing.assert_allclose(fitted.reshape(len(X), -1), expected["fit"], rtol=1e-11, atol=1e-13)
    state = pickle.loads(pickle.dumps(state))
    replayed = evaluate(text, state, x=NEW)
    np.testing.assert_allclose(
        replayed.reshape(len(NEW), -1), expected["new"], rtol=1e-10, atol=1e-11
    )


@pytest.mark.parametrize("text", list(REFERENCE["rows"]))
def test_arithmetic_is_that_of_r(text):
    found = np.asarray(evaluate(text, x=X), dtype=float)
    np.testing.assert_allclose(found, REFERENCE["rows"][text], rtol=1e-13)


@pytest.mark.parametrize("text", list(REFERENCE["cuts"]))
def test_classes_are_those_of_r(text):
    expected = REFERENCE["cuts"][text]
    found = evaluate(text, x=X)
    assert list(found.cat.categories) == expected["levels"]
    assert [code + 1 for code in found.cat.codes] == expected["codes"]


ONE_NUMBER = ["mean(x)", "median(x)", "sd(x)", "var(x)", "min(x)", "max(x)", "sum(x)"]


@pytest.mark.parametrize("text", ONE_NUMBER)
def test_summaries_are_kept_for_new_data(text):
    state = {}
    fitted = evaluate(text, state, x=X)
    assert evaluate(text, state, x=NEW) == fitted
    assert evaluate(text, x=np.append(X, np.nan)) == pytest.approx(fitted, rel=1e-14)


def test_equal_width_classes_are_kept_for_new_data():
    state = {}
    fitted = evaluate("cut(x, 4)", state, x=X)
    again = evaluate("cut(x, 4)", state, x=NEW)
    assert list(again.cat.categories) == list(fitted.cat.categories)
    assert list(again.isna()) == [False, True, False, False, False, True]


STATEFUL = [text for text in REFERENCE["bases"] if "raw" not in text]


@pytest.mark.parametrize("text", STATEFUL)
def test_missing_values_stay_missing_and_do_not_count(text):
    gap = np.insert(X, 3, np.nan)
    found = evaluate(text, x=gap).reshape(len(gap), -1)
    assert np.isnan(found[3]).all()
    whole = evaluate(text, x=X).reshape(len(X), -1)
    np.testing.assert_allclose(np.delete(found, 3, axis=0), whole, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("text", list(REFERENCE["bases"]))
def test_the_data_are_not_changed(text):
    values = X.copy()
    values.flags.writeable = False
    evaluate(text, x=values)
    np.testing.assert_array_equal(values, X)


@pytest.mark.parametrize("dtype", ["Float64", "float32", "object"])
def test_columns_of_other_types(dtype):
    column = pd.Series(X).astype(dtype)
    expected = evaluate("poly(x, 2)", x=X.astype("float32") if dtype == "float32" else X)
    np.testing.assert_allclose(evaluate("poly(x, 2)", x=column), expected, rtol=1e-12)


def test_arguments_of_formulaics_own_splines_are_understood():
    from formulaic.transforms import TRANSFORMS as FORMULAIC

    found = evaluate("bs(x, df=5, include_intercept=TRUE, extrapolation='clip')", x=X)
    expected = FORMULAIC["bs"](X, df=5, include_intercept=True, extrapolation="clip")
    for field, column in expected.items():
        np.testing.assert_array_equal(found[field], column)


def test_polynomials_of_years_are_orthonormal():
    years = np.arange(1990.0, 2025.0)
    basis = evaluate("poly(x, 5)", x=years)
    np.testing.assert_allclose(basis.T @ basis, np.eye(5), atol=1e-12)
    assert (basis[-1] > 0).all()


def test_a_factor_gives_its_codes_as_numbers():
    column = pd.Series(pd.Categorical(["b", "a", None, "c"], categories=["c", "b", "a"]))
    np.testing.assert_array_equal(evaluate("as.numeric(x)", x=column), [2, 3, np.nan, 1])
    np.testing.assert_array_equal(evaluate("as.numeric(x)", x=np.array(["1.5", "2"])), [1.5, 2])


def test_ifelse_is_missing_where_its_test_is():
    test = pd.Series([True, False, None], dtype="boolean")
    np.testing.assert_array_equal(evaluate("ifelse(x, 1, 0)", x=test), [1, 0, np.nan])


def test_undefined_logarithms_are_silent():
    found = evaluate("log(x)", x=np.array([-1.0, 0.0, 1.0]))
    np.testing.assert_array_equal(found, [np.nan, -np.inf, 0.0])


FAILURES = {
    "poly(x, 12)": (DataError, "distinct", 12),
    "poly(x, 0)": (FormulaError, "argument", "degree"),
    "poly(x, 1.5)": (FormulaError, "argument", "degree"),
    "ns(x, df=0)": (FormulaError, "argument", "df"),
    "bs(x, df=2)": (FormulaError, "argument", "df"),
    "bs(x, degree=0)": (FormulaError, "argument", "degree"),
    "ns(x, Boundary.knots=3)": (FormulaError, "argument", "Boundary.knots"),
    "bs(x, knots=c(1, NA))": (FormulaError, "argument", "knots"),
    "cut(x, 1)": (FormulaError, "argument", "breaks"),
    "cut(x, c(0, 5, 10), labels=c('a'))": (FormulaError, "argument", "labels"),
    "scale(x, center='a')": (FormulaError, "argument", "center"),
    "log(x, -1)": (FormulaError, "argument", "base"),
    "mean(x, x)": (FormulaError, "argument", "..."),
}


@pytest.mark.parametrize("text", list(FAILURES))
def test_arguments_that_cannot_be_used(text):
    kind, fact, value = FAILURES[text]
    with pytest.raises(kind) as caught:
        evaluate(text, x=X)
    assert getattr(caught.value, fact) == value
    assert caught.value.got
    assert caught.value.suggestion


@pytest.mark.parametrize("text", ["scale(x)", "poly(x, 1)", "ns(x, 2)", "bs(x)", "mean(x)"])
@pytest.mark.parametrize(
    "column",
    [
        np.array(["a", "b"]),
        pd.Series(pd.Categorical(["1", "2"])),
        np.array([1.0, np.inf]),
        np.array([np.nan, np.nan]),
        np.ones((2, 2)),
    ],
    ids=["text", "factor", "infinite", "missing", "matrix"],
)
def test_columns_that_cannot_be_used(text, column):
    with pytest.raises(DataError) as caught:
        evaluate(text, x=column)
    assert caught.value.function in text


@pytest.mark.parametrize("text", ["scale(x)", "poly(x, 1)", "ns(x, 2)", "bs(x)"])
def test_constant_columns(text):
    with pytest.raises((DataError, FormulaError)):
        evaluate(text, x=np.full(5, 3.0))


def test_every_function_of_formulaic_is_still_there():
    from formulaic.transforms import TRANSFORMS as FORMULAIC

    assert set(FORMULAIC) <= set(TRANSFORMS)
