"""Small designs with structured residuals, and their dense covariance."""

from __future__ import annotations

import numpy as np

from lmmformula.matrices import ModelMatrices, RandomBlock, ResidualRows, VarianceRows

GROUPS, VISITS = 14, 4


def variance_rows(name, rng, n, visit):
    """Build one variance function over n rows."""
    strata = rng.integers(0, 2, n).astype(np.int32)
    x = rng.uniform(0.5, 3.0, n)
    one = np.zeros(n, dtype=np.int32)
    return {
        "ident": VarianceRows("ident", None, strata, ("a", "b"), "ident(f)"),
        "power": VarianceRows("power", x, one, ("",), "power(x)"),
        "exp by stratum": VarianceRows("exp", x, strata, ("a", "b"), "exp(x | f)"),
        "visits": VarianceRows(
            "ident", None, visit.astype(np.int32), tuple("1234"[:VISITS]), "ident(visit)"
        ),
    }[name]


def design(correlation, variances=(), random=(), seed=0, weights=False):
    """Build unbalanced rows in no order; groups are nested in sites, items cross them.

    Parameters
    ----------
    correlation : str or None
    variances : sequence of str
        Names of ``variance_rows``.
    random : sequence of str
        Any of "group", "site", "item".
    """
    rng = np.random.default_rng(seed)
    group = np.repeat(np.arange(GROUPS), VISITS)
    visit = np.tile(np.arange(VISITS), GROUPS)
    keep = rng.random(len(group)) > 0.25
    keep[: 3 * VISITS] = True
    rows = rng.permutation(np.nonzero(keep)[0])
    group, visit = group[rows].astype(np.int32), visit[rows]
    n = len(rows)
    times = visit + (rng.uniform(0, 0.5, n) if correlation == "car1" else 0.0)
    X = np.column_stack([np.ones(n), rng.normal(size=n)])
    item = rng.integers(0, 3, n).astype(np.int32)
    levels = {"group": (group, GROUPS), "site": (group // 4, GROUPS // 4 + 1), "item": (item, 3)}
    y = X @ [1.0, 2.0] + rng.normal(size=n) + 0.5 * rng.normal(size=GROUPS)[group]
    blocks = []
    for name in random:
        codes, count = levels[name]
        y = y + rng.normal(size=count)[codes]
        z = X.copy() if name == "group" else np.ones((n, 1))
        names = ("Intercept", "x")[: z.shape[1]]
        labels = np.arange(count).astype(str)
        blocks.append(RandomBlock(z, codes, labels, names, name, "us", f"(x | {name})"))
    residual = ResidualRows(
        correlation,
        group,
        np.arange(GROUPS).astype(str),
        times.astype(float),
        tuple(str(v) for v in range(VISITS)),
        "group",
        "" if correlation is None else f"{correlation}(visit | group)",
        tuple(variance_rows(name, rng, n, visit) for name in variances),
    )
    w = rng.uniform(0.5, 2.0, n) if weights else None
    return ModelMatrices(y, X, ("Intercept", "x"), tuple(blocks), w, None, np.arange(n), residual)


def relative_covariance(matrices, objective, phi):
    """Return V / sigma^2, dense."""
    covariance = objective.system.residual.covariance
    part = objective.residual_part(phi)
    V = covariance.matrix(part, np.arange(matrices.n_obs))
    if matrices.weights is not None:
        V = V / np.sqrt(np.outer(matrices.weights, matrices.weights))
    for block, T in zip(matrices.random, objective.templates(phi), strict=True):
        same = block.codes[:, None] == block.codes[None]
        V = V + np.where(same, block.z @ T @ T.T @ block.z.T, 0.0)
    return V


def dense_criterion(matrices, V, reml):
    """Return -2 log likelihood, profiled over fixed effects and sigma."""
    inverse = np.linalg.inv(V)
    M = matrices.X.T @ inverse @ matrices.X
    r = matrices.y - matrices.X @ np.linalg.solve(M, matrices.X.T @ inverse @ matrices.y)
    nu = matrices.n_obs - (matrices.p if reml else 0)
    value = np.linalg.slogdet(V)[1] + nu * (1 + np.log(2 * np.pi * (r @ inverse @ r) / nu))
    return value + (np.linalg.slogdet(M)[1] if reml else 0.0)
