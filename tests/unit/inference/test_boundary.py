"""Null distributions of tests on variances: which one holds, and where none is known."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

import lmmformula as lf
from lmmformula.engine import estimate, replace_response
from lmmformula.errors import InferenceWarning, OptionError
from lmmformula.inference.comparison.boundary import Boundary, Fitted, null_for
from lmmformula.inference.comparison.mixtures import Mixture, chi_bar_square, cone_weights
from lmmformula.inference.comparison.random_change import random_change
from lmmformula.optimize import minimize

ONE = "Reaction ~ Days + (1 | Subject)"
TWO = "Reaction ~ Days + (Days || Subject)"
FULL = "Reaction ~ Days + (Days | Subject)"


def fits(data, *formulas):
    """Fit by REML."""
    return [lf.lmer(formula, data) for formula in formulas]


def test_mixture_tails():
    mixture = Mixture((1, 2), (0.5, 0.5))
    assert mixture.survival(3.0) == pytest.approx(
        0.5 * stats.chi2.sf(3.0, 1) + 0.5 * stats.chi2.sf(3.0, 2)
    )
    assert str(mixture) == "0.5 chi2(1) + 0.5 chi2(2)"
    at_zero = chi_bar_square(0, np.ones((1, 1)))
    assert at_zero.survival(0.0) == 1.0
    assert at_zero.survival(2.0) == pytest.approx(0.5 * stats.chi2.sf(2.0, 1))
    assert str(Mixture((3,), (1.0,))) == "chi2(3)"


@pytest.mark.parametrize("m", [1, 2, 3, 4])
def test_independent_variances_have_binomial_weights(m):
    expected = [math.comb(m, j) / 2**m for j in range(m + 1)]
    assert cone_weights(np.diag(np.arange(1.0, m + 1))) == pytest.approx(expected, abs=1e-4)


def test_weights_are_those_of_a_projection_on_the_orthant():
    rng = np.random.default_rng(3)
    root = rng.standard_normal((3, 5))
    vcov = root @ root.T
    information = np.linalg.inv(vcov)
    draws = rng.multivariate_normal(np.zeros(3), vcov, size=4000)
    counts = np.zeros(4)
    for z in draws:
        counts[_active(z, information)] += 1
    assert cone_weights(vcov) == pytest.approx(counts / len(draws), abs=0.03)


def _active(z, information):
    """Number of positive entries of the nearest point of the orthant, by trying all faces."""
    best, size = math.inf, 0
    for face in range(8):
        free = [i for i in range(3) if face >> i & 1]
        point = np.zeros(3)
        if free:
            inner = information[np.ix_(free, free)]
            point[free] = np.linalg.solve(inner, (information @ z)[free])
        distance = (z - point) @ information @ (z - point)
        if np.all(point >= 0) and distance < best:
            best, size = distance, len(free)
    return size


@pytest.mark.parametrize(
    ("small", "large", "expected"),
    [
        (ONE, TWO, "0.5 chi2(0) + 0.5 chi2(1)"),
        (ONE, FULL, "0.5 chi2(1) + 0.5 chi2(2)"),
        (TWO, FULL, "chi2(1)"),
        ("Reaction ~ 1 + (1 | Subject)", FULL, "0.5 chi2(2) + 0.5 chi2(3)"),
        ("Reaction ~ 1 + (1 | Subject)", ONE, "chi2(1)"),
        (ONE, "Reaction ~ Days + (1 + Days | Subject)", "0.5 chi2(1) + 0.5 chi2(2)"),
        (ONE, "Reaction ~ Days + (0 + Late | Subject)", "0.5 chi2(1) + 0.5 chi2(2)"),
    ],
)
def test_which_mixture(sleepstudy, small, large, expected):
    data = sleepstudy.assign(Late=np.where(sleepstudy["Days"] > 4, "late", "early"))
    table = lf.anova(*fits(data, small, large), boundary="chibar")
    assert list(table.columns)[-2:] == ["pvalue", "mixture"]
    assert table["mixture"].tolist() == ["", expected]
    plain = lf.anova(*fits(data, small, large))
    assert "mixture" not in plain
    assert table["pvalue"].iloc[1] <= plain["pvalue"].iloc[1] * (1 + 1e-12)


def test_several_uncorrelated_variances(sleepstudy):
    large = "Reaction ~ Days + (1 | Subject) + (0 + Days | Subject) + (0 + I(Days^2) | Subject)"
    table = lf.anova(*fits(sleepstudy, ONE, large), refit=False, boundary="chibar")
    weights = [float(part.split()[0]) for part in table["mixture"].iloc[1].split(" + ")]
    assert sum(weights) == pytest.approx(1.0, abs=2e-3)
    assert weights[1] == 0.5
    assert weights[0] > 0.25  # the two variances are negatively correlated


def test_crossed_and_nested_factors():
    machines = lf.load_dataset("machines")
    small = lf.lmer("score ~ Machine + (1 | Worker)", machines)
    large = lf.lmer("score ~ Machine + (1 | Worker/Machine)", machines)
    table = lf.anova(small, large, refit=False, boundary="chibar")
    assert table["mixture"].iloc[1] == "0.5 chi2(0) + 0.5 chi2(1)"


def unknown(reason, call, *results, **options):
    """Check that there is a missing p-value and a warning with the reason."""
    with pytest.warns(InferenceWarning) as caught:
        table = call(*results, **options)
    assert reason in caught[-1].message.reason
    assert "bootstrap_lrt" in caught[-1].message.suggestion
    assert math.isnan(table["pvalue"].iloc[1])
    assert table["mixture"].iloc[1] == ""


def test_several_correlated_effects_at_once(sleepstudy):
    full = lf.lmer(FULL, sleepstudy)
    unknown("several correlated", full.ranova, reduce_terms=False, boundary="chibar")


def test_a_smaller_model_on_the_boundary():
    data = lf.load_dataset("dyestuff2")
    data["lab"] = np.tile(["a", "b", "c"], 10)
    with pytest.warns(lf.SingularFitWarning):
        small = lf.lmer("Yield ~ 1 + (1 | Batch)", data)
    with pytest.warns(lf.SingularFitWarning):
        large = lf.lmer("Yield ~ 1 + (1 | Batch) + (1 | lab)", data)
    unknown("on the boundary", lf.anova, small, large, refit=False, boundary="chibar")


def test_parametrizations_that_cannot_be_matched():
    machines = lf.load_dataset("machines")
    small = lf.lmer("score ~ Machine + (1 | Worker) + (1 | Worker:Machine)", machines)
    large = lf.lmer("score ~ Machine + (0 + Machine | Worker)", machines)
    plain = lf.anova(small, large)
    assert plain["pvalue"].iloc[1] < 1  # nested: compound symmetry is one unstructured matrix
    unknown("no random effects", lf.anova, small, large, boundary="chibar")


def test_models_that_are_not_nested(sleepstudy):
    data = sleepstudy.assign(wave=np.sin(sleepstudy["Days"]))
    small, large = fits(data, "Reaction ~ wave + (1 | Subject)", FULL)
    with pytest.warns(InferenceWarning, match="nested") as caught:
        table = lf.anova(small, large)
    assert caught[0].message.models == ("Reaction ~ wave + (1 | Subject)", FULL)
    assert math.isnan(table["pvalue"].iloc[1])
    assert table["chisq"].iloc[1] > 0
    with pytest.warns(InferenceWarning):
        table = lf.anova(*fits(data, "Reaction ~ Days + (0 + I(Days^2) | Subject)", FULL))
    assert math.isnan(table["pvalue"].iloc[1])


def test_results_without_rows(sleepstudy):
    small, large = (fit.without_data() for fit in fits(sleepstudy, ONE, FULL))
    table = lf.anova(small, large, boundary="chibar")
    assert table["mixture"].iloc[1] == "0.5 chi2(1) + 0.5 chi2(2)"


def test_fixed_effects_that_cannot_be_checked_without_rows():
    data = lf.load_dataset("machines")
    small = lf.lmer("score ~ Machine + (1 | Worker)", data, contrasts={"Machine": "sum"})
    large = lf.lmer("score ~ Machine + (1 | Worker/Machine)", data)
    expected = "0.5 chi2(0) + 0.5 chi2(1)"
    assert lf.anova(small, large, boundary="chibar")["mixture"].iloc[1] == expected
    bare = small.without_data(), large.without_data()
    assert lf.anova(*bare)["pvalue"].iloc[1] < 1
    unknown("without the rows", lf.anova, *bare, boundary="chibar")


def null_of(small, large):
    """Null distribution or reason, for models at a given theta."""
    return null_for(small, Fitted.of(large), Boundary("chibar", True), is_nested=True)


def test_more_variances_than_weights_can_be_had_for(sleepstudy):
    powers = " + ".join(f"I(Days^{power})" for power in range(2, 8))
    model = lf.lmm(f"Reaction ~ Days + diag({powers} | Subject)", sleepstudy)
    large = model.at(np.zeros(7))
    small = Fitted(replace(model.design.matrices, random=()), (), None)
    assert null_of(small, large) == "7 variances are tested at once"


def test_several_variances_under_other_names(sleepstudy):
    data = sleepstudy.assign(late=np.where(sleepstudy["Days"] > 4, "late", "early"))
    small = lf.lmer(ONE, data)
    model = lf.lmm("Reaction ~ Days + (0 + late | Subject) + (1 | Subject:late)", data)
    assert "other names" in null_of(Fitted.of(small), model.at(np.ones(4)))


@pytest.mark.slow
def test_frequency_of_zero_estimates():
    rng = np.random.default_rng(1)
    n = 3600
    data = {"g": np.arange(n) // 6, "x": np.arange(n) % 6, "y": rng.standard_normal(n)}
    model = lf.lmm("y ~ x + diag(x | g)", data)
    small = Fitted(replace(model.design.matrices, random=()), (), None)
    mixture = null_of(small, model.at(np.zeros(2)))
    statistics = []
    for _ in range(600):
        system = replace_response(model.system, model.design.matrices, rng.standard_normal(n))
        null = estimate(system, np.zeros(2)).objective
        statistics.append(null - minimize(system)[0].objective)
    # two Monte Carlo errors, and some for the finite number of groups
    assert np.mean(np.array(statistics) < 1e-6) == pytest.approx(mixture.weights[0], abs=0.05)
    sizes = np.mean([mixture.survival(value) <= 0.1 for value in statistics])
    assert sizes == pytest.approx(0.1, abs=0.03)


def test_exact_distribution(sleepstudy):
    weak = sleepstudy[sleepstudy["Days"] <= 2]
    small, large = fits(weak, ONE, "Reaction ~ Days + (1 | Subject) + (0 + Days | Subject)")
    table = lf.anova(small, large, refit=False, boundary="exact", seed=1)
    again = lf.anova(small, large, refit=False, boundary="exact", seed=1)
    assert table["mixture"].iloc[1] == "exact, 10000 draws"
    assert table["pvalue"].iloc[1] == again["pvalue"].iloc[1]


def test_exact_distribution_of_the_only_component():
    fit = lf.lmer("Yield ~ 1 + (1 | Batch)", lf.load_dataset("dyestuff"))
    table = fit.ranova(boundary="exact", seed=2)
    assert table["pvalue"].iloc[1] == lf.exact_rlrt(fit, seed=2).pvalue


def test_where_there_is_no_exact_distribution(sleepstudy):
    one, two, full = fits(sleepstudy, ONE, TWO, FULL)
    options = {"refit": False, "boundary": "exact", "seed": 1}
    unknown("single variance", lf.anova, one, full, **options)
    unknown("maximum likelihood", lf.anova, one, two, boundary="exact", seed=1)
    bare = two.without_data()
    unknown("rows", lf.anova, one, bare, **options)
    with pytest.raises(OptionError):
        lf.anova(one, two, refit=False, boundary="exact")


def test_options(sleepstudy):
    (one,) = fits(sleepstudy, ONE)
    for call in (lambda: lf.anova(one, one, boundary="half"), lambda: one.ranova(boundary="half")):
        with pytest.raises(OptionError) as caught:
            call()
        assert caught.value.available == (None, "chibar", "exact")


def test_changes_by_name(sleepstudy):
    def blocks(random):
        return lf.lmm(f"Reaction ~ Days + {random}", sleepstudy).design.matrices.random

    change = random_change(blocks("(Days || Subject)"), blocks("(Days | Subject)"))
    assert (change.n_free, change.variances) == (1, ())
    assert random_change(blocks("(Days | Subject)"), blocks("(Days || Subject)")).reason
    twice = blocks("(1 | Subject) + (Days | Subject)")
    assert "two terms" in random_change(blocks("(1 | Subject)"), twice).reason
