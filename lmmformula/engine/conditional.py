r"""Degrees of freedom of the fitted values, theta estimated: what the conditional AIC needs.

With :math:`e = Py` the conditional residuals (rows times the roots of their weights, in units of
sigma), the fitted values are :math:`y - e`, and the trace of their derivative in y is

.. math:: \rho = \mathrm{tr}(I - P) + \sum_{jk} (F^{-1})_{jk} \frac{2\nu}{s}
          \Bigl\{ e'H_kP\,PH_je - \frac{e'H_ke}{s}\, e'PH_je \Bigr\}

for covariance directions :math:`H_j = Z(I \otimes D_j)Z'` and F the exact Hessian of the criterion;
the sum is what estimating theta costs. Products with :math:`P^2` follow from :math:`P = PHP` and
:math:`I = H - \sum_i \sigma_i H_i`, so nothing has the length of the data.

References
----------
Vaida and Blanchard (2005), Biometrika 92, 351-370.
Greven and Kneib (2010), Biometrika 97, 773-789.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from lmmformula._arrays import FloatArray
from lmmformula.engine.evaluation import Evaluation
from lmmformula.engine.objective import Objective
from lmmformula.engine.system import BlockedSystem

__all__ = ["FittedDegrees", "fitted_degrees"]

FLAT = 1e-8


@dataclass(frozen=True, slots=True, eq=False)
class FittedDegrees:
    """Degrees of freedom that fitted values use.

    Attributes
    ----------
    trace : float
        Trace of the hat matrix: theta taken as known.
    correction : float
        What estimating theta adds.
    residual_ss : float
        Weighted sum of squares of the conditional residuals, in the user's units.
    """

    trace: float
    correction: float
    residual_ss: float


def fitted_degrees(system: BlockedSystem, theta: FloatArray, reml: bool) -> FittedDegrees:
    """Degrees of freedom of the fitted values at a fit.

    Parameters
    ----------
    system : BlockedSystem
    theta : ndarray, shape (n_theta,)
        The optimum.
    reml : bool
        Criterion of the fit.

    Notes
    -----
    Cost: one evaluation of the criterion per covariance parameter.
    """
    objective = Objective(system, reml)
    point = objective.evaluate(objective.phi_from_theta(theta))
    factors = objective.factors(point.phi)
    Sigmas = [factor @ factor.T for factor in factors]
    with objective.threads():
        evaluation = point.evaluation
        restricted = evaluation if reml else Evaluation(system, factors, True)
        taken = _inner(Sigmas, restricted.trace_blocks)
        directions = point.effective
        values, vectors = np.linalg.eigh(directions.T @ point.hessian(exact=True) @ directions)
        keep = values > FLAT * max(float(values.max(initial=0.0)), 1e-300)
        entries = point.jacobian @ directions @ vectors[:, keep]
        terms = [
            _bracket(evaluation, factors, Sigmas, _as_directions(system, column)) / value
            for value, column in zip(values[keep], entries.T, strict=True)
        ]
    explained = _inner(Sigmas, evaluation.residual_blocks)
    return FittedDegrees(
        trace=system.p + taken,
        correction=2.0 * evaluation.nu / evaluation.pwrss * float(np.sum(terms)),
        residual_ss=(evaluation.pwrss - explained) * system.basis.scale**2,
    )


def _inner(left: list[FloatArray], right: list[FloatArray]) -> float:
    return float(sum(np.sum(a * b) for a, b in zip(left, right, strict=True)))


def _as_directions(system: BlockedSystem, entries: FloatArray) -> list[FloatArray]:
    """Symmetric matrices of every term from the upper triangles of all, model order."""
    out, start = [], 0
    for term in system.terms:
        rows, columns = term.structure.pairs
        D = np.zeros((term.structure.k, term.structure.k))
        D[rows, columns] = D[columns, rows] = entries[start : start + len(rows)]
        out.append(D)
        start += len(rows)
    return out


_Effects = list[FloatArray]
"""Columns of random effects by factor in elimination order: (k, J) for each."""


def _bracket(
    evaluation: Evaluation,
    factors: list[FloatArray],
    Sigmas: list[FloatArray],
    directions: list[FloatArray],
) -> float:
    """e'H_jPPH_je - (e'H_je / s) e'PH_je for one direction."""
    rho = _residual_products(evaluation)
    w = _applied(evaluation, directions, rho)
    if not any(part.any() for part in w):
        return 0.0
    moved = _projected(evaluation, factors, w)
    own = _dot(w, rho)
    squared = _dot(w, moved) - _dot(moved, _applied(evaluation, Sigmas, moved))
    linear = own - _dot(_applied(evaluation, Sigmas, rho), moved)
    return squared - own / evaluation.pwrss * linear


def _dot(left: _Effects, right: _Effects) -> float:
    return float(sum(np.sum(a * b) for a, b in zip(left, right, strict=True)))


def _residual_products(evaluation: Evaluation) -> _Effects:
    """Z'e by factor."""
    parts = [evaluation.first_residual]
    if evaluation.tail is not None:
        tail = evaluation.tail_residual
        parts += [
            evaluation.of_factor(tail, f).T for f in range(len(evaluation.system.tail.factors))
        ]
    return parts


def _applied(evaluation: Evaluation, by_term: list[FloatArray], effects: _Effects) -> _Effects:
    """Level by level, each term's matrix times its effects."""
    by_index = dict(enumerate(by_term))
    return [
        layout.merged(by_index) @ part
        for layout, part in zip(evaluation.system.factors, effects, strict=True)
    ]


def _projected(evaluation: Evaluation, factors: list[FloatArray], w: _Effects) -> _Effects:
    """Z'PZ w, by the evaluation of the response Z w."""
    system, p = evaluation.system, evaluation.system.p
    first = w[0][:, None, :]
    column = np.einsum("abj,bj->aj", system.gram, w[0])
    fixed = np.einsum("apj,aj->p", system.first_xy[:, :p], w[0])
    tail_xy = system.tail_xy
    square = float(np.sum(w[0] * column))
    if evaluation.tail is not None:
        flat = np.concatenate([part.T.ravel() for part in w[1:]])[:, None]
        column = column + system.cross.times(flat)[:, 0]
        own = system.tail.times(system.tail_gram, flat)[:, 0]
        linked = system.cross.transpose_times(first)[:, 0]
        fixed = fixed + system.tail_xy[:, :p].T @ flat[:, 0]
        square += float(flat[:, 0] @ (own + 2.0 * linked))
        tail_xy = tail_xy.copy()
        tail_xy[:, -1] = own + linked
    first_xy = system.first_xy.copy()
    first_xy[:, -1] = column
    xy = system.xy.copy()
    xy[-1, :-1] = xy[:-1, -1] = fixed
    xy[-1, -1] = square
    turned = replace(system, first_xy=first_xy, tail_xy=tail_xy, xy=xy)
    return _residual_products(Evaluation(turned, factors, True))
