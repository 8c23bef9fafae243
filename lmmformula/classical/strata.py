r"""Error strata: the orthogonal subspaces that the terms of ``Error()`` cut the data into.

With :math:`P_k` the projection onto the constant and the first k terms, stratum k is the image of
:math:`P_k - P_{k-1}`, and what is left after the last term is the stratum ``Within``. A term whose
levels all lie within levels of another adds nothing beside it, so most designs need averages over
the levels of one factor only. Where several finest factors cross, the one with most levels is
averaged out of the indicators of the others, and these are orthogonalised.

References
----------
Nelder (1965), Proc. R. Soc. Lond. A 283, 147-178.
Chambers, Freeny and Heiberger (1992), Analysis of variance; designed experiments, in Statistical
Models in S, chapter 5.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.linalg

from lmmformula._arrays import CodeArray, FloatArray
from lmmformula.design.grouping import compressed
from lmmformula.errors import DesignError

__all__ = ["WITHIN", "Projection", "Stratum", "split"]

WITHIN = "Within"
LARGEST_BASIS = 10**8
"""Entries of the indicators of crossed factors, beyond which a mixed model is the better tool."""
DEPENDENT = 1e-9
"""An indicator of which less than this remains beside others depends on them."""


@dataclass(frozen=True, slots=True, eq=False)
class Stratum:
    """One stratum of the data.

    Attributes
    ----------
    name : str
        Its term in ``Error()``, or ``Within``.
    df : int
        Its dimension.
    parts : ndarray, shape (n, m)
        What it holds of the columns that were split.
    """

    name: str
    df: int
    parts: FloatArray


class Projection:
    """Projection onto the span of the constant and the indicators of some factors.

    Parameters
    ----------
    factors : sequence of ndarray of int, each of shape (n,)
        Codes of the factors, every code occurring; none for the constant alone.
    n : int
        Number of rows.

    Attributes
    ----------
    rank : int
        Dimension of the span.
    """

    def __init__(self, factors: Sequence[CodeArray], n: int) -> None:
        finest = _finest([*factors]) or [np.zeros(n, dtype=np.int32)]
        widest = max(range(len(finest)), key=lambda i: int(finest[i].max()))
        self._codes = finest.pop(widest)
        self._counts = np.bincount(self._codes).astype(np.float64)
        self._basis = self._orthogonalised(finest, n)
        self.rank = len(self._counts) + self._basis.shape[1]

    def __call__(self, columns: FloatArray) -> FloatArray:
        """Project columns, shape (n, m)."""
        means = self._averaged(columns)
        rest = columns - means
        return np.asarray(means + self._basis @ (self._basis.T @ rest))

    def _averaged(self, columns: FloatArray) -> FloatArray:
        means = [np.bincount(self._codes, column) / self._counts for column in columns.T]
        return np.asarray(np.column_stack([mean[self._codes] for mean in means]))

    def _orthogonalised(self, others: Sequence[CodeArray], n: int) -> FloatArray:
        width = sum(int(codes.max()) + 1 for codes in others)
        if not width:
            return np.zeros((n, 0))
        if n * width > LARGEST_BASIS:
            raise DesignError(
                "the strata of `Error()` cross in too many levels to be separated.",
                got=f"{n} rows, {len(self._counts)} levels crossed with {width} others",
                suggestion="a mixed model, with a random-effects term `(1 | g)` for each factor",
                n_rows=n,
                n_levels=width,
            )
        indicators = np.hstack([np.eye(int(codes.max()) + 1)[codes] for codes in others])
        size = np.sqrt(indicators.sum(axis=0))
        rest = (indicators - self._averaged(indicators)) / size
        Q, R, _ = scipy.linalg.qr(rest, mode="economic", pivoting=True)
        return np.asarray(Q[:, np.abs(np.diagonal(R)) > DEPENDENT])


def _finest(factors: list[CodeArray]) -> list[CodeArray]:
    """Leave out factors whose levels are unions of levels of another."""
    kept: list[CodeArray] = []
    for i, codes in enumerate(factors):
        others = kept + factors[i + 1 :]
        if not any(_is_coarser(codes, other) for other in others):
            kept.append(codes)
    return kept


def _is_coarser(codes: CodeArray, other: CodeArray) -> bool:
    """Whether every level of ``other`` lies within one level of ``codes``."""
    n_levels, n_other = int(codes.max()) + 1, int(other.max()) + 1
    if n_levels > n_other:
        return False
    pairs = codes.astype(np.int64) * n_other + other
    return len(compressed(pairs, n_levels * n_other)[1]) == n_other


def split(
    columns: FloatArray, names: Sequence[str], factors: Sequence[CodeArray]
) -> tuple[Stratum, ...]:
    """Split columns into the strata of an error model.

    Parameters
    ----------
    columns : ndarray, shape (n, m)
        The columns.
    names : sequence of str
        Terms of the error model, in order.
    factors : sequence of ndarray of int, each of shape (n,)
        Codes of their levels, every code occurring.

    Returns
    -------
    tuple of Stratum
        Without the stratum of the constant and without those of dimension zero.
    """
    n = len(columns)
    before = Projection((), n)
    known = before(columns)
    strata: list[Stratum] = []
    for i, name in enumerate(names):
        projection = Projection(factors[: i + 1], n)
        reached = projection(columns)
        if projection.rank > before.rank:
            strata.append(Stratum(name, projection.rank - before.rank, reached - known))
        before, known = projection, reached
    if n > before.rank:
        strata.append(Stratum(WITHIN, n - before.rank, columns - known))
    return tuple(strata)
