"""Residuals, leverage, deletions, draws and cluster-robust covariances of structured models."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import lmmformula as lf
from tests.structured.cases import CASES, STRUCTURED_EFFECTS, STRUCTURED_RESIDUALS, dense, fitted

CLOSE = 1e-7
CORRELATED = ["ar1 beside an intercept", "gls"]
VARIANCES = ["variance functions, crossed", "variance function with weights"]


def raw(name):
    d = dense(name)
    return d.y - d.fitted(d.d)


@pytest.mark.parametrize("name", STRUCTURED_RESIDUALS)
def test_fitted_values_and_residuals(name):
    fit, d = fitted(name), dense(name)
    rest = raw(name)
    sd = np.sqrt(d.sigma2 * np.diag(d.case.residual(d.theta, d.d)))
    np.testing.assert_allclose(fit.fittedvalues, d.fitted(d.d), rtol=CLOSE)
    np.testing.assert_allclose(fit.resid, rest, rtol=CLOSE, atol=1e-8)
    np.testing.assert_allclose(fit.residuals("scaled"), rest / sd, rtol=CLOSE, atol=1e-8)
    pearson = fit.sigma * rest / sd
    np.testing.assert_allclose(fit.residuals("pearson"), pearson, rtol=CLOSE, atol=1e-8)


@pytest.mark.parametrize("name", STRUCTURED_RESIDUALS)
def test_normalized_residuals_are_whitened(name):
    """Their squares add up to e'R^-1e within every subject, in any factorization."""
    fit, d = fitted(name), dense(name)
    found = fit.residuals("normalized").to_numpy()
    R, rest = d.sigma2 * d.case.residual(d.theta, d.d), raw(name)
    for subject in d.d["s"].unique():
        rows = np.flatnonzero(d.d["s"] == subject)
        expected = rest[rows] @ np.linalg.solve(R[np.ix_(rows, rows)], rest[rows])
        assert np.sum(found[rows] ** 2) == pytest.approx(expected, rel=CLOSE)


def test_normalized_ones_are_scaled_ones_without_a_structure():
    fit = fitted("cs")
    np.testing.assert_allclose(fit.residuals("normalized"), fit.residuals("scaled"), rtol=1e-14)


def hat(d):
    """I - R P."""
    _, Phi, _, inverse = d.solved(d.theta)
    P = inverse - inverse @ d.X @ Phi @ d.X.T @ inverse
    return np.eye(len(d.y)) - d.case.residual(d.theta, d.d) @ P


