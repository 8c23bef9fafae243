"""Power by simulation: exact values, what is tested, seeds, options, errors."""

from __future__ import annotations

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import lmmformula as lf
from lmmformula.errors import (
    ConvergenceWarning,
    DataError,
    DesignError,
    NumericalError,
    OptionError,
    SingularFitWarning,
)
from lmmformula.inference.bootstrap.run import seed_sequence
from lmmformula.planning import replicates
from lmmformula.planning.hypotheses import find_hypothesis
from lmmformula.planning.power import truth_of


@pytest.fixture(scope="module")
def fit():
    return lf.lmer("Reaction ~ Days + (Days | Subject)", lf.load_dataset("sleepstudy"))


@pytest.fixture(scope="module")
def machines():
    return lf.lmer("score ~ Machine + (1 | Worker)", lf.load_dataset("machines"))


def noncentral_t(effect, se, df):
    """Power of a two-sided t test at 5 %."""
    critical = stats.t.ppf(0.975, df)
    shift = effect / se
    return stats.nct.sf(critical, df, shift) + stats.nct.cdf(-critical, df, shift)


def near(found, exact):
    """Within four standard deviations of the simulation."""
    return abs(found.power - exact) < 4 * np.sqrt(exact * (1 - exact) / found.n_sim)


@pytest.mark.parametrize("test", ["satterthwaite", "kenward-roger", "kenward-roger-observed"])
def test_exact_power_within_groups(test):
    """Balanced data: the error of the comparison is the residual, with df to spare."""
    design = lf.simulate_design({"subject": 8}, within={"c": ["a", "b"]}, replicates=3)
    study = lf.plan(
        "y ~ c + (1 | subject)", design,
        fixed={"c[T.b]": 25}, varcorr={"sd_Intercept|subject": 90}, sigma=30,
    )  # fmt: skip
    exact = noncentral_t(25, 30 * np.sqrt(2 / 24), 48 - 8 - 1)
    assert near(lf.power(study, "c[T.b]", 400, seed=1, test=test), exact)


def test_exact_power_between_groups():
    design = lf.simulate_design({"g": 10}, between={"c": ("g", ["a", "b"])}, replicates=6)
    study = lf.plan(
        "y ~ c + (1 | g)", design,
        fixed={"c[T.b]": 2.0}, varcorr={"sd_Intercept|g": 1.0}, sigma=1.0,
    )  # fmt: skip
    exact = noncentral_t(2.0, np.sqrt(2 / 5 * (1 + 1 / 6)), 8)
    assert study.bse["c[T.b]"] == pytest.approx(np.sqrt(2 / 5 * (1 + 1 / 6)))
    assert near(lf.power(study, "c", 500, seed=1), exact)
    exact = noncentral_t(2.0, np.sqrt(2 / 15 * (1 + 1 / 2)), 28)
    assert near(lf.power(study, "c", 500, seed=1, levels={"g": 30}, within={"g": 2}), exact)


@pytest.mark.parametrize(("groups", "size"), [(6, 5), (14, 3)])
def test_exact_power_for_a_variance(groups, size):
    """The restricted likelihood ratio orders balanced samples as the F ratio does."""
    data = lf.load_dataset("dyestuff")
    fit = lf.lmer("Yield ~ 1 + (1 | Batch)", data)
    exact = lf.one_way_random("Yield", "Batch", data).power(0.5, groups=groups, size=size)
    found = lf.power(
        fit, "(1 | Batch)", 1500, seed=1, levels={"Batch": groups}, within={"Batch": size},
        varcorr={"sd_Intercept|Batch": 1.0}, sigma=np.sqrt(2.0), boundary="exact",
    )  # fmt: skip
    # 10,000 draws place the 5 % quantile of the null distribution to 0.2 %.
    assert abs(found.power - exact) < 4 * np.sqrt(exact * (1 - exact) / 1500) + 0.01
    assert found.distribution.startswith("exact")


