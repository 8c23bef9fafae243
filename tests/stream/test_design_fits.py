"""Fits from sums over pieces are those in memory; what functions learn is learned in pieces."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import lmmformula as lf
from lmmformula.design.calls import evaluated, learning_calls
from lmmformula.design.context import FUNCTIONS
from lmmformula.design.stream.keys import KeyMap, Keys
from lmmformula.design.stream.learners import learner_of
from lmmformula.design.stream.room import Room
from lmmformula.formula import parse
from lmmformula.streaming import streamed_model
from tests.stream.tables import cut_at

SAME_FIT = 1e-9
"""Of criteria, relative: sums over chunks differ from sums over all rows in their rounding."""


def crossed(n=600):
    rng = np.random.default_rng(11)
    g, h = rng.integers(0, 25, n), rng.integers(0, 8, n)
    x = rng.normal(size=n)
    f = rng.choice(["a", "b", "c"], n)
    y = 3 + x + rng.normal(size=25)[g] + rng.normal(size=8)[h] + 0.5 * x * rng.normal(size=25)[g]
    data = pd.DataFrame({"x": x, "g": g, "h": h, "f": f, "w": rng.uniform(0.5, 2, n)})
    data["y"] = y + (f == "b") + rng.normal(size=n)
    data["copy"] = 2 * x + 1
    data["g"] = data["g"].where(data["g"] != 7, 400)
    return data


@pytest.mark.parametrize(
    ("formula", "options"),
    [
        ("y ~ x + f + (x | g) + (1 | h)", {}),
        ("y ~ poly(x, 2) * f + (1 | g/h)", {"weights": "w"}),
        ("y ~ copy + x + scale(x) + f + (x || g)", {"offset": "w"}),
        ("y ~ x + (1 | h) + (1 | g)", {"subset": "g > 15"}),
    ],
)
@pytest.mark.filterwarnings("ignore::lmmformula.errors.RankWarning")
@pytest.mark.filterwarnings("ignore::lmmformula.errors.DroppedRowsWarning")
def test_fits_agree(formula, options):
    data = crossed().sort_values("f")
    data.loc[5, "y"] = np.nan
    whole = lf.lmm(formula, data, **options).fit()
    model = streamed_model(parse(formula), lf.stream(cut_at(data, (90, 91, 400))), **options)
    fit = model.fit()
    assert fit.objective == pytest.approx(whole.objective, rel=SAME_FIT)
    for name in ("params", "bse", "theta"):
        np.testing.assert_allclose(
            np.asarray(getattr(fit, name)), np.asarray(getattr(whole, name)), rtol=1e-7, atol=1e-7
        )
    assert model.fingerprint == whole.fingerprint
    assert model.at(whole.theta).objective == pytest.approx(whole.objective, rel=SAME_FIT)


CALLS = (
    "mean(x)",
    "sd(x)",
    "var(x)",
    "sum(x, 3)",
    "min(x, 2)",
    "max(x)",
    "median(x)",
    "scale(x)",
    "scale(x, center=False)",
    "scale(x, scale=2.0)",
    "standardize(x)",
    "center(x)",
    "cut(x, 4)",
    "cut(x, [0, 2000, 4000])",
    "poly(x, 4)",
    "ns(x, df=4)",
    "ns(x, knots=[1990.0], Boundary_knots=[1900.0, 2100.0])",
    "bs(x, df=6, Boundary_knots=[1900.0, 2100.0])",
    "bs(x, knots=[1990.0, 2000.0])",
    "bs(x)",
    "bs(x, df=5, include_intercept=True)",
    "cr(x, df=4)",
)


@pytest.mark.parametrize("code", CALLS)
@pytest.mark.parametrize("start", ["sorted", "constant", "missing"])
def test_learners_end_with_the_state_of_the_function(code, start):
    """Years, whose mean is large beside their spread, and chunks that are unlike the others."""
    rng = np.random.default_rng(4)
    x = rng.uniform(1950, 2020, 500)
    if start == "sorted":
        x.sort()
    x[:100] = {"sorted": x[:100], "constant": 1980.0, "missing": np.nan}[start]
    (call,) = learning_calls(code, FUNCTIONS)
    state: dict = {}
    evaluated(code, {**FUNCTIONS, "x": x}, state)
    state = state[call.key]
    learner = None
    for rows in (slice(0, 100), slice(100, 101), slice(101, 350), slice(350, 500)):
        arguments = call.arguments({**FUNCTIONS, "x": x[rows]}, {})
        learner = learner or learner_of(call, arguments, Room(500))
        learner.add(arguments)
    made = learner.state()
    assert made.keys() == state.keys()
    for name, value in state.items():
        np.testing.assert_allclose(
            np.asarray(made[name], dtype=float), np.asarray(value, dtype=float), rtol=1e-10
        )


def test_polynomials_of_many_chunks_and_few_values():
    rng = np.random.default_rng(8)
    x = rng.integers(0, 6, 3000).astype(float)
    (call,) = learning_calls("poly(x, 5)", FUNCTIONS)
    state: dict = {}
    FUNCTIONS["poly"](x, 5, _state=state)
    arguments = [call.arguments({**FUNCTIONS, "x": x[i : i + 3]}, {}) for i in range(0, 3000, 3)]
    learner = learner_of(call, arguments[0], Room(None))
    for one in arguments:
        learner.add(one)
    np.testing.assert_allclose(learner.state()["alpha"], state["alpha"], rtol=1e-10)
    np.testing.assert_allclose(learner.state()["norms"], state["norms"], rtol=1e-10)


@pytest.mark.parametrize(
    "values",
    [
        np.array([3, 1, 7, 3]),
        np.array([-5, 2_000_000_000, 10**15, -5]),
        np.array([2**63, 2**63 + 1, 5], dtype=np.uint64),
        np.array(["2024-01-03", "2023-05-01", "2024-01-03"], dtype="M8[D]"),
        np.array([1, 0, 1], dtype=np.int8),
    ],
    ids=lambda values: str(values.dtype),
)
def test_keys_find_their_codes(values):
    keys = Keys(1)
    keys.add([values[:2]])
    keys.add([values[2:]])
    (distinct,) = keys.distinct()
    assert (distinct == np.unique(values)).all()
    codes = KeyMap(distinct, np.arange(len(distinct)))(values)
    assert (distinct[codes] == values).all()


def test_keys_that_are_not_known_have_no_code():
    for keys in (np.array([2, 5, 9]), np.array([-(10**17), 5, 10**17])):
        codes = KeyMap(keys, np.arange(3))(np.array([5, 6, 10**18, -(10**18)]))
        assert codes.tolist() == [1, -1, -1, -1]


def test_combinations_of_wide_keys():
    rng = np.random.default_rng(3)
    left, right = rng.integers(0, 4, 50) * 2**61, rng.integers(0, 3, 50)
    keys = Keys(2)
    for rows in (slice(0, 20), slice(20, 50)):
        keys.add([left[rows], right[rows]])
    found = set(zip(*(part.tolist() for part in keys.distinct()), strict=True))
    assert found == set(zip(left.tolist(), right.tolist(), strict=True))


def test_a_call_that_occurs_twice_learns_once():
    data = crossed()
    formula = "y ~ I((x - mean(x)) * (x + mean(x))) + (1 | g)"
    fit = lf.lmer(formula, data)
    few = data[:5]
    expected = fit.params.iloc[0] + fit.params.iloc[1] * (few["x"] ** 2 - data["x"].mean() ** 2)
    np.testing.assert_allclose(fit.predict(few, random=[]), expected)
