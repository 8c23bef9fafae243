"""New rows in the columns of a fitted model."""

import numpy as np
import pandas as pd
import pytest

from lmmformula.errors import DataError, OptionError, RankWarning
from tests.unit.design.frames import N, design, frame

FORMULAS = [
    "y ~ x + (x | g)",
    "y ~ 0 + x + (0 + x | g)",
    "y ~ h * x + (h | k)",
    "y ~ C(h, contr.sum) * poly(x, 2) + (1 | g:h)",
    "y ~ ns(x, df = 3) + bs(z, df = 4) + (scale(x) | g)",
    "y ~ log(abs(x)) + I(x^2) + flag:x + (1 | g) + (1 | k:g)",
    "y ~ factor(k) + cut(z, c(-10, 0, 10)) + offset(z) + (1 | factor(k)) + (1 | g/h)",
    "y ~ I(x - mean(x)) + flag + (flag | k) + (1 | h)",
]


def data():
    return frame(k=np.arange(N) % 3, flag=np.arange(N) % 5 > 1, w=2.0)


@pytest.mark.parametrize("formula", FORMULAS)
def test_replaying_the_fitted_rows_gives_the_design(formula):
    made = design(formula, data(), checks="ignore", weights="w")
    for rows in (slice(None), [3], [5, 2, 2, 20]):
        new = made.spec.replay(data().iloc[rows].drop(columns="y"))
        matrices = made.matrices
        np.testing.assert_allclose(new.X, matrices.X[rows], rtol=1e-12, atol=1e-14)
        assert new.complete.all()
        assert new.unseen == {}
        assert new.index.tolist() == np.arange(N)[rows].tolist()
        for mine, theirs in zip(new.random, matrices.random, strict=True):
            np.testing.assert_allclose(mine.z, theirs.z[rows], rtol=1e-12, atol=1e-14)
            assert mine.codes.tolist() == theirs.codes[rows].tolist()
            assert mine.levels is theirs.levels
            assert (mine.group, mine.text) == (theirs.group, theirs.text)
        if matrices.offset is None:
            assert new.offset is None
        else:
            assert new.offset.tolist() == matrices.offset[rows].tolist()
        assert new.weights.tolist() == matrices.weights[rows].tolist()


def test_unseen_levels_are_minus_one_and_named():
    spec = design("y ~ x + (1 | g) + (1 | g:h)", checks="ignore").spec
    new = spec.replay({"x": [0.0] * 4, "g": ["a", "new", "b", "new"], "h": ["a", "a", "zz", "a"]})
    codes = {block.group: block.codes.tolist() for block in new.random}
    assert codes == {"g:h": [0, -1, -1, -1], "g": [0, -1, 1, -1]}
    assert new.unseen == {"g": ["new"], "g:h": ["new:a", "b:zz"]}
    assert new.complete.all()


def test_combination_that_did_not_occur():
    observed = frame()[lambda d: (d.g != "a") | (d.h != "b")]
    spec = design("y ~ x + (1 | g:h)", observed, checks="ignore").spec
    new = spec.replay({"x": [0.0, 0.0], "g": ["a", "a"], "h": ["b", "a"]})
    assert new.random[0].codes.tolist() == [-1, 0]
    assert new.unseen == {"g:h": ["a:b"]}


def test_missing_values_leave_the_row_incomplete():
    spec = design("y ~ x + h + (z | g)").spec
    new = spec.replay(
        pd.DataFrame(
            {
                "x": [1.0, None, 1.0, 1.0, 1.0],
                "h": ["a", "a", None, "a", "a"],
                "z": [1.0, 1.0, 1.0, None, 1.0],
                "g": ["a", "a", "a", "a", None],
            },
            index=list("pqrst"),
        )
    )
    assert new.complete.tolist() == [True, False, False, False, False]
    assert np.isnan(new.X[1:]).all()
    assert np.isnan(new.random[0].z[1:]).all()
    assert new.random[0].codes.tolist() == [0, -1, -1, -1, -1]
    assert new.index.tolist() == list("pqrst")
    assert new.unseen == {}


