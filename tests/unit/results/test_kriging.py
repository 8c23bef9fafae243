"""Predictions at new times and places, against a Gaussian process written out densely."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t as student

import lmmformula as lf
from lmmformula.engine import assemble
from lmmformula.engine.error_variance import error_variance
from lmmformula.engine.prediction import target_rows
from lmmformula.errors import OptionError

RTOL = 1e-8
"""Two exact computations of the same numbers."""


def process(rng, times, rho, sd):
    gap = np.abs(np.subtract.outer(times, times))
    return (
        sd * np.linalg.cholesky(rho**gap + 1e-12 * np.eye(len(times))) @ rng.normal(size=len(times))
    )


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(8)
    times = np.array([0.0, 0.5, 1.2, 2.0, 3.5, 4.0, 6.0])
    rows = []
    for g in "abcdefghij":
        own = process(rng, times, 0.7, 2.0)
        for time, effect in zip(times, own, strict=True):
            for _ in range(2):
                if rng.random() > 0.2:
                    rows.append((g, time, 5.0 + 0.3 * time + effect + rng.normal()))
    frame = pd.DataFrame(rows, columns=["g", "t", "y"])
    frame["w"] = rng.uniform(0.5, 2.0, len(frame))
    return frame


@pytest.fixture(scope="module")
def fit(data):
    return lf.lmer("y ~ t + ou(0 + t | g)", data)


@pytest.fixture(scope="module")
def new():
    """Fitted and new times of fitted levels, a new level, times beyond the data."""
    return pd.DataFrame(
        {"g": list("abcaazzb"), "t": [0.5, 0.9, 5.0, -1.0, 30.0, 1.2, 2.7, np.nan]},
        index=[f"r{i}" for i in range(8)],
    )


def dense(fit, data, new, kernel, between=None, weights=None):
    """Best prediction of X beta + effect, and its error variance (no residual), from V alone.

    ``kernel(a, b)`` is the covariance of the process at two tables' rows given the same level;
    ``between(a, b)`` that of their levels.
    """
    if between is None:

        def between(a, b):
            return np.equal.outer(a["g"].to_numpy(), b["g"].to_numpy()).astype(float)

    w = np.ones(len(data)) if weights is None else weights
    K = between(data, data) * kernel(data, data)
    V = K + fit.scale * np.diag(1.0 / w)
    across = between(new, data) * kernel(new, data)
    own = np.diag(between(new, new) * kernel(new, new))
    X = np.column_stack([np.ones(len(data)), data["t"]])
    Xn = np.column_stack([np.ones(len(new)), new["t"]])
    P = np.linalg.inv(V)
    vcov = np.linalg.inv(X.T @ P @ X)
    beta = vcov @ X.T @ P @ data["y"].to_numpy()
    predicted = Xn @ beta + across @ P @ (data["y"].to_numpy() - X @ beta)
    gap = Xn - across @ P @ X
    variance = own - np.einsum("ij,jk,ik->i", across, P, across)
    return predicted, variance + np.einsum("ij,jk,ik->i", gap, vcov, gap)


def decay(fit):
    sd, rho = fit.theta

    def kernel(a, b):
        lag = np.abs(np.subtract.outer(a["t"].to_numpy(), b["t"].to_numpy()))
        return fit.scale * sd**2 * rho**lag

    return kernel


def test_the_fit_is_regular(fit):
    assert fit.converged
    assert not fit.is_singular


def test_predictions_are_those_of_a_gaussian_process(fit, data, new):
    known = new.dropna()
    predicted, variance = dense(fit, data, known, decay(fit))
    ours = fit.predict(new, new_levels="zero")
    assert np.allclose(ours.dropna(), predicted, rtol=RTOL)
    assert list(ours.index[ours.isna()]) == ["r7"]
    for interval, residual in (("confidence", 0.0), ("prediction", fit.scale)):
        table = fit.predict(new, new_levels="zero", interval=interval, ddf="wald")
        assert np.allclose(table["predicted"].dropna(), predicted, rtol=RTOL)
        assert np.allclose(table["se"].dropna() ** 2, variance + residual, rtol=RTOL)
        assert table.loc["r7"].isna().all()


def test_far_away_only_the_population_is_left(fit, new):
    far = {"g": ["a"], "t": [1e4]}
    table = fit.predict(far, interval="confidence", ddf="wald")
    mean = fit.params["Intercept"] + fit.params["t"] * 1e4
    assert table["predicted"].iloc[0] == pytest.approx(mean, rel=1e-12)
    x = np.array([1.0, 1e4])
    variance = fit.scale * fit.theta[0] ** 2 + x @ fit.cov_params().to_numpy() @ x
    assert table["se"].iloc[0] ** 2 == pytest.approx(variance, rel=1e-9)


def test_close_to_a_fitted_time_nothing_changes(fit):
    near, at = (
        fit.predict({"g": ["a"], "t": [time]}, interval="confidence") for time in (0.5 + 1e-9, 0.5)
    )
    assert np.allclose(near, at, rtol=1e-6)


def test_leaving_the_levels_out(fit, data, new):
    """Without its process a new observation has the population's variance, at any time."""
    known = new.dropna()
    table = fit.predict(known[["t"]], random="none", interval="prediction", ddf="wald")
    X = np.column_stack([np.ones(len(known)), known["t"]])
    fixed = np.einsum("ij,jk,ik->i", X, fit.cov_params().to_numpy(), X)
    expected = fixed + fit.scale * (1.0 + fit.theta[0] ** 2)
    assert np.allclose(table["se"] ** 2, expected, rtol=RTOL)


