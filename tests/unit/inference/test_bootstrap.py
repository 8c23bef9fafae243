"""Bootstrap: seeds, workers, failures, kinds, intervals, bad input."""

from __future__ import annotations

import pickle
import sys

import numpy as np
import pandas as pd
import pytest

import lmmformula as lf
from lmmformula.inference.bootstrap import fits as bootstrap_fits
from lmmformula.inference.bootstrap import intervals as bootstrap_intervals
from lmmformula.inference.bootstrap.kinds import CaseBlocks, jackknife_levels, reflated
from lmmformula.inference.bootstrap.result import fitter_of
from lmmformula.inference.bootstrap.run import seed_sequence

KINDS = ["parametric", "residual", "case"]


@pytest.fixture(scope="module")
def fit():
    return lf.lmer("Reaction ~ Days + (Days | Subject)", lf.load_dataset("sleepstudy"))


@pytest.fixture(scope="module")
def replicates(fit):
    return {kind: fit.bootstrap(600, 1, kind) for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS)
def test_table(replicates, fit, kind):
    boot = replicates[kind]
    frame = boot.to_frame()
    assert frame.shape == (600, 6)
    assert list(frame.columns) == [*fit.params.index, *fit.varcorr.parameters().index]
    assert boot.n_failed == 0
    assert boot.failures == ()
    assert np.isfinite(boot.objective).all()
    assert f"{kind}" in repr(boot)
    assert "600 replicates" in repr(boot)
    sd = frame[["sd_Intercept|Subject", "sd_Days|Subject", "sigma"]]
    assert (sd >= 0).all().all()
    assert frame["cor_Days.Intercept|Subject"].abs().max() <= 1.0


@pytest.mark.parametrize("kind", KINDS)
def test_standard_errors_are_those_of_the_theory(replicates, fit, kind):
    """18 subjects: resampling them understates by about sqrt(17/18); 600 draws give 3 %."""
    ratio = replicates[kind].to_frame()[fit.params.index].std() / fit.bse
    assert ratio.between(0.85, 1.15).all()


@pytest.mark.parametrize("kind", KINDS)
def test_the_seed_decides_everything(replicates, fit, kind):
    again = fit.bootstrap(30, np.random.SeedSequence(1), kind).to_frame()
    pd.testing.assert_frame_equal(again, replicates[kind].to_frame().head(30), rtol=1e-7)
    other = fit.bootstrap(30, 2, kind).to_frame()
    assert not np.allclose(other, again)


def test_seeds_of_other_types(fit):
    sequence = np.random.SeedSequence(4)
    first, second = (fit.bootstrap(5, sequence).to_frame() for _ in range(2))
    pd.testing.assert_frame_equal(first, second)
    generator = np.random.default_rng(4)
    first, second = (fit.bootstrap(5, generator).to_frame() for _ in range(2))
    assert not np.allclose(first, second)
    assert seed_sequence(np.int64(3), "").entropy == 3


def test_workers_do_not_matter(replicates, fit):
    parallel = fit.bootstrap(600, 1, n_jobs=2).to_frame()
    pd.testing.assert_frame_equal(parallel, replicates["parametric"].to_frame(), rtol=1e-12)


def test_without_joblib(fit, monkeypatch):
    monkeypatch.setitem(sys.modules, "joblib", None)
    with pytest.raises(lf.OptionError, match="joblib"):
        fit.bootstrap(1000, 1, n_jobs=2)


def test_progress(fit, capsys):
    calls = []
    fit.bootstrap(700, 1, progress=lambda done, n: calls.append((done, n)))
    assert calls[-1] == (700, 700)
    assert len(calls) > 1
    fit.bootstrap(3, 1, progress=True)
    assert "bootstrap" in capsys.readouterr().err