def test_only_what_is_asked_for_is_needed():
    spec = design("y ~ x + (z | g) + (1 | h)").spec
    assert spec.replay({"x": [1.0]}, random=()).random == ()
    new = spec.replay({"x": [1.0, 2.0], "h": ["a", None]}, random=["h"])
    assert [block.group for block in new.random] == ["h"]
    assert new.complete.tolist() == [True, False]
    with pytest.raises(DataError) as caught:
        spec.replay({"x": [1.0], "h": ["a"]})
    assert caught.value.column in ("g", "z")
    with pytest.raises(OptionError) as option:
        spec.replay({"x": [1.0]}, random=["q"])
    assert option.value.available == ("g", "h")


def test_new_category_of_a_fixed_factor():
    spec = design("y ~ h + (1 | g)").spec
    with pytest.raises(DataError) as caught:
        spec.replay({"h": ["a", "q"], "g": ["a", "a"]})
    assert (caught.value.column, caught.value.new) == ("h", ("q",))
    assert caught.value.available == tuple("abcd")
    in_an_incomplete_row = spec.replay({"h": ["a", "q"], "g": ["a", None]})
    assert in_an_incomplete_row.complete.tolist() == [True, False]


def test_kinds_of_columns_may_differ_if_labels_agree():
    made = design("y ~ factor(k) + flag + (1 | k)", data())
    new = made.spec.replay({"k": ["0", "1", "2"], "flag": ["True", "False", "True"]})
    assert new.random[0].codes.tolist() == [0, 1, 2]
    assert new.X.tolist() == [[1, 0, 0, 1], [1, 1, 0, 0], [1, 0, 1, 1]]
    with pytest.raises(DataError) as caught:
        design("y ~ x + (1 | g)").spec.replay({"x": ["a"], "g": ["a"]})
    assert caught.value.column == "x"


def test_missing_column_offers_the_nearest():
    with pytest.raises(DataError) as caught:
        design("y ~ log(abs(x)) + (1 | g)").spec.replay({"X": [1.0], "g": ["a"]})
    assert (caught.value.column, caught.value.closest) == ("x", "X")


def test_offsets_come_along_by_name_only():
    fitted = frame(off=np.arange(N) * 1.0)
    named = design("y ~ x + offset(z) + (1 | g)", fitted, offset="off").spec
    new = named.replay({"x": [1.0], "z": [2.0], "off": [3.0], "g": ["a"]})
    assert new.offset.tolist() == [5.0]
    with pytest.raises(DataError):
        named.replay({"x": [1.0], "z": [2.0], "g": ["a"]})
    given = design("y ~ x + (1 | g)", fitted, offset=np.arange(N)).spec
    assert given.replay({"x": [1.0], "g": ["a"]}).offset is None
    assert given.has_array_offset
    missing = named.replay({"x": [1.0] * 2, "z": [2.0, np.nan], "off": [3.0] * 2, "g": ["a"] * 2})
    assert missing.complete.tolist() == [True, False]
    assert np.isnan(missing.offset[1])


def test_dropped_columns_stay_dropped():
    with pytest.warns(RankWarning):
        spec = design("y ~ x + x2 + z + (1 | g)", frame(x2=lambda d: 2 * d.x)).spec
    new = spec.replay({"x": [1.0], "x2": [7.0], "z": [3.0], "g": ["a"]})
    assert new.X.tolist() == [[1.0, 1.0, 3.0]]


def test_no_rows():
    for formula in ("y ~ x + (1 | g)", "y ~ h * poly(x, 2) + (h | g)"):
        new = design(formula, checks="ignore").spec.replay(frame().iloc[:0])
        assert new.X.shape[0] == 0
        assert new.complete.shape == (0,)
        assert [len(block.codes) for block in new.random] == [0]


def test_the_record_does_not_change():
    spec = design("y ~ poly(x, 2) + (1 | g)").spec
    first = spec.replay(frame().iloc[:3]).X
    spec.replay(frame(x=lambda d: d.x * 100))
    np.testing.assert_array_equal(spec.replay(frame().iloc[:3]).X, first)
