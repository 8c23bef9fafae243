"""Random designs: Henderson's equations, V by group and dense textbook formulas are one thing."""

from __future__ import annotations

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

import lmmformula as lf
from tests import dense
from tests.tolerances import assert_close

FORMULAS = (
    "y ~ x + (1 | g)",
    "y ~ x + (x | g)",
    "y ~ x + (x || g)",
    "y ~ 0 + x + (1 | g) + (1 | h)",
    "y ~ x * f + (f | g) + (x | h)",
    "y ~ 1 + (1 | g / h)",
)
RTOL = 1e-8
"""Two exact ways to the same numbers; the condition of G (about 1e6 at worst) costs the rest."""


@st.composite
def fits(draw: st.DrawFn) -> lf.LinearMixedResults:
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    n = int(rng.integers(40, 90))
    data = pd.DataFrame(
        {
            "x": rng.normal(size=n),
            "f": rng.choice(["a", "b"], n),
            "g": rng.permutation(np.resize(np.arange(7), n)).astype(str),
            "h": rng.permutation(np.resize(list("pqrs"), n)),
            "y": 10.0 + rng.normal(size=n),
            "w": rng.uniform(0.3, 3.0, n),
            "o": rng.normal(size=n),
        },
        index=[f"row {i}" for i in range(n)],
    )
    weights, offset = draw(st.sampled_from([(None, None), ("w", None), ("w", "o")]))
    model = lf.lmm(
        draw(st.sampled_from(FORMULAS)), data, weights=weights, offset=offset, checks="ignore"
    )
    theta = dense.pack_identity(model.design.matrices.random) * rng.uniform(0.2, 2.0)
    theta = theta + rng.normal(scale=0.1, size=len(theta))
    if draw(st.booleans()):
        theta[rng.integers(len(theta))] = 0.0
    return model.at(theta, reml=draw(st.booleans()))


def dense_solution(fit: lf.LinearMixedResults) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """V, beta by generalised least squares and b = G Z'V^-1 (y - X beta), all written out."""
    m = fit.design.matrices
    w = np.ones(m.n_obs) if m.weights is None else m.weights
    Z = np.hstack([dense.spread(block) for block in m.random])
    factors = dense.templates(fit.theta, m.random)
    sizes = [block.n_levels for block in m.random]
    G = np.zeros((Z.shape[1], Z.shape[1]))
    start = 0
    for size, T in zip(sizes, factors, strict=True):
        stop = start + size * len(T)
        G[start:stop, start:stop] = fit.scale * np.kron(np.eye(size), T @ T.T)
        start = stop
    V = Z @ G @ Z.T + np.diag(fit.scale / w)
    beta = np.linalg.solve(
        m.X.T @ np.linalg.solve(V, m.X), m.X.T @ np.linalg.solve(V, m.working_response)
    )
    b = G @ Z.T @ np.linalg.solve(V, m.working_response - m.X @ beta)
    return V, beta, b


@given(fits())
@settings(max_examples=40, deadline=None)
def test_solution_is_least_squares_and_best_prediction(fit):
    V, beta, b = dense_solution(fit)
    equations = fit.mixed_model_equations()
    assert equations.form == ("spherical" if fit.is_singular else "henderson")
    assert_close(equations.solution.to_numpy(), np.concatenate([beta, b]), RTOL, "solution")
    assert_close(equations.fixed, fit.params, RTOL, "params")
    ours, theirs = equations.random, fit.random_effects
    assert {group: list(table) for group, table in ours.items()} == {
        group: list(table) for group, table in theirs.items()
    }
    flat = [np.concatenate([t.to_numpy().ravel() for t in r.values()]) for r in (ours, theirs)]
    assert_close(*flat, RTOL, "random effects")
    absorbed = equations.absorbed()
    X = fit.design.matrices.X
    assert_close(absorbed.coefficient_matrix, X.T @ np.linalg.solve(V, X), RTOL, "X'V^-1X")
    assert_close(absorbed.solution, beta, RTOL, "absorbed")
    assert_close(absorbed.covariance, fit.cov_params(), RTOL, "covariance")


@given(fits())
@settings(max_examples=25, deadline=None)
def test_covariance_of_rows(fit):
    V, _, _ = dense_solution(fit)
    m = fit.design.matrices
    whole = fit.marginal_covariance()
    assert list(whole.index) == list(whole.columns) == list(fit.design.spec.index)
    assert_close(whole, V, RTOL, "V")
    for block in m.random:
        rows = np.flatnonzero(block.codes == 1)
        part = fit.marginal_covariance(block.group, block.levels[1])
        assert list(part.index) == list(fit.design.spec.index[rows])
        assert_close(part, V[np.ix_(rows, rows)], RTOL, block.group)


@given(fits())
@settings(max_examples=25, deadline=None)
def test_inverse_is_the_covariance_of_the_errors(fit):
    """Var(beta_hat) and Var(b_hat - b) from their definitions as linear functions of y and b."""
    V, _, _ = dense_solution(fit)
    equations = fit.mixed_model_equations()
    m = fit.design.matrices
    Z, Lambda = equations.Z.toarray(), equations.Lambda.toarray()
    G = fit.scale * Lambda @ Lambda.T
    P = np.linalg.inv(V)
    vcov = np.linalg.inv(m.X.T @ P @ m.X)
    to_beta = vcov @ m.X.T @ P
    to_b = G @ Z.T @ P @ (np.eye(m.n_obs) - m.X @ to_beta)
    across = to_b @ Z @ G
    errors = to_b @ V @ to_b.T - across - across.T + G
    C = equations.inverse().to_numpy()
    p = m.p
    assert_close(C[:p, :p], vcov, RTOL, "fixed")
    assert_close(C[p:, p:], errors, 10 * RTOL, "random")
    assert_close(C[:p, p:], to_beta @ V @ to_b.T - to_beta @ Z @ G, 10 * RTOL, "both")
    assert_close(equations.bse, fit.bse, RTOL, "bse")
    diagonal = equations.prediction_error_variance
    assert_close(diagonal, np.diagonal(C)[p:], RTOL, "prediction error variance")
