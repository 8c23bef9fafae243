r"""Leaving rows out of a fitted model, without passing over the rest again.

A single row at fixed theta: with r the (weighted) residual, h its leverage and a the row's gap
(``engine.prediction``),

.. math:: \hat\beta_{(i)} - \hat\beta = -\Phi a_i \frac{r_i}{1-h_i}, \qquad
          \Phi_{(i)} = \Phi + \frac{\Phi a_i a_i'\Phi}{1-h_i}, \qquad
          s_{(i)} = s - \frac{r_i^2}{1-h_i}.

A group of rows: its own cross-products come off the system's. What is left is the system of the
other rows, to be evaluated at the same theta or to be fitted again.

References
----------
Christensen, Pearson and Johnson (1992), Technometrics 34, 38-45.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from lmmformula._arrays import FloatArray, IntArray
from lmmformula.engine.cross import cross_blocks
from lmmformula.engine.crossproducts import CrossProducts, PairBlocks
from lmmformula.engine.evaluation import Evaluation
from lmmformula.engine.kernels import block_product
from lmmformula.engine.objective import Point
from lmmformula.engine.summation import sum_products
from lmmformula.engine.system import BlockedSystem, tail_sums
from lmmformula.matrices import ModelMatrices

__all__ = ["Deletions", "Downdater", "delete_groups", "delete_rows", "taken"]

RANK = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class Deletions:
    """Fixed effects without each of m units, at the same theta; NaN where they are not estimable.

    Attributes
    ----------
    beta : ndarray, shape (m, p)
        Fixed effects without the unit, in the user's units.
    se : ndarray, shape (m, p)
        Their standard errors, with sigma estimated from the rows left.
    sigma : ndarray, shape (m,)
    """

    beta: FloatArray
    se: FloatArray
    sigma: FloatArray


def delete_rows(
    evaluation: Evaluation, gaps: FloatArray, residual: FloatArray, hat: FloatArray
) -> Deletions:
    """Every row left out in turn.

    Parameters
    ----------
    evaluation : Evaluation
        The fit.
    gaps : ndarray, shape (n, p)
        H^-1 X, row by row: gaps of the rows times the roots of their weights.
    residual : ndarray, shape (n,)
        Residuals times the roots of the weights, in the user's units.
    hat : ndarray, shape (n,)
        Leverages.
    """
    basis = evaluation.system.basis
    with np.errstate(divide="ignore", invalid="ignore"):
        left = np.where(hat < 1.0 - RANK, 1.0 - hat, np.nan)
        turned = gaps @ (basis.fixed @ evaluation.Phi).T
        beta = basis.beta + basis.scale * (basis.fixed @ evaluation.beta)
        squares = evaluation.pwrss * basis.scale**2 - residual**2 / left
        sigma2 = np.maximum(squares, 0.0) / (evaluation.nu - 1)
        spread = np.einsum("ij,jk,ik->i", basis.fixed, evaluation.Phi, basis.fixed)
        se = np.sqrt(sigma2[:, None] * (spread + turned**2 / left[:, None]))
    return Deletions(beta - turned * (residual / left)[:, None], se, np.sqrt(sigma2))


def delete_groups(
    point: Point, matrices: ModelMatrices, units: IntArray, n_units: int
) -> Deletions:
    """Every unit (a set of rows) left out in turn, at the same theta.

    Parameters
    ----------
    point : Point
        The fit.
    matrices : ModelMatrices
        The rows.
    units : ndarray, shape (n,)
        Number of the unit of every row.
    n_units : int

    Notes
    -----
    With one grouping factor and units made of whole levels, what is left is a difference of p x p
    matrices, unit by unit; else each unit costs one evaluation.
    """
    evaluation, system = point.evaluation, point.evaluation.system
    owner = _owners(system, matrices, units)
    sizes = np.bincount(units, minlength=n_units)
    if owner is not None:
        corners = evaluation.S - _contributions(evaluation, matrices, units, n_units, owner)
    else:
        downdater, order = Downdater(system, matrices), np.argsort(units, kind="stable")
        factors = point.objective.factors(point.phi)
        corners = np.stack(
            [
                Evaluation(downdater.without(rows), factors, evaluation.reml).S
                for rows in np.split(order, np.cumsum(sizes)[:-1])
            ]
        )
    return _solved(evaluation, corners, sizes)


def _owners(system: BlockedSystem, matrices: ModelMatrices, units: IntArray) -> IntArray | None:
    """Unit of every level, where there is one grouping factor and no unit splits a level."""
    if system.tail.factors or not system.first.terms:
        return None
    codes = matrices.random[system.first.terms[0].index].codes
    owner = np.zeros(system.first.n_levels, dtype=np.int64)
    owner[codes] = units
    return owner if np.array_equal(owner[codes], units) else None


def _contributions(
    evaluation: Evaluation,
    matrices: ModelMatrices,
    units: IntArray,
    n_units: int,
    owner: IntArray,
) -> FloatArray:
    """Every unit's part of [X y]'H^-1[X y], (n_units, p + 1, p + 1)."""
    xy = _working_columns(evaluation.system, matrices)
    rows = block_product(evaluation.K, evaluation.system.first_xy)
    width = xy.shape[1]
    parts = np.empty((n_units, width, width))
    for a in range(width):
        for b in range(a, width):
            whole = np.bincount(units, xy[:, a] * xy[:, b], n_units)
            explained = np.einsum("kj,kj->j", rows[:, a], rows[:, b])
            parts[:, a, b] = parts[:, b, a] = whole - np.bincount(owner, explained, n_units)
    return parts


def _working_columns(system: BlockedSystem, matrices: ModelMatrices) -> FloatArray:
    """[X y] in the working basis, times the roots of the weights."""
    basis = system.basis
    y = (matrices.working_response - matrices.X @ basis.beta) / basis.scale
    columns = np.column_stack([matrices.X @ basis.fixed, y])
    return columns if matrices.weights is None else columns * np.sqrt(matrices.weights)[:, None]


def _solved(evaluation: Evaluation, corners: FloatArray, sizes: IntArray) -> Deletions:
    """Estimates from [X y]'H^-1[X y] of the rows left, for every unit."""
    basis, p = evaluation.system.basis, evaluation.system.p
    S_xx, S_xy = corners[:, :p, :p].copy(), corners[:, :p, p]
    root = np.linalg.cholesky(evaluation.Phi) if p else evaluation.Phi
    with np.errstate(invalid="ignore"):
        relative = np.einsum("ia,uij,jb->uab", root, S_xx, root)
        lost = np.linalg.eigvalsh(relative)[:, 0] < RANK if p else np.zeros(len(sizes), bool)
    S_xx[lost] = np.eye(p)
    Phi = np.linalg.inv(S_xx)
    beta = np.einsum("uij,uj->ui", Phi, S_xy)
    left = evaluation.nu - sizes
    lost |= left <= 0
    squares = corners[:, p, p] - np.einsum("ui,ui->u", beta, S_xy)
    sigma2 = np.maximum(squares, 0.0) / np.maximum(left, 1) * basis.scale**2
    spread = np.einsum("ij,ujk,ik->ui", basis.fixed, Phi, basis.fixed)
    estimates = basis.beta + basis.scale * (beta @ basis.fixed.T)
    nothing = np.where(lost, np.nan, 1.0)
    return Deletions(
        estimates * nothing[:, None],
        np.sqrt(sigma2[:, None] * spread) * nothing[:, None],
        np.sqrt(sigma2) * nothing,
    )


