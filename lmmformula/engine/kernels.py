"""Small dense blocks for many levels at once, stored level-last: shape (k, k, J).

Loops run over k (rarely above ten); every step is one vector operation over all J levels, so a
hundred thousand 2 x 2 blocks cost a handful of NumPy calls and no compiled code. From ``LARGE``
effects on, blocks are handed to BLAS and LAPACK one level at a time.
"""

from __future__ import annotations

from contextlib import suppress

import numpy as np

from lmmformula._arrays import FloatArray

__all__ = [
    "block_diagonals",
    "block_product",
    "cholesky",
    "forward_solve",
    "pair_traces",
    "sandwich",
    "symmetrized",
]


LARGE = 16
"""Effects per level from which the loop over levels is the shorter one."""
MOST_PAIRS = 1_000
"""Pairs of effects up to which all their products are formed at once."""


def sandwich(factor: FloatArray, blocks: FloatArray) -> FloatArray:
    """``factor.T @ block @ factor`` for every level; factor (k, k), blocks (k, k, J)."""
    k = factor.shape[0]
    if k == 1:
        return blocks * (factor[0, 0] * factor[0, 0])
    left = (factor.T @ blocks.reshape(k, -1)).reshape(blocks.shape)
    return np.matmul(factor.T, left)


def block_diagonals(blocks: FloatArray) -> FloatArray:
    """View of the diagonals of C-ordered blocks, shape (k, J)."""
    k = blocks.shape[0]
    return blocks.reshape(k * k, blocks.shape[2])[:: k + 1]


def block_product(left: FloatArray, right: FloatArray) -> FloatArray:
    """``left @ right`` for every level; (k, m, J) and (m, r, J) give (k, r, J)."""
    if left.shape[1] == 1:
        return left * right
    if left.shape[1] >= LARGE:
        return _level_last(np.matmul(_level_first(left), _level_first(right)))
    result = left[:, 0, None, :] * right[None, 0]
    for m in range(1, left.shape[1]):
        result += left[:, m, None, :] * right[None, m]
    return result


def symmetrized(blocks: FloatArray) -> FloatArray:
    """Mean of every block and its transpose."""
    if blocks.shape[0] == 1:
        return blocks
    return 0.5 * (blocks + blocks.transpose(1, 0, 2))


def cholesky(blocks: FloatArray) -> FloatArray:
    """Lower Cholesky factors of positive definite blocks, shape (k, k, J).

    A block that is not positive definite gives NaN, which the caller's log-determinant shows.
    """
    k = blocks.shape[0]
    if k == 1:
        return np.sqrt(blocks)
    if k >= LARGE:
        with suppress(np.linalg.LinAlgError):
            return _level_last(np.asarray(np.linalg.cholesky(_level_first(blocks)), np.float64))
    factor = np.zeros_like(blocks)
    for i in range(k):
        column = blocks[i:, i]
        if i:
            column = column - np.einsum("amj,mj->aj", factor[i:, :i], factor[i, :i])
        root = np.sqrt(column[0])
        factor[i, i] = root
        if i + 1 < k:
            factor[i + 1 :, i] = column[1:] / root
    return factor


def forward_solve(factor: FloatArray, right: FloatArray) -> FloatArray:
    """Solve ``factor @ x = right`` for every level; factor (k, k, J) lower, right (k, r, J)."""
    k = factor.shape[0]
    if k == 1:
        return right / factor
    if k >= LARGE:
        inverse = np.linalg.inv(_level_first(factor))
        return _level_last(np.matmul(inverse, _level_first(right)))
    solution = np.empty((k, right.shape[1], factor.shape[2]))
    for i in range(k):
        row = right[i]
        if i:
            row = row - np.einsum("mj,mrj->rj", factor[i, :i], solution[:i])
        solution[i] = row / factor[i, i]
    return solution


def pair_traces(
    left: FloatArray, left_directions: FloatArray, right_directions: FloatArray
) -> FloatArray:
    """Sum over n of tr(G' D_i G E_j) for blocks G (k_left, k_right, n)."""
    k, m, n = left.shape
    if k * m > MOST_PAIRS:
        blocks = np.ascontiguousarray(_level_first(left))
        tall = blocks.reshape(n * k, m)
        sums = [tall.T @ np.matmul(D, blocks).reshape(n * k, m) for D in left_directions]
        return np.einsum("iab,jab->ij", np.array(sums).reshape(-1, m, m), right_directions)
    flat = left.reshape(k * m, -1)
    products = (flat @ flat.T).reshape(k, m, k, m).transpose(0, 2, 1, 3).reshape(k * k, m * m)
    return left_directions.reshape(-1, k * k) @ products @ right_directions.reshape(-1, m * m).T


def _level_first(blocks: FloatArray) -> FloatArray:
    return blocks.transpose(2, 0, 1)


def _level_last(blocks: FloatArray) -> FloatArray:
    return np.ascontiguousarray(blocks.transpose(1, 2, 0))
