"""Covariance of the residuals: R for some rows, and its inverse for all of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np
from scipy import sparse

from lmmformula._arrays import FloatArray, IntArray
from lmmformula.engine import Estimates
from lmmformula.matrices import ModelMatrices, ResidualRows

__all__ = ["Structured", "residual_covariance", "residual_precision"]

ROWS_AT_ONCE = 400


class Structured(Protocol):
    """What is asked of structured residuals at the estimates."""

    @property
    def sd(self) -> FloatArray:
        """Standard deviation of every row, (n,)."""

    def matrix(self, rows: IntArray) -> FloatArray:
        """Covariance of some rows, (m, m)."""


def residual_covariance(
    matrices: ModelMatrices, estimates: Estimates, rows: IntArray, structure: Structured | None
) -> FloatArray:
    """Covariance of the residuals of some rows.

    Parameters
    ----------
    matrices : ModelMatrices
        The fitted rows.
    estimates : Estimates
        The fit.
    rows : ndarray of int, shape (m,)
        Positions among the fitted rows.
    structure : Structured or None
        Covariance of residuals that are not independent with equal variances.

    Returns
    -------
    ndarray, shape (m, m)
        Without a structure, sigma^2 over the weights on the diagonal.
    """
    if structure is not None:
        return structure.matrix(rows)
    return np.diag(_variances(matrices, estimates)[rows])


def residual_precision(
    matrices: ModelMatrices, estimates: Estimates, structure: Structured | None
) -> sparse.csr_array:
    """Inverse of the covariance of all residuals, block-diagonal, shape (n, n)."""
    residual = matrices.residual
    if structure is None or residual is None:
        return sparse.csr_array(sparse.diags_array(1.0 / _variances(matrices, estimates)))
    if residual.correlation is None:
        return sparse.csr_array(sparse.diags_array(structure.sd**-2.0))
    rows, columns, values = [], [], []
    for members in _several(_groups(residual)):
        covariance = structure.matrix(np.concatenate(members))
        start = 0
        for own in members:
            stop = start + len(own)
            inverse = np.linalg.inv(covariance[start:stop, start:stop])
            values.append(((inverse + inverse.T) / 2.0).ravel())
            rows.append(np.repeat(own, len(own)))
            columns.append(np.tile(own, len(own)))
            start = stop
    n = matrices.n_obs
    entries = (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns)))
    return sparse.csr_array(sparse.coo_array(entries, shape=(n, n)))


def _groups(residual: ResidualRows) -> list[IntArray]:
    """Rows of every group."""
    order = np.argsort(residual.codes, kind="stable")
    ends = np.flatnonzero(np.diff(residual.codes[order])) + 1
    return np.split(order, ends)


def _several(groups: list[IntArray]) -> Iterator[list[IntArray]]:
    """Groups in batches of some hundred rows; a larger group is a batch of its own."""
    batch: list[IntArray] = []
    for rows in groups:
        if batch and sum(map(len, batch)) + len(rows) > ROWS_AT_ONCE:
            yield batch
            batch = []
        batch.append(rows)
    if batch:
        yield batch


def _variances(matrices: ModelMatrices, estimates: Estimates) -> FloatArray:
    weights = np.ones(matrices.n_obs) if matrices.weights is None else matrices.weights
    return np.asarray(estimates.sigma**2 / weights)