class Downdater:
    """Systems of all rows but a few, from the few alone.

    Parameters
    ----------
    system : BlockedSystem
        The system of all rows; not modified.
    matrices : ModelMatrices
        The rows.
    """

    def __init__(self, system: BlockedSystem, matrices: ModelMatrices) -> None:
        self.system, self.matrices = system, matrices
        self._pairs = self._sums(matrices).pairs if system.tail.factors else {}

    def without(self, rows: IntArray) -> BlockedSystem:
        """Cross-products without ``rows`` (positions); levels that lose all rows stay, empty."""
        system, part = self.system, self._sums(taken(self.matrices, rows))
        left = replace(
            system,
            gram=system.gram - part.gram[0],
            first_xy=system.first_xy - part.fixed[0],
            xy=system.xy - part.xy,
            n_obs=system.n_obs - part.n_obs,
            log_weights=system.log_weights - part.log_weights,
        )
        if not system.tail.factors:
            return left
        tail_gram, tail_xy = tail_sums(part, system.tail)
        present = system.first.terms
        links = [self._left(0, g, part) for g in range(1, len(system.factors)) if present]
        return replace(
            left,
            tail_xy=system.tail_xy - tail_xy,
            tail_gram=system.tail_gram - tail_gram,
            cross=cross_blocks(system.first, system.tail, links),
        )

    def _sums(self, matrices: ModelMatrices) -> CrossProducts:
        return sum_products([matrices], self.system.basis, self.system.factors).total

    def _left(self, f: int, g: int, part: CrossProducts) -> PairBlocks:
        """Pair sums of two factors without a part's."""
        whole, less = self._pairs[f, g], part.pairs[f, g]
        n = self.system.factors[g].n_levels
        wanted, known = (part.left.astype(np.int64) * n + part.right for part in (less, whole))
        where = np.searchsorted(known, wanted)
        values = whole.values.copy()
        values[:, :, where] -= less.values
        return PairBlocks(whole.left, whole.right, values)


def taken(matrices: ModelMatrices, rows: IntArray) -> ModelMatrices:
    """Some of the rows, with all levels."""
    m = matrices
    return replace(
        m,
        y=m.y[rows],
        X=m.X[rows],
        random=tuple(replace(b, z=b.z[rows], codes=b.codes[rows]) for b in m.random),
        weights=None if m.weights is None else m.weights[rows],
        offset=None if m.offset is None else m.offset[rows],
        rows=m.rows[rows],
        residual=None if m.residual is None else m.residual.taken(rows),
    )
