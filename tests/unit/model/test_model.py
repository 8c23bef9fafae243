"""The model: nothing is fitted until asked, and fitting changes nothing."""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd
import pytest

import lmmformula as lf
from lmmformula.errors import ConvergenceWarning, DimensionError, OptionError

FORMULA = "Reaction ~ Days + (Days | Subject)"


@pytest.fixture(scope="module")
def model():
    return lf.lmm(FORMULA, lf.load_dataset("sleepstudy"))


def test_repr(model):
    assert repr(model) == f"LinearMixedModel({FORMULA!r})"
    assert repr(model.at([1, 0, 1])).startswith(f"LinearMixedResults({FORMULA!r}, criterion='REML'")


def test_the_system_is_built_once_and_late():
    model = lf.lmm(FORMULA, lf.load_dataset("sleepstudy"))
    assert "system" not in model.__dict__
    first = model.fit()
    system = model.system
    second = model.fit(reml=False)
    assert first.system is second.system is system


def test_lmer_is_lmm_and_fit(model, sleepstudy):
    one, two = lf.lmer(FORMULA, sleepstudy, reml=False), model.fit(reml=False)
    assert one.objective == pytest.approx(two.objective, rel=1e-12)
    assert one.params.tolist() == two.params.tolist()


def test_the_data_are_not_modified(sleepstudy):
    before = sleepstudy.copy(deep=True)
    lf.lmer(FORMULA, sleepstudy).augment(sleepstudy)
    pd.testing.assert_frame_equal(sleepstudy, before)


def test_results_at_a_given_theta(model):
    fit = model.fit()
    at = model.at(fit.theta)
    assert at.objective == pytest.approx(fit.objective, abs=1e-9)
    assert at.params.tolist() == pytest.approx(fit.params.tolist())
    assert not at.converged
    assert at.status == "at a given theta"
    assert at.optimum.status == "fixed"
    given = model.at(fit.theta, reml=False)
    assert at.refit_ml().objective == pytest.approx(given.objective, rel=1e-12)
    assert model.at([1.0, 0.0, 0.0]).is_singular
    assert model.at(fit.theta, reml=False).criterion == "ML"


@pytest.mark.parametrize("theta", [[1.0], [[1.0, 0, 1]], [1.0, 0, 1, 0]])
def test_theta_of_the_wrong_shape(model, theta):
    with pytest.raises(DimensionError) as caught:
        model.at(theta)
    assert caught.value.n_theta == 3
    with pytest.raises(DimensionError, match="`start`"):
        model.fit(start=theta)


def test_theta_must_be_finite(model):
    with pytest.raises(OptionError):
        model.at([1.0, np.nan, 1.0])


def test_a_given_start_arrives_at_the_same_place(model):
    fit = model.fit(start=[3.0, 0.0, 3.0])
    assert fit.objective == pytest.approx(model.fit().objective, abs=1e-8)


@pytest.mark.parametrize("size", [0.1, 1, 3.0])
def test_a_start_that_is_a_multiple_of_the_identity(model, size):
    assert model.fit(start=size).objective == pytest.approx(model.fit().objective, abs=1e-8)


@pytest.mark.parametrize("size", [0, -1.0, np.nan, np.inf])
def test_such_a_start_must_be_positive(model, size):
    with pytest.raises(OptionError, match="must be positive"):
        model.fit(start=size)


def test_unknown_optimizer(model):
    with pytest.raises(OptionError):
        model.fit(optimizer="simplex")


def test_an_early_stop_warns(model):
    from lmmformula.optimize import Newton

    with pytest.warns(ConvergenceWarning) as caught:
        fit = model.fit(start=3.0, optimizer=Newton(max_evaluations=2))
    assert not fit.converged
    assert caught[0].message.status == "max_evaluations"
    assert caught[0].filename == __file__
    assert "Not converged" in str(fit)
    assert "max evaluations" in fit.status


def test_progress_is_told_to_a_function(model):
    seen = []
    fit = model.fit(progress=seen.append)
    assert len(seen) == fit.optimum.n_evaluations
    assert seen[-1].objective == pytest.approx(fit.objective, abs=1e-6)


def test_progress_on_a_terminal(model, capsys):
    model.fit(progress=True)
    assert "fitting" in capsys.readouterr().err
    model.fit()
    assert not capsys.readouterr().err


def test_statsmodels_and_matplotlib_are_not_imported():
    import subprocess

    code = (
        "import sys, lmmformula as lf; fit = lf.lmer('Yield ~ 1 + (1 | Batch)', "
        "lf.load_dataset('dyestuff')); str(fit); fit.conf_int(); "
        "print([m for m in ('statsmodels', 'matplotlib', 'tqdm') if m in sys.modules])"
    )
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    assert out.strip() == "[]"


def test_public_names():
    assert all(hasattr(lf, name) for name in lf.__all__)
    assert {"lmm", "lmer", "load", "anova", "load_dataset", "list_datasets"} <= set(lf.__all__)
