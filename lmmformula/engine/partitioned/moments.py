"""Starting values from moments that are added over partitions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lmmformula._arrays import FloatArray
from lmmformula.engine.layout import TermLayout
from lmmformula.engine.moments import crossing_moments, projected
from lmmformula.engine.start import moment_forms, start_from
from lmmformula.engine.system import BlockedSystem

__all__ = ["LocalMoments", "moment_start", "moments_of"]


@dataclass(frozen=True, slots=True, eq=False)
class LocalMoments:
    """Traces and quadratic forms over the terms' moment directions, model order.

    Attributes
    ----------
    full : ndarray, shape (T + 1, T + 1)
        tr(H_i H_j), and I last.
    crossing : ndarray, shape (T, T)
        tr(X'H_i H_j X).
    moves : ndarray, shape (T, p, p)
        X'H_i X.
    forms : ndarray, shape (T,)
        e'H_i e for the residuals of the working regression.
    """

    full: FloatArray
    crossing: FloatArray
    moves: FloatArray
    forms: FloatArray

    def __add__(self, other: LocalMoments) -> LocalMoments:
        return LocalMoments(
            self.full + other.full,
            self.crossing + other.crossing,
            self.moves + other.moves,
            self.forms + other.forms,
        )

    @classmethod
    def zero(cls, n_directions: int, p: int) -> LocalMoments:
        """Those of no rows."""
        n = n_directions
        square = np.zeros((n + 1, n + 1))
        return cls(square, square[:-1, :-1], np.zeros((n, p, p)), square[-1, :-1])


def moments_of(system: BlockedSystem, full: FloatArray) -> LocalMoments:
    """Moments of one partition, given ``engine.moments.moment_matrix`` of its sums."""
    crossing, moves = crossing_moments(system)
    forms = moment_forms(system)
    sizes = [len(term.structure.moment_directions()) for term in system.terms]
    order = system.order_of(sizes)
    if order is None:
        return LocalMoments(full, crossing, moves, forms)
    whole = np.append(order, len(order))
    return LocalMoments(
        full[np.ix_(whole, whole)], crossing[np.ix_(order, order)], moves[order], forms[order]
    )


def moment_start(
    terms: tuple[TermLayout, ...],
    n_levels: dict[str, int],
    moments: LocalMoments,
    xy: FloatArray,
    *,
    reml: bool,
) -> FloatArray:
    """Optimizer's parameters to start from, given moments added over all partitions.

    Parameters
    ----------
    terms : tuple of TermLayout
    n_levels : dict of str to int
        By grouping factor.
    moments : LocalMoments
    xy : ndarray, shape (p + 1, p + 1)
        [X y]'[X y] over all rows.
    reml : bool
    """
    n_obs = int(moments.full[-1, -1])
    matrix = moments.full
    if reml and moments.moves.shape[1]:
        matrix = projected(matrix, moments.crossing, moments.moves, n_obs)
    target = np.append(moments.forms, xy[-1, -1])
    return start_from([(term, n_levels[term.group]) for term in terms], matrix, target, n_obs)
