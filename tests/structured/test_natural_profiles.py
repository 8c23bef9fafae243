"""Profiles of structures' parameters: the dense likelihood at the ends of their intervals."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import lmmformula as lf
from lmmformula.engine import Objective
from lmmformula.engine.constrained import HeldObjective
from lmmformula.inference.profile.fit import parameters_of
from tests.structured.cases import CASES, dense, fitted

Q = 1.959963984540054
ZETA_ATOL = 1e-8
"""Of a point that was found, beside the dense likelihood there. Largest gap seen: 3e-13."""
END_ATOL = 1e-6
"""Of the end of an interval: what the search promises."""
OUTERMOST_ATOL = 1e-5
"""Of the outermost point that the search tried on its way to an end."""
STATIONARY = 1e-3
"""Dense slopes in the free parameters, times their size: no step would change zeta by 1e-6."""
STEP = 1e-5
DERIVATIVE_RTOL = 1e-5
"""Second derivatives in the residuals' parameters are differences with a step of 1e-4."""

OTHERS = [
    "homcs(0 + t | g)",
    "hetar1(0 + t | g)",
    "toep(0 + t | g)",
    "exp(0 + u | g) + (1 | h)",
    "homdiag(0 + t | g)",
    "ar1(0 + t | g)",
]
RESIDUALS = ["us(v | g)", "homtoep(v | g)", "arma(v | g)", "car1(v | g)", "hetar1(v | g)"]


def point(fit, values):
    """Theta and log sigma^2 of natural parameters by name, standard deviations in their unit."""
    sigma = values["sigma"]
    names = fit.covariance_parameters().index[:-1]
    theta = [values[n] / sigma if n.startswith("sd") else values[n] for n in names]
    return np.array(theta), 2.0 * np.log(sigma)


@pytest.mark.parametrize("name", CASES)
def test_the_dense_likelihood_at_the_ends(name):
    fit, full = fitted(name, False), dense(name, False)
    best = full.criterion(full.theta)
    names = list(fit.covariance_parameters().index)
    profile = fit.profile(names)
    frame = profile.to_frame(alpha=0.05, points=1, nuisance=True)
    limits = profile.limits()
    for label in names:
        own = frame[frame["parameter"] == label]
        for side, end in (("lower", own["zeta"].idxmin()), ("upper", own["zeta"].idxmax())):
            row = frame.loc[end]
            values = {n: float(row[n]) for n in names}
            theta, log_variance = point(fit, values)
            excess = full.criterion(theta, log_variance) - best
            assert np.sqrt(max(excess, 0.0)) == pytest.approx(abs(row["zeta"]), abs=ZETA_ATOL)
            if not limits.loc[label, f"open_{side}"]:
                assert abs(limits.loc[label, f"zeta_{side}"]) == pytest.approx(Q, abs=END_ATOL)
                assert abs(row["zeta"]) == pytest.approx(Q, abs=OUTERMOST_ATOL)
            at_end = {n for n in names if n.startswith("sd") and values[n] < 1e-8}
            at_end |= {n for n in names if n.startswith("rho") and values[n] > 1.0 - 1e-8}
            for other in set(names) - at_end - {label}:
                size = max(abs(values[other]), 1e-3) * STEP
                up, down = ({**values, other: values[other] + s * size} for s in (1, -1))
                slope = full.criterion(*point(fit, up)) - full.criterion(*point(fit, down))
                assert abs(slope) / (2 * STEP) < STATIONARY


def rows():
    """Correlated times within groups, clear of every boundary, some of them missing."""
    rng = np.random.default_rng(3)
    n, k = 24, 4
    g, t = np.repeat(np.arange(n), 2 * k), np.tile(np.repeat(np.arange(k), 2), n)
    root = np.linalg.cholesky(0.6 ** np.abs(np.subtract.outer(range(k), range(k))))
    effects = rng.normal(size=(n, k)) @ root.T * np.array([1.0, 1.2, 1.5, 0.8])
    h = rng.integers(0, 10, len(g))
    y = 1.0 + 0.3 * t + effects[g, t] + 0.5 * rng.normal(size=10)[h] + 0.7 * rng.normal(size=len(g))
    d = pd.DataFrame({"y": y, "g": pd.Categorical(g), "h": pd.Categorical(h), "u": t * 1.0})
    d["t"], d["v"] = pd.Categorical(t), np.tile(np.arange(2 * k), n)
    d["w"] = rng.uniform(0.5, 2.0, len(g))
    return d.drop(index=rng.choice(len(d), 20, replace=False)).reset_index(drop=True)


