"""Everything that cannot be fitted is refused with the facts of the case."""

import datetime
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from lmmformula.errors import (
    DataError,
    DataWarning,
    DesignError,
    DesignWarning,
    DroppedRowsWarning,
    FormulaError,
    LMMError,
    OptionError,
    RankWarning,
)
from tests.unit.design.frames import FULL, N, design, frame


def with_first(value):
    return np.r_[value, np.ones(N - 1)]


def raised(kind, *args, **options):
    with pytest.raises(kind) as caught:
        design(*args, **options)
    assert caught.type is kind
    assert str(caught.value).count("\nGot: ") == 1
    assert str(caught.value).count("\nTry: ") == 1
    return caught.value


@pytest.mark.parametrize(
    ("formula", "column", "closest"),
    [
        ("y ~ x + (1 + xx | g)", "xx", "x"),
        ("y ~ X + (1 | g)", "X", "x"),
        ("y ~ log(gg2) + (1 | h)", "gg2", None),
        ("y ~ x + (1 | G)", "G", "g"),
        ("Y ~ x + (1 | g)", "Y", "y"),
        ("y ~ x + offset(zz) + (1 | g)", "zz", "z"),
        ("y ~ x + `a b` + (1 | g)", "a b", None),
        ("y ~ x + (1 | `a b`)", "a b", None),
    ],
)
def test_missing_column(formula, column, closest):
    error = raised(FormulaError, formula)
    assert error.column == column
    assert error.closest == closest
    assert error.available == ("y", "x", "z", "g", "h")


def test_misspelt_column_comes_with_the_term_to_paste():
    error = raised(FormulaError, "y ~ x + (1 + day | g)", frame(days=1.0))
    assert error.closest == "days"
    assert "`(1 + days | g)`" in error.suggestion


def test_a_suggestion_replaces_whole_names_only():
    error = raised(FormulaError, "y ~ exp(ex) + (1 | g)", frame(ex_=1.0))
    assert "`exp(ex_)`" in error.suggestion


def test_python_variables_of_the_caller_are_not_seen():
    secret = np.ones(N)  # noqa: F841
    assert raised(FormulaError, "y ~ x + secret + (1 | g)").column == "secret"
    assert raised(FormulaError, "y ~ I(x * secret) + (1 | g)").column == "secret"
    assert raised(FormulaError, "y ~ {open(x)} + (1 | g)").function == "open"
    assert raised(FormulaError, "y ~ {x.__class__} + (1 | g)").term == "x.__class__"


def test_expression_that_fails():
    error = raised(FormulaError, "y ~ I(h * 2) + (1 | g)")
    assert error.expression == "I(h * 2)"


@pytest.mark.parametrize("weights", ["ww", "hh"])
def test_missing_weights_column(weights):
    error = raised(DataError, FULL, frame(w=1.0), weights=weights)
    assert (error.role, error.column) == ("weights", weights)
    assert error.closest in ("w", "h")


@pytest.mark.parametrize(
    ("weights", "kind"),
    [(0.0, "zero"), (-1.0, "negative"), (np.nan, "missing"), (np.inf, "infinite")],
)
def test_weights_that_are_not_positive(weights, kind):
    error = raised(DataError, FULL, weights=with_first(weights))
    assert (error.role, error.kind) == ("weights", kind)
    assert error.rows.tolist() == [0]
    by_name = raised(DataError, FULL, frame(w=with_first(weights)), weights="w")
    assert by_name.kind == kind


def test_weights_only_matter_in_rows_that_are_used():
    data = frame(x=lambda d: d.x.where(d.index > 0))
    with pytest.warns(DroppedRowsWarning):
        made = design("y ~ x + (1 | g)", data, weights=with_first(np.nan))
    assert made.matrices.weights.tolist() == [1.0] * (N - 1)


@pytest.mark.parametrize("role", ["weights", "offset", "subset"])
def test_wrong_length(role):
    error = raised(DataError, FULL, **{role: np.ones(3)})
    assert (error.role, error.length, error.expected) == (role, 3, N)
    two_dimensional = raised(DataError, FULL, **{role: np.ones((N, 2))})
    assert two_dimensional.role == role


