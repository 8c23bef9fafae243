"""Traces for starting values, with the cross-products as operators (see ``engine.moments``)."""

from __future__ import annotations

import numpy as np

from lmmformula._arrays import FloatArray
from lmmformula.engine.krylov.coupling import Coupling
from lmmformula.engine.layout import FactorLayout
from lmmformula.engine.moments import moment_matrix, projected
from lmmformula.engine.summation import DataSums

__all__ = ["moments"]


def moments(
    sums: DataSums, couplings: dict[tuple[int, int], Coupling]
) -> tuple[FloatArray, FloatArray]:
    """tr(H_i H_j) and tr(P_0 H_i P_0 H_j) over the covariance entries of all factors, I last."""
    total, layouts = sums.total, sums.layouts
    full = moment_matrix(total, layouts)
    p = len(total.xy) - 1
    if p == 0:
        return full, full
    crossing, moves = _crossing(sums, couplings, p)
    return full, projected(full, crossing, moves, total.n_obs)


def _crossing(
    sums: DataSums, couplings: dict[tuple[int, int], Coupling], p: int
) -> tuple[FloatArray, FloatArray]:
    """tr(X'H_iH_jX), (T, T), and X'H_iX, (T, p, p), one column of X at a time."""
    layouts, fixed = sums.layouts, sums.total.fixed
    ends = np.cumsum([0, *(len(layout.moment_directions) for layout in layouts)])
    crossing = np.zeros((int(ends[-1]), int(ends[-1])))
    for column in range(p):
        moved = [_moved(layout, F[:, column]) for layout, F in zip(layouts, fixed, strict=True)]
        for f, own in enumerate(moved):
            here = slice(ends[f], ends[f + 1])
            applied = np.einsum("abj,bjt->ajt", sums.total.gram[f], own)
            crossing[here, here] += _products(own, applied)
            for g in range(f + 1, len(layouts)):
                there = slice(ends[g], ends[g + 1])
                block = _products(own, couplings[f, g].times(moved[g]))
                crossing[here, there] += block
                crossing[there, here] += block.T
    moves = [
        np.einsum("asj,tab,brj->tsr", F[:, :p], layout.moment_directions, F[:, :p], optimize=True)
        for layout, F in zip(layouts, fixed, strict=True)
    ]
    return crossing, np.concatenate(moves)


def _moved(layout: FactorLayout, column: FloatArray) -> FloatArray:
    """D_i Z'x for every direction, (k, J, T)."""
    return np.einsum("tab,bj->ajt", layout.moment_directions, column)


def _products(left: FloatArray, right: FloatArray) -> FloatArray:
    return left.reshape(-1, left.shape[2]).T @ right.reshape(-1, right.shape[2])