def models():
    """Structured random effects, then structured residuals."""
    d = rows()
    for term in OTHERS:
        yield term, lf.lmm(f"y ~ u + {term}", d)
    early = d[d["v"] < 4]
    for residual in RESIDUALS:
        yield residual, lf.lmm("y ~ u", early, residual=residual)
    yield "both", lf.lmm("y ~ u + (1 | g)", d, variance="power(w)")


def test_derivatives_with_a_parameter_held():
    rng = np.random.default_rng(5)
    for label, model in models():
        fit = model.fit(reml=False)
        system, objective = fit.system, Objective(fit.system, False)
        factors = objective.factors(objective.phi_from_theta(fit.theta))
        residual = fit.theta[len(fit.theta) - objective.n_residual :]
        log_variance = 2.0 * np.log(fit.sigma / system.basis.scale)
        for name, held in parameters_of(system, fit.fixed_names).items():
            if held.kind not in ("sd", "rho", "residual"):
                continue
            beta = np.zeros(system.p)
            c = held.estimate(system, factors, log_variance, beta, 0.0, residual)
            if not np.isfinite(c):
                continue
            c *= 0.97
            target = HeldObjective(system, held, c)
            start = target.start(factors, log_variance + 0.1, residual)
            z = np.append(start + 0.01 * rng.normal(size=target.n_phi), c)
            here = target.evaluate(z[:-1])
            gradient, hessian = np.zeros(len(z)), np.zeros((len(z), len(z)))
            for i, step in enumerate(STEP * np.eye(len(z))):
                up, down = (
                    HeldObjective(system, held, (z + s * step)[-1]).evaluate((z + s * step)[:-1])
                    for s in (1, -1)
                )
                gradient[i] = (up.value - down.value) / (2 * STEP)
                hessian[i] = (up.full_gradient - down.full_gradient) / (2 * STEP)
            gap = np.abs(here.full_gradient - gradient).max()
            assert gap <= 1e-6 * np.abs(gradient).max(), (label, name)
            gap = np.abs(here.full_hessian(exact=True) - hessian).max()
            assert gap <= DERIVATIVE_RTOL * np.abs(hessian).max(), (label, name)


@pytest.mark.parametrize("residual", ["homtoep(v | g)", "us(v | g)"])
def test_correlations_that_are_no_coordinates(residual):
    """At the ends a fit with the correlation fixed by hand has the same likelihood."""
    d = rows()
    fit = lf.lmm("y ~ u", d[d["v"] < 4], residual=residual).fit(reml=False)
    name = "rho_2" if "toep" in residual else "cor_2.0"
    profile = fit.profile(name)
    limits = profile.limits()
    assert np.abs(limits[["zeta_lower", "zeta_upper"]].to_numpy()) == pytest.approx(Q, abs=END_ATOL)
    frame = profile.to_frame(alpha=0.05, points=1, nuisance=True)
    system, names = fit.system, list(fit.covariance_parameters().index)[:-1]
    objective = Objective(system, False)
    for _, row in frame[frame["zeta"].abs() > 1].iterrows():
        theta = np.array([row[n] for n in names])
        value = objective.evaluate(objective.phi_from_theta(theta)).value  # sigma profiled
        assert np.sqrt(value - fit.objective) == pytest.approx(abs(row["zeta"]), abs=ZETA_ATOL)


def test_a_correlation_may_end_at_one():
    d = rows()
    same = np.random.default_rng(2).normal(size=10)[d["h"].cat.codes]
    d["y"] = same + 0.5 * np.random.default_rng(4).normal(size=len(d))
    with pytest.warns(lf.SingularFitWarning) as caught:
        fit = lf.lmer("y ~ u + homcs(0 + t | h)", d, reml=False)
    assert caught[0].message.parameters == ("rho|h",)
    row = fit.profile("rho|h").limits().iloc[0]
    assert bool(row["open_upper"])
    assert row["upper"] == 1.0
    assert row["zeta_lower"] == pytest.approx(-Q, abs=END_ATOL)


def test_intervals_have_the_natural_names():
    fit = fitted("ar1 beside an intercept", False)
    found = fit.conf_int(method="profile", which="random")
    assert list(found.index) == ["sd_Intercept|s", "sigma"]
    found = fit.conf_int(method="profile", which="residual")
    assert list(found.index) == ["rho", "ratio_b", "sigma"]
    wald = fit.covariance_parameters()
    assert (found["lower"] < wald.loc[found.index, "estimate"]).all()
    assert found["upper"].to_numpy() == pytest.approx(wald.loc[found.index, "upper"], rel=0.2)