@pytest.mark.parametrize("role", ["weights", "offset"])
@pytest.mark.parametrize("given", ["h", ["a"] * N, pd.date_range("2020", periods=N)])
def test_arguments_that_are_not_numeric(role, given):
    assert raised(DataError, FULL, **{role: given}).role == role


def test_offset_that_is_not_numeric_or_infinite():
    assert raised(DataError, "y ~ x + offset(h) + (1 | g)").column == "h"
    assert raised(DataError, FULL, offset=with_first(np.inf)).rows.tolist() == [0]


@pytest.mark.parametrize("response", ["h", "t", "poly(x, 2)"])
def test_response_that_is_not_numeric(response):
    data = frame(t=pd.date_range("2020-01-01", periods=N))
    assert raised(DataError, f"{response} ~ x + (1 | g)", data).column == response


def test_constant_response():
    assert raised(DesignError, FULL, frame(y=2.0)).column == "y"


def test_infinite_values_are_located():
    assert raised(DataError, FULL, frame(y=with_first(np.inf))).rows.tolist() == [0]
    error = raised(DataError, FULL, frame(x=lambda d: d.x.where(d.index != 3, -np.inf)))
    assert (error.column, error.rows.tolist(), error.role) == ("x", [3], "predictor")
    error = raised(DataError, "y ~ log(k) + (1 | g)", frame(k=np.arange(N)))
    assert (error.column, error.rows.tolist()) == ("log(k)", [0])
    error = raised(DataError, "1 / k ~ x + (1 | g)", frame(k=np.arange(N)))
    assert (error.column, error.rows.tolist()) == ("1 / k", [0])


def test_infinite_rows_are_counted_in_the_data_not_in_the_rows_used():
    data = frame(x=lambda d: d.x.where(d.index != 5, np.inf), keep=np.arange(N) > 3)
    assert raised(DataError, "y ~ x + (1 | g)", data, subset="keep").rows.tolist() == [5]


def test_infinite_effect_outside_of_the_fixed_part():
    data = frame(x=lambda d: d.x.where(d.index != 5, np.inf))
    assert raised(DataError, "y ~ 1 + (x | g)", data).rows.tolist() == [5]


@pytest.mark.parametrize("data", [frame().iloc[:0], pd.DataFrame(), {}, {"y": []}])
def test_no_rows(data):
    raised(DataError, FULL, data)


def test_all_rows_missing():
    error = raised(DataError, FULL, frame(x=np.nan))
    assert (error.n_dropped, error.columns) == (N, ("x",))
    raised(DataError, FULL, frame(x=[None] * N))


def test_missing_rows_refused():
    error = raised(DataError, FULL, frame(x=with_first(np.nan)), missing="raise")
    assert (error.n_dropped, error.columns, error.rows.tolist()) == (1, ("x",), [0])


@pytest.mark.parametrize(
    ("formula", "data", "facts"),
    [
        (FULL, frame(g="a"), {"n_levels": 1, "group": "g"}),
        ("y ~ x + (1 | g)", frame(g=np.arange(N)), {"n_levels": N, "n_obs": N}),
        (FULL, frame(g=np.repeat(np.arange(12), 2)), {"n_levels": 12, "n_effects": 24}),
        ("y ~ x + (1 | g:h)", frame(), {"n_levels": N, "group": "g:h"}),
    ],
)
def test_designs_that_lme4_refuses(formula, data, facts):
    error = raised(DesignError, formula, data)
    assert {name: getattr(error, name) for name in facts} == facts
    with pytest.warns(DesignWarning) as caught:
        design(formula, data, checks="warn")
    assert len(caught) == 1
    assert {name: getattr(caught[0].message, name) for name in facts} == facts
    design(formula, data, checks="ignore")


def test_refusals_count_dropped_rows():
    with pytest.warns(DroppedRowsWarning):
        error = raised(
            DesignError, "y - z ~ x + (1 | g)", frame(g=np.arange(N), z=with_first(np.nan))
        )
    assert "after dropping 1 with missing values" in error.got


def test_not_more_rows_than_coefficients():
    with pytest.warns(RankWarning):
        error = raised(DesignError, "y ~ x * z * h + (1 | g)", frame().iloc[:8], checks="ignore")
    assert (error.n_obs, error.p) == (8, 8)


