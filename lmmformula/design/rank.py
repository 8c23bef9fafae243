"""Which columns of X to keep: R's rule, from left to right.

``qr()`` in R (LINPACK's ``dqrdc2``) drops a column when what earlier kept columns leave of it is
below 1e-7 of its norm. That depends only on the triangular factor of X, which is small.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import scipy.linalg

from lmmformula._arrays import FloatArray

__all__ = [
    "TOLERANCE",
    "RankSplit",
    "all_kept",
    "clearly_full",
    "split_by_factor",
    "split_by_rank",
    "triangular_factor",
]

TOLERANCE = 1e-7
"""R's tolerance in ``lm`` and lme4."""
SAFE_PIVOT = 1e-6
"""Squared remainder above which the cross-products settle the rank (their error is near 1e-13)."""
BLOCK_ROWS = 8192
DETERMINED = 1e-6


@dataclass(frozen=True, slots=True)
class RankSplit:
    """Columns kept and dropped.

    Attributes
    ----------
    kept, dropped : tuple of int
        Positions, in order.
    determined_by : tuple of tuple of int
        For each dropped column, the kept columns that determine it.
    coefficients : ndarray, shape (n_kept, n_dropped)
        ``X[:, dropped] = X[:, kept] @ coefficients``.
    """

    kept: tuple[int, ...]
    dropped: tuple[int, ...]
    determined_by: tuple[tuple[int, ...], ...]
    coefficients: FloatArray


def split_by_rank(X: FloatArray, gram: FloatArray) -> RankSplit:
    """Split the columns of X by R's rule.

    Parameters
    ----------
    X : ndarray, shape (n, p)
        Finite columns.
    gram : ndarray, shape (p, p)
        ``X.T @ X``, finite.

    Notes
    -----
    Cost: a Cholesky factor of the cross-products where they can tell; otherwise one QR
    factorization by blocks of rows, without a copy of X.
    """
    p = X.shape[1]
    norms = np.sqrt(np.diag(gram))
    if clearly_full(gram, norms) and len(X) >= p:
        return all_kept(p)
    norms[norms == 0.0] = 1.0
    return split_by_factor(triangular_factor(X, norms), norms)


def all_kept(p: int) -> RankSplit:
    """Return the split that drops nothing."""
    return RankSplit(tuple(range(p)), (), (), np.zeros((p, 0)))


def split_by_factor(factor: FloatArray, norms: FloatArray) -> RankSplit:
    """Split columns whose triangular factor, each divided by its norm, is known.

    Parameters
    ----------
    factor : ndarray, shape (r, p)
        R of the QR factorization of ``X / norms``.
    norms : ndarray, shape (p,)
        Norms of the columns, 1 for columns of zeros.
    """
    split = _sequential(factor)
    units = norms[list(split.dropped)] / norms[list(split.kept), None]
    return replace(split, coefficients=split.coefficients * units)


def clearly_full(gram: FloatArray, norms: FloatArray) -> bool:
    """Whether cross-products (p, p) of columns with these norms show that none can be dropped."""
    if not norms.all():
        return False
    try:
        factor = np.linalg.cholesky(gram / np.outer(norms, norms))
    except np.linalg.LinAlgError:
        return False
    return bool(np.min(np.diag(factor) ** 2, initial=1.0) > SAFE_PIVOT)


def triangular_factor(
    X: FloatArray, norms: FloatArray, above: FloatArray | None = None
) -> FloatArray:
    """Return R of the QR factorization of ``X / norms``, row block by row block.

    Parameters
    ----------
    X : ndarray, shape (n, p)
        The columns.
    norms : ndarray, shape (p,)
        Divisors, not zero.
    above : ndarray, shape (r, p), optional
        The factor of rows that stand above these.
    """
    p = X.shape[1]
    factor: FloatArray = np.empty((0, p)) if above is None else above
    rows = max(BLOCK_ROWS, 4 * p)
    for start in range(0, len(X), rows):
        block = X[start : start + rows] / norms
        stacked = np.vstack([factor, block])
        factor = np.asarray(
            scipy.linalg.qr(stacked, mode="r", overwrite_a=True, check_finite=False)[0][:p],
            dtype=np.float64,
        )
    return factor


def _sequential(factor: FloatArray) -> RankSplit:
    """Go through the columns of a triangular factor with unit column norms."""
    rows, p = factor.shape
    basis = np.zeros((rows, min(rows, p)))
    kept: list[int] = []
    dropped: list[int] = []
    for j in range(p):
        column = factor[:, j]
        known = basis[:, : len(kept)]
        rest = column - known @ (known.T @ column)
        rest -= known @ (known.T @ rest)
        size = float(np.linalg.norm(rest))
        if size < TOLERANCE or len(kept) == basis.shape[1]:
            dropped.append(j)
            continue
        basis[:, len(kept)] = rest / size
        kept.append(j)
    weights = np.zeros((len(kept), len(dropped)))
    for i, j in enumerate(dropped):
        earlier = sum(k < j for k in kept)
        if earlier and factor[:, j].any():
            columns = factor[:, kept[:earlier]]
            weights[:earlier, i] = np.linalg.lstsq(columns, factor[:, j], rcond=None)[0]
    weights[np.abs(weights) <= DETERMINED] = 0.0
    reasons = tuple(tuple(np.array(kept)[column != 0.0].tolist()) for column in weights.T)
    return RankSplit(tuple(kept), tuple(dropped), reasons, weights)
