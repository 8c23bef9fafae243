"""What is refused of data in pieces, and that the place is named."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import lmmformula as lf
from lmmformula.design.stream import room
from lmmformula.design.stream.streamed import stream_design
from lmmformula.errors import DataError, DesignError, FormulaError, OptionError
from lmmformula.formula import parse
from tests.refusals import refused


def data(n=40):
    rng = np.random.default_rng(7)
    return pd.DataFrame(
        {
            "y": rng.normal(size=n),
            "x": rng.normal(size=n),
            "w": rng.uniform(1, 2, n),
            "f": rng.choice(["low", "high"], n),
            "g": np.arange(n) % 5,
        }
    )


def run(formula, table, **options):
    made = stream_design(parse(formula), lf.stream([table[:20], table[20:]]), **options)
    made.summed(list)
    return made


def spoiled(column, value, row=25):
    table = data()
    table.loc[row, column] = value
    return table


@pytest.mark.parametrize("role", ["weights", "offset", "subset"])
def test_arrays_cannot_go_beside_a_stream(role):
    with refused(OptionError, f"`{role}` must be a column", f"{role}='{role}'"):
        run("y ~ x + (1 | g)", data(), **{role: np.ones(40)})


@pytest.mark.parametrize(
    ("formula", "column", "value", "message", "suggestion"),
    [
        ("y ~ x + (1 | g)", "x", np.inf, "predictor `x` is infinite", "`subset`"),
        ("y ~ x + (1 | g)", "y", -np.inf, "response `y` is infinite", "`subset`"),
        ("y ~ x + offset(w) + (1 | g)", "w", np.inf, "offset `w` is infinite", "`subset`"),
        ("y ~ x + (1 | g)", "x", 1e120, "squares overflow", "divide `x`"),
        ("y ~ scale(x) + (1 | g)", "x", np.inf, "needs finite numbers", "infinite values"),
        ("y ~ x + (1 | w)", "w", 0.5, "measurements, not labels", "cut `w`"),
    ],
)
def test_errors_about_values_name_the_place(formula, column, value, message, suggestion):
    with refused(DataError, message, suggestion) as caught:
        run(formula, spoiled(column, value))
    assert caught.value.where == ("frame 1" if "| w" in formula else "frame 2")
    assert caught.value.where in str(caught.value)


def test_positions_are_those_in_the_data():
    with refused(DataError, "infinite", "subset") as caught:
        run("y ~ x + (1 | g)", spoiled("x", np.inf, row=33))
    assert caught.value.rows.tolist() == [33]


@pytest.mark.parametrize("value", [-1.0, 0.0, np.inf, np.nan])
def test_weights_are_checked(value):
    with refused(DataError, "`weights` must be positive", "subset") as caught:
        run("y ~ x + (1 | g)", spoiled("w", value), weights="w")
    assert caught.value.where == "frame 2"
    assert caught.value.rows.tolist() == [25]


def test_missing_values_can_be_refused():
    with refused(DataError, "1 of 20 rows have missing values", "missing='drop'") as caught:
        run("y ~ x + (1 | g)", spoiled("x", np.nan, row=31), missing="raise")
    assert caught.value.where == "frame 2"
    assert caught.value.rows.tolist() == [31]


@pytest.mark.parametrize(
    "formula",
    [
        "y ~ np.cumsum(x) + (1 | g)",
        "y ~ lag(x) + (1 | g)",
        "y ~ {x - np.mean(x)} + (1 | g)",
        "y ~ {x / x.max()} + (1 | g)",
        "{y - np.mean(y)} ~ x + (1 | g)",
    ],
)
def test_functions_of_all_rows_are_refused(formula):
    with refused(FormulaError, "needs all rows at once", "compute the column beforehand"):
        run(formula, data())


@pytest.mark.parametrize(
    ("formula", "options"),
    [
        ("y ~ z + (1 | g)", {}),
        ("y ~ log(z) + (1 | g)", {}),
        ("y ~ x + (1 | z)", {}),
        ("z ~ 1 + (1 | z)", {}),
        ("y ~ x + (1 | g)", {"weights": "z"}),
        ("y ~ x + (1 | g)", {"subset": "z > 1"}),
    ],
)
def test_unknown_columns_are_named(formula, options):
    with pytest.raises((FormulaError, DataError), match="`z`") as caught:
        run(formula, data(), **options)
    assert caught.value.available == ("y", "x", "w", "f", "g")


def test_designs_that_identify_nothing():
    with refused(DesignError, "as many levels as there are rows", "repeat"):
        run("y ~ x + (1 | id)", data().assign(id=range(40)))
    with refused(DesignError, "is constant", "column"):
        run("y ~ x + (1 | g)", data().assign(y=2.5))
    with refused(DesignError, "only one level", "take"):
        run("y ~ f + (1 | g)", data().assign(f="low"))
    with refused(DesignError, "only one level", "group by"):
        run("y ~ x + (1 | g)", data().assign(g=1))
    with refused(DesignError, "not more rows", "fewer"):
        run("y ~ factor(id) + (1 | g)", data().assign(id=range(40)))


def test_nothing_left():
    with refused(DataError, "no row that the model could use", "subset"):
        run("y ~ x + (1 | g)", data(), subset="x > 100")
    stream = lf.stream([data()], levels={"g": range(5)})
    with refused(DataError, "`subset` keeps no row", "condition"):
        stream_design(parse("y ~ x + (1 | g)"), stream, subset="x > 100").summed(list)
    with refused(DataError, "no row is complete", "fill"):
        run("y ~ x + (1 | g)", data().assign(x=np.nan))


@pytest.mark.parametrize("formula", ["y ~ x + (1 | g)", "y ~ (1 | g)"])
def test_columns_too_small_are_refused_in_the_end(formula):
    column = "x" if "x" in formula else "y"
    with refused(DataError, "squares underflow", "multiply"):
        run(formula, data().assign(**{column: np.linspace(1, 2, 40) * 1e-110}))


def test_a_chunk_of_tiny_values_is_no_fault():
    table = data()
    table.loc[:19, "x"] = 1e-120
    assert run("y ~ x + (1 | g)", table).n_obs == 40


def test_too_little_memory_for_a_whole_column(monkeypatch):
    monkeypatch.setattr(room, "available_memory", lambda: 100)
    with refused(DataError, "needs a whole column at once", "knots") as caught:
        run("y ~ ns(x, df = 3) + (1 | g)", data())
    assert caught.value.needed > caught.value.available == 100
    assert run("y ~ poly(x, 2) + scale(w) + (1 | g)", data()).n_obs == 40


def test_polynomials_need_distinct_values():
    with refused(DataError, "needs more than 3 distinct values", "poly(x, 1)"):
        run("y ~ poly(x, 3) + (1 | g)", data().assign(x=lambda d: d["g"] % 2))


def test_levels_that_nobody_declared():
    stream = lf.stream([data()[:20], data()[20:]], levels={"f": ["low"]})
    with refused(DataError, "not declared", "declare all levels of `f`") as caught:
        stream_design(parse("y ~ f + (1 | g)"), stream, checks="ignore").summed(list)
    assert (caught.value.where, caught.value.levels) == ("frame 1", ["high"])


def test_data_that_change_between_passes():
    calls = []

    def frames():
        calls.append(1)
        table = data()
        if len(calls) > 3:
            table.loc[30, "g"] = 77
        yield from (table[:20], table[20:])

    made = stream_design(parse("y ~ x + (1 | g)"), lf.stream(frames))
    assert len(calls) == 3
    with refused(DataError, "levels that were not there", "nothing writes"):
        list(made.chunks())


def test_contrasts_of_what_is_no_factor():
    with refused(OptionError, "numeric, not categorical", "C(x)"):
        run("y ~ x + (1 | g)", data(), contrasts={"x": "sum"})


def test_an_iterator_cannot_be_summed_again():
    frames = iter([data()[:20], data()[20:]])
    levels = {"g": range(6), "f": ["low", "never", "high"]}
    made = stream_design(
        parse("y ~ f + (1 | g)"), lf.stream(frames, levels=levels), checks="ignore"
    )
    with refused(DataError, "can be read only once", "declare only the levels that occur"):
        made.summed(list)