def test_failures_are_rows_counted_and_reported(fit, monkeypatch):
    settle = bootstrap_fits.minimize_lockstep

    def stumble(stack, start, reml):
        solution = settle(stack, start, reml)
        solution.settled[[1, 3]] = False
        return solution

    def refuse(system, reml, start):
        raise lf.NumericalError("the criterion overflows.")

    monkeypatch.setattr(bootstrap_fits, "minimize_lockstep", stumble)
    monkeypatch.setattr(bootstrap_fits, "minimize", refuse)
    with pytest.warns(lf.ConvergenceWarning, match="2 of 10 bootstrap replicates") as caught:
        boot = fit.bootstrap(10, 1)
    assert caught[0].message.n_failed == 2
    assert boot.n_failed == 2
    assert [f.replicate for f in boot.failures] == [1, 3]
    assert boot.failures[0].reason == "the criterion overflows."
    assert boot.to_frame().isna().all(axis=1).to_numpy().nonzero()[0].tolist() == [1, 3]
    assert boot.summary()["n"].eq(8).all()
    assert "2 failed" in repr(boot)
    assert boot.conf_int().notna().all().all()


def test_all_failed(fit, monkeypatch):
    def nothing(stack, start, reml):
        solution = settle(stack, start, reml)
        solution.settled[:] = False
        return solution

    settle = bootstrap_fits.minimize_lockstep
    monkeypatch.setattr(bootstrap_fits, "minimize_lockstep", nothing)
    monkeypatch.setattr(bootstrap_fits.ModelFitter, "fit_one", lambda self, system: "no luck")
    with pytest.raises(lf.NumericalError, match="none of the 5") as caught:
        fit.bootstrap(5, 1)
    assert caught.value.n_failed == 5


def test_unsettled_replicates_go_to_the_optimizer(fit, replicates, monkeypatch):
    settle = bootstrap_fits.minimize_lockstep

    def stumble(stack, start, reml):
        solution = settle(stack, start, reml)
        solution.settled[::2] = False
        return solution

    monkeypatch.setattr(bootstrap_fits, "minimize_lockstep", stumble)
    frame = fit.bootstrap(8, 1).to_frame()
    pd.testing.assert_frame_equal(frame, replicates["parametric"].to_frame().head(8), rtol=1e-4)


def test_reflated_modes_have_the_estimated_covariance():
    rng = np.random.default_rng(0)
    modes, factor = rng.normal(size=(9, 2)), np.array([[2.0, 0.0], [0.5, 1.0]])
    new = reflated(modes, factor)
    np.testing.assert_allclose(new.mean(axis=0), 0.0, atol=1e-12)
    np.testing.assert_allclose(new.T @ new / 9, factor @ factor.T, rtol=1e-12)
    singular = np.array([[2.0, 0.0], [0.5, 0.0]])
    inside = reflated(rng.normal(size=(9, 1)) @ singular[:, :1].T, singular)
    np.testing.assert_allclose(inside.T @ inside / 9, singular @ singular.T, rtol=1e-10)
    assert not reflated(modes, np.zeros((2, 2))).any()


@pytest.mark.parametrize(
    ("formula", "data"),
    [
        ("diameter ~ 1 + (1 | plate) + (1 | sample)", "penicillin"),
        ("strength ~ 1 + (1 | batch/cask)", "pastes"),
    ],
)
def test_tail_models(formula, data):
    fit = lf.lmer(formula, lf.load_dataset(data))
    for kind in ("parametric", "residual"):
        boot = fit.bootstrap(200, 1, kind)
        assert boot.n_failed == 0
        gap = boot.summary()["bias"].abs() / boot.summary()["se"]
        assert gap.max() < 1.0


def test_lockstep_and_refits_give_the_same(monkeypatch):
    fit = lf.lmer("strength ~ 1 + (1 | batch/cask)", lf.load_dataset("pastes"))
    fast = fit.bootstrap(10, 1, "residual")
    monkeypatch.setattr(bootstrap_fits, "replicates_per_batch", lambda system: 0)
    slow = fit.bootstrap(10, 1, "residual")
    np.testing.assert_allclose(slow.objective, fast.objective, atol=1e-6)
    assert fit.bootstrap(10, 1).n_failed == 0


