"""Traces from which starting values are found: sums of squares of cross-products.

Free of theta and of the response, so they are computed once for a design (see ``start``).
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from lmmformula._arrays import FloatArray
from lmmformula.engine.cross import Cross
from lmmformula.engine.crossproducts import CrossProducts
from lmmformula.engine.kernels import block_product, pair_traces
from lmmformula.engine.layout import FactorLayout, TailLayout

__all__ = ["moment_matrix", "restricted_moments"]


class Arranged(Protocol):
    """Cross-products in elimination order, as ``BlockedSystem`` holds them."""

    @property
    def first(self) -> FactorLayout:
        """Factor that is eliminated first."""

    @property
    def tail(self) -> TailLayout:
        """The other factors."""

    @property
    def gram(self) -> FloatArray:
        """Z'WZ of the first factor."""

    @property
    def first_xy(self) -> FloatArray:
        """Z'W[X y] of the first factor."""

    @property
    def cross(self) -> Cross:
        """Z'WZ between the first factor and the tail."""

    @property
    def tail_gram(self) -> FloatArray:
        """Z'WZ of the tail."""

    @property
    def tail_xy(self) -> FloatArray:
        """Z'W[X y] of the tail."""

    @property
    def n_obs(self) -> int:
        """Rows."""

    @property
    def p(self) -> int:
        """Fixed effects."""


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


def restricted_moments(system: Arranged, full: FloatArray) -> FloatArray:
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
    system: Arranged,
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


def _working_gram(system: Arranged, first: FloatArray, tail: FloatArray | None) -> FloatArray:
    """W'Z'Z W for columns W of the first factor (k, c, J) and of the tail (q_tail, d)."""
    flat = first.transpose(1, 0, 2).reshape(first.shape[1], -1)
    AW = block_product(system.gram, first).transpose(1, 0, 2).reshape(first.shape[1], -1)
    products = flat @ AW.T
    if tail is None:
        return products
    mixed = system.cross.transpose_times(first).T @ tail
    own = tail.T @ system.tail.apply(system.tail.blocks(system.tail_gram), tail)
    return np.block([[products, mixed], [mixed.T, own]])
