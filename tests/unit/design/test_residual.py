"""Structured residuals as arrays: what the engine gets, and what new rows get."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest

from lmmformula.design import materialize
from lmmformula.errors import DataError, DataWarning, DroppedRowsWarning, FormulaWarning
from lmmformula.formula import parse, parse_residual
from lmmformula.postfit.persist import without_rows
from tests.unit.design.frames import N, frame


def data(**columns):
    usual = {
        "visit": np.tile([1, 2, 4, 5], 6),
        "age": np.tile([8, 10, 12, 14], 6),
        "t": np.arange(N) ** 1.5,
        "sex": np.repeat(["m", "f"], N // 2),
        "size": lambda d: np.exp(d.x),
    }
    made = frame(**usual)
    for name, values in columns.items():
        made[name] = values(made) if callable(values) else values
    return made


def design(residual=None, variance=None, rows=None, formula="y ~ x", **options):
    structured = parse_residual(residual, variance)
    parsed = parse(formula, require_random=structured is None)
    return materialize(parsed, data() if rows is None else rows, residual=structured, **options)


def made(*args, **options):
    return design(*args, **options).matrices.residual


def test_without_the_arguments_there_is_none():
    made = design(formula="y ~ x + (1 | g)")
    assert made.matrices.residual is None
    assert made.spec.residual is None
    assert made.spec.replay_residual({"x": [1.0]}) is None


# structure: positions of the first four rows, labels of all positions
POSITIONS = {
    "ar1(visit | g)": ([0, 1, 3, 4], "1 2 3 4 5"),
    "arma(visit | g)": ([0, 1, 3, 4], "1 2 3 4 5"),
    "homtoep(visit | g)": ([0, 1, 3, 4], "1 2 3 4 5"),
    "ar1(age | g)": ([0, 1, 2, 3], "8 10 12 14"),
    "us(visit | g)": ([0, 1, 2, 3], "1 2 4 5"),
    "cs(visit | g)": ([0, 1, 2, 3], "1 2 4 5"),
    "ar1(1 | g)": ([0, 1, 2, 3], "1 2 3 4"),
    "cs(1 | g)": ([0, 1, 2, 3], "1 2 3 4"),
    "homcs(visit | g)": ([0, 1, 2, 3], "1 2 3 4"),
    "toep(h | g)": ([0, 1, 2, 3], "a b c d"),
    "us(factor(visit) | g)": ([0, 1, 2, 3], "1 2 4 5"),
}


@pytest.mark.parametrize("text", list(POSITIONS))
def test_positions(text):
    rows = made(text)
    positions, labels = POSITIONS[text]
    assert rows.positions.tolist() == positions * 6
    assert rows.positions.dtype == np.float64
    assert rows.labels == tuple(labels.split())
    assert rows.codes.tolist() == np.repeat(range(6), 4).tolist()
    assert rows.levels.tolist() == list("abcdef")
    assert (rows.group, rows.text) == ("g", text)
    assert rows.variances == ()


def test_times_stay_as_they_are():
    rows = made("car1(t | g)")
    assert rows.correlation == "car1"
    assert rows.positions.tolist() == data().t.tolist()
    assert rows.labels == ()


def test_gaps_of_a_factor_count_where_distances_do():
    v = pd.Categorical(np.tile(list("bcef"), 6), categories=list("abcdefg"))
    assert made("ar1(v | g)", rows=data(v=v)).positions[:4].tolist() == [0, 1, 3, 4]
    assert made("ar1(v | g)", rows=data(v=v)).labels == tuple("bcdef")
    assert made("us(v | g)", rows=data(v=v)).positions[:4].tolist() == [0, 1, 2, 3]
    assert made("us(v | g)", rows=data(v=v)).labels == tuple("bcef")


def test_negative_and_nullable_times():
    visit = pd.array(np.tile([-3, 0, 3, 6], 6), dtype="Int64")
    rows = made("ar1(visit | g)", rows=data(visit=visit))
    assert rows.labels == ("-3", "0", "3", "6")
    assert rows.positions[:4].tolist() == [0, 1, 2, 3]


def test_dates_are_days():
    days = pd.to_datetime("2024-02-27") + pd.to_timedelta(np.tile([0, 1, 2, 5], 6), unit="D")
    with pytest.warns(DataWarning):
        rows = made("ar1(day | g)", rows=data(day=days))
    assert rows.positions[:4].tolist() == [0, 1, 2, 5]


def test_groups_may_be_interactions():
    rows = made("ar1(1 | sex:h)")
    assert rows.group == "sex:h"
    assert rows.levels[:2].tolist() == ["f:a", "f:b"]
    assert np.bincount(rows.codes).tolist() == [3] * 8
    assert rows.positions.max() == 2


def test_order_of_the_rows_is_that_of_the_data():
    shuffled = data().sample(frac=1.0, random_state=3)
    rows = made("arma(1 | g)", rows=shuffled)
    for level in range(6):
        assert rows.positions[rows.codes == level].tolist() == [0, 1, 2, 3]


def test_variance_functions():
    rows = made(variance="ident(sex) + power(size | h) + exp(x)")
    assert rows.correlation is None
    assert rows.codes.tolist() == [0] * N
    assert (rows.group, rows.text, rows.labels) == ("", "", ())
    ident, power, exp = rows.variances
    assert (ident.function, ident.covariate, ident.levels) == ("ident", None, ("f", "m"))
    assert ident.codes.tolist() == [1] * 12 + [0] * 12
    assert power.covariate.tolist() == data()["size"].tolist()
    assert power.levels == tuple("abcd")
    assert power.codes.tolist() == [0, 1, 2, 3] * 6
    assert (exp.levels, exp.codes.tolist()) == (("all",), [0] * N)
    assert [v.text for v in rows.variances] == ["ident(sex)", "power(size | h)", "exp(x)"]


def test_negative_covariates_of_a_power_keep_their_sign():
    assert made(variance="power(x)").variances[0].covariate.tolist() == data().x.tolist()


def test_beside_random_effects_and_weights():
    both = design(
        "ar1(visit | g)", "power(size)", formula="y ~ x + (1 | h)", weights="size"
    ).matrices
    assert [block.text for block in both.random] == ["(1 | h)"]
    assert both.weights is not None
    assert both.residual.correlation == "ar1"


def test_true_and_false_are_levels():
    rows = made("cs(late | g:early)", "ident(late)", rows=flagged())
    assert rows.labels == ("1", "2")
    assert rows.variances[0].levels == ("False", "True")
    assert made("cs(late | g:early)", rows=flagged()).labels == ("False", "True")


def flagged():
    return data(late=lambda d: d.visit.isin([2, 5]), early=lambda d: d.visit < 3)


def test_missing_values_leave_rows_out():
    rows = data(visit=lambda d: np.where(d.index == 5, np.nan, d.visit))
    rows.loc[7, "g"] = None
    rows.loc[9, "size"] = np.nan
    rows.loc[11, "sex"] = None
    with pytest.warns(DroppedRowsWarning) as caught:
        left = design("ar1(visit | g)", "power(size | sex)", rows=rows)
    assert caught[0].message.counts == {"visit": 1, "g": 1, "size": 1, "sex": 1}
    assert left.spec.dropped_rows.tolist() == [5, 7, 9, 11]
    assert left.matrices.residual.positions.tolist() == (
        made("ar1(visit | g)").positions[left.matrices.rows].tolist()
    )
    with pytest.raises(DataError, match="missing"):
        design("ar1(visit | g)", rows=rows, missing="raise")


def test_subsets_choose_positions():
    rows = made("ar1(age | g)", subset="age != 10")
    assert rows.labels == ("8", "10", "12", "14")
    assert made("us(age | g)", subset="age != 10").labels == ("8", "12", "14")


def test_data_are_not_shared():
    frame = data()
    rows = made("car1(t | g)", "exp(x)", rows=frame)
    for array in (rows.positions, rows.variances[0].covariate):
        assert not array.flags.writeable
        assert not np.shares_memory(array, frame.t.to_numpy())
        assert not np.shares_memory(array, frame.x.to_numpy())


@pytest.mark.parametrize("kind", ["dict", "polars", "pyarrow"])
def test_other_frames(kind):
    frame = data()
    if kind == "dict":
        other = {name: frame[name].to_numpy() for name in frame}
    else:
        pytest.importorskip(kind)
        import polars

        other = polars.from_pandas(frame)
        other = other.to_arrow() if kind == "pyarrow" else other
    one = made("us(visit | g)", "power(size | sex)", rows=frame)
    two = made("us(visit | g)", "power(size | sex)", rows=other)
    assert one.positions.tolist() == two.positions.tolist()
    assert one.labels == two.labels
    assert one.variances[0].codes.tolist() == two.variances[0].codes.tolist()


def test_a_wildcard_mentions_the_groups():
    with pytest.warns(FormulaWarning, match="groups the residuals"):
        full = design("ar1(visit | g)", formula="y ~ .", rows=data()[["y", "x", "visit", "g"]])
    assert "g" in full.spec.formula.fixed.split(" + ")


def test_designs_can_be_pickled_and_emptied():
    full = design("us(visit | g)", "power(size | sex)")
    again = pickle.loads(pickle.dumps(full))
    assert again.matrices.residual.positions.tolist() == full.matrices.residual.positions.tolist()
    empty = without_rows(again)
    rows = empty.matrices.residual
    assert len(rows.codes) == len(rows.positions) == len(rows.variances[0].codes) == 0
    assert len(rows.variances[0].covariate) == 0
    new = empty.spec.replay_residual(data().iloc[:3])
    assert new.variances[0].codes.tolist() == [1, 1, 1]


def test_new_rows():
    spec = design("us(visit | g)", "power(size | sex) + ident(h)").spec
    assert spec.replay_residual(data()[["size", "sex", "h"]]).correlation == "homus"
    new = spec.replay_residual(
        {"size": [2.0, -3.0, np.nan, 1.0], "sex": ["m", "f", "f", None], "h": list("abcd")}
    )
    power, ident = new.variances
    np.testing.assert_array_equal(power.covariate, [2.0, -3.0, np.nan, np.nan])
    assert power.codes.tolist() == [1, 0, -1, -1]
    assert ident.codes.tolist() == [0, 1, 2, 3]
    assert np.isnan(new.positions).all()
    assert new.codes.tolist() == [-1] * 4


@pytest.mark.parametrize(
    ("text", "column"),
    [("us(visit | g)", "visit"), ("cs(visit | g)", "visit"), ("hetar1(age | g)", "age")],
)
def test_new_rows_at_times_with_their_own_variances(text, column):
    full = design(text)
    fitted = full.spec.replay_residual(data()[[column]])
    assert fitted.positions.tolist() == full.matrices.residual.positions.tolist()
    assert fitted.labels == full.matrices.residual.labels
    last = float(data()[column].max())
    new = full.spec.replay_residual({column: [last, np.nan]})
    np.testing.assert_array_equal(new.positions, [3.0, np.nan])
    with pytest.raises(DataError) as caught:
        full.spec.replay_residual({column: [last, 99.0]})
    assert caught.value.new == ("99",)
    with pytest.raises(DataError) as caught:
        full.spec.replay_residual({"x": [1.0]})
    assert caught.value.column == column


def test_new_dates():
    days = pd.to_datetime("2024-02-27") + pd.to_timedelta(np.tile([0, 1, 2, 5], 6), unit="D")
    with pytest.warns(DataWarning):
        spec = design("us(day | g)", rows=data(day=days)).spec
    with pytest.warns(DataWarning):
        new = spec.replay_residual({"day": pd.to_datetime(["2024-03-03", "2024-02-28"])})
    assert new.positions.tolist() == [3, 1]


def test_new_rows_with_levels_that_were_not_fitted():
    spec = design(variance="ident(sex:h)").spec
    with pytest.raises(DataError) as caught:
        spec.replay_residual({"sex": ["m", "x"], "h": ["a", "a"]})
    assert caught.value.new == ("x:a",)
    assert caught.value.available[0] == "f:a"


def test_new_rows_need_nothing_where_variances_are_equal():
    spec = design("ar1(visit | g)").spec
    assert spec.replay_residual({"x": [1.0]}).variances == ()


def test_places_in_the_order_of_rows_say_nothing_of_new_ones():
    spec = design("us(1 | g)").spec
    with pytest.raises(DataError, match="order of the rows") as caught:
        spec.replay_residual({"x": [1.0]})
    assert "us(time | g)" in caught.value.suggestion


def test_new_covariates_are_checked_too():
    spec = design(variance="power(size)").spec
    with pytest.raises(DataError, match="zero") as caught:
        spec.replay_residual({"size": [1.0, 0.0]})
    assert caught.value.rows.tolist() == [1]