def test_case_bootstrap_of_the_top_level():
    fit = lf.lmer("strength ~ 1 + (1 | batch/cask)", lf.load_dataset("pastes"))
    boot = fit.bootstrap(10, 1, "case")
    assert boot.cluster == "batch"
    assert "case of `batch`" in repr(boot)
    assert boot.to_frame()["Intercept"].between(57, 63).all()


def test_case_bootstrap_in_lockstep_is_refitting(fit):
    blocks = CaseBlocks(fitter_of(fit), "Subject")
    levels = np.random.default_rng(0).integers(18, size=(5, 18))
    fast = blocks.fit_levels(levels)
    blocks.level_sums = None
    slow = blocks.fit_levels(levels)
    np.testing.assert_allclose(fast.objective, slow.objective, atol=1e-6)
    np.testing.assert_allclose(fast.values, slow.values, rtol=1e-4, atol=1e-4)


def test_case_bootstrap_with_crossed_factors():
    fit = lf.lmer("diameter ~ 1 + (1 | plate) + (1 | sample)", lf.load_dataset("penicillin"))
    with pytest.raises(lf.OptionError, match="cross") as caught:
        fit.bootstrap(5, 1, "case")
    assert caught.value.available == ("plate", "sample")
    boot = fit.bootstrap(5, 1, "case", cluster="plate")
    assert boot.n_failed == 0
    with pytest.raises(lf.OptionError, match="not a grouping factor"):
        fit.bootstrap(5, 1, "case", cluster="dish")


def _few_clusters():
    rng = np.random.default_rng(3)
    g = np.repeat(np.arange(6), 5)
    treated = np.where(g < 1, "yes", "no")
    effect = rng.normal(size=6)[g]
    return {"y": rng.normal(size=30) + effect, "t": treated, "g": g.astype(str)}


