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

__all__ = [
    "crossing_moments",
    "dense_moments",
    "moment_matrix",
    "projected",
    "restricted_moments",
]


MOST_ELEMENTS = 1_000_000
"""Numbers of one array while levels are gone through."""


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
    ends = np.cumsum([len(layout.moment_directions) for layout in layouts])
    parts = [
        slice(int(end) - len(layout.moment_directions), int(end))
        for layout, end in zip(layouts, ends, strict=True)
    ]
    matrix = np.zeros((int(ends[-1]) + 1, int(ends[-1]) + 1))
    matrix[-1, -1] = total.n_obs
    for f, layout in enumerate(layouts):
        gram, here = total.gram[f], parts[f]
        matrix[here, here] = pair_traces(gram, layout.moment_directions, layout.moment_directions)
        edge = np.einsum("tab,ab->t", layout.moment_directions, gram.sum(axis=2))
        matrix[here, -1] = matrix[-1, here] = edge
        for g in range(f + 1, len(layouts)):
            values = total.pairs[f, g].values
            block = pair_traces(values, layout.moment_directions, layouts[g].moment_directions)
            matrix[here, parts[g]], matrix[parts[g], here] = block, block.T
    return matrix


def dense_moments(system: Arranged) -> FloatArray:
    """As ``moment_matrix``, from the arranged sums of a dense tail (related levels)."""
    first, factors = system.first, system.tail.factors
    directions = [layout.moment_directions for layout in (first, *factors)]
    ends = np.cumsum([len(part) for part in directions])
    parts = [slice(int(e) - len(d), int(e)) for e, d in zip(ends, directions, strict=True)]
    matrix = np.zeros((int(ends[-1]) + 1, int(ends[-1]) + 1))
    here = parts[0]
    matrix[here, here] = pair_traces(system.gram, directions[0], directions[0])
    matrix[here, -1] = np.einsum("tab,ab->t", directions[0], system.gram.sum(axis=2))
    eye = np.eye(first.k)[:, :, None] * np.ones(first.n_levels)
    for i, flat in enumerate(system.cross.grams(eye, directions[0])):
        for g in range(len(factors)):
            sums = np.trace(_tail_block(system, flat, g, g), axis1=2, axis2=3)
            matrix[i, parts[g + 1]] = np.einsum("tab,ab->t", directions[g + 1], sums)
    for f, left in enumerate(factors):
        own = np.trace(_tail_block(system, system.tail_gram, f, f), axis1=2, axis2=3)
        matrix[parts[f + 1], -1] = np.einsum("tab,ab->t", directions[f + 1], own)
        for g in range(f, len(factors)):
            values = _tail_block(system, system.tail_gram, f, g).reshape(left.k, factors[g].k, -1)
            traces = pair_traces(values, directions[f + 1], directions[g + 1])
            matrix[parts[f + 1], parts[g + 1]] = traces
    matrix[-1, -1] = system.n_obs
    return np.asarray(np.triu(matrix) + np.triu(matrix, 1).T)


def _tail_block(system: Arranged, flat: FloatArray, f: int, g: int) -> FloatArray:
    """Two factors' part of a dense tail's storage, (k_f, k_g, J_f, J_g)."""
    tail = system.tail
    left, right = tail.factors[f], tail.factors[g]
    rows = slice(tail.starts[f], tail.starts[f] + left.n_columns)
    columns = slice(tail.starts[g], tail.starts[g] + right.n_columns)
    block = flat.reshape(tail.n_columns, tail.n_columns)[rows, columns]
    square = block.reshape(left.n_levels, left.k, right.n_levels, right.k)
    return square.transpose(1, 3, 0, 2)


def restricted_moments(system: Arranged, full: FloatArray) -> FloatArray:
    """tr(P_0 H_i P_0 H_j) with P_0 the projection beside X: what REML wants of ``full``.

    X has orthogonal columns of mean square one in the working basis, so P_0 = I - XX'/n.
    """
    if system.p == 0:
        return full
    return projected(full, *crossing_moments(system), system.n_obs)