@pytest.mark.parametrize("name", [*VARIANCES, *STRUCTURED_EFFECTS])
def test_leverage_and_what_follows(name):
    fit, d = fitted(name), dense(name)
    h = np.diag(hat(d))
    np.testing.assert_allclose(fit.leverage().hat, h, rtol=CLOSE, atol=1e-9)
    scaled = fit.residuals("scaled").to_numpy()
    np.testing.assert_allclose(
        fit.residuals("standardized"), scaled / np.sqrt(1.0 - h), rtol=CLOSE, atol=1e-9
    )
    frame = fit.augment()
    np.testing.assert_allclose(frame[".hat"], h, rtol=CLOSE, atol=1e-9)
    cook = scaled**2 * h / (fit.n_fixed * (1.0 - h) ** 2)
    np.testing.assert_allclose(frame[".cooksd"], cook, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("name", [*VARIANCES, *STRUCTURED_EFFECTS])
def test_deletions_at_the_same_theta(name):
    fit, d = fitted(name), dense(name)
    rows = fit.influence().dfbeta.to_numpy()
    levels = fit.influence("s", exact=False)
    H = d.H(d.theta)

    def without(left):
        inverse = np.linalg.inv(H[np.ix_(left, left)])
        X = d.X[left]
        return np.linalg.solve(X.T @ inverse @ X, X.T @ inverse @ d.y[left])

    everything = np.arange(len(d.y))
    for i in (0, 17, 60):
        change = without(np.delete(everything, i)) - fit.params.to_numpy()
        np.testing.assert_allclose(rows[i], change, rtol=1e-6, atol=1e-9)
    for subject in ("s01", "s05"):
        change = without(np.flatnonzero(d.d["s"] != subject)) - fit.params.to_numpy()
        np.testing.assert_allclose(levels.dfbeta.loc[subject], change, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("name", ["variance function with weights", "ou"])
def test_deletions_with_theta_estimated_again(name):
    fit, case = fitted(name), CASES[name]
    labels = np.where(case.used["s"].isin(["s03", "s05"]), case.used["s"], "others")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", lf.RankWarning)
        found = fit.influence(labels, exact=True)
    for subject in ("s03", "s05"):
        left = case.fit(case.used[case.used["s"] != subject])
        change = left.params - fit.params
        np.testing.assert_allclose(found.dfbeta.loc[subject], change, rtol=1e-6, atol=1e-8)
        assert found.sigma[subject] == pytest.approx(left.sigma, rel=1e-7)


def sandwich(d, kind):
    """Bell and McCaffrey's covariance over subjects."""
    H = d.H(d.theta)
    inverse = np.linalg.inv(H)
    M = np.linalg.inv(d.X.T @ inverse @ d.X)
    beta = M @ d.X.T @ inverse @ d.y
    middle = np.zeros_like(M)
    for subject in d.d["s"].unique():
        rows = np.flatnonzero(d.d["s"] == subject)
        own, X = H[np.ix_(rows, rows)], d.X[rows]
        A = np.eye(len(rows))
        if kind == "CR2":
            D = np.linalg.cholesky(own).T
            values, vectors = np.linalg.eigh(D @ (own - X @ M @ X.T) @ D.T)
            A = D.T @ (vectors / np.sqrt(values)) @ vectors.T @ D
        score = X.T @ np.linalg.solve(own, A @ (d.y[rows] - X @ beta))
        middle += np.outer(score, score)
    return M @ middle @ M


@pytest.mark.parametrize("kind", ["CR0", "CR2"])
@pytest.mark.parametrize("name", [*CORRELATED, "variance function with weights", "ou"])
def test_cluster_robust_covariances(name, kind):
    found = fitted(name).cov_params(robust=kind, cluster="s")
    np.testing.assert_allclose(found, sandwich(dense(name), kind), rtol=1e-6, atol=1e-10)


def test_the_residuals_groups_are_clusters():
    fit = fitted("gls")
    chosen, named = fit.cov_params(robust="CR2"), fit.cov_params(robust="CR2", cluster="s")
    np.testing.assert_array_equal(chosen, named)
    with pytest.raises(lf.DesignError) as caught:
        fit.cov_params(robust="CR2", cluster=CASES["gls"].used["visit"])
    assert caught.value.group == "s"


@pytest.mark.parametrize("name", STRUCTURED_RESIDUALS)
def test_draws_have_the_covariance_of_the_model(name):
    fit, d = fitted(name), dense(name)
    draws = fit.simulate(4000, seed=3).to_numpy()[:30]
    V = d.sigma2 * d.H(d.theta)[:30, :30]
    error = np.sqrt((V**2 + np.outer(np.diag(V), np.diag(V))) / draws.shape[1])
    assert np.abs((np.cov(draws) - V) / error).max() < 5.0
    mean = np.sqrt(np.diag(V) / draws.shape[1])
    assert np.abs((draws.mean(axis=1) - (d.X @ fit.params.to_numpy())[:30]) / mean).max() < 4.5


@pytest.mark.parametrize("name", list(CASES))
def test_refits_and_the_bootstrap_agree(name):
    """A parametric replicate is the fit of a simulated response."""
    fit = fitted(name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", lf.LMMWarning)
        boot = fit.bootstrap(2, seed=5)
        frame = boot.to_frame()
        structure = fit.residual_structure
        own = [] if structure is None else list(structure.parameters().index)
        names = [*fit.params.index, *fit.varcorr.parameters().index, *own]
        assert list(frame.columns) == names
        again = fit.refit(fit.simulate(1, seed=8)["sim_1"])
        fresh = CASES[name].used
        response = CASES[name].formula.split("~")[0].strip()
        fresh[response] = fit.simulate(1, seed=8)["sim_1"].to_numpy()
        expected = CASES[name].fit(fresh)
    assert again.objective == pytest.approx(expected.objective, abs=1e-6)
    np.testing.assert_allclose(again.params, expected.params, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("kind", ["residual", "case"])
def test_other_bootstraps_refit_the_structure(kind):
    fit = fitted("ar1 beside an intercept")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", lf.LMMWarning)
        frame = fit.bootstrap(12, seed=2, kind=kind).to_frame()
    own = fit.residual_structure.parameters()
    middle = frame[list(own.index)].median()
    assert np.abs(middle["ratio_b"] / own["ratio_b"] - 1.0) < 0.4
    assert np.abs(middle["rho"] - own["rho"]) < 0.35


def test_case_bootstrap_keeps_groups_of_residuals_apart():
    """A subject drawn twice is two subjects, for its residuals as well."""
    from lmmformula.inference.bootstrap.kinds import CaseBlocks
    from lmmformula.inference.bootstrap.result import fitter_of

    fit = fitted("ar1 beside an intercept")
    blocks = CaseBlocks(fitter_of(fit), "s")
    system = blocks._system(np.array([0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]))
    d = CASES["ar1 beside an intercept"].used
    pieces = []
    for copy, level in enumerate([0, 0, *range(1, 12)]):
        own = d[d["s"] == fit.design.matrices.random[0].levels[level]]
        pieces.append(own.assign(s=f"c{copy:02d}"))
    import pandas as pd

    from lmmformula.engine import estimate

    rows = pd.concat(pieces, ignore_index=True)
    case = CASES["ar1 beside an intercept"]
    direct = lf.lmm(case.formula, rows, **case.options).at(fit.theta)
    assert estimate(system, fit.theta).objective == pytest.approx(direct.objective, rel=1e-10)


@pytest.mark.slow
@pytest.mark.parametrize("name", STRUCTURED_EFFECTS)
def test_degrees_of_freedom_of_the_fitted_values(name):
    """Of the conditional AIC: derivatives of the fitted values, theta estimated again."""
    fit, d = fitted(name), dense(name)
    bare = hat(d)
    found = fit.conditional_aic()
    assert found.df_fixed_theta == pytest.approx(np.trace(bare) + 1.0, rel=1e-8)
    step = 1e-2
    units = np.eye(len(d.y)) * step
    moved = [
        (fit.refit(d.y + unit).fittedvalues.iloc[i] - fit.refit(d.y - unit).fittedvalues.iloc[i])
        / (2.0 * step)
        for i, unit in enumerate(units)
    ]
    assert found.df == pytest.approx(np.sum(moved) + 1.0, rel=1e-6)


@pytest.mark.parametrize("name", STRUCTURED_EFFECTS)
def test_replicates_fitted_together_are_those_fitted_alone(name):
    from lmmformula.inference.bootstrap.result import fitter_of

    fit = fitted(name)
    fitter = fitter_of(fit)
    responses = fit.simulate(3, seed=2).to_numpy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", lf.LMMWarning)
        together = fitter.fit_responses(responses)
        alone = [fit.refit(column).objective for column in responses.T]
    np.testing.assert_allclose(together.objective, alone, rtol=0.0, atol=1e-8)


@pytest.mark.parametrize("name", list(CASES))
def test_marginal_means_and_slopes(name):
    fit, d = fitted(name), dense(name)
    means = fit.marginal_means("f").to_frame()
    t = d.d["t"].mean()
    for label, b in (("a", 0.0), ("b", 1.0)):
        known = {"t": t, "f": b, "t:f": t * b}
        row = np.array([1.0, *(known[column] for column in d.case.fixed)])
        found = means[means["f"] == label].iloc[0]
        assert found["mean"] == pytest.approx(row @ fit.params.to_numpy(), rel=1e-9)
        test = fit.t_test(row[None])
        assert found["se"] == pytest.approx(float(np.ravel(test.sd)[0]), rel=1e-9)
        assert found["df"] == pytest.approx(float(np.ravel(test.df_denom)[0]), rel=1e-6)
