"""Linear combinations of fixed effects, read and tested as statsmodels does it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from lmmformula.errors import DimensionError, OptionError
from lmmformula.inference.effects.approximation import JointTest, Wald
from lmmformula.inference.effects.contrasts import constraint_matrix, f_test, t_test, wald_test

NAMES = ("Intercept", "Days", "Machine[T.B]", "f[T.B]:x[.L]")
BETA = np.array([250.0, 10.0, -3.0, 0.5])
COV = np.diag([4.0, 1.0, 2.0, 0.25]) + 0.1


@pytest.mark.parametrize(
    ("L", "row", "value"),
    [
        ("Days", [0, 1, 0, 0], 0),
        ("Days = 2", [0, 1, 0, 0], 2),
        ("2 * Days - Intercept", [-1, 2, 0, 0], 0),
        ("Machine[T.B]", [0, 0, 1, 0], 0),
        ("Machine[T.B] = 1", [0, 0, 1, 0], 1),
        ("f[T.B]:x[.L]", [0, 0, 0, 1], 0),
        ("`f[T.B]:x[.L]` - Days = 1", [0, -1, 0, 1], 1),
        ({"Days": 3}, [0, 1, 0, 0], 3),
        ([0, 1, 0, 0], [0, 1, 0, 0], 0),
        (([0, 1, 0, 0], 5), [0, 1, 0, 0], 5),
        (([[0, 1, 0, 0]], [5]), [0, 1, 0, 0], 5),
    ],
)
def test_spellings(L, row, value):
    matrix, values = constraint_matrix(L, NAMES)
    assert matrix.tolist() == [row]
    assert values.tolist() == [value]


def test_several_rows():
    for L in ("Days, Intercept = 1", ["Days", "Intercept = 1"]):
        matrix, values = constraint_matrix(L, NAMES)
        assert matrix.tolist() == [[0, 1, 0, 0], [1, 0, 0, 0]]
        assert values.tolist() == [0, 1]


@pytest.mark.parametrize("L", ["Dayz", "Days +", "Days * Intercept = 0"])
def test_unreadable_text(L):
    with pytest.raises(OptionError) as caught:
        constraint_matrix(L, NAMES)
    assert caught.value.available == NAMES


@pytest.mark.parametrize("L", [[1, 0], np.eye(3), np.zeros((1, 2, 4))])
def test_wrong_shape(L):
    with pytest.raises(DimensionError):
        constraint_matrix(L, NAMES)


def test_t_test_by_the_normal():
    L = constraint_matrix(["Days = 2", "Intercept - Days"], NAMES)
    result = t_test(L, NAMES, BETA, COV, np.full(2, np.inf))
    assert result.effect == pytest.approx([10.0, 240.0])
    assert result.sd == pytest.approx([np.sqrt(1.1), np.sqrt(5.0)])
    z = (10.0 - 2.0) / np.sqrt(1.1)
    assert result.pvalue[0] == pytest.approx(2 * stats.norm.sf(z))
    assert result.conf_int()[0] == pytest.approx(
        10.0 + np.array([-1, 1]) * stats.norm.ppf(0.975) * np.sqrt(1.1)
    )
    assert list(result.summary_frame().index) == ["Days", "c1"]


def test_t_test_with_degrees_of_freedom():
    L = constraint_matrix("Days", NAMES)
    result = t_test(L, NAMES, BETA, COV, np.array([7.0]))
    assert float(result.pvalue) == pytest.approx(2 * stats.t.sf(10 / np.sqrt(1.1), 7))


def joint(L, values=0.0):
    """Return the Wald tests of statsmodels' kind."""
    test = Wald(BETA, COV, 1.0).joint(L, values)
    return wald_test(test), f_test(test)


def test_joint_tests():
    L = constraint_matrix(["Days = 9", "Machine[T.B]"], NAMES)
    difference = np.array([1.0, -3.0])
    expected = difference @ np.linalg.solve(COV[1:3, 1:3], difference)
    chi2, f = joint(*L)
    assert chi2.statistic == pytest.approx(expected)
    assert float(chi2.pvalue) == pytest.approx(stats.chi2.sf(expected, 2))
    assert f.fvalue == pytest.approx(expected / 2)
    assert float(f.pvalue) == pytest.approx(stats.chi2.sf(expected, 2))
    limited = f_test(JointTest(expected / 2, expected / 2, 2, 10.0))
    assert float(limited.pvalue) == pytest.approx(stats.f.sf(expected / 2, 2, 10))
    assert "F test" in str(f)


def test_an_effect_left_out_cannot_be_tested():
    matrix, values = constraint_matrix("Days = 1", NAMES, ("twice",))
    assert matrix.tolist() == [[0, 1, 0, 0]]
    assert values.tolist() == [1]
    for L in ("twice", "twice - Days = 0", {"twice": 0}, ["Days", "twice"]):
        with pytest.raises(OptionError, match="cannot be estimated") as caught:
            constraint_matrix(L, NAMES, ("twice",))
        assert caught.value.columns == ("twice",)
    with pytest.raises(DimensionError, match="twice"):
        constraint_matrix(np.eye(5), NAMES, ("twice",))


@pytest.mark.parametrize(
    "L", [[["a", 1, 2, 3]], [[np.nan, 0, 0, 0]], ([[0, 1, 0, 0]], "x"), [[1, 2], [3]], None]
)
def test_constraints_must_be_numbers(L):
    with pytest.raises(OptionError, match="finite numbers"):
        constraint_matrix(L, NAMES)


def test_values_must_match_the_rows():
    with pytest.raises(DimensionError, match="one value per constraint"):
        constraint_matrix((np.eye(4), [1.0, 2.0]), NAMES)
