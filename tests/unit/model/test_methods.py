"""The engines behind one ``fit``: names, the choice, and what only the exact one can do."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest

import lmmformula as lf
from lmmformula.engine import AlternativeSystem, BlockedSystem, choice, method
from lmmformula.engine.choice import METHODS
from tests.refusals import refused

SAME = 1e-9


def ratings(n: int = 500) -> pd.DataFrame:
    rng = np.random.default_rng(6)
    user, item = rng.integers(0, 30, n), rng.integers(0, 12, n)
    x = rng.normal(size=n)
    y = 2 + 0.5 * x + rng.normal(size=30)[user] + 0.7 * rng.normal(size=12)[item]
    return pd.DataFrame({"y": y + rng.normal(size=n), "x": x, "user": user, "item": item})


FORMULA = "y ~ x + (1 | user) + (1 | item)"


@pytest.fixture(scope="module")
def model():
    return lf.lmm(FORMULA, ratings())


@pytest.fixture(scope="module")
def exact(model):
    return model.fit()


@pytest.fixture(scope="module")
def krylov(model):
    return model.fit(method="krylov", precision=0.1, seed=4)


# Names


@pytest.mark.parametrize("name", ["exact", "blocks", "dense", "sparse"])
def test_exact_engines_give_the_same_fit(model, exact, name):
    fit = model.fit(method=name)
    assert isinstance(fit.system, BlockedSystem)
    assert fit.objective == pytest.approx(exact.objective, rel=SAME)
    np.testing.assert_allclose(fit.params, exact.params, rtol=1e-8)
    np.testing.assert_allclose(fit.bse, exact.bse, rtol=1e-8)
    np.testing.assert_allclose(
        fit.ranef(condvar=True)["sd"], exact.ranef(condvar=True)["sd"], rtol=1e-7
    )
    assert fit.model.using(name) is fit.model
    assert fit.refit_ml().model is fit.model


def test_names_in_one_call_and_for_pieces(exact):
    data = ratings()
    for source in (data, lf.stream([data[:200], data[200:]])):
        fit = lf.lmer(FORMULA, source, method="sparse")
        assert fit.model.method == "sparse"
        assert fit.objective == pytest.approx(exact.objective, rel=SAME)


def test_unknown_names(model):
    with refused(lf.OptionError, "`method='lanczos'` is not an engine", "leave") as caught:
        model.fit(method="lanczos")
    assert caught.value.available == METHODS
    with refused(lf.OptionError, "is not an engine", "krylov"):
        model.using("Exact")


def test_partitions_are_for_dask(model):
    with refused(lf.OptionError, "with the workers", "Dask"):
        model.fit(method="partitioned")


@pytest.mark.parametrize("name", ["krylov", "sparse", "dense", "blocks", "partitioned"])
def test_structured_residuals_have_one_engine(name):
    data = lf.load_dataset("sleepstudy")
    model = lf.lmm("Reaction ~ Days + (1 | Subject)", data, residual="ar1(Days | Subject)")
    with refused(lf.OptionError, f'`method="{name}"`', "leave `method` out"):
        model.fit(method=name)
    assert model.using("exact").at([0.5, 0.1]).objective == model.at([0.5, 0.1]).objective


def test_probes_are_for_krylov(model):
    with refused(lf.OptionError, "an optimizer of its own", 'method="exact"'):
        model.fit(method="krylov", optimizer="cobyqa")
    for options in ({"precision": 0.0}, {"seed": "one"}):
        with pytest.raises(lf.OptionError):
            model.fit(method="krylov", **options)


def test_a_model_keeps_its_engines(model):
    other = model.using("krylov")
    assert model.using("krylov") is other
    assert other.method == "krylov"
    again = pickle.loads(pickle.dumps(other))
    assert again.method == "krylov"
    assert isinstance(again.any_system, AlternativeSystem)


# The choice


def test_krylov_where_nothing_else_will_do(monkeypatch, krylov):
    """With a message that has the sizes; never where a name was given."""
    monkeypatch.setattr(choice, "SMALL_TAIL", 0)
    monkeypatch.setattr(method, "SMALL_TAIL", 0)
    monkeypatch.setattr(method, "QUICK", 0.0)
    monkeypatch.setattr(method, "EVALUATION_LIMIT", 0.0)
    model = lf.lmm(FORMULA, ratings())
    assert model.explain().method == "krylov"
    with pytest.warns(lf.DesignWarning, match="Krylov methods") as caught:
        fit = model.fit(precision=0.1, seed=4)
    assert "s an evaluation" in caught[0].message.got
    assert caught[0].message.method == "krylov"
    assert isinstance(fit.any_system, AlternativeSystem)
    assert fit.objective == krylov.objective
    assert isinstance(model.fit(method="exact").system, BlockedSystem)
    assert isinstance(lf.lmer(FORMULA, ratings(), method="krylov").any_system, AlternativeSystem)


def test_small_models_stay_exact(model, exact):
    assert model.explain().method == "dense"
    assert isinstance(exact.any_system, BlockedSystem)
    assert exact.estimates.monte_carlo is None
    assert not any("Krylov" in remark for remark in exact.remarks)


# What a Krylov fit has


def test_a_krylov_fit_is_the_exact_one(exact, krylov):
    np.testing.assert_allclose(krylov.params, exact.params, atol=0.05 * exact.bse.max())
    np.testing.assert_allclose(krylov.bse, exact.bse, rtol=0.02)
    np.testing.assert_allclose(krylov.theta, exact.theta, rtol=0.1)
    np.testing.assert_allclose(krylov.fittedvalues, exact.fittedvalues, atol=0.05)
    new = ratings()[:4]
    np.testing.assert_allclose(krylov.predict(new), exact.predict(new), atol=0.05)


def test_a_krylov_fit_says_what_it_is(krylov):
    assert any("Krylov engine" in remark for remark in krylov.remarks)
    assert "Krylov engine" in krylov.summary().as_text()
    made = krylov.estimates.monte_carlo
    assert (made.precision, made.seed) == (0.1, 4)
    assert krylov.refit_ml().estimates.monte_carlo.precision == 0.1
    assert krylov.refit_ml().estimates.monte_carlo.seed == 4


def test_comparisons_tell_their_error(exact, krylov):
    small = lf.lmer("y ~ x + (1 | user)", ratings(), method="krylov", precision=0.1, seed=4)
    table = lf.anova(small, krylov)
    assert list(table)[-1] == "chisq_error"
    assert np.isnan(table["chisq_error"].iloc[0])
    assert table["chisq_error"].iloc[1] >= 0.0
    exactly = lf.anova(lf.lmer("y ~ x + (1 | user)", ratings()), exact)
    assert "chisq_error" not in exactly
    limit = 4.0 * table["chisq_error"].iloc[1] + 1e-3
    assert table["chisq"].iloc[1] == pytest.approx(exactly["chisq"].iloc[1], abs=limit)


def test_other_responses_are_refitted_alike(krylov):
    again = krylov.refit(2.0 * ratings()["y"])
    assert isinstance(again.any_system, AlternativeSystem)
    np.testing.assert_allclose(again.params, 2.0 * krylov.params, rtol=1e-3, atol=1e-3)


def test_a_check_and_a_report_leave_out_what_is_not_known(krylov, tmp_path):
    assert 'leverages are not known by `method="krylov"`' in str(krylov.check())
    text = krylov.report(tmp_path / "fit.html", figures=False).read_text(encoding="utf-8")
    assert "Krylov engine" in text


REFUSALS = {
    "Kenward and Roger's method": (lambda fit: fit.summary(ddf="kenward-roger"), "satterthwaite"),
    "`predict(interval='prediction')` with": (
        lambda fit: fit.predict(ratings()[:2], interval="prediction", ddf="kenward-roger-observed"),
        "satterthwaite",
    ),
    "`profile`": (lambda fit: fit.profile(), "covariance_parameters()"),
    "a bootstrap": (lambda fit: fit.bootstrap(2, seed=1), 'method="exact"'),
    "`bootstrap_lrt`": (
        lambda fit: lf.bootstrap_lrt(lf.lmer("y ~ 1 + (1 | user)", ratings()), fit, 2, seed=1),
        'method="exact"',
    ),
    "the conditional AIC": (lambda fit: fit.conditional_aic(), "`aic`"),
    "`leverage()`": (lambda fit: fit.leverage(), 'method="exact"'),
    "`influence()`": (lambda fit: fit.influence("user"), 'method="exact"'),
    "`residuals('standardized')`": (
        lambda fit: fit.residuals("standardized"),
        "model.explain()",
    ),
    "`ranef_unobserved`": (lambda fit: fit.ranef_unobserved(), 'method="exact"'),
    "this computation": (lambda fit: fit.system, 'method="exact"'),
}


@pytest.mark.parametrize("what", REFUSALS)
def test_what_needs_the_exact_engine_is_refused_by_name(krylov, what):
    compute, advice = REFUSALS[what]
    with refused(lf.OptionError, f"{what}", advice) as caught:
        compute(krylov)
    assert caught.value.method == "krylov"
    assert "needs the exact engine" in caught.value.message


def test_a_robust_covariance_needs_the_exact_engine():
    fit = lf.lmer("y ~ x + (1 | user)", ratings(), method="krylov", precision=0.1)
    with refused(lf.OptionError, "a cluster-robust covariance needs the exact engine", "exact"):
        fit.summary(robust="CR1", cluster="user")
