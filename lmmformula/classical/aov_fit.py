"""Sequential sums of squares within one error stratum."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.stats

from lmmformula._arrays import FloatArray
from lmmformula.design.rank import split_by_rank

__all__ = ["Line", "TermColumns", "analyse"]

VANISHING = 1e-10
"""Share of a column's sum of squares below which the stratum holds nothing of it: rounding leaves
1e-30, the least share that a design with a million rows can have is 1e-6."""
PERFECT = 1e-24
"""Share of the response's sum of squares below which the residual is rounding."""
SAME = 1e-9


@dataclass(frozen=True, slots=True)
class TermColumns:
    """A term of the model.

    Attributes
    ----------
    label : str
        As printed.
    columns : tuple of int
        Its columns.
    factors : frozenset of str
        Its variables, to know which terms contain it.
    is_categorical : bool
        Whether all of them are factors.
    """

    label: str
    columns: tuple[int, ...]
    factors: frozenset[str]
    is_categorical: bool


@dataclass(frozen=True, slots=True)
class Line:
    """A row of the table; ``F`` and ``pvalue`` are missing where there is no test.

    Attributes
    ----------
    stratum, term : str
        Where it stands; the term is ``Residuals`` in the last row of a stratum.
    df : int
        Degrees of freedom.
    sum_sq : float
        Sum of squares.
    F, pvalue : float
        The test against the residual of the stratum.
    depends_on_order : bool
        Adjusting the term for those after it too, save those that contain it, gives another sum.
    """

    stratum: str
    term: str
    df: int
    sum_sq: float
    F: float
    pvalue: float
    depends_on_order: bool = False

    @property
    def mean_sq(self) -> float:
        """Sum of squares per degree of freedom."""
        return self.sum_sq / self.df


def analyse(
    name: str,
    df: int,
    parts: FloatArray,
    totals: FloatArray,
    terms: Sequence[TermColumns],
) -> list[Line]:
    """Analyse one stratum.

    Parameters
    ----------
    name : str
        Its name.
    df : int
        Its dimension.
    parts : ndarray, shape (n, p + 1)
        What it holds of the model's columns and, last, of the response.
    totals : ndarray, shape (p + 1,)
        Sums of squares of the whole columns.
    terms : sequence of TermColumns
        The terms, in order.

    Returns
    -------
    list of Line
        The terms that are estimated in the stratum, then its residual if any is left.
    """
    X, y = parts[:, :-1], parts[:, -1]
    kept = _kept_columns(X, totals[:-1], terms)
    order = [j for columns in kept.values() for j in columns]
    Q = _orthonormal(X[:, order])
    effects = Q.T @ y
    rest = y - Q @ effects
    df_residual = df - len(order)
    residual = float(rest @ rest) if df_residual else 0.0
    mean_square = residual / df_residual if residual > PERFECT * totals[-1] else 0.0
    lines, start = [], 0
    for term in terms:
        columns = kept.get(term.label, [])
        if not columns:
            continue
        sum_sq = float(np.sum(effects[start : start + len(columns)] ** 2))
        start += len(columns)
        F = sum_sq / len(columns) / mean_square if mean_square else np.nan
        p = float(scipy.stats.f.sf(F, len(columns), df_residual)) if mean_square else np.nan
        adjusted = _adjusted(X, y, term, terms, kept)
        moves = abs(adjusted - sum_sq) > SAME * float(y @ y)
        lines.append(Line(name, term.label, len(columns), sum_sq, F, p, moves))
    if df_residual:
        lines.append(Line(name, "Residuals", df_residual, residual, np.nan, np.nan))
    return lines


def _kept_columns(
    X: FloatArray, totals: FloatArray, terms: Sequence[TermColumns]
) -> dict[str, list[int]]:
    """Columns of each term that the stratum holds and that earlier ones do not determine."""
    squares = np.einsum("ij,ij->j", X, X)
    present = squares > VANISHING * totals
    order = np.array([j for term in terms for j in term.columns if present[j]], dtype=np.int64)
    chosen = X[:, order]
    independent = {int(order[i]) for i in split_by_rank(chosen, chosen.T @ chosen).kept}
    kept = {term.label: [j for j in term.columns if j in independent] for term in terms}
    return {label: columns for label, columns in kept.items() if columns}


def _orthonormal(X: FloatArray) -> FloatArray:
    """Gram-Schmidt from left to right, by QR; the columns are independent."""
    if not X.shape[1]:
        return np.zeros((len(X), 0))
    return np.asarray(np.linalg.qr(X / np.linalg.norm(X, axis=0))[0])


def _adjusted(
    X: FloatArray,
    y: FloatArray,
    term: TermColumns,
    terms: Sequence[TermColumns],
    kept: Mapping[str, list[int]],
) -> float:
    """Sum of squares of a term beside all others that do not contain it."""
    beside = [
        j
        for other in terms
        if other is not term and not term.factors <= other.factors
        for j in kept.get(other.label, [])
    ]
    own = X[:, kept[term.label]]
    Q = _orthonormal(X[:, beside])
    rest = own - Q @ (Q.T @ own)
    rest = rest[:, np.linalg.norm(rest, axis=0) > SAME * np.linalg.norm(own, axis=0)]
    part = _orthonormal(rest[:, list(split_by_rank(rest, rest.T @ rest).kept)])
    return float(np.sum((part.T @ y) ** 2))
