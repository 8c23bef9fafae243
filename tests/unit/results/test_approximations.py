"""Methods of tests as a result offers them: caching, refits, singular fits, memory."""

from __future__ import annotations

import pickle
import warnings

import numpy as np
import pytest

import lmmformula as lf
from lmmformula.errors import InferenceWarning, NumericalError, SingularFitWarning
from lmmformula.inference.effects import kenward_roger
from lmmformula.inference.effects.df import DF_METHODS, degrees_of_freedom

FORMULA = "Reaction ~ Days + (Days | Subject)"


@pytest.fixture
def fit(sleepstudy):
    return lf.lmer(FORMULA, sleepstudy)


def singular(formula: str = "Yield ~ 1 + (1 | Batch)", data: str = "dyestuff2"):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SingularFitWarning)
        return lf.lmer(formula, lf.load_dataset(data))


@pytest.mark.parametrize("method", DF_METHODS)
def test_every_method_is_made_once_and_gives_one_number_per_row(fit, method):
    df = degrees_of_freedom(method, fit, np.eye(2))
    assert df.shape == (2,)
    assert (df > 0).all()
    assert fit.approximation(method) is fit.approximation(method)
    frame = fit.coefficient_frame(ddf=method)
    assert frame["se"].to_numpy() == pytest.approx(fit.bse.to_numpy(), rel=1e-6)
    assert fit.approximation(method).joint(np.eye(2)).num_df == 2


def test_balanced_data_need_no_adjustment(fit):
    """Every method is exact for 18 subjects with the same days: Hotelling's test."""
    for method in ("kenward-roger", "kenward-roger-observed"):
        test = fit.approximation(method).joint(np.eye(2))
        assert test.den_df == pytest.approx(16.0, rel=1e-6)
        assert test.statistic == pytest.approx(test.unscaled * 16 / 17, rel=1e-6)


def test_made_methods_are_not_saved(fit):
    fit.summary(ddf="kenward-roger")
    again = pickle.loads(pickle.dumps(fit))
    assert again.pvalues.to_dict() == pytest.approx(fit.pvalues.to_dict())


def test_maximum_likelihood_and_kenward_roger(fit):
    ml = fit.refit_ml()
    with pytest.warns(InferenceWarning, match="refitted by REML"):
        test = ml.t_test("Days", ddf="kenward-roger")
    assert float(test.df_denom[0]) == pytest.approx(17.0)
    assert float(test.sd[0]) == pytest.approx(fit.bse["Days"], rel=1e-6)
    assert "those of the REML fit" in ml.summary(ddf="kenward-roger").as_text()
    assert "REML fit." not in ml.summary().as_text()
    assert ml.criterion == "ML"
    assert fit.refit_reml() is fit


def test_variances_of_zero_are_taken_as_known():
    fit = singular()
    assert fit.df_tests["Intercept"] == pytest.approx(29.0)
    assert "take variances estimated as zero" in fit.summary().as_text()
    observed = fit.approximation("kenward-roger-observed")
    assert observed.df(np.eye(1)) == pytest.approx([29.0])
    assert "as known" in observed.notes[0]
    expected = fit.approximation("kenward-roger")
    assert 5.0 <= expected.df(np.eye(1))[0] < 29.0
    assert "estimated freely" in expected.notes[0]


def test_over_parameterised_covariances_are_said():
    data = lf.load_dataset("machines")
    fit = lf.lmm("score ~ Machine + (Machine | Worker)", data).at([3.0, -1.5, 0.5, 0.0, 2.0, 1.0])
    assert fit.approximation().information.n_flat > 0
    assert "does not curve" in fit.summary().as_text()


def test_too_little_memory(fit, monkeypatch):
    monkeypatch.setattr(kenward_roger, "available_memory", lambda: 1000)
    with pytest.raises(NumericalError, match="does not fit into memory") as caught:
        fit.summary(ddf="kenward-roger")
    assert caught.value.bytes_needed > 0
    assert "satterthwaite" in caught.value.suggestion
    assert len(fit.summary().frame) == 2


@pytest.mark.parametrize("unit", [1e-40, 1e40])
def test_any_reasonable_unit(sleepstudy, fit, unit):
    other = lf.lmer(FORMULA, sleepstudy.assign(Reaction=unit * sleepstudy["Reaction"]))
    for method in ("satterthwaite", "kenward-roger"):
        ours, theirs = fit.coefficient_frame(ddf=method), other.coefficient_frame(ddf=method)
        assert theirs["df"].to_numpy() == pytest.approx(ours["df"].to_numpy(), rel=1e-6)
        assert theirs["se"].to_numpy() / unit == pytest.approx(ours["se"].to_numpy(), rel=1e-6)


def test_an_unreasonable_unit(sleepstudy):
    fit = lf.lmer(FORMULA, sleepstudy.assign(Reaction=1e60 * sleepstudy["Reaction"]))
    assert fit.df_tests["Days"] == pytest.approx(17.0)
    with pytest.raises(NumericalError, match="overflows") as caught:
        fit.anova(ddf="kenward-roger")
    assert caught.value.sigma > 1e60


def test_an_empty_fixed_part():
    data = lf.load_dataset("dyestuff")
    data["centred"] = data["Yield"] - data["Yield"].mean()
    fit = lf.lmer("centred ~ 0 + (1 | Batch)", data)
    for method in DF_METHODS:
        assert fit.coefficient_frame(ddf=method).empty
    assert fit.anova().empty
