"""The Gaussian likelihood of a mixed model written out with dense matrices, in plain numpy.

Nothing of the engine is used, so agreement means something. Two forms: over rows (the textbook
definition, for small n) and over random effects (for models with many rows and a moderate q).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lmmformula.matrices import ModelMatrices, RandomBlock

Array = NDArray[np.float64]

LOG_2PI = float(np.log(2.0 * np.pi))


def templates(theta: Array, random: Sequence[RandomBlock]) -> list[Array]:
    """Unpack theta: lower triangle by columns for each term, the diagonal for ``diag``."""
    out, position = [], 0
    for block in random:
        k = block.n_effects
        template = np.zeros((k, k))
        if block.structure == "diag":
            template[np.diag_indices(k)] = theta[position : position + k]
            position += k
        else:
            for column in range(k):
                height = k - column
                template[column:, column] = theta[position : position + height]
                position += height
        out.append(template)
    assert position == len(theta), f"{len(theta)} parameters, {position} used"
    return out


def pack_identity(random: Sequence[RandomBlock], scale: float = 1.0) -> Array:
    """Return theta for Lambda = scale times the identity."""
    parts = []
    for block in random:
        k = block.n_effects
        if block.structure == "diag":
            parts.append(np.full(k, scale))
        else:
            parts.append(scale * np.concatenate([np.eye(k)[c:, c] for c in range(k)]))
    return np.concatenate(parts)


def spread(block: RandomBlock, values: Array | None = None) -> Array:
    """Write the model matrix Z of one term out, shape (n, J k), level by level."""
    z = block.z if values is None else values
    n, k = z.shape
    Z = np.zeros((n, block.n_levels, k))
    Z[np.arange(n), block.codes] = z
    return Z.reshape(n, block.n_levels * k)


def sources(block: RandomBlock, values: Array | None = None) -> Array:
    """Write Z (L x I) out: the columns of effects that are independent over levels."""
    Z = spread(block, values)
    if block.relationship is None:
        return Z
    return Z @ np.kron(block.relationship, np.eye(Z.shape[1] // block.n_levels))


def _finish(
    quadratic: float,
    logdet: float,
    logdet_fixed: float,
    n: int,
    p: int,
    reml: bool,
    weights: Array | None,
) -> float:
    nu = n - p if reml else n
    value = logdet + nu * (1.0 + LOG_2PI + np.log(quadratic / nu))
    if reml:
        value += logdet_fixed
    if weights is not None:
        value -= float(np.sum(np.log(weights)))
    return float(value)


def objective_over_rows(matrices: ModelMatrices, theta: Array, reml: bool) -> float:
    """Return -2 log likelihood (or the REML criterion) from the n by n covariance matrix."""
    n, p = matrices.X.shape
    w = np.ones(n) if matrices.weights is None else matrices.weights
    H = np.eye(n)
    root = np.sqrt(w)
    for block, template in zip(matrices.random, templates(theta, matrices.random), strict=True):
        ZL = root[:, None] * sources(block, block.z @ template)
        H += ZL @ ZL.T
    L = np.linalg.cholesky(H)
    y = np.linalg.solve(L, root * matrices.working_response)
    X = np.linalg.solve(L, root[:, None] * matrices.X)
    Q, R = np.linalg.qr(X)
    residual = y - Q @ (Q.T @ y)
    logdet = 2.0 * float(np.sum(np.log(np.diag(L))))
    logdet_fixed = 2.0 * float(np.sum(np.log(np.abs(np.diag(R)))))
    return _finish(float(residual @ residual), logdet, logdet_fixed, n, p, reml, matrices.weights)


def objective_over_effects(matrices: ModelMatrices, theta: Array, reml: bool) -> float:
    """Return the same number from the q by q system, by an orthogonal factorization of the rows."""
    n, p = matrices.X.shape
    w = np.ones(n) if matrices.weights is None else matrices.weights
    root = np.sqrt(w)[:, None]
    parts = [
        sources(block, block.z @ template)
        for block, template in zip(matrices.random, templates(theta, matrices.random), strict=True)
    ]
    ZL = root * np.hstack(parts)
    q = ZL.shape[1]
    rows = np.block(
        [
            [ZL, root * matrices.X, root * matrices.working_response[:, None]],
            [np.eye(q), np.zeros((q, p + 1))],
        ]
    )
    pivots = np.abs(np.diag(np.linalg.qr(rows, mode="r")))
    logdet = 2.0 * float(np.sum(np.log(pivots[:q])))
    logdet_fixed = 2.0 * float(np.sum(np.log(pivots[q : q + p])))
    return _finish(float(pivots[-1] ** 2), logdet, logdet_fixed, n, p, reml, matrices.weights)


def generalized_least_squares(matrices: ModelMatrices, theta: Array) -> tuple[Array, Array]:
    """Return beta and the inverse of X'V^-1X (V relative to sigma^2) from dense matrices."""
    n = matrices.n_obs
    w = np.ones(n) if matrices.weights is None else matrices.weights
    V = np.diag(1.0 / w)
    for block, template in zip(matrices.random, templates(theta, matrices.random), strict=True):
        Z = sources(block, block.z @ template)
        V += Z @ Z.T
    VX = np.linalg.solve(V, matrices.X)
    inverse = np.linalg.inv(matrices.X.T @ VX)
    return inverse @ (VX.T @ matrices.working_response), inverse