def test_weights_and_another_term(data, new):
    """A random intercept beside the process, on the same factor."""
    model = lf.lmm("y ~ t + ou(0 + t | g) + (1 | g)", data, weights="w", checks="ignore")
    fit = model.at(lf_theta(model, process=(1.3, 0.6), intercept=0.8))
    known = new.dropna()

    def kernel(a, b):
        lag = np.abs(np.subtract.outer(a["t"].to_numpy(), b["t"].to_numpy()))
        return fit.scale * (1.3**2 * 0.6**lag + 0.8**2)

    predicted, variance = dense(fit, data, known, kernel, weights=data["w"].to_numpy())
    table = fit.predict(known, new_levels="zero", interval="confidence", ddf="wald")
    assert np.allclose(table["predicted"], predicted, rtol=RTOL)
    assert np.allclose(table["se"] ** 2, variance, rtol=RTOL)


def lf_theta(model, process, intercept):
    """Order the parameters as the model orders its terms."""
    parts = {"ou": process, "us": (intercept,)}
    return np.concatenate([parts[block.structure] for block in model.design.matrices.random])


def test_places_in_the_plane():
    rng = np.random.default_rng(21)
    sites = rng.uniform(0.0, 5.0, (12, 2))
    where = np.tile(np.arange(12), 6)
    data = pd.DataFrame(sites[where], columns=["u", "v"])
    data["g"] = np.repeat([f"field {i}" for i in range(6)], 12)
    data["t"] = rng.normal(size=len(data))
    data["y"] = 1.0 + data["t"] + rng.normal(size=len(data)) + rng.normal(size=12)[where]
    fit = lf.lmm("y ~ t + exp(0 + u + v | g)", data).at([1.2, 1.7])
    new = pd.DataFrame(
        {
            "u": [1.0, 2.5, sites[3, 0], 9.0],
            "v": [2.0, 2.5, sites[3, 1], -4.0],
            "t": [0.0, 1.0, -1.0, 0.5],
            "g": ["field 0", "field 1", "field 2", "elsewhere"],
        }
    )

    def kernel(a, b):
        one, other = a[["u", "v"]].to_numpy(), b[["u", "v"]].to_numpy()
        lag = np.sqrt(((one[:, None] - other[None]) ** 2).sum(axis=2))
        return fit.scale * 1.2**2 * np.exp(-lag / 1.7)

    predicted, variance = dense(fit, data, new, kernel)
    table = fit.predict(new, new_levels="zero", interval="confidence", ddf="wald")
    assert np.allclose(table["predicted"], predicted, rtol=RTOL)
    assert np.allclose(table["se"] ** 2, variance, rtol=RTOL)


