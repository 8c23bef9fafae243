"""Exact test of one variance component: its distribution and its arguments."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

import lmmformula as lf
from lmmformula.inference.comparison.restricted_lrt import null_distribution


@pytest.fixture(scope="module")
def dyestuff():
    return lf.lmer("Yield ~ 1 + (1 | Batch)", lf.load_dataset("dyestuff"))


@pytest.mark.filterwarnings("ignore::lmmformula.SingularFitWarning")
def test_distribution_is_that_of_refits(dyestuff):
    """Fits of pure noise by the engine follow the simulated distribution."""
    test = lf.exact_rlrt(dyestuff, n=5000, seed=1)
    responses = dyestuff.model.at([0.0]).simulate(400, 7)
    statistic = []
    for name in responses:
        model = dyestuff.model.with_response(responses[name])
        statistic.append(model.at([0.0]).objective - model.fit(start=1.0).objective)
    statistic = np.maximum(statistic, 0.0)
    positive, drawn = statistic[statistic > 1e-6], test.draws[test.draws > 1e-6]
    assert len(positive) / 400 == pytest.approx(len(drawn) / 5000, abs=0.08)
    assert stats.ks_2samp(positive, drawn).pvalue > 1e-3


def test_draws_depend_on_the_seed_only(dyestuff):
    few, many = (lf.exact_rlrt(dyestuff, n=n, seed=1).draws for n in (100, 15_000))
    assert (few >= 0).all()
    assert len(many) == 15_000
    again = lf.exact_rlrt(dyestuff, n=15_000, seed=1).draws
    np.testing.assert_array_equal(many, again)


def test_grid_is_fine_enough(dyestuff):
    """In a balanced one-way layout the supremum has a closed form in the F statistic."""
    m = dyestuff.design.matrices
    draws = null_distribution(m, 0, 0, n=2000, seed=np.random.SeedSequence(3))
    inner, outer = (
        np.random.default_rng(s) for s in np.random.SeedSequence(3).spawn(1)[0].spawn(2)
    )
    between, within = inner.chisquare([5.0], (2000, 1))[:, 0], outer.chisquare(24, 2000)
    F = (between / 5) / (within / 24)
    ratio = np.maximum(F, 1.0)  # 1 + 5 lambda at the supremum
    exact = 29 * np.log((between + within) / (between / ratio + within)) - 5 * np.log(ratio)
    np.testing.assert_allclose(draws, exact, atol=2e-4)


def test_component_by_name_and_by_term():
    fit = lf.lmer("Reaction ~ Days + (Days || Subject)", lf.load_dataset("sleepstudy"))
    by_name = lf.exact_rlrt(fit, "sd_Days|Subject", n=200, seed=1)
    assert by_name.component == "sd_Days|Subject"
    assert by_name.statistic == pytest.approx(42.7958, abs=1e-4)
    diagonal = lf.lmer("Reaction ~ Days + diag(Days | Subject)", lf.load_dataset("sleepstudy"))
    again = lf.exact_rlrt(diagonal, "sd_Days|Subject", n=200, seed=1)
    assert again.statistic == pytest.approx(by_name.statistic, abs=1e-6)
    crossed = lf.lmer("diameter ~ 1 + (1|plate) + (1|sample)", lf.load_dataset("penicillin"))
    text = crossed.design.matrices.random[1].text
    assert lf.exact_rlrt(crossed, text, n=200, seed=1).component == "sd_Intercept|sample"


def test_a_variance_of_zero():
    with pytest.warns(lf.SingularFitWarning):
        fit = lf.lmer("Yield ~ 1 + (1 | Batch)", lf.load_dataset("dyestuff2"))
    test = lf.exact_rlrt(fit, n=100, seed=1)
    assert test.statistic == 0.0
    assert test.pvalue == 1.0


def test_weights():
    data = lf.load_dataset("dyestuff")
    data["w"] = 2.0
    fit = lf.lmer("Yield ~ 1 + (1 | Batch)", data, weights="w")
    plain = lf.lmer("Yield ~ 1 + (1 | Batch)", data)
    ours, theirs = (lf.exact_rlrt(f, n=500, seed=1) for f in (fit, plain))
    assert ours.statistic == pytest.approx(theirs.statistic, abs=1e-8)
    np.testing.assert_allclose(ours.draws, theirs.draws, atol=1e-8)


def test_bad_input(dyestuff):
    full = lf.lmer("Reaction ~ Days + (Days | Subject)", lf.load_dataset("sleepstudy"))
    with pytest.raises(lf.OptionError, match="not correlated") as caught:
        lf.exact_rlrt(full, "sd_Days|Subject", seed=1)
    assert caught.value.available == ()
    crossed = lf.lmer("diameter ~ 1 + (1|plate) + (1|sample)", lf.load_dataset("penicillin"))
    with pytest.raises(lf.OptionError) as caught:
        lf.exact_rlrt(crossed, seed=1)
    assert caught.value.available == ("sd_Intercept|plate", "sd_Intercept|sample")
    with pytest.raises(lf.OptionError, match="one component only"):
        lf.exact_rlrt(crossed.refit_ml(), "sd_Intercept|plate", seed=1)
    with pytest.raises(lf.DataError, match="needs the rows"):
        lf.exact_rlrt(dyestuff.without_data(), seed=1)
    with pytest.raises(lf.OptionError, match="fitted linear mixed model"):
        lf.exact_rlrt("Yield ~ 1", seed=1)