@pytest.mark.filterwarnings("ignore::lmmformula.SingularFitWarning")
@pytest.mark.parametrize("nested", [False, True])
def test_samples_without_a_treatment_fail(nested):
    """One treated cluster of six: a third of the samples have none, and say so."""
    data = _few_clusters()
    data["h"] = (np.arange(30) // 2 + 100 * np.repeat(np.arange(6), 5)).astype(str)
    formula = "y ~ t + (1 | g)" + (" + (1 | h)" if nested else "")
    fit = lf.lmer(formula, data)
    with pytest.warns(lf.ConvergenceWarning, match="could not be fitted"):
        boot = fit.bootstrap(30, 1, "case")
    assert 3 < boot.n_failed < 20
    assert {f.reason for f in boot.failures} == {
        "the resampled rows do not identify every fixed effect"
    }


@pytest.mark.parametrize("kind", KINDS)
def test_weights_and_offset(kind):
    data = lf.load_dataset("sleepstudy")
    data["w"], data["o"] = 1.0 + data["Days"] % 3, 100.0
    fit = lf.lmer("Reaction ~ Days + (Days | Subject)", data, weights="w", offset="o")
    boot = fit.bootstrap(150, 1, kind)
    gap = (boot.to_frame().mean() - boot.estimate).iloc[:2] / fit.bse
    assert gap.abs().max() < 0.5
    assert abs(boot.summary()["bias"]["sigma"]) < 0.2 * fit.sigma


def test_large_designs_agree_with_wald():
    rng = np.random.default_rng(1)
    g = np.repeat(np.arange(150), 6)
    x = rng.normal(size=900)
    b = rng.normal(size=(150, 2)) @ np.array([[1.0, 0.3], [0.0, 0.6]])
    y = 1.0 + 0.5 * x + b[g, 0] + x * b[g, 1] + rng.normal(size=900)
    fit = lf.lmer("y ~ x + (x | g)", {"y": y, "x": x, "g": g.astype(str)})
    wald = fit.conf_int()
    boot = fit.bootstrap(600, 1)
    for method in ("percentile", "basic", "bca", "normal"):
        gap = (boot.conf_int(method=method).loc[wald.index] - wald).abs()
        assert (gap.max(axis=1) < 0.35 * fit.bse).all()


@pytest.mark.parametrize("method", bootstrap_intervals.METHODS)
def test_intervals(replicates, method):
    boot = replicates["parametric"]
    wide, narrow = boot.conf_int(method=method), boot.conf_int(0.5, method)
    assert list(wide.columns) == ["lower", "upper"]
    assert list(wide.index) == list(boot.estimate.index)
    assert (wide["lower"] < narrow["lower"]).all()
    assert (wide["upper"] > narrow["upper"]).all()
    assert wide["lower"].iloc[2:].ge(-1.0).all()


def test_interval_formulas():
    x = np.arange(1.0, 100.0)
    np.testing.assert_allclose(bootstrap_intervals.percentile(x, 50.0, 0.1), [5.0, 95.0])
    np.testing.assert_allclose(bootstrap_intervals.basic(x, 52.0, 0.1), [9.0, 99.0])
    np.testing.assert_allclose(bootstrap_intervals.bca(x, 50.0, 0.1), [5.0, 95.0])
    shifted = bootstrap_intervals.bca(x, 60.0, 0.1)
    assert (shifted > [5.0, 95.0]).all()
    skew = np.array([0.0, 1.0, 1.1, 1.2, 1.3, 9.0])
    np.testing.assert_allclose(bootstrap_intervals.shortest(skew, 1.0, 0.4), [1.0, 1.3])
    centre = bootstrap_intervals.normal(x, 50.0, 0.05).mean()
    assert centre == pytest.approx(50.0)


def test_bca_at_a_variance_of_zero():
    with pytest.warns(lf.SingularFitWarning):
        fit = lf.lmer("Yield ~ 1 + (1 | Batch)", lf.load_dataset("dyestuff2"))
    boot = fit.bootstrap(200, 1)
    assert 60 < boot.n_singular < 160
    limits = boot.conf_int(method="bca")
    assert limits.loc["sd_Intercept|Batch", "lower"] == 0.0
    assert limits.notna().all().all()


def test_undefined_correlations_are_counted():
    fit = lf.lmer("Reaction ~ Days + (Days | Subject)", lf.load_dataset("sleepstudy"))
    boot = fit.bootstrap(5, 1)
    boot._values[0, 3] = np.nan
    assert boot.summary().loc["cor_Days.Intercept|Subject", "n"] == 4
    assert boot.conf_int().notna().all().all()


def test_jackknife_groups_have_one_size():
    kept = jackknife_levels(5, 200)
    assert kept.shape == (5, 4)
    assert jackknife_levels(11, 5).shape == (3, 8)


def test_conf_int_of_results(fit):
    limits = fit.conf_int(method="boot", n=100, seed=1)
    pd.testing.assert_frame_equal(limits, fit.bootstrap(100, 1).conf_int())


def test_pickle(replicates):
    boot = pickle.loads(pickle.dumps(replicates["parametric"]))
    pd.testing.assert_frame_equal(boot.to_frame(), replicates["parametric"].to_frame())


def test_results_without_rows(fit):
    with pytest.raises(lf.DataError, match="`bootstrap` needs the rows"):
        fit.without_data().bootstrap(5, 1)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"n": 0, "seed": 1}, "n"),
        ({"n": 2.5, "seed": 1}, "n"),
        ({"n": 5, "seed": None}, "seed"),
        ({"n": 5, "seed": -1}, "seed"),
        ({"n": 5, "seed": "x"}, "seed"),
        ({"n": 5, "seed": 1, "kind": "wild"}, "kind"),
        ({"n": 5, "seed": 1, "cluster": "Subject"}, "cluster"),
        ({"n": 5, "seed": 1, "n_jobs": 0}, "n_jobs"),
    ],
)
def test_bad_arguments(fit, arguments, named):
    with pytest.raises(lf.OptionError) as caught:
        fit.bootstrap(**arguments)
    assert caught.value.argument == named


def test_bad_intervals(replicates):
    with pytest.raises(lf.OptionError) as caught:
        replicates["case"].conf_int(method="studentized")
    assert caught.value.available == tuple(bootstrap_intervals.METHODS)
    with pytest.raises(lf.OptionError, match="alpha"):
        replicates["case"].conf_int(1.5)