@pytest.mark.parametrize("values", [np.repeat(np.arange(6) + 0.5, 4), np.repeat([1e300, 2.0], 12)])
def test_measurements_do_not_group(values):
    error = raised(DataError, "y ~ x + (1 | g)", frame(g=values))
    assert (error.column, error.term) == ("g", "(1 | g)")
    raised(DataError, "y ~ x + (1 | poly(x, 2))")


def test_duplicate_columns_matter_only_when_needed():
    data = pd.concat([frame(), frame()[["x"]]], axis=1)
    assert raised(DataError, FULL, data).column == "x"
    design("y ~ z + (1 | g)", data)


def test_column_groups():
    data = pd.concat({"a": frame(), "b": frame()}, axis=1).rename(columns={"a": "y"}, level=0)
    with pytest.raises(LMMError):
        design("y ~ 1 + (1 | g)", data)


@pytest.mark.parametrize(
    ("contrasts", "variable"),
    [({"h": "summ"}, "h"), ({"h": 3}, "h"), ({"x": "sum"}, "x"), ({"q": "sum"}, "q")],
)
def test_unknown_contrasts(contrasts, variable):
    error = raised(OptionError, "y ~ h + x + (1 | g)", contrasts=contrasts)
    assert (error.option, error.variable) == ("contrasts", variable)
    assert error.available


@pytest.mark.parametrize(
    "options",
    [
        {"contrasts": "sum"},
        {"contrasts": {"h": np.eye(3)}},
        {"contrasts": {"h": [[1.0, np.nan]] * 4}},
        {"missing": "omit"},
        {"checks": "maybe"},
        {"subset": "x"},
        {"subset": np.arange(N)},
        {"subset": np.array(["a"] * N)},
    ],
)
def test_options(options):
    error = raised(OptionError, "y ~ h + x + (1 | g)", **options)
    assert error.option == next(iter(options))


def test_contrast_base_that_is_no_level():
    error = raised(OptionError, "y ~ C(h, contr.treatment(base='q')) + (1 | g)")
    assert error.variable == "h"


def test_subset_of_nothing_or_nonsense():
    assert raised(DataError, FULL, subset=np.zeros(N, dtype=bool)).role == "subset"
    assert raised(FormulaError, FULL, subset="x > & 2").role == "subset"
    assert raised(FormulaError, FULL, subset="xx > 2").column == "xx"


def test_factor_with_one_level():
    error = raised(DesignError, "y ~ f + (1 | g)", frame(f="only"))
    assert (error.variable, error.levels) == ("f", ("only",))


@pytest.mark.parametrize(
    "values",
    [
        np.arange(N) * 1j,
        np.array([b"a", b"b"] * 12, dtype=object),
        np.array([1, "a"] * 12, dtype=object),
        np.array([[1], [2]] * 12, dtype=object)[:, 0].tolist() and [[1]] * N,
        [{"a": 1}] * N,
        [datetime.time(1)] * N,
    ],
    ids=["complex", "bytes", "mixed", "lists", "dicts", "times"],
)
def test_columns_of_unusable_kinds(values):
    series = pd.Series(list(values) if isinstance(values, list) else values)
    assert raised(DataError, "y ~ s + (1 | g)", frame(s=series)).column == "s"


@pytest.mark.parametrize(
    "values",
    [
        np.arange(N) + 2**60,
        np.arange(N) - 2**60,
        np.arange(N, dtype=np.uint64) + np.uint64(2**63),
        pd.Series(np.arange(N) + 2**60, dtype="Int64"),
        pd.Series([2**70 + i for i in range(N)], dtype=object),
        pd.Series([2**60 + i for i in range(N)], dtype=object),
    ],
    ids=["int64", "negative", "uint64", "Int64", "Python, huge", "Python"],
)
def test_integers_that_floats_cannot_hold(values):
    assert raised(DataError, "y ~ s + (1 | g)", frame(s=values)).column == "s"


@pytest.mark.parametrize("factor", [1e300, 1e-300, 1e120, 1e-120])
@pytest.mark.parametrize("column", ["y", "x"])
def test_scales_beyond_double_precision(column, factor):
    data = frame(**{column: lambda d: d[column] * factor})
    assert raised(DataError, FULL, data).column == column


