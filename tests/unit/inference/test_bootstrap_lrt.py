"""Likelihood-ratio tests by simulation, and what is nested in what."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

import lmmformula as lf
from lmmformula.inference.bootstrap import fits as bootstrap_fits
from lmmformula.inference.comparison.nesting import check_nested


@pytest.fixture(scope="module")
def models():
    data = lf.load_dataset("sleepstudy")
    formulas = {
        "intercept": "Reaction ~ Days + (1 | Subject)",
        "diagonal": "Reaction ~ Days + (Days || Subject)",
        "full": "Reaction ~ Days + (Days | Subject)",
        "no days": "Reaction ~ 1 + (Days | Subject)",
    }
    return {name: lf.lmer(formula, data) for name, formula in formulas.items()}


def test_statistic_is_that_of_anova(models):
    test = lf.bootstrap_lrt(models["diagonal"], models["full"], 200, seed=1)
    table = lf.anova(models["diagonal"], models["full"])
    assert test.statistic == pytest.approx(table["chisq"].iloc[1], abs=1e-7)
    assert test.df == 1
    assert test.criterion == "ML"
    assert test.n_failed == 0
    assert test.replicates.shape == (200,)
    assert (test.replicates >= 0).all()
    assert test.pvalue == pytest.approx(table["pvalue"].iloc[1], abs=0.1)
    assert "200 replicates by ML" in repr(test)


def test_reml_criteria(models):
    test = lf.bootstrap_lrt(models["diagonal"], models["full"], 100, seed=1, refit=False)
    assert test.criterion == "REML"
    gap = models["diagonal"].objective - models["full"].objective
    assert test.statistic == pytest.approx(gap, abs=1e-9)
    with pytest.raises(lf.OptionError, match="same fixed effects"):
        lf.bootstrap_lrt(models["no days"], models["full"], 5, seed=1, refit=False)


def test_fixed_effects(models):
    test = lf.bootstrap_lrt(models["no days"], models["full"], 200, seed=1)
    assert test.statistic == pytest.approx(23.5365, abs=1e-3)
    assert test.pvalue == pytest.approx(1 / 201)


def test_variance_at_the_boundary(models):
    """The chi-square distribution with one df would be far too wide: half the mass is at zero."""
    data = lf.load_dataset("dyestuff")
    small = lf.lmer("Yield ~ 1 + (1 | Batch)", data)
    data["half"] = np.arange(30) % 5 < 2
    large = lf.lmm("Yield ~ 1 + (1 | Batch) + (1 | Batch:half)", data, checks="ignore")
    with pytest.warns(lf.SingularFitWarning):
        large = large.fit()
    test = lf.bootstrap_lrt(small, large, 300, seed=2, refit=False)
    assert np.mean(test.replicates < 1e-4) > 0.35
    assert np.mean(test.replicates > stats.chi2.isf(0.1, 1)) < 0.1


def test_one_seed_any_workers(models):
    pair = models["intercept"], models["full"]
    first = lf.bootstrap_lrt(*pair, 20, seed=3).replicates
    again = lf.bootstrap_lrt(*pair, 40, seed=3).replicates[:20]
    np.testing.assert_allclose(first, again, atol=1e-6)


def test_failed_replicates_are_counted(models, monkeypatch):
    settle = bootstrap_fits.minimize_lockstep

    def stumble(stack, start, reml):
        solution = settle(stack, start, reml)
        solution.settled[2] = False
        return solution

    monkeypatch.setattr(bootstrap_fits, "minimize_lockstep", stumble)
    monkeypatch.setattr(bootstrap_fits.ModelFitter, "fit_one", lambda self, system: "no luck")
    with pytest.warns(lf.ConvergenceWarning, match="1 of 20"):
        test = lf.bootstrap_lrt(models["diagonal"], models["full"], 20, seed=1)
    assert test.n_failed == 1
    assert np.isnan(test.replicates[2])
    assert test.failures[0].reason == "no luck"


def test_negative_statistic_is_truncated_with_a_warning(models):
    worse = models["full"].model.at([3.0, 0.0, 3.0])
    with pytest.warns(lf.ConvergenceWarning, match="lower likelihood"):
        test = lf.bootstrap_lrt(models["diagonal"], worse, 10, seed=1, refit=False)
    assert test.statistic == 0.0
    assert test.pvalue == 1.0


@pytest.mark.parametrize(
    ("small", "large", "is_nested"),
    [
        ("y ~ x + (1 | g)", "y ~ x + (x | g)", True),
        ("y ~ x + (x || g)", "y ~ x + (x | g)", True),
        ("y ~ x + (x | g)", "y ~ x + (x || g)", False),
        ("y ~ x + (0 + x | g)", "y ~ x + (x || g)", True),
        ("y ~ x + (1 | g)", "y ~ x + (1 | h)", False),
        ("y ~ x + (1 | g)", "y ~ x + (1 | g) + (1 | h)", True),
        ("y ~ 1 + (1 | g)", "y ~ x + (1 | g)", True),
        ("y ~ x + (1 | g)", "y ~ 1 + (1 | g)", False),
        ("y ~ x + (1 | g)", "y ~ scale(x) + (1 | g)", True),
        ("y ~ x + (x | g)", "y ~ x + (scale(x) | g)", True),
        ("y ~ x + (x || g)", "y ~ x + (scale(x) || g)", False),
        ("y ~ f + (1 | g) + (1 | g:f)", "y ~ f + (0 + f | g)", True),
        ("y ~ f + (0 + f | g)", "y ~ f + (1 | g) + (1 | g:f)", False),
        ("y ~ x + (1 | g) + (1 | g:f)", "y ~ x + (1 | g)", False),
    ],
)
def test_nesting(small, large, is_nested):
    rng = np.random.default_rng(0)
    g, h, f = (rng.integers(0, m, 120).astype(str) for m in (8, 5, 3))
    data = {"y": rng.normal(size=120), "x": rng.normal(2.0, 1.0, 120), "g": g, "h": h, "f": f}
    designs = [lf.lmm(formula, data).design.matrices for formula in (small, large)]
    if is_nested:
        check_nested(*designs, (small, large))
        return
    with pytest.raises(lf.OptionError, match="not nested") as caught:
        check_nested(*designs, (small, large))
    assert caught.value.models == (small, large)


def test_bad_input(models):
    with pytest.raises(lf.OptionError, match="not nested"):
        lf.bootstrap_lrt(models["full"], models["diagonal"], 10, seed=1)
    with pytest.raises(lf.OptionError, match="two fitted linear mixed models"):
        lf.bootstrap_lrt(models["full"], "Reaction ~ Days", 10, seed=1)
    with pytest.raises(lf.DataError, match="needs the rows"):
        lf.bootstrap_lrt(models["diagonal"].without_data(), models["full"], 10, seed=1)
    shorter = lf.lmer("Reaction ~ Days + (1 | Subject)", lf.load_dataset("sleepstudy").head(120))
    with pytest.raises(lf.DataError, match="different rows"):
        lf.bootstrap_lrt(shorter, models["full"], 10, seed=1)
    with pytest.raises(lf.OptionError) as caught:
        lf.bootstrap_lrt(models["diagonal"], models["full"], 10, seed=None)
    assert caught.value.argument == "seed"
