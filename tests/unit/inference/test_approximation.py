"""Joint tests: independent rows, pooled and scaled degrees of freedom."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from lmmformula.errors import DimensionError, OptionError
from lmmformula.inference.effects.approximation import Wald, independent_rows, variance_ratio_df
from lmmformula.inference.effects.kenward_roger import scaling_and_df
from lmmformula.inference.effects.satterthwaite import pooled_df

BETA = np.array([250.0, 10.0, -3.0, 0.5])
COV = np.diag([4.0, 1.0, 2.0, 0.25]) + 0.1
EYE = np.eye(4)


def test_joint_tests_do_not_depend_on_units():
    units = np.array([1e150, 1e-150, 1.0, 1.0])
    plain = Wald(BETA, COV, 1.0).joint(EYE[:2])
    scaled = Wald(BETA * units, COV * np.outer(units, units), 1.0).joint(EYE[:2])
    assert scaled.statistic == pytest.approx(plain.statistic)
    assert (scaled.num_df, scaled.den_df) == (2, np.inf)


def test_rows_that_follow_from_others_count_once():
    rows = np.vstack([EYE[1], 2 * EYE[1], EYE[1] - EYE[2]])
    test = Wald(BETA, COV, 1.0).joint(rows)
    assert test.num_df == 2
    assert test.statistic == pytest.approx(Wald(BETA, COV, 1.0).joint(EYE[1:3]).statistic)
    same = Wald(BETA, COV, 1.0).joint(rows[:2], np.array([9.0, 18.0]))
    assert same.num_df == 1
    assert same.statistic == pytest.approx((1.0 / np.sqrt(1.1)) ** 2)


def test_contradictions_are_refused():
    rows = np.vstack([EYE[1], 2 * EYE[1]])
    with pytest.raises(OptionError, match="contradict") as caught:
        Wald(BETA, COV, 1.0).joint(rows, np.array([1.0, 3.0]))
    assert caught.value.rank == 1


def test_empty_constraints_are_refused():
    with pytest.raises(OptionError) as caught:
        independent_rows(np.vstack([EYE[0], 0 * EYE[0]]), np.zeros(2), COV)
    assert caught.value.row == 1
    with pytest.raises(DimensionError, match="nothing to test"):
        independent_rows(np.empty((0, 4)), np.zeros(0), COV)


def test_independent_rows_are_uncorrelated():
    rows = np.random.default_rng(1).normal(size=(3, 4))
    basis = independent_rows(rows, np.zeros(3), COV)[:, :-1]
    assert basis @ COV @ basis.T == pytest.approx(np.eye(3))


def test_variance_ratio():
    """A variance that is sigma^2 / n has the degrees of freedom of sigma^2."""
    vcov = np.diag([2.0, 3.0])
    df = variance_ratio_df(np.eye(2), vcov, vcov[None], np.array([[2.0 / 7.0]]))
    assert df == pytest.approx([7.0, 7.0])
    known = variance_ratio_df(np.eye(2), vcov, 0.0 * vcov[None], np.array([[1.0]]))
    assert np.isinf(known).all()


def test_pooled_degrees_of_freedom():
    df = np.array([5.0, 8.0, 30.0])
    mean = np.mean([stats.f.mean(1, value) for value in df])
    assert stats.f.mean(3, pooled_df(df)) == pytest.approx(mean)
    assert pooled_df(np.array([7.0, 7.0])) == 7.0
    assert pooled_df(np.array([1.5, 1.5])) == 1.5
    assert pooled_df(np.array([1.5, 9.0])) == 2.0
    assert pooled_df(np.array([np.inf, np.inf])) == np.inf
    assert 9.0 < pooled_df(np.array([9.0, np.inf])) < np.inf


@pytest.mark.parametrize("q", [2, 3, 5])
@pytest.mark.parametrize("df", [7, 12, 40])
def test_kenward_roger_is_hotelling(q, df):
    """With a free q x q covariance from df degrees of freedom, exactly."""
    scale, den_df = scaling_and_df(2 * q / df, q * (q + 1) / df, q)
    assert den_df == pytest.approx(df - q + 1)
    assert scale == pytest.approx((df - q + 1) / df)


@pytest.mark.parametrize("q", [2, 3])
def test_kenward_roger_is_the_f_test(q):
    """With one unknown variance of df degrees of freedom, exactly."""
    scale, den_df = scaling_and_df(2 * q * q / 11, 2 * q / 11, q)
    assert (scale, den_df) == (pytest.approx(1.0), pytest.approx(11.0))


def test_kenward_roger_at_its_limits():
    assert scaling_and_df(0.0, 0.0, 3) == (1.0, np.inf)
    assert np.isnan(scaling_and_df(2 * 3 / 1, 3 * 4 / 1, 3)).all()
    assert scaling_and_df(2 * 2 / 3, 2 * 3 / 3, 2)[0] == pytest.approx(1.0)
