"""Simultaneous tests: distributions against independent computations, and their properties."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import integrate, special, stats

from lmmformula.errors import OptionError
from lmmformula.inference.marginal.adjust import ADJUSTMENTS, Family, check_adjustment
from lmmformula.inference.marginal.spherical import JointTail
from lmmformula.inference.marginal.studentized import range_quantile, range_tail

PAIRS = {
    k: np.array([np.eye(k)[i] - np.eye(k)[j] for i in range(k) for j in range(i + 1, k)])
    for k in (3, 4, 6)
}


def family(df=12.0, k=4):
    L = PAIRS[k]
    t = np.linspace(0.3, 4.5, len(L))
    return Family(t, np.full(len(L), df), L, L @ L.T, k)


@pytest.mark.parametrize(
    ("q", "k", "df"),
    [(3.5, 3, 5.0), (2.0, 6, 210.0), (8.0, 4, 2.5), (4.1, 5, np.inf), (1.0, 2, 7.0)],
)
def test_range_tail_is_scipys(q, k, df):
    ours = range_tail(np.array([q]), k, np.array([df]))[0]
    assert ours == pytest.approx(stats.studentized_range.sf(q, k, df), rel=1e-8)


def test_range_tail_keeps_small_probabilities():
    """For two means it is a t test, whatever its size."""
    t = np.array([1.0, 6.0, 12.0])
    for df in (5.0, 40.0, np.inf):
        exact = 2 * (stats.norm.sf(t) if np.isinf(df) else stats.t.sf(t, df))
        ours = range_tail(np.sqrt(2) * t, 2, np.full(3, df))
        np.testing.assert_allclose(ours, exact, rtol=1e-9)


def test_range_quantile_inverts_the_tail():
    q = range_quantile(0.05, 6, 210.0)
    assert range_tail(np.array([q]), 6, np.array([210.0]))[0] == pytest.approx(0.05, rel=1e-9)
    assert q == pytest.approx(4.0675904, abs=1e-6)  # R's qtukey
    assert np.isnan(range_quantile(0.05, 3, float("nan")))


@pytest.mark.parametrize(("k", "atol"), [(1, 1e-12), (2, 1e-6), (3, 2e-6), (5, 5e-5), (8, 1e-4)])
def test_joint_tail_of_uncorrelated_statistics(k, atol):
    def density(s, c, df):
        inside = (1 - 2 * special.ndtr(-c * s)) ** k
        return inside * stats.chi.pdf(s * np.sqrt(df), df) * np.sqrt(df)

    joint = JointTail.of(np.eye(k))
    for c in (1.0, 2.5):
        exact = 1 - integrate.quad(density, 0, 6, args=(c, 20.0), epsabs=1e-12)[0]
        assert joint.probability(c, 20.0) == pytest.approx(exact, abs=atol)
    assert joint.critical(0.05, 20.0) == joint.critical(0.05, 20.0)


@pytest.mark.parametrize("k", [3, 4, 6])
def test_joint_tail_of_pairs_is_tukeys(k):
    one = family(k=k)
    tukey, mvt = (ADJUSTMENTS[name] for name in ("tukey", "mvt"))
    np.testing.assert_allclose(mvt.p_values(one), tukey.p_values(one), atol=6e-5)
    np.testing.assert_allclose(mvt.critical(one, 0.05), tukey.critical(one, 0.05), rtol=2e-4)


@pytest.mark.parametrize("name", sorted(ADJUSTMENTS))
@pytest.mark.parametrize("df", [12.0, np.inf])
def test_every_adjustment(name, df):
    one = family(df)
    method = ADJUSTMENTS[name]
    p, critical = method.p_values(one), method.critical(one, 0.05)
    assert p.shape == critical.shape == one.statistic.shape
    assert ((p >= 0) & (p <= 1)).all()
    assert (p >= one.raw - 1e-12).all()
    assert (np.diff(p) <= 1e-12).all()
    assert (critical >= ADJUSTMENTS["none"].critical(one, 0.05) - 1e-12).all()
    if name in ("tukey", "bonferroni", "scheffe", "sidak", "mvt", "none"):
        edge = Family(critical, one.df, one.L, one.covariance, one.n_means)
        np.testing.assert_allclose(method.p_values(edge), 0.05, rtol=1e-6)


@pytest.mark.parametrize("name", sorted(ADJUSTMENTS))
def test_missing_tests_stay_missing(name):
    one = family()
    t, L = one.statistic.copy(), one.L.copy()
    t[2], L[2] = np.nan, np.nan
    df = np.where(np.isnan(t), np.nan, one.df)
    some = Family(t, df, L, L @ L.T, one.n_means)
    method = ADJUSTMENTS[name]
    for values in (method.p_values(some), method.critical(some, 0.05)):
        assert np.isnan(values[2])
        assert np.isfinite(np.delete(values, 2)).all()


def test_holm_counts_tests_that_are_missing():
    raw = np.array([0.01, np.nan, 0.04])
    t = stats.t.isf(raw / 2, 9.0)
    some = Family(t, np.where(np.isnan(raw), np.nan, 9.0), np.eye(3), np.eye(3), 3)
    np.testing.assert_allclose(ADJUSTMENTS["holm"].p_values(some)[[0, 2]], [0.03, 0.08])
    np.testing.assert_allclose(ADJUSTMENTS["fdr"].p_values(some)[[0, 2]], [0.03, 0.06])


def test_unknown_adjustment():
    with pytest.raises(OptionError) as caught:
        check_adjustment("turkey", is_pairwise=True)
    assert caught.value.value == "turkey"
    assert set(caught.value.available) == set(ADJUSTMENTS)


def test_tukey_is_for_pairs():
    with pytest.raises(OptionError) as caught:
        check_adjustment("tukey", is_pairwise=False)
    assert "mvt" in caught.value.available