def test_size_of_the_test(fit):
    for test in ("satterthwaite", "wald", "lrt"):
        found = lf.power(fit, "Days", 400, seed=3, effect=0.0, test=test)
        assert found.power < 0.05 + 4 * np.sqrt(0.05 * 0.95 / 400) + 0.03 * (
            test != "satterthwaite"
        )


def test_pvalues_are_those_of_fits_to_the_same_responses(fit):
    """Every method against results of ordinary fits to the responses drawn."""

    truth = truth_of(fit)
    hypothesis = find_hypothesis(truth.design, "Days = 9")
    for test in ("satterthwaite", "kenward-roger", "wald"):
        blocks = replicates.blocks_for(truth, hypothesis, test, None, seed_sequence(1, ""))
        stack = blocks.draws.sampler.draw(5, np.random.SeedSequence(7))
        found = blocks.run(5, np.random.SeedSequence(7)).pvalues
        for i in range(5):
            system = stack.single(i)
            model = lf.lmm(fit.formula, lf.load_dataset("sleepstudy"))
            model.__dict__["any_system"] = system
            expected = model.fit().f_test("Days = 9", ddf=test).pvalue
            assert found[i] == pytest.approx(float(expected), rel=1e-7)
    blocks = replicates.blocks_for(truth, hypothesis, "lrt", None, seed_sequence(1, ""))
    responses = blocks.draws.responses(5, np.random.SeedSequence(7))
    found = blocks.run(5, np.random.SeedSequence(7)).pvalues
    for i in range(5):
        data = lf.load_dataset("sleepstudy").assign(y=responses[:, i])
        large = lf.lmer("y ~ Days + (Days | Subject)", data, reml=False)
        small = lf.lmer("y ~ 1 + (Days | Subject)", data, reml=False, offset=9.0 * data["Days"])
        statistic = 2 * (large.llf - small.llf)
        assert found[i] == pytest.approx(stats.chi2.sf(statistic, 1), rel=1e-7)


def test_random_effects_as_ranova_tests_them(fit):

    varcorr = {"sd_Days|Subject": 1.5, "sd_Intercept|Subject": 15.0}
    truth = truth_of(fit).with_parameters(None, varcorr, None)
    for label, boundary in (("Days in (Days | Subject)", None), ("(Days|Subject)", None),
                            ("Days in (Days|Subject)", "chibar")):  # fmt: skip
        hypothesis = find_hypothesis(truth.design, label)
        blocks = replicates.blocks_for(truth, hypothesis, "lrt", boundary, seed_sequence(1, ""))
        responses = blocks.draws.responses(3, np.random.SeedSequence(2))
        found = blocks.run(3, np.random.SeedSequence(2)).pvalues
        for i in range(3):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", SingularFitWarning)
                again = fit.refit(responses[:, i])
            table = again.ranova(reduce_terms=label.startswith("Days"), boundary=boundary)
            assert found[i] == pytest.approx(table["pvalue"].iloc[1], rel=1e-7, abs=1e-9)


def test_a_term_and_a_coefficient(machines):
    options = {"effect": {"Machine[T.B]": 1.0, "Machine[T.C]": 2.0}, "seed": 1}
    whole = lf.power(machines, "Machine", 100, **options)
    assert whole.assumed == {"Machine[T.B]": 1.0, "Machine[T.C]": 2.0}
    part = lf.power(machines, "Machine[T.B]", 100, **options)
    assert part.assumed == {"Machine[T.B]": 1.0}
    assert part.power < whole.power
    contrast = lf.power(machines, "Machine[T.C] - Machine[T.B] = 0", 100, **options)
    assert contrast.power == pytest.approx(part.power, abs=0.1)
    joint = lf.power(machines, ["Machine[T.B] = 0", "Machine[T.C] = 0"], 100, **options)
    assert joint.pvalues == pytest.approx(whole.pvalues, rel=1e-8)
    rows = np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    assert lf.power(machines, rows, 100, **options).pvalues == pytest.approx(whole.pvalues)


