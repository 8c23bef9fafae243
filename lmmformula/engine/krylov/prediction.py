"""Variances of prediction errors by solves, a right-hand side for each different row."""

from __future__ import annotations

import numpy as np

from lmmformula._arrays import FloatArray, IntArray
from lmmformula.engine.krylov.blocks import column_products, times
from lmmformula.engine.krylov.evaluation import Accuracy, KrylovEvaluation
from lmmformula.engine.krylov.objective import KrylovObjective
from lmmformula.engine.krylov.solve import conjugate_gradients
from lmmformula.engine.krylov.system import KrylovSystem
from lmmformula.engine.prediction import ErrorForms, TargetRows

__all__ = ["error_forms"]

BATCH = 32
TOLERANCE = 1e-6

_Known = list[tuple[FloatArray, IntArray] | None]


def error_forms(
    system: KrylovSystem, theta: FloatArray, reml: bool, rows: TargetRows
) -> ErrorForms:
    """Variances of the errors of rows, in units of sigma^2; NaN in a row with missing values.

    Parameters
    ----------
    system : KrylovSystem
    theta : ndarray, shape (n_theta,)
    reml : bool
    rows : TargetRows
        As for the exact engine (``engine.prediction.target_rows``), without new places.

    Notes
    -----
    Exact up to the solver's tolerance. Cost: a solve for every different combination of levels
    and effects, 32 at a time.
    """
    objective = KrylovObjective(system, reml, Accuracy(n_probes=0))
    with objective.threads():
        evaluation = objective.unjudged(objective.phi_from_theta(theta)).krylov
        new, gaps, known = _by_factor(evaluation, rows)
        random = _random(evaluation, known, len(rows.X))
        fixed = np.einsum("ip,pq,iq->i", gaps, evaluation.Phi, gaps, optimize=True)
    return ErrorForms(random, fixed, new, gaps)


def _by_factor(
    evaluation: KrylovEvaluation, rows: TargetRows
) -> tuple[FloatArray, FloatArray, _Known]:
    """Variance of unknown levels, what of X the random effects leave, and the known levels."""
    new, gaps, known = (
        np.zeros(len(rows.X)),
        rows.X.copy(),
        list[tuple[FloatArray, IntArray] | None](),
    )
    Lambdas = evaluation.operator.Lambdas
    for f, part in enumerate(rows.effects):
        if part is None:
            known.append(None)
            continue
        z, codes = part
        seen = codes >= 0
        new += np.where(seen, 0.0, np.sum((z @ Lambdas[f]) ** 2, axis=1))
        z, codes = np.where(seen[:, None], z, 0.0), np.where(seen, codes, 0)
        F = evaluation.first_X.transpose(2, 0, 1) if f == 0 else None
        if F is None:
            F = evaluation.of_factor(evaluation.tail_X, f - 1)
        gaps -= np.einsum("ia,ab,ibp->ip", z, Lambdas[f] @ Lambdas[f].T, F[codes], optimize=True)
        known.append((z, codes.astype(np.int64)))
    return new, gaps, known


def _random(evaluation: KrylovEvaluation, known: _Known, n: int) -> FloatArray:
    """Z' Lambda M^-1 Lambda' z of every row."""
    parts = [np.column_stack(part) for part in known if part is not None]
    if not parts or not n:
        return np.zeros(n)
    table = np.column_stack(parts)
    complete = np.isfinite(table).all(axis=1)
    _, first, inverse = np.unique(table[complete], axis=0, return_index=True, return_inverse=True)
    rows = np.nonzero(complete)[0][first]
    values = [
        _forms(evaluation, known, rows[start : start + BATCH])
        for start in range(0, len(rows), BATCH)
    ]
    out = np.full(n, np.nan)
    out[complete] = np.concatenate([np.zeros(0), *values])[inverse.ravel()]
    return out


def _forms(evaluation: KrylovEvaluation, known: _Known, rows: IntArray) -> FloatArray:
    """Z' Lambda M^-1 Lambda' z of some rows."""
    operator, system = evaluation.operator, evaluation.system
    columns = []
    for factor, part in zip(system.factors, known, strict=True):
        own = np.zeros((factor.k, factor.n_levels, len(rows)))
        if part is not None:
            own[:, part[1][rows], np.arange(len(rows))] = part[0][rows].T
        columns.append(own)
    moved = times(operator.first.N, columns[0])
    forms = column_products(columns[0], moved)
    if len(columns) == 1:
        return forms
    tail = np.concatenate([own.reshape(-1, len(rows)) for own in columns[1:]])
    right = operator.scaled_back(tail - operator.from_first(moved))
    solved = conjugate_gradients(operator.apply, operator.precondition, right.copy(), TOLERANCE)
    return forms + column_products(right, solved.x) + column_products(solved.x, solved.residual)