def test_scale_of_products_effects_and_arguments():
    data = frame(x=lambda d: d.x * 1e60, z=lambda d: d.z * 1e60)
    assert raised(DataError, "y ~ x:z + (1 | g)", data).column == "x:z"
    assert raised(DataError, "y ~ 1 + (x | g)", frame(x=lambda d: d.x * 1e200)).column == "x"
    assert raised(DataError, FULL, weights=np.full(N, 1e-200)).column == "weights"
    assert raised(DataError, FULL, offset=np.full(N, 1e200)).column == "offset"


@pytest.mark.parametrize(
    ("values", "unit"),
    [
        (pd.date_range("2020-01-01", periods=N), "days since 1970-01-01"),
        (pd.date_range("2020-01-01", periods=N, tz="Europe/Berlin"), "days since 1970-01-01"),
        ([datetime.date(2020, 1, 1 + i) for i in range(N)], "days since 1970-01-01"),
        (pd.period_range("2020-01", periods=N, freq="M"), "days since 1970-01-01"),
        (np.arange(N).astype("M8[D]").astype("M8[us]"), "days since 1970-01-01"),
        (pd.to_timedelta(np.arange(N), unit="h"), "days"),
    ],
    ids=["datetime", "zone", "date", "period", "microseconds", "duration"],
)
def test_times_become_days_with_a_warning(values, unit):
    with pytest.warns(DataWarning) as caught:
        made = design("y ~ t + (1 | g)", frame(t=values))
    assert (caught[0].message.column, caught[0].message.unit) == ("t", unit)
    assert made.matrices.fixed_names == ("Intercept", "t")


def test_times_beyond_nanoseconds():
    far = np.array(["9999-12-31"] * (N - 1) + ["9000-12-30"], dtype="M8[s]")
    with pytest.warns(DataWarning):
        made = design("y ~ t + (1 | g)", frame(t=far))
    assert made.matrices.X[-1, 1] == (datetime.date(9000, 12, 30) - datetime.date(1970, 1, 1)).days


def test_days_are_those_of_r():
    days = pd.Series(pd.to_datetime(["2020-01-01 00:00", "2020-01-02 12:00"] * 12))
    with pytest.warns(DataWarning):
        made = design("y ~ t + (1 | g)", frame(t=days))
    assert made.matrices.X[:2, 1].tolist() == [18262.0, 18263.5]


def test_decimals_are_converted_with_a_warning():
    with pytest.warns(DataWarning) as caught:
        made = design("y ~ s + (1 | g)", frame(s=[Decimal(i) / 4 for i in range(N)]))
    assert caught[0].message.column == "s"
    assert made.matrices.X[:3, 1].tolist() == [0.0, 0.25, 0.5]


@pytest.mark.parametrize("data", [None, [1, 2], "y", 3.0, np.ones((3, 2))])
def test_data_that_are_no_table(data):
    from lmmformula.design import materialize
    from lmmformula.formula import parse

    with pytest.raises(DataError):
        materialize(parse(FULL), data)


def test_lazy_frames_name_the_remedy():
    polars = pytest.importorskip("polars")
    error = raised(DataError, FULL, polars.from_pandas(frame()).lazy())
    assert "collect" in error.suggestion


@pytest.mark.parametrize(
    "data", [{"y": [1.0, 2.0], "x": [1.0]}, {"y": [1.0], "x": 1.0}, {"y": [1.0], "x": "a"}]
)
def test_ragged_mappings(data):
    raised(DataError, FULL, data)


def test_mixed_objects_cannot_be_sorted_into_categories():
    mixed = pd.Series([1, "a"] * 12, dtype=object)
    assert raised(DataError, "y ~ C(s) + (1 | g)", frame(s=mixed)).column == "s"
    assert raised(DataError, "y ~ x + (1 | s)", frame(s=mixed)).column == "s"


def test_two_dimensional_entry():
    assert raised(DataError, "y ~ x + (1 | g)", {**frame(), "x": np.ones((N, 2))}).column == "x"


def test_too_many_columns_for_any_memory():
    n = 20_000
    data = {"y": np.arange(n) % 7 * 1.0, "x": np.arange(n).astype(str), "g": np.arange(n) % 5}
    error = raised(DesignError, "y ~ x + (1 | g)", data)
    assert error.n_columns == n