def test_likelihood_ratios_need_no_fixed_effects_left():
    fit = lf.lmer("Yield ~ 1 + (1 | Batch)", lf.load_dataset("dyestuff"))
    found = lf.power(fit, "Intercept = 1500", 50, seed=1, test="lrt")
    assert np.isfinite(found.pvalues).all()


def test_crossed_factors_and_other_sizes():
    fit = lf.lmer("diameter ~ 1 + (1 | plate) + (1 | sample)", lf.load_dataset("penicillin"))
    options = {"varcorr": {"sd_Intercept|plate": 0.2}, "seed": 1}
    small = lf.power(fit, "(1 | plate)", 60, levels={"plate": 6}, **options)
    large = lf.power(fit, "(1 | plate)", 60, levels={"plate": 24, "sample": 5}, **options)
    assert small.ngroups == {"plate": 6, "sample": 6}
    assert large.ngroups == {"plate": 24, "sample": 5}
    assert large.nobs == 120
    assert large.power > small.power


def test_power_grows(fit):
    curve = lf.power_curve(fit, "Days", 100, seed=1, effect=4.0, levels={"Subject": [5, 12, 40]})
    table = curve.to_frame()
    assert list(table.columns) == ["Subject", "nobs", "power", "lower", "upper", "n_failed"]
    assert table["power"].is_monotonic_increasing
    assert table["nobs"].tolist() == [50, 120, 400]
    alone = lf.power(fit, "Days", 100, seed=1, effect=4.0, levels={"Subject": 12})
    assert table["power"][1] == alone.power
    assert curve.smallest(0.0) == 5
    assert curve.smallest(1.1) is None
    assert "Subject" in str(curve)


@pytest.mark.parametrize(
    ("given", "along"),
    [({"effect": [0.0, 20.0]}, "effect"), ({"effect": {"Days": np.array([0.0, 20.0])}}, "Days"),
     ({"sigma": (400.0, 10.0)}, "sigma"), ({"within": {"Subject": range(4, 12, 6)}}, "Subject"),
     ({"varcorr": {"sd_Days|Subject": [80.0, 1.0]}}, "sd_Days|Subject")],
)  # fmt: skip
def test_curves_along_anything(fit, given, along):
    curve = lf.power_curve(fit, "Days", 20, seed=1, **given)
    assert curve.along == along
    assert curve.results[0].power < curve.results[1].power or along == "Subject"


@pytest.mark.parametrize("given", [{}, {"levels": {"Subject": []}},
                                   {"levels": {"Subject": [1, 2]}, "effect": [1, 2]}])  # fmt: skip
def test_curves_need_one_list(fit, given):
    with pytest.raises(OptionError) as caught:
        lf.power_curve(fit, "Days", 10, seed=1, **given)
    assert caught.value.suggestion


def test_assumed_parameters(fit):

    truth = truth_of(fit).with_parameters(
        {"Days": 2.0}, {"sd_Days|Subject": 3.0, "cor_Days.Intercept|Subject": -0.5}, 10.0
    )
    assert truth.params["Days"] == 2.0
    assert truth.params["Intercept"] == fit.params["Intercept"]
    values = truth.varcorr.parameters()
    assert values["sd_Days|Subject"] == pytest.approx(3.0)
    assert values["cor_Days.Intercept|Subject"] == pytest.approx(-0.5)
    assert values["sigma"] == 10.0
    kept = fit.varcorr.parameters()["sd_Intercept|Subject"]
    assert values["sd_Intercept|Subject"] == pytest.approx(kept)
    assert fit.params["Days"] != 2.0
    draws = pd.DataFrame(
        replicates.ParametricBlocks(truth.fitter(True), truth.design, truth.estimates)
        .responses(3000, np.random.SeedSequence(1))
    )  # fmt: skip
    slopes = draws.iloc[9].to_numpy() - draws.iloc[0].to_numpy()
    assert slopes.mean() == pytest.approx(18.0, abs=4 * 30 / np.sqrt(3000))
    assert slopes.var() == pytest.approx(81 * 9 + 200, rel=0.1)


