"""Random-effects terms over positions, and over the levels of a factor in the order of time."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from lmmformula.design.places import MOST_PLACES
from lmmformula.errors import DataError, DataWarning, DesignError, FormulaWarning
from tests.refusals import refused
from tests.unit.design.frames import N, design, frame

TIMES = np.tile([0.5, 3.0, 1.25, 10.0], 6)


def data(**columns):
    usual = {"t": TIMES, "f": np.tile(list("abcd"), 6), "visit": np.tile([1, 2, 3, 4], 6)}
    return frame(**usual | columns)


@pytest.mark.parametrize("text", ["ou(t | g)", "ou(0 + t | g)", "ou(t + 0 | g)", "exp(t | g)"])
def test_one_effect_for_each_time(text):
    made = design(f"y ~ x + {text}", data())
    (block,) = made.matrices.random
    assert block.positions.tolist() == [[0.5], [1.25], [3.0], [10.0]]
    assert block.effect_names == ("t=0.5", "t=1.25", "t=3", "t=10")
    np.testing.assert_array_equal(block.z, (TIMES[:, None] == block.positions.T).astype(float))
    assert block.structure == text[: text.index("(")]
    assert block.text == text
    assert not block.z.flags.writeable


def test_places_have_several_coordinates():
    points = np.array([[1.0, 2.0], [1.0, -3.5], [0.0, 7.0], [1.0, 2.5]])
    rows = np.tile(points, (6, 1))
    made = design("y ~ 1 + exp(0 + east + north | g)", data(east=rows[:, 0], north=rows[:, 1]))
    (block,) = made.matrices.random
    assert block.positions.tolist() == [[0.0, 7.0], [1.0, -3.5], [1.0, 2.0], [1.0, 2.5]]
    assert block.effect_names[:2] == ("east=0,north=7", "east=1,north=-3.5")
    np.testing.assert_array_equal(block.z @ block.positions, rows)


def test_expressions_and_terms_of_one_factor():
    made = design("y ~ 1 + ou(log(t) | g) + (1 | g)", data())
    over, plain = made.matrices.random
    assert over.effect_names[0] == "log(t)=-0.693147"
    np.testing.assert_allclose(over.positions[:, 0], np.log([0.5, 1.25, 3.0, 10.0]))
    assert plain.positions is None
    assert plain.codes is over.codes


def test_names_have_the_digits_that_tell_them_apart():
    close = np.tile([1.0, 1.0 + 1e-9, 2.0, 1234567.0], 6)
    names = design("y ~ 1 + ou(t | g)", data(t=close)).matrices.random[0].effect_names
    assert names == ("t=1.0", "t=1.000000001", "t=2.0", "t=1234567.0")


def test_dates_are_days():
    stamps = pd.to_datetime("2024-01-01") + pd.to_timedelta(TIMES * 24, unit="h")
    with pytest.warns(DataWarning):
        made = design("y ~ 1 + ou(when | g)", data(when=stamps))
    np.testing.assert_allclose(np.diff(made.matrices.random[0].positions[:, 0]), [0.75, 1.75, 7])


def test_minus_zero_is_zero():
    made = design("y ~ 1 + ou(s | g)", data(s=np.tile([-0.0, 0.0, 1.0, 2.0], 6)))
    assert made.matrices.random[0].effect_names == ("s=0", "s=1", "s=2")


def test_positions_are_those_of_the_rows_used():
    with pytest.warns(Warning, match="left out"):
        made = design(
            "y ~ x + ou(t | g)",
            data(x=lambda d: np.where(d.t == 3.0, np.nan, d.x)),
            subset="t < 5",
            checks="ignore",
        )
    assert made.matrices.random[0].positions[:, 0].tolist() == [0.5, 1.25]


def test_new_rows_at_fitted_and_other_times():
    made = design("y ~ x + ou(t | g) + (1 | h)", data())
    new = made.spec.replay(
        {
            "x": [0.0] * 5,
            "t": [1.25, 2.0, 10.0, np.nan, 10.0],
            "g": ["a", "b", "new", "a", "f"],
            "h": ["a"] * 5,
        }
    )
    names = [block.group for block in new.random]
    over = new.random[names.index("g")]
    places = new.places[names.index("g")]
    assert over.z[0].tolist() == [0, 1, 0, 0]
    assert over.z[1].tolist() == [0, 0, 0, 0]
    assert over.z[2].tolist() == [0, 0, 0, 1]
    assert np.isnan(over.z[3]).all()
    assert over.codes.tolist() == [0, 1, -1, -1, 5]
    assert over.positions is made.matrices.random[names.index("g")].positions
    np.testing.assert_array_equal(places[:, 0], [1.25, 2.0, 10.0, np.nan, 10.0])
    assert new.places[names.index("h")] is None


def test_replaying_the_fitted_rows_gives_the_design():
    formula = "y ~ x + exp(t + visit | g) + ar1(0 + f | h)"
    made = design(formula, data(), checks="ignore")
    new = made.spec.replay(data())
    for mine, theirs in zip(new.random, made.matrices.random, strict=True):
        np.testing.assert_array_equal(mine.z, theirs.z)
        assert mine.effect_names == theirs.effect_names
    for position, block in enumerate(made.matrices.random):
        np.testing.assert_array_equal(made.spec.replay_effects(data(), position)[0], block.z)


def test_effects_of_new_rows_need_no_groups():
    made = design("y ~ x + ou(t | g) + (x | h)", data())
    over = [block.group for block in made.matrices.random].index("g")
    z, places = made.spec.replay_effects({"t": [3.0, 3.5]}, over)
    assert z.tolist() == [[0, 0, 1, 0], [0, 0, 0, 0]]
    assert places.tolist() == [[3.0], [3.5]]
    effects, places = made.spec.replay_effects({"x": [3.0, np.nan]}, 1 - over)
    assert places is None
    np.testing.assert_array_equal(effects, [[1.0, 3.0], [np.nan, np.nan]])


REFUSED = {
    "ou(f | g)": ("f", "categorical", "`ar1(0 + f | g)`"),
    "exp(t + f | g)": ("f", "categorical", "numeric"),
    "ar1(0 + t | g)": ("t", "numeric", "`ou(0 + t | g)`"),
    "ar1(0 + visit | g)": ("visit", "numeric", "`ar1(0 + factor(visit) | g)`"),
    "homtoep(0 + visit | g)": ("visit", "numeric", "`homtoep(0 + factor(visit) | g)`"),
}


@pytest.mark.parametrize("text", list(REFUSED))
def test_effects_of_the_wrong_kind(text):
    column, message, suggestion = REFUSED[text]
    with refused(DesignError, message, suggestion) as caught:
        design(f"y ~ x + {text}", data())
    assert caught.value.column == column
    assert caught.value.term == text


def test_infinite_times():
    with pytest.raises(DataError) as caught:
        design("y ~ x + ou(t | g)", data(t=np.where(np.arange(N) == 7, np.inf, TIMES)))
    assert (caught.value.column, caught.value.role) == ("t", "time")
    assert caught.value.rows.tolist() == [7]


def test_too_many_times():
    n = MOST_PLACES + 1
    many = {"y": np.arange(n) % 7, "t": np.arange(n) / 3, "g": np.arange(n) % 5}
    with pytest.raises(DesignError) as caught:
        design("y ~ 1 + ou(t | g)", many)
    assert caught.value.n_positions == n
    assert 'residual="car1(t | g)"' in caught.value.suggestion
    with pytest.raises(DesignError, match="too many") as caught:
        design("y ~ 1 + exp(t + s | g)", many | {"s": np.arange(n)})
    assert "rounded" in caught.value.suggestion


@pytest.mark.parametrize("text", ["ou(one | g)", "cs(1 | g)", "cs(0 + x | g)", "homcs(1 | g)"])
def test_nothing_to_correlate(text):
    with pytest.raises(DesignError) as caught:
        design(f"y ~ x + {text}", data(one=1.0))
    assert caught.value.term == text
    assert "| g)`" in caught.value.suggestion


@pytest.mark.parametrize("text", ["us(1 | g)", "diag(1 | g)", "homdiag(1 | g)"])
def test_one_effect_is_enough_without_correlations(text):
    assert design(f"y ~ x + {text}", data()).matrices.random[0].n_effects == 1


@pytest.mark.parametrize("text", ["ar1(0 + f | g)", "hetar1(0 + f | g)", "ou(t | g)"])
def test_one_row_for_each_effect_is_enough_where_correlations_die_away(text):
    block = design(f"y ~ x + {text}", data()).matrices.random[0]
    assert block.n_effects * block.n_levels == N


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("cs(0 + f | g)", '`residual="cs(f | g)"`'),
        ("toep(0 + f | g)", '`residual="toep(f | g)"`'),
        ("us(0 + f | g)", '`residual="us(f | g)"`'),
        ("diag(0 + f | g)", '`variance="ident(f)"`'),
    ],
)
def test_others_cannot_be_told_from_the_residual(text, advice):
    with pytest.raises(DesignError, match="told from the residual") as caught:
        design(f"y ~ x + {text}", data())
    assert advice in caught.value.suggestion


def coded(values, categories):
    return pd.Categorical(np.tile(values, 6), categories=categories)


def test_levels_out_of_order_are_refused():
    with pytest.raises(DesignError, match="order of the levels") as caught:
        design("y ~ x + ar1(0 + v | g)", data(v=np.tile(["1", "2", "9", "10"], 6)))
    assert caught.value.levels == ("1", "10", "2", "9")
    assert "['1', '2', '9', '10']" in caught.value.suggestion
    with pytest.raises(DesignError, match="order of the levels"):
        design("y ~ x + ar1(0 + v | g)", data(v=np.tile(["w1", "w2", "w9", "w10"], 6)))


@pytest.mark.parametrize(
    "v",
    [
        coded(["1", "2", "9", "16"], ["1", "2", "9", "16"][::-1]),
        coded(["first", "10", "third", "b2"], ["first", "10", "third", "b2"]),
        coded([8, 10, 12, 14], [8, 10, 12, 14]),
        coded(["2", "10", "1", "3"], ["10", "2", "1", "3"]),
    ],
    ids=["falling", "no numbers", "equal steps", "no order"],
)
def test_order_matters_only_where_there_is_one(v, request):
    name = request.node.callspec.id
    if name == "no order":
        assert design("y ~ x + cs(0 + v | g)", data(v=v), checks="ignore")
    elif name == "falling":
        with pytest.warns(FormulaWarning, match="equally spaced"):
            design("y ~ x + ar1(0 + v | g)", data(v=v))
    else:
        assert design("y ~ x + ar1(0 + v | g)", data(v=v))


def test_unequal_steps_are_mentioned():
    with pytest.warns(FormulaWarning, match="equally spaced") as caught:
        design("y ~ x + ar1(0 + factor(w) | g)", data(w=np.tile([1, 2, 4, 8], 6)))
    message = caught[0].message
    assert message.levels == ("1", "2", "4", "8")
    assert "`ou(0 + w | g)`" in message.suggestion


def test_levels_without_rows_between_others_are_refused():
    v = coded(list("abde"), list("abcdef"))
    with pytest.raises(DesignError, match="between") as caught:
        design("y ~ x + ar1(0 + v | g)", data(v=v))
    assert caught.value.unused == ("c",)
    assert "remove_unused_categories" in caught.value.suggestion
    for formula in ("y ~ x + us(0 + v | g)", "y ~ x + cs(0 + v | g)"):
        assert design(formula, data(v=v), checks="ignore").matrices.random[0].n_effects == 4


def test_levels_without_rows_at_the_ends_do_not_matter():
    v = coded(list("bcde"), list("abcdef"))
    assert design("y ~ x + ar1(0 + v | g)", data(v=v)).matrices.random[0].n_effects == 4
