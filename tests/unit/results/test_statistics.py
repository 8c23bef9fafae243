"""Numbers under statsmodels' names, against lme4's for sleepstudy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

import lmmformula as lf
from lmmformula.errors import OptionError

FORMULA = "Reaction ~ Days + (Days | Subject)"


@pytest.fixture(scope="module")
def model():
    return lf.lmm(FORMULA, lf.load_dataset("sleepstudy"))


@pytest.fixture(scope="module")
def fit(model):
    return model.fit()


def test_fixed_effects(fit):
    assert fit.params.to_dict() == pytest.approx(
        {"Intercept": 251.405104848487, "Days": 10.4672859595958}
    )
    assert fit.bse.to_dict() == pytest.approx(
        {"Intercept": 6.82455653263533, "Days": 1.54578889637104}, rel=1e-6
    )
    assert fit.tvalues["Days"] == pytest.approx(6.77148476364996, rel=1e-6)
    assert fit.df_tests.to_dict() == pytest.approx({"Intercept": 17.0, "Days": 17.0})
    assert fit.pvalues["Days"] == pytest.approx(2 * stats.t.sf(6.77148476364996, 17), rel=1e-4)
    assert fit.cov_params().loc["Days", "Intercept"] == pytest.approx(-1.45109571271829, rel=1e-5)
    assert list(fit.cov_params().columns) == ["Intercept", "Days"]


def test_likelihood(fit):
    assert fit.criterion == "REML"
    assert fit.objective == pytest.approx(1743.62827195849, abs=1e-7)
    assert fit.llf == pytest.approx(-871.814135979245, abs=1e-7)
    assert fit.deviance == pytest.approx(1751.98585325386, abs=1e-4)
    assert fit.aic == pytest.approx(1755.62827195849, abs=1e-7)
    assert fit.bic == pytest.approx(1774.78601306383, abs=1e-7)


def test_counts(fit):
    assert (fit.nobs, fit.npar, fit.df_model, fit.df_resid) == (180, 6, 2, 174)
    assert fit.ngroups == {"Subject": 18}
    assert fit.theta.tolist() == pytest.approx(
        [0.966732951981485, 0.0151690540730978, 0.230909594788957], abs=1e-6
    )
    assert fit.scale == pytest.approx(fit.sigma**2)


def test_maximum_likelihood_deviance_is_the_objective(model):
    ml = model.fit(reml=False)
    assert ml.deviance == ml.objective
    assert ml.criterion == "ML"


def test_the_deviance_of_a_reml_fit_is_the_full_likelihood_at_its_theta(model, fit):
    assert fit.deviance == pytest.approx(model.at(fit.theta, reml=False).objective, abs=1e-9)


def test_fits_do_not_interfere(model):
    reml = model.fit()
    before = (reml.llf, reml.params.tolist(), reml.criterion)
    model.fit(reml=False)
    model.at([1.0, 0.0, 1.0])
    assert (reml.llf, reml.params.tolist(), reml.criterion) == before


def test_changing_a_returned_series_changes_nothing(fit):
    before = fit.params["Days"]
    params, cov = fit.params, fit.cov_params()
    params["Days"] = 0.0
    cov.iloc[0, 0] = 0.0
    assert fit.params["Days"] == before
    assert fit.tvalues["Days"] == pytest.approx(before / fit.bse["Days"])
    with pytest.raises(ValueError, match="read-only"):
        fit.theta[0] = 0.0


def test_conf_int(fit):
    table = fit.conf_int()
    assert table.loc["Days"].tolist() == pytest.approx(
        [7.43759539500662, 13.4969765241849], rel=1e-6
    )
    assert (fit.conf_int(alpha=0.5)["lower"] > table["lower"]).all()


@pytest.mark.parametrize("method", ["Wald", "bootstrap", None])
def test_other_intervals(fit, method):
    with pytest.raises(OptionError) as caught:
        fit.conf_int(method=method)
    assert caught.value.argument == "method"


def test_limits_by_method(fit):
    estimate, se = fit.params["Days"], fit.bse["Days"]
    half = stats.t.ppf(0.975, 17) * se
    for method in ("satterthwaite", "kenward-roger", "kenward-roger-observed"):
        limits = fit.conf_int(method=method).loc["Days"]
        assert limits.tolist() == pytest.approx([estimate - half, estimate + half], rel=1e-6)
    assert np.isinf(fit.summary(ddf="wald").frame["df"]).all()


def test_contrasts(fit):
    assert float(fit.t_test("Days = 10").effect[0]) == pytest.approx(fit.params["Days"])
    assert float(fit.wald_test("Days").statistic) == pytest.approx(fit.tvalues["Days"] ** 2)
    assert float(fit.f_test("Days").fvalue) == pytest.approx(fit.tvalues["Days"] ** 2)
    assert float(fit.f_test("Days").pvalue) == pytest.approx(fit.pvalues["Days"])
    assert float(fit.t_test("Days").pvalue) == pytest.approx(fit.pvalues["Days"])
    with pytest.raises(OptionError):
        fit.t_test("Days", ddf="residual")


def test_an_empty_fixed_part():
    data = lf.load_dataset("dyestuff")
    data["centred"] = data["Yield"] - data["Yield"].mean()
    fit = lf.lmer("centred ~ 0 + (1 | Batch)", data)
    assert len(fit.params) == 0
    assert fit.df_model == 0
    assert "Fixed effects" in str(fit)
    assert fit.coef()["Batch"].columns.tolist() == ["Intercept"]