def test_the_seed_decides_everything(fit):
    one, two = (lf.power(fit, "Days", 120, seed=seed, effect=4.0) for seed in (1, 2))
    again = lf.power(fit, "Days", 120, seed=np.random.SeedSequence(1), effect=4.0)
    assert (again.pvalues == one.pvalues).all()
    assert not np.allclose(one.pvalues, two.pvalues)
    first = lf.power(fit, "Days", 100, seed=1, effect=4.0).pvalues
    assert first == pytest.approx(one.pvalues[:100], rel=1e-6)


@pytest.mark.parametrize(
    ("term", "test", "boundary"),
    [("Days", "kenward-roger", None), ("Days", "lrt", None), ("(Days | Subject)", "lrt", None),
     ("Days in (Days | Subject)", "lrt", "chibar")],
)  # fmt: skip
def test_blocks_can_be_sent_to_other_processes(fit, term, test, boundary):
    truth = truth_of(fit)
    hypothesis = find_hypothesis(truth.design, term)
    blocks = replicates.blocks_for(truth, hypothesis, test, boundary, np.random.SeedSequence(1))
    here = blocks.run(5, np.random.SeedSequence(2)).pvalues
    there = pickle.loads(pickle.dumps(blocks)).run(5, np.random.SeedSequence(2)).pvalues
    assert there == pytest.approx(here, rel=1e-9)


@pytest.mark.slow
def test_several_processes(fit):
    one, two = (lf.power(fit, "Days", 120, seed=1, effect=4.0, n_jobs=n) for n in (1, 2))
    assert two.pvalues == pytest.approx(one.pvalues, rel=1e-6)


def test_limits_are_exact(fit):
    found = lf.power(fit, "Days", 80, seed=1, effect=4.0)
    hits = int(np.sum(found.pvalues < 0.05))
    expected = stats.binomtest(hits, 80).proportion_ci(method="exact")
    assert (found.lower, found.upper) == pytest.approx((expected.low, expected.high))
    assert found.at(0.05) == (found.power, found.lower, found.upper)
    assert found.at(0.5)[0] >= found.power
    assert lf.power(fit, "Days", 20, seed=1, effect=1000.0).upper == 1.0


def test_progress(fit, capsys):
    calls = []
    lf.power(fit, "Days", 120, seed=1, progress=lambda done, n: calls.append((done, n)))
    assert calls[-1] == (120, 120)
    assert len(calls) > 1
    lf.power(fit, "Days", 20, seed=1, progress=True)
    assert "power" in capsys.readouterr().err


def test_failures_count_as_no_rejection(fit, monkeypatch):
    tested = replicates.ApproximateTests._tested
    count = iter(range(100))

    def sometimes(self, refit):
        return "no luck" if next(count) % 4 == 0 else tested(self, refit)

    monkeypatch.setattr(replicates.ApproximateTests, "_tested", sometimes)
    with pytest.warns(ConvergenceWarning) as caught:
        found = lf.power(fit, "Days", 40, seed=1)
    assert found.n_failed == caught[0].message.n_failed == 10
    assert [failure.replicate for failure in found.failures] == list(range(0, 40, 4))
    assert np.isnan(found.pvalues).sum() == 10
    assert found.power <= 0.75
    assert "10 failed" in str(found)
    monkeypatch.setattr(replicates.ApproximateTests, "_tested", lambda self, refit: "never")
    with pytest.raises(NumericalError) as error:
        lf.power(fit, "Days", 5, seed=1)
    assert error.value.got == "never"


def test_maximum_likelihood_fits(machines):
    ml = machines.refit_ml()
    found = lf.power(ml, "Machine", 50, seed=1, effect={"Machine[T.B]": 2.0, "Machine[T.C]": 0.0})
    assert found.n_failed == 0
    small_sample = lf.power(ml, "Machine", 50, seed=1, test="kenward-roger")
    assert small_sample.n_failed == 0


