"""Random-effects terms as sparse matrices over all their levels: Z, Lambda and their covariance.

The engine never forms these. They are what textbooks write, for those who want to see it.
Columns run level by level, and effect by effect within a level.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse
from scipy.linalg import cho_solve

from lmmformula._arrays import FloatArray, IntArray
from lmmformula.matrices import RandomBlock

__all__ = [
    "effects_matrix",
    "has_singular_relationship",
    "random_covariance",
    "relative_factor",
    "relative_precision",
]


def effects_matrix(block: RandomBlock) -> sparse.csr_array:
    """Z of one term, shape (n, J k)."""
    n, k = block.z.shape
    columns = block.codes[:, None].astype(np.int64) * k + np.arange(k)
    parts = (block.z.flatten(), columns.ravel(), np.arange(0, n * k + 1, k))
    matrix = sparse.csr_array(parts, shape=(n, block.n_levels * k))
    matrix.eliminate_zeros()
    return matrix


def relative_factor(block: RandomBlock, template: FloatArray) -> sparse.csc_array:
    """Lambda of one term, shape (J k, J k): Var(b) = sigma^2 Lambda Lambda'.

    Parameters
    ----------
    block : RandomBlock
        The term.
    template : ndarray, shape (k, k)
        Relative factor of one level's effects.
    """
    levels = sparse.csc_array(sparse.eye_array(block.n_levels))
    if block.relationship is not None:
        levels = sparse.csc_array(block.relationship)
    return sparse.csc_array(sparse.kron(levels, sparse.csc_array(template)))


def relative_precision(block: RandomBlock, template: FloatArray) -> sparse.csc_array:
    """Inverse of Lambda Lambda', shape (J k, J k); both of its parts must be regular."""
    inverse = cho_solve((template, True), np.eye(len(template)))
    levels = sparse.csc_array(sparse.eye_array(block.n_levels))
    if block.relationship is not None:
        levels = sparse.csc_array(cho_solve((block.relationship, True), np.eye(block.n_levels)))
    return sparse.csc_array(sparse.kron(levels, sparse.csc_array((inverse + inverse.T) / 2.0)))


def has_singular_relationship(block: RandomBlock) -> bool:
    """Whether some levels are the same as others (clones, twins): K has no inverse."""
    return block.relationship is not None and not np.all(np.diagonal(block.relationship) > 0.0)


def random_covariance(block: RandomBlock, template: FloatArray, rows: IntArray) -> FloatArray:
    """What one term adds to the covariance of some rows, in units of sigma^2.

    Parameters
    ----------
    block : RandomBlock
        The term.
    template : ndarray, shape (k, k)
        Relative factor of one level's effects.
    rows : ndarray of int, shape (m,)
        Positions among the fitted rows.

    Returns
    -------
    ndarray, shape (m, m)
        Z Lambda Lambda' Z' in these rows. Nothing larger is formed.
    """
    factor = block.z[rows] @ template
    codes = block.codes[rows]
    if block.relationship is None:
        between = codes[:, None] == codes
    else:
        present, position = np.unique(codes, return_inverse=True)
        roots = block.relationship[present]
        between = (roots @ roots.T)[np.ix_(position, position)]
    return np.asarray((factor @ factor.T) * between)
