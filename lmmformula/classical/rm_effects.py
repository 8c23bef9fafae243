r"""Sums of squares and products of a repeated-measures design, effect by effect.

Responses are rotated into orthonormal contrasts of the within factors: for the part w of an effect,
:math:`U_w = Y M_w`. An effect b:w then is the effect b of the between model
:math:`U_w = X B + E`, X in sum contrasts. With :math:`Q_b` an orthonormal basis of what the columns
of b add to those they are adjusted for,

.. math:: H = U_w' Q_b Q_b' U_w, \qquad E = U_w' (I - P_X) U_w,

and the univariate sums of squares are their traces.

References
----------
O'Brien and Kaiser (1985), Psychological Bulletin 97, 316-333.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import scipy.linalg

from lmmformula._arrays import CodeArray, FloatArray
from lmmformula.classical.rm_cells import CellTable

__all__ = ["Effect", "Stratum", "strata"]

PERFECT = 1e-24
"""Share of the total sum of squares below which an error is rounding."""


@dataclass(frozen=True, slots=True, eq=False)
class Effect:
    """One effect.

    Attributes
    ----------
    name : str
        Its factors joined by ``:``; ``Intercept`` for the mean.
    between, within : tuple of str
        Its factors.
    df : int
        Degrees of freedom of the between part.
    H : ndarray, shape (d, d)
        Sums of squares and products of the hypothesis.
    """

    name: str
    between: tuple[str, ...]
    within: tuple[str, ...]
    df: int
    H: FloatArray

    @property
    def sum_sq(self) -> float:
        """Sum of squares."""
        return float(np.trace(self.H))


@dataclass(frozen=True, slots=True, eq=False)
class Stratum:
    """Effects with one error term: those with the same within factors.

    Attributes
    ----------
    within : tuple of str
        These factors; none for comparisons between subjects.
    df : int
        Degrees of freedom of the error of one contrast.
    E : ndarray, shape (d, d)
        Sums of squares and products of the error.
    effects : tuple of Effect
        In order; the first is the mean of the contrasts.
    """

    within: tuple[str, ...]
    df: int
    E: FloatArray
    effects: tuple[Effect, ...]

    @property
    def d(self) -> int:
        """Number of contrasts."""
        return len(self.E)

    @property
    def sum_sq(self) -> float:
        """Sum of squares of the error."""
        return float(np.trace(self.E))


def strata(table: CellTable, kind: str) -> tuple[Stratum, ...]:
    """Return the effects of a design by their error terms.

    Parameters
    ----------
    table : CellTable
        The complete design.
    kind : {"II", "III"}
        Adjust an effect for those that do not contain it, or for all others.
    """
    names = table.long.roles.between
    sizes = [len(column.labels) for column in table.long.between]
    terms = _subsets(names)
    X, columns = _sum_coded(table.between, sizes, names, terms, len(table.Y))
    hypotheses = {
        term: _added(X[:, columns[term]], X[:, _beside(term, columns, kind)]) for term in terms
    }
    Q, total = np.linalg.qr(X)[0], float(np.sum(table.Y**2))
    out = []
    for within in _subsets(table.long.roles.within):
        U = table.Y @ _contrasts(table, within)
        rest = U - Q @ (Q.T @ U)
        effects = tuple(
            Effect(
                ":".join((*term, *within)) or "Intercept",
                term,
                within,
                len(columns[term]),
                _products(hypotheses[term].T @ U),
            )
            for term in terms
        )
        E = _products(rest)
        if np.trace(E) <= PERFECT * total:
            E = np.zeros_like(E)
        out.append(Stratum(within, len(U) - X.shape[1], E, effects))
    return tuple(out)


def _products(rows: FloatArray) -> FloatArray:
    return np.asarray(rows.T @ rows)


def _subsets(names: Sequence[str]) -> list[tuple[str, ...]]:
    """All combinations, the empty one first, by size and order of names."""
    return [chosen for size in range(len(names) + 1) for chosen in combinations(names, size)]


def _contrasts(table: CellTable, within: tuple[str, ...]) -> FloatArray:
    """Orthonormal contrasts of some within factors, averaged over the others, shape (p, d)."""
    M: FloatArray = np.ones((1, 1))
    for column, size in zip(table.long.within, table.shape, strict=True):
        chosen = column.name in within
        one = scipy.linalg.helmert(size).T if chosen else np.full((size, 1), size**-0.5)
        M = np.asarray(np.kron(M, one), dtype=np.float64)
    return M


def _sum_coded(
    codes: Sequence[CodeArray],
    sizes: Sequence[int],
    names: Sequence[str],
    terms: Sequence[tuple[str, ...]],
    n: int,
) -> tuple[FloatArray, dict[tuple[str, ...], list[int]]]:
    """Columns of the between model in sum contrasts, and where each term's are."""
    main = {
        name: np.vstack([np.eye(size - 1), -np.ones(size - 1)])[code]
        for name, size, code in zip(names, sizes, codes, strict=True)
    }
    blocks: list[FloatArray] = []
    columns: dict[tuple[str, ...], list[int]] = {}
    start = 0
    for term in terms:
        block = np.ones((n, 1))
        for name in term:
            block = (block[:, :, None] * main[name][:, None, :]).reshape(n, -1)
        blocks.append(block)
        columns[term] = list(range(start, start + block.shape[1]))
        start += block.shape[1]
    return np.hstack(blocks), columns


def _beside(
    term: tuple[str, ...], columns: dict[tuple[str, ...], list[int]], kind: str
) -> list[int]:
    """Columns that a term is adjusted for."""
    return [
        j
        for other, own in columns.items()
        if other != term and not (kind == "II" and set(term) <= set(other))
        for j in own
    ]


def _added(own: FloatArray, beside: FloatArray) -> FloatArray:
    """Orthonormal basis of what some columns add to others; all are independent."""
    Q = np.linalg.qr(beside)[0] if beside.shape[1] else np.zeros((len(own), 0))
    rest = own - Q @ (Q.T @ own)
    return np.asarray(np.linalg.qr(rest - Q @ (Q.T @ rest))[0])