def test_it_prints_and_pickles(fit):
    found = lf.power(fit, "Days", 30, seed=1, levels={"Subject": 20}, effect=3.0)
    text = str(found)
    assert "Subject: 20" in text
    assert "Days = 3" in text
    assert "Satterthwaite" in text
    assert str(pickle.loads(pickle.dumps(found))) == text
    assert "<table" in found.as_html()
    ratio = lf.power(fit, "(Days | Subject)", 10, seed=1)
    assert "chi2(3)" in str(ratio)


BAD = [
    ({"term": "Day"}, OptionError, {"argument": "term", "closest": "Days"}),
    ({"term": "(Day | Subject)"}, OptionError, {"argument": "term"}),
    ({"test": "anova"}, OptionError, {"argument": "test"}),
    ({"term": "(Days | Subject)", "test": "wald"}, OptionError, {"argument": "test"}),
    ({"boundary": "chibar"}, OptionError, {"argument": "boundary"}),
    ({"term": "(Days | Subject)", "boundary": "exact"}, OptionError, {"argument": "boundary"}),
    ({"term": "(Days | Subject)", "boundary": "odd"}, OptionError, {"argument": "boundary"}),
    ({"term": "(Days | Subject)", "effect": 3.0}, OptionError, {"argument": "effect"}),
    ({"effect": {"Dayz": 3.0}}, OptionError, {"closest": "Days"}),
    ({"effect": "large"}, OptionError, {"argument": "effect"}),
    ({"effect": float("nan")}, OptionError, {"name": "Days"}),
    ({"varcorr": {"sd_Day|Subject": 1.0}}, OptionError, {"closest": "sd_Days|Subject"}),
    ({"varcorr": {"sd_Days|Subject": -1.0}}, OptionError, {"name": "sd_Days|Subject"}),
    ({"varcorr": {"cor_Days.Intercept|Subject": 2}}, OptionError, {"argument": "varcorr"}),
    ({"varcorr": {"sigma": 2}}, OptionError, {"argument": "varcorr"}),
    ({"varcorr": 3}, OptionError, {"argument": "varcorr"}),
    ({"sigma": 0}, OptionError, {"argument": "sigma"}),
    ({"alpha": 0}, OptionError, {}),
    ({"n_sim": 0}, OptionError, {"argument": "n"}),
    ({"seed": None}, OptionError, {"argument": "seed"}),
    ({"levels": {"Subject": 1}}, DesignError, {"n_levels": 1}),
    ({"n_jobs": 0}, OptionError, {"argument": "n_jobs"}),
]  # fmt: skip


@pytest.mark.parametrize(("given", "error", "facts"), BAD)
def test_bad_arguments(fit, given, error, facts):
    options = {"term": "Days", "n_sim": 10, "seed": 1, **given}
    with pytest.raises(error) as caught:
        lf.power(fit, **options)
    for name, value in facts.items():
        assert getattr(caught.value, name) == value
    assert caught.value.suggestion


def test_rows_that_do_not_identify_the_model():
    design = lf.simulate_design({"g": 4}, between={"c": ("g", ["a", "b", "c", "d"])}, replicates=4)
    study = lf.plan("y ~ c + (1 | g)", design, fixed={}, varcorr={"sd_Intercept|g": 1}, sigma=1)
    with pytest.raises(DesignError) as caught:
        lf.power(study, "c[T.b]", 10, seed=1, levels={"g": 3})
    assert caught.value.columns == ("c[T.d]",)


def test_what_is_no_model(sleepstudy):
    with pytest.raises(OptionError) as caught:
        lf.power(sleepstudy, "Days", 10, seed=1)
    assert caught.value.argument == "model"


def test_the_rows_are_needed(fit):
    with pytest.raises(DataError) as caught:
        lf.power(fit.without_data(), "Days", 10, seed=1)
    assert "`power`" in str(caught.value)
