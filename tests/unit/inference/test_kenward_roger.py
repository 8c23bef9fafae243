"""Kenward-Roger against its definition with n x n matrices: crossed factors, weights."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest

import lmmformula as lf
from lmmformula.inference.effects.kenward_roger import memory_needed

FORMULAS = (
    "y ~ x + (x | g)",
    "y ~ f + x + (1 | g) + (1 | h)",
    "y ~ f * x + (x || g) + (0 + x | h)",
    "y ~ x + diag(0 + f | g) + (1 | h)",
)


def make(n: int = 120) -> pd.DataFrame:
    """Return small unbalanced crossed data."""
    rng = np.random.default_rng(8)
    data = pd.DataFrame(
        {
            "x": rng.normal(size=n),
            "f": rng.choice(["a", "b", "c"], n),
            "g": [f"g{i}" for i in rng.integers(0, 8, n)],
            "h": [f"h{i}" for i in rng.integers(0, 5, n)],
            "w": rng.uniform(0.5, 3.0, n),
        }
    )
    noise = rng.normal(size=n) / np.sqrt(data["w"])
    g, h = data["g"].str[1:].astype(int), data["h"].str[1:].astype(int)
    effects = rng.normal(size=(8, 4))[g] * np.column_stack(
        [np.ones(n), data["x"], data["f"] == "a", data["f"] == "b"]
    )
    crossed = rng.normal(size=5)[h] + rng.normal(size=5)[h] * data["x"]
    return data.assign(y=1 + data["x"] + effects.sum(axis=1) + crossed + noise)


def components(fit: lf.LinearMixedResults) -> list[np.ndarray]:
    """Return dV / dpsi for every variance and covariance, the residual's last."""
    matrices = fit.design.matrices
    out = []
    for block in matrices.random:
        pairs = [(i, i) for i in range(block.n_effects)]
        if block.structure == "us":
            pairs = list(itertools.combinations_with_replacement(range(block.n_effects), 2))
        same = block.codes[:, None] == block.codes
        for i, j in pairs:
            product = np.outer(block.z[:, i], block.z[:, j])
            out.append(same * (product if i == j else product + product.T))
    return [*out, np.diag(1.0 / matrices.weights)]


def values(fit: lf.LinearMixedResults) -> list[float]:
    """Return the variances and covariances in the same order."""
    out = []
    for term in fit.varcorr:
        k = len(term.effects)
        pairs = [(i, i) for i in range(k)]
        if term.structure == "us":
            pairs = list(itertools.combinations_with_replacement(range(k), 2))
        out += [term.cov_values[i, j] for i, j in pairs]
    return [*out, fit.scale]


class Dense:
    """The method as its authors wrote it."""

    def __init__(self, fit: lf.LinearMixedResults, observed: bool) -> None:
        X, y = fit.design.matrices.X, fit.design.matrices.y
        V_i = components(fit)
        V = sum(value * part for value, part in zip(values(fit), V_i, strict=True))
        inverse = np.linalg.inv(V)
        self.Phi = Phi = np.linalg.inv(X.T @ inverse @ X)
        projection = inverse - inverse @ X @ Phi @ X.T @ inverse
        t = len(V_i)
        self.P = [-X.T @ inverse @ part @ inverse @ X for part in V_i]
        Q = [[X.T @ inverse @ a @ inverse @ b @ inverse @ X for b in V_i] for a in V_i]
        information = np.empty((t, t))
        for i, j in itertools.product(range(t), repeat=2):
            trace = np.trace(projection @ V_i[i] @ projection @ V_i[j])
            if observed:
                right = projection @ V_i[j] @ projection @ y
                information[i, j] = -trace + 2.0 * y @ projection @ V_i[i] @ right
            else:
                information[i, j] = trace
        self.W = 2.0 * np.linalg.inv(information)
        middle = sum(
            self.W[i, j] * (Q[i][j] - self.P[i] @ Phi @ self.P[j])
            for i, j in itertools.product(range(t), repeat=2)
        )
        self.adjusted = Phi + 2.0 * Phi @ middle @ Phi

    def sums(self, L: np.ndarray) -> tuple[float, float]:
        """Return A1 and A2."""
        Theta = L.T @ np.linalg.inv(L @ self.Phi @ L.T) @ L
        parts = [Theta @ self.Phi @ P @ self.Phi for P in self.P]
        pairs = list(itertools.product(range(len(parts)), repeat=2))
        A1 = sum(self.W[i, j] * np.trace(parts[i]) * np.trace(parts[j]) for i, j in pairs)
        A2 = sum(self.W[i, j] * np.trace(parts[i] @ parts[j]) for i, j in pairs)
        return A1, A2

    def moments(self, L: np.ndarray) -> tuple[float, float]:
        """Return mean and variance of the adjusted F, of which the method matches both."""
        q = len(L)
        A1, A2 = self.sums(L)
        B = (A1 + 6.0 * A2) / (2.0 * q)
        g = ((q + 1) * A1 - (q + 4) * A2) / ((q + 2) * A2)
        c1, c2, c3 = (c / (3 * q + 2 * (1 - g)) for c in (g, q - g, q + 2 - g))
        mean = 1.0 / (1.0 - A2 / q)
        return mean, (2.0 / q) * (1 + c1 * B) / ((1 - c2 * B) ** 2 * (1 - c3 * B))


@pytest.fixture(scope="module", params=FORMULAS)
def fit(request):
    return lf.lmm(request.param, make(), weights="w").fit()


@pytest.mark.parametrize("observed", [False, True])
def test_definition(fit, observed):
    method = "kenward-roger-observed" if observed else "kenward-roger"
    ours, dense = fit.approximation(method), Dense(fit, observed)
    assert ours.notes == ()
    np.testing.assert_allclose(ours.unadjusted, dense.Phi, rtol=1e-7, atol=1e-10)
    np.testing.assert_allclose(ours.vcov, dense.adjusted, rtol=1e-6, atol=1e-9)
    p = fit.n_fixed
    singles = [2.0 / dense.sums(row[None])[1] for row in np.eye(p)]
    np.testing.assert_allclose(ours.df(np.eye(p)), singles, rtol=1e-6)
    L = np.random.default_rng(3).normal(size=(p - 1, p))
    test = ours.joint(L)
    difference = L @ ours.beta
    plain = difference @ np.linalg.solve(L @ dense.adjusted @ L.T, difference) / len(L)
    assert test.unscaled == pytest.approx(plain, rel=1e-6)
    if len(L) == 1:
        return
    mean, variance = dense.moments(L)
    scale, m = test.statistic / test.unscaled, test.den_df
    assert scale * mean == pytest.approx(m / (m - 2), rel=1e-6)
    spread = 2 * m**2 * (len(L) + m - 2) / (len(L) * (m - 2) ** 2 * (m - 4))
    assert scale**2 * variance == pytest.approx(spread, rel=1e-6)


def test_weights_are_rows_times_their_roots(fit):
    """Satterthwaite's degrees of freedom do not change with the unit of the weights."""
    data = make()
    other = lf.lmm(fit.formula, data.assign(w=7.0 * data["w"]), weights="w").fit()
    for method in ("satterthwaite", "kenward-roger"):
        ours, theirs = (one.coefficient_frame(ddf=method) for one in (fit, other))
        np.testing.assert_allclose(ours, theirs, rtol=1e-5)


def test_memory_grows_with_the_square_of_the_columns():
    data = make()
    small = memory_needed(lf.lmm("y ~ x + (1 | g)", data).system)
    large = memory_needed(lf.lmm("y ~ f * x + (x | g)", data).system)
    assert 0 < small < large
