"""Likelihood-ratio tests between structures of random effects: nesting, counts, mixtures."""

from __future__ import annotations

import warnings
from functools import cache

import numpy as np
import pytest
from scipy.stats import chi2

import lmmformula as lf
from lmmformula.inference.comparison.nested_pair import is_nested
from tests.structured.test_natural_profiles import rows

WORDS = ["homdiag", "diag", "homcs", "cs", "ar1", "hetar1", "homtoep", "toep", "us"]
LARGER = {
    "homdiag": {"diag", "homcs", "cs", "ar1", "hetar1", "homtoep", "toep", "us"},
    "diag": {"cs", "hetar1", "toep", "us"},
    "homcs": {"cs", "homtoep", "toep", "us"},
    "cs": {"toep", "us"},
    "ar1": {"hetar1", "homtoep", "toep", "us"},
    "hetar1": {"toep", "us"},
    "homtoep": {"toep", "us"},
    "toep": {"us"},
    "us": set(),
}


@cache
def model(random):
    return lf.lmm(f"y ~ u + {random}", rows())


@cache
def fit(random):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", lf.LMMWarning)
        return model(random).fit(reml=False)


def contains(large, small, *, rowless=False):
    matrices = [model(random).design.matrices for random in (small, large)]
    if rowless:
        matrices = [fit(r).without_data().design.matrices for r in (small, large)]
    return is_nested(*matrices)


@pytest.mark.parametrize("small", WORDS)
def test_which_structures_contain_which(small):
    found = {w for w in WORDS if w != small and contains(f"{w}(0 + t | g)", f"{small}(0 + t | g)")}
    assert found == LARGER[small]


@pytest.mark.parametrize(
    ("small", "large", "expected"),
    [
        ("(1 | g)", "ar1(0 + t | g)", True),
        ("(1 | g)", "(1 | g) + ar1(0 + t | g)", True),
        ("(1 | g) + homdiag(0 + t | g)", "homcs(0 + t | g)", True),
        ("homcs(0 + t | g)", "(1 | g) + homdiag(0 + t | g)", False),
        ("ar1(0 + t | g)", "exp(0 + u | g)", False),
        ("exp(0 + u | g)", "ar1(0 + t | g)", True),
        ("ar1(0 + t | g) + (1 | h)", "toep(0 + t | g)", False),
        ("ar1(0 + t | g) + (1 | h)", "hetar1(0 + t | g) + (u | h)", True),
        ("(u | g)", "us(0 + t | g)", True),
        ("(u | g)", "toep(0 + t | g)", False),
        ("(1 | g)", "cs(0 + t | h)", False),
    ],
)
def test_terms_of_several_kinds(small, large, expected):
    assert contains(large, small) is expected


def test_names_are_enough_without_rows():
    assert contains("toep(0 + t | g)", "ar1(0 + t | g)", rowless=True) is True
    assert contains("ar1(0 + t | g) + (1 | h)", "ar1(0 + t | g)", rowless=True) is True


@pytest.mark.parametrize(
    ("small", "large", "df", "mixture"),
    [
        ("homdiag(0 + t | g)", "diag(0 + t | g)", 3, "chi2(3)"),
        ("homcs(0 + t | g)", "cs(0 + t | g)", 3, "chi2(3)"),
        ("homdiag(0 + t | g)", "ar1(0 + t | g)", 1, "chi2(1)"),
        ("ar1(0 + t | g)", "homtoep(0 + t | g)", 2, "chi2(2)"),
        ("ar1(0 + t | g) + (1 | h)", "toep(0 + t | g) + (1 | h)", 5, "chi2(5)"),
        ("ar1(0 + t | g)", "ar1(0 + t | g) + (1 | h)", 1, "0.5 chi2(0) + 0.5 chi2(1)"),
        ("ar1(0 + t | g)", "hetar1(0 + t | g) + (1 | h)", 4, "0.5 chi2(3) + 0.5 chi2(4)"),
        ("cs(u | g) + (1 | h)", "cs(u | g) + (u | h)", 2, "0.5 chi2(1) + 0.5 chi2(2)"),
        ("cs(u | g)", "cs(u | g) + homdiag(u | h)", 1, "0.5 chi2(0) + 0.5 chi2(1)"),
    ],
)
def test_degrees_of_freedom_and_mixtures(small, large, df, mixture):
    one, other = fit(small), fit(large)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", lf.ConvergenceWarning)
        table = lf.anova(one, other, boundary="chibar")
        plain = lf.anova(one, other)
    assert table["df"].iloc[1] == df == other.npar - one.npar
    if one.is_singular:
        pytest.fail("the example must not be singular")
    assert table["mixture"].iloc[1] == mixture
    chisq = 2.0 * (other.llf - one.llf)
    assert plain["chisq"].iloc[1] == pytest.approx(chisq)
    assert plain["pvalue"].iloc[1] == pytest.approx(chi2.sf(chisq, df))
    assert table["pvalue"].iloc[1] <= plain["pvalue"].iloc[1] + 1e-12


@pytest.mark.parametrize(
    ("small", "large"),
    [
        ("(1 | g)", "homcs(0 + t | g)"),
        ("(1 | g)", "(1 | g) + ar1(0 + t | g)"),
        ("ar1(0 + t | g)", "ar1(0 + t | g) + diag(u | h)"),
    ],
)
def test_where_no_mixture_is_known(small, large):
    with pytest.warns(lf.InferenceWarning) as caught:
        table = lf.anova(fit(small), fit(large), boundary="chibar")
    assert np.isnan(table["pvalue"].iloc[1])
    assert caught[0].message.reason
    naive = lf.anova(fit(small), fit(large))["pvalue"].iloc[1]
    assert 0.0 <= naive <= 1.0


def test_models_that_are_not_nested_have_no_p_value():
    with pytest.warns(lf.InferenceWarning):
        table = lf.anova(fit("diag(0 + t | g)"), fit("homtoep(0 + t | g) + (1 | h)"))
    assert np.isnan(table["pvalue"].iloc[1])
    with pytest.raises(lf.OptionError):
        lf.bootstrap_lrt(fit("ar1(0 + t | g)"), fit("cs(0 + t | g)"), 10, seed=1)


def test_ranova_takes_whole_structured_terms():
    table = fit("ar1(0 + t | g) + (1 | h)").ranova()
    assert table["df"].iloc[1:].tolist() == [2.0, 1.0]
    assert table["npar"].tolist() == [6, 4, 5]
    assert table["llf"].iloc[1] == pytest.approx(fit("(1 | h)").llf, abs=1e-8)
    assert table["llf"].iloc[2] == pytest.approx(fit("ar1(0 + t | g)").llf, abs=1e-8)
