"""Starting values from moments of the regression residuals.

At Sigma = 0 the quadratic forms e'H_i e, H_i = Z(I x D_i)Z', have expectations that are linear in
the covariance entries: E e'H_i e = sum_j sigma_j tr(H_i H_j), with H_0 = I for the residual
variance (MINQUE with zero prior weights). The traces are sums of squares of the cross-products,
free of theta and of y. On balanced data this is already the answer; elsewhere it saves the first
steps. Small eigenvalues are lifted to a floor that falls with the number of levels, because from
an exact zero no gradient leads away.

References
----------
Rao (1971), J. Multivariate Anal. 1, 257-275.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lmmformula._arrays import FloatArray
from lmmformula.engine.crossproducts import CrossProducts
from lmmformula.engine.kernels import block_product, pair_traces
from lmmformula.engine.layout import FactorLayout

if TYPE_CHECKING:
    from lmmformula.engine.system import BlockedSystem

__all__ = ["moment_matrix", "moment_start", "restricted_moments"]

LARGEST = 10.0
SMALLEST_RESIDUAL = 0.1
INDEPENDENT = 1e-10


def moment_matrix(total: CrossProducts, layouts: tuple[FactorLayout, ...]) -> FloatArray:
    """tr(H_i H_j) over the covariance entries of all factors, and I last, (T + 1, T + 1)."""
    ends = np.cumsum([len(layout.directions) for layout in layouts])
    parts = [
        slice(int(end) - len(layout.directions), int(end))
        for layout, end in zip(layouts, ends, strict=True)
    ]
    matrix = np.zeros((int(ends[-1]) + 1, int(ends[-1]) + 1))
    matrix[-1, -1] = total.n_obs
    for f, layout in enumerate(layouts):
        gram, here = total.gram[f], parts[f]
        matrix[here, here] = pair_traces(gram, layout.directions, layout.directions)
        edge = np.einsum("tab,ab->t", layout.directions, gram.sum(axis=2))
        matrix[here, -1] = matrix[-1, here] = edge
        for g in range(f + 1, len(layouts)):
            values = total.pairs[f, g].values
            block = pair_traces(values, layout.directions, layouts[g].directions)
            matrix[here, parts[g]], matrix[parts[g], here] = block, block.T
    return matrix


def restricted_moments(system: BlockedSystem, full: FloatArray) -> FloatArray:
    """tr(P_0 H_i P_0 H_j) with P_0 the projection beside X: what REML wants of ``full``.

    X has orthogonal columns of mean square one in the working basis, so P_0 = I - XX'/n.
    """
    n, p = system.n_obs, system.p
    if p == 0:
        return full
    columns, moves = _moved_columns(system)
    crossing = _working_gram(system, *columns).reshape(len(moves), p, len(moves), p)
    inner = (
        full[:-1, :-1]
        - 2.0 * np.einsum("iaja->ij", crossing) / n
        + np.einsum("iab,jab->ij", moves, moves) / n**2
    )
    edge = full[:-1, -1] - np.einsum("iaa->i", moves) / n
    return np.block([[inner, edge[:, None]], [edge[None], np.full((1, 1), n - p)]])


def _moved_columns(
    system: BlockedSystem,
) -> tuple[tuple[FloatArray, FloatArray | None], FloatArray]:
    """Columns D_i Z'X of the first factor and of the tail, and X'H_i X, (T, p, p)."""
    p = system.p
    F = system.first_xy[:, :p]
    first = np.einsum("tab,brj->atrj", system.first.directions, F)
    moves = [np.einsum("asj,atrj->tsr", F, first)]
    first = first.reshape(system.first.k, -1, system.first.n_levels)
    if not system.tail.factors:
        return (first, None), moves[0]
    parts = []
    for layout, start in zip(system.tail.factors, system.tail.starts, strict=True):
        F = system.tail_xy[start : start + layout.n_columns, :p]
        F = F.reshape(layout.n_levels, layout.k, p)
        part = np.einsum("tab,jbr->jatr", layout.directions, F)
        moves.append(np.einsum("jas,jatr->tsr", F, part))
        parts.append(part.reshape(layout.n_levels, layout.k, -1))
    return (first, system.tail.side_by_side(parts)), np.concatenate(moves)


def _working_gram(system: BlockedSystem, first: FloatArray, tail: FloatArray | None) -> FloatArray:
    """W'Z'Z W for columns W of the first factor (k, c, J) and of the tail (q_tail, d)."""
    flat = first.transpose(1, 0, 2).reshape(first.shape[1], -1)
    AW = block_product(system.gram, first).transpose(1, 0, 2).reshape(first.shape[1], -1)
    products = flat @ AW.T
    if tail is None:
        return products
    mixed = system.cross.transpose_times(first).T @ tail
    own = tail.T @ system.tail.apply(system.tail.blocks(system.tail_gram), tail)
    return np.block([[products, mixed], [mixed.T, own]])


def moment_start(system: BlockedSystem, reml: bool) -> FloatArray:
    """Optimizer's parameters to start from, working units."""
    moments = system.moments[int(reml)]
    forms = [
        np.einsum("tab,aj,bj->t", factor.directions, c, c, optimize=True)
        for factor, c in zip(system.factors, _residual_sums(system), strict=True)
    ]
    target = np.append(np.concatenate(forms), system.xy[-1, -1])
    size = np.sqrt(np.maximum(np.diag(moments), 1e-300))
    scaled = moments / np.outer(size, size)
    solution = np.linalg.lstsq(scaled, target / size, rcond=INDEPENDENT)[0] / size
    residual = max(solution[-1], SMALLEST_RESIDUAL * system.xy[-1, -1] / system.n_obs)
    starts, position = {}, 0
    for factor in system.factors:
        entries = solution[position : position + len(factor.directions)]
        position += len(factor.directions)
        Sigma = np.einsum("t,tab->ab", entries / residual, factor.directions)
        floor = 0.5 / np.sqrt(factor.n_levels)
        for term in factor.terms:
            block = Sigma[term.columns, term.columns]
            if term.structure.invariance != "linear":
                block = np.diag(np.diag(block))
            values, vectors = np.linalg.eigh(block)
            roots = np.sqrt(np.clip(values, floor**2, LARGEST**2))
            template = (vectors * roots) @ vectors.T
            starts[term.index] = term.structure.from_template(template)
    return np.concatenate([starts[index] for index in range(len(starts))])


def _residual_sums(system: BlockedSystem) -> list[FloatArray]:
    """Z'e of every factor, (k, J), for the residuals e of the working regression."""
    sums = [system.first_xy[:, -1]]
    for layout, start in zip(system.tail.factors, system.tail.starts, strict=True):
        rows = system.tail_xy[start : start + layout.n_columns, -1]
        sums.append(rows.reshape(layout.n_levels, layout.k).T)
    return sums