def test_related_levels_and_members_without_data(data):
    """Covariance K (x) Sigma: a member without data borrows from its relatives at any time."""
    rng = np.random.default_rng(3)
    labels = [*"abcdefghij", "calf"]
    root = rng.normal(size=(11, 15))
    K = pd.DataFrame(root @ root.T / 15.0, index=labels, columns=labels)
    fit = lf.lmm("y ~ t + ou(0 + t | g)", data, relationship={"g": K}).at([1.1, 0.5])
    new = pd.DataFrame({"g": ["a", "a", "calf", "calf"], "t": [0.5, 0.8, 0.5, 7.3]})

    def between(a, b):
        return K.loc[a["g"], b["g"]].to_numpy()

    predicted, variance = dense(fit, data, new, decay(fit), between)
    table = fit.predict(new, interval="confidence", ddf="wald")
    assert np.allclose(table["predicted"], predicted, rtol=RTOL)
    assert np.allclose(table["se"] ** 2, variance, rtol=RTOL)
    unknown = {"g": ["?"], "t": [0.8]}
    stranger = fit.predict(unknown, new_levels="zero", interval="confidence", ddf="wald")
    x = np.array([1.0, 0.8])
    mean = np.trace(K.iloc[:10, :10]) / 10.0
    expected = fit.scale * 1.1**2 * mean + x @ fit.cov_params().to_numpy() @ x
    assert stranger["se"].iloc[0] ** 2 == pytest.approx(expected, rel=1e-8)


def extended(design, times):
    """The same data, with an effect for every new time too: columns of zeros."""
    block = design.matrices.random[0]
    places = np.concatenate([block.positions, np.array(times)[:, None]])
    order = np.argsort(places[:, 0])
    z = np.hstack([block.z, np.zeros((len(block.z), len(times)))])[:, order]
    names = tuple(f"t={time:g}" for time in places[order, 0])
    wider = replace(block, z=z, effect_names=names, positions=places[order])
    return replace(design.matrices, random=(wider,))


@pytest.mark.parametrize("residual", [0.0, 1.0])
def test_degrees_of_freedom_are_those_of_a_model_with_the_new_times(fit, residual):
    """Kriging inside the fitted model, or effects at the new times without any data: the same."""
    times, x = [0.9, 5.0], np.array([[1.0, 0.9], [1.0, 5.0]])
    matrices = extended(fit.design, times)
    system = assemble([matrices])
    block = matrices.random[0]
    columns = np.array([np.flatnonzero(block.positions[:, 0] == time)[0] for time in times])
    rows = replace(block, z=np.eye(block.n_effects)[columns], codes=np.array([1, 2], np.int32))
    targets = target_rows(system, x, {0: rows})
    expected = error_variance(system, fit.theta, True, targets, np.full(2, residual))
    interval = "prediction" if residual else "confidence"
    ours = fit.predict({"g": ["b", "c"], "t": times}, interval=interval)
    assert np.allclose(ours["se"] ** 2, fit.scale * expected.variance, rtol=1e-7)
    half = student.ppf(0.975, np.maximum(expected.df, 1.0)) * ours["se"]
    assert np.allclose(ours["upper"] - ours["predicted"], half, rtol=1e-5)


def test_without_the_rows(fit, new):
    kept = fit.without_data().predict(new, new_levels="zero", interval="prediction")
    pd.testing.assert_frame_equal(kept, fit.predict(new, new_levels="zero", interval="prediction"))


def test_kenward_and_roger_need_fitted_times(fit, new):
    with pytest.raises(OptionError) as caught:
        fit.predict(new, new_levels="zero", interval="confidence", ddf="kenward-roger-observed")
    assert caught.value.available == ("satterthwaite", "wald")
    at = {"g": ["a"], "t": [0.5]}
    table = fit.predict(at, interval="confidence", ddf="kenward-roger-observed")
    assert np.isfinite(table).all(axis=None)


def test_no_variance_in_the_process(data, new):
    fit = lf.lmm("y ~ t + ou(0 + t | g)", data).at([0.0, 0.5])
    known = new.dropna()
    table = fit.predict(known, new_levels="zero", interval="confidence", ddf="wald")
    X = np.column_stack([np.ones(len(known)), known["t"]])
    assert np.allclose(table["predicted"], X @ fit.params, rtol=1e-12)
    variance = np.einsum("ij,jk,ik->i", X, fit.cov_params().to_numpy(), X)
    assert np.allclose(table["se"] ** 2, variance, rtol=1e-9)