def crossing_moments(system: Arranged) -> tuple[FloatArray, FloatArray]:
    """tr(X'H_iH_jX), (T, T), and X'H_iX, (T, p, p); additive where levels do not meet."""
    if not system.tail.factors:
        return _first_alone(system)
    columns, moves = _moved_columns(system)
    crossing = _working_gram(system, *columns).reshape(len(moves), system.p, len(moves), system.p)
    return np.einsum("iaja->ij", crossing), moves


def _first_alone(system: Arranged) -> tuple[FloatArray, FloatArray]:
    """As ``crossing_moments`` without a tail: some levels at a time, in bounded memory."""
    directions, k, p = system.first.moment_directions, system.first.k, system.p
    width = len(directions) * p
    crossing, moves = np.zeros((width, width)), np.zeros((len(directions), p, p))
    step = max(1, MOST_ELEMENTS // max(1, k * width))
    for start in range(0, system.first.n_levels, step):
        levels = slice(start, start + step)
        F = system.first_xy[:, :p, levels]
        columns = np.einsum("tab,brj->atrj", directions, F)
        moves += np.einsum("asj,atrj->tsr", F, columns)
        columns = columns.reshape(k, width, -1)
        for own, moved in zip(
            columns, block_product(system.gram[:, :, levels], columns), strict=True
        ):
            crossing += own @ moved.T
    squares = crossing.reshape(len(directions), p, len(directions), p)
    return np.einsum("iaja->ij", squares), moves


def projected(full: FloatArray, crossing: FloatArray, moves: FloatArray, n: int) -> FloatArray:
    """Traces with P_0 from those with I, and from ``crossing_moments``."""
    p = moves.shape[1]
    inner = full[:-1, :-1] - 2.0 * crossing / n + np.einsum("iab,jab->ij", moves, moves) / n**2
    edge = full[:-1, -1] - np.einsum("iaa->i", moves) / n
    return np.block([[inner, edge[:, None]], [edge[None], np.full((1, 1), n - p)]])


def _moved_columns(
    system: Arranged,
) -> tuple[tuple[FloatArray, FloatArray | None], FloatArray]:
    """Columns D_i Z'X of the first factor and of the tail, and X'H_i X, (T, p, p)."""
    p = system.p
    F = system.first_xy[:, :p]
    first = np.einsum("tab,brj->atrj", system.first.moment_directions, F)
    moves = [np.einsum("asj,atrj->tsr", F, first)]
    width = len(system.first.moment_directions) * p
    first = first.reshape(system.first.k, width, system.first.n_levels)
    if not system.tail.factors:
        return (first, None), moves[0]
    parts = []
    for layout, start in zip(system.tail.factors, system.tail.starts, strict=True):
        F = system.tail_xy[start : start + layout.n_columns, :p]
        F = F.reshape(layout.n_levels, layout.k, p)
        part = np.einsum("tab,jbr->jatr", layout.moment_directions, F)
        moves.append(np.einsum("jas,jatr->tsr", F, part))
        parts.append(part.reshape(layout.n_levels, layout.k, -1))
    return (first, system.tail.side_by_side(parts)), np.concatenate(moves)


def _working_gram(system: Arranged, first: FloatArray, tail: FloatArray | None) -> FloatArray:
    """W'Z'Z W for columns W of the first factor (k, c, J) and of the tail (q_tail, d)."""
    shape = first.shape[1], system.first.n_columns
    flat = first.transpose(1, 0, 2).reshape(shape)
    AW = block_product(system.gram, first).transpose(1, 0, 2).reshape(shape)
    products = flat @ AW.T
    if tail is None:
        return products
    mixed = system.cross.transpose_times(first).T @ tail
    own = tail.T @ system.tail.times(system.tail_gram, tail)
    return np.block([[products, mixed], [mixed.T, own]])
