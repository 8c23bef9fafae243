"""Starting values from moments of the regression residuals, by grouping factor.

For one factor with blocks A_j = Z_j'Z_j and c_j = Z_j'e, E c_j c_j' = s2 A_j + A_j Sigma A_j. The
sum over levels is linear in Sigma. Other factors are ignored, so this is rough; it saves the first
steps on large data. With few levels it is mostly noise, and small eigenvalues are lifted to a
floor that falls with the number of levels.
"""

from __future__ import annotations

import numpy as np

from lmmformula._arrays import FloatArray
from lmmformula.engine.system import BlockedSystem

__all__ = ["moment_start"]

LARGEST = 10.0
SMALLEST_RESIDUAL = 0.1


def moment_start(system: BlockedSystem) -> FloatArray:
    """Optimizer's parameters to start from, working units."""
    total = system.xy[-1, -1] / system.n_obs
    estimates = {}
    for f, factor in enumerate(system.factors):
        A, c = _factor_moments(system, f)
        for term in factor.terms:
            part = term.columns
            Sigma = _moment_covariance(A[part, part], c[part], total)
            if term.structure.invariance != "linear":
                Sigma = np.diag(np.diag(Sigma))
            estimates[term.index] = (Sigma, factor.n_levels ** (-1.0 / 3.0))
    explained = sum(max(0.0, float(np.trace(Sigma))) for Sigma, _ in estimates.values())
    residual = max(total - explained, SMALLEST_RESIDUAL * total)
    pieces = []
    for term in system.terms:
        Sigma, floor = estimates[term.index]
        values, vectors = np.linalg.eigh(Sigma / residual)
        size = np.sqrt(np.clip(values, floor**2, LARGEST**2))
        pieces.append(term.structure.from_template((vectors * size) @ vectors.T))
    return np.concatenate(pieces)


def _factor_moments(system: BlockedSystem, factor: int) -> tuple[FloatArray, FloatArray]:
    """Blocks Z_j'Z_j (k, k, J) and Z_j'e (k, J) of one factor."""
    if factor == 0:
        return system.gram, system.first_xy[:, -1]
    tail, layout = system.tail, system.tail.factors[factor - 1]
    start, k = tail.starts[factor - 1], layout.k
    c = system.tail_xy[start : start + layout.n_columns, -1].reshape(layout.n_levels, k).T
    level = start + np.arange(layout.n_levels) * k
    A = np.empty((k, k, layout.n_levels))
    for a in range(k):
        for b in range(k):
            A[a, b] = system.tail_gram[tail.address(level + a, level + b)]
    return A, c


def _moment_covariance(A: FloatArray, c: FloatArray, residual: float) -> FloatArray:
    """Solve ``sum_j A_j Sigma A_j = sum_j (c_j c_j' - residual A_j)``."""
    k = len(A)
    flat = A.reshape(k * k, -1)
    left = (flat @ flat.T).reshape(k, k, k, k).transpose(0, 2, 1, 3).reshape(k * k, k * k)
    right = (c @ c.T - residual * A.sum(axis=2)).ravel()
    ridge = 1e-10 * np.trace(left) / (k * k)
    Sigma = np.linalg.solve(left + ridge * np.eye(k * k), right).reshape(k, k)
    return 0.5 * (Sigma + Sigma.T)
