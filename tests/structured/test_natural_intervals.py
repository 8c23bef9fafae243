"""Standard errors of natural covariance parameters against a dense Hessian, and their ends."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import lmmformula as lf
from tests.structured.cases import CASES, dense, fitted

RTOL = 1e-5
"""Of standard errors: fourth-order differences of the dense likelihood leave about 1e-7."""


def natural(system, names, parameters):
    """Natural parameters in the response's unit, from theta and log sigma^2."""
    theta, sigma = parameters[:-1], np.exp(0.5 * parameters[-1])
    is_sd = np.array([name.startswith("sd") for name in names[:-1]])
    return np.append(np.where(is_sd, theta * sigma, theta), sigma)


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("name", CASES)
def test_standard_errors(name, reml):
    fit, full = fitted(name, reml), dense(name, reml)
    table = fit.covariance_parameters()
    names = list(table.index)
    assert len(names) == fit.npar - len(fit.params)
    centre = natural(fit.system, names, full.parameters)
    assert table["estimate"].to_numpy() == pytest.approx(centre, rel=1e-6)
    slopes = (
        np.array(
            [
                natural(fit.system, names, full.parameters + step)
                - natural(fit.system, names, full.parameters - step)
                for step in 1e-5 * np.eye(len(names))
            ]
        )
        / 2e-5
    )
    variances = np.diag(slopes.T @ full.parameter_covariance @ slopes)
    assert table["se"].to_numpy() == pytest.approx(np.sqrt(variances), rel=RTOL)


@pytest.mark.parametrize("name", CASES)
def test_intervals_are_symmetric_on_their_own_scale(name):
    fit = fitted(name)
    table = fit.covariance_parameters(alpha=0.1)
    wider = fit.covariance_parameters(alpha=0.01)
    q = 1.6448536269514722
    for label, row in table.iterrows():
        estimate, se, lower, upper = row
        if label in ("power", "expon"):
            assert [lower, upper] == pytest.approx([estimate - q * se, estimate + q * se])
        elif label.startswith("rho"):
            low = 0.0 if name == "ou" else -1.0
            logit = [np.log((v - low) / (1.0 - v)) for v in (lower, estimate, upper)]
            step = q * se * (1.0 - low) / ((estimate - low) * (1.0 - estimate))
            assert np.diff(logit) == pytest.approx([step, step])
        else:
            assert upper / estimate == pytest.approx(np.exp(q * se / estimate))
            assert lower * upper == pytest.approx(estimate**2)
        assert wider.loc[label, "lower"] < lower < upper < wider.loc[label, "upper"]


def test_the_range_of_cs_is_its_own():
    fit = fitted("cs")
    assert fit.covariance_parameters(alpha=1e-12).loc["rho|s", "lower"] > -1.0
    same = lf.lmm("z ~ t + f", CASES["gls"].used, residual="cs(1 | s)").fit()
    limits = same.covariance_parameters(alpha=1e-14).loc["rho"]
    assert -0.25 < limits["lower"] < limits["estimate"] < limits["upper"] < 1.0


def test_a_zero_variance_has_no_limits():
    data = CASES["gls"].used.assign(u=0.0)
    rng = np.random.default_rng(1)
    data["u"] = rng.normal(size=len(data))
    data["u"] -= data.groupby("s")["u"].transform("mean")
    with pytest.warns(lf.SingularFitWarning):
        fit = lf.lmer("u ~ t + (1 | s)", data)
    with pytest.warns(lf.InferenceWarning) as caught:
        table = fit.covariance_parameters()
    assert caught[0].message.parameters == ("sd_Intercept|s",)
    assert table.loc["sd_Intercept|s"].isna().tolist() == [False, True, True, True]
    least = np.sqrt(fit.scale / (2.0 * fit.df_resid + 4.0))
    assert table.loc["sigma", "se"] == pytest.approx(least, rel=1e-6)  # sigma / sqrt(2 (n - p))


def test_a_shared_variance_of_zero_leaves_its_correlation_open():
    data = CASES["gls"].used.copy()
    data["u"] = np.random.default_rng(1).normal(size=len(data))
    data["u"] -= data.groupby("s")["u"].transform("mean")
    data["half"] = pd.Categorical(np.where(data["t"] > 2, "late", "early"))
    with pytest.warns(lf.SingularFitWarning):
        fit = lf.lmer("u ~ t + ar1(0 + half | s)", data)
    assert fit.is_singular
    with pytest.warns(lf.InferenceWarning):
        table = fit.covariance_parameters()
    assert table.loc["rho|s", ["se", "lower", "upper"]].isna().all()


def test_a_given_theta_has_no_errors():
    fit = fitted("ou")
    given = fit.model.at(fit.theta)
    with pytest.raises(lf.OptionError):
        given.covariance_parameters()
    assert given.tidy("ran_pars")["std.error"].isna().all()


def test_tidy_has_natural_parameters_with_errors():
    fit = fitted("ar1 beside an intercept")
    tidy = fit.tidy("ran_pars", conf_int=True)
    table = fit.covariance_parameters()
    assert tidy["term"].tolist() == ["sd__Intercept", "rho", "ratio_b", "sd__Observation"]
    assert tidy["group"].tolist() == ["s", "Residual", "Residual", "Residual"]
    for ours, theirs in (("std.error", "se"), ("conf.low", "lower"), ("conf.high", "upper")):
        assert tidy[ours].to_numpy() == pytest.approx(table[theirs].to_numpy())
    plain = lf.lmer("y ~ t + (t | s)", CASES["cs"].used).tidy("ran_pars")
    assert plain["term"].tolist() == [
        "sd__Intercept",
        "sd__t",
        "cor__Intercept.t",
        "sd__Observation",
    ]
    assert plain["std.error"].isna().all()
