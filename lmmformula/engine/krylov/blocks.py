"""Small blocks for many levels at once times many columns: arrays of shape (k, J, m).

Columns come last here, so that the rows which a sparse product gathers are contiguous.
"""

from __future__ import annotations

import numpy as np

from lmmformula._arrays import FloatArray

__all__ = ["column_products", "level_products", "repeated", "spread", "times"]


def times(blocks: FloatArray, columns: FloatArray) -> FloatArray:
    """``block @ column`` for every level; (a, b, J) and (b, J, m) give (a, J, m)."""
    if blocks.shape[1] == 1:
        return blocks[:, 0, :, None] * columns[0]
    result = blocks[:, 0, :, None] * columns[0]
    for b in range(1, blocks.shape[1]):
        result += blocks[:, b, :, None] * columns[b]
    return result


def repeated(matrix: FloatArray, columns: FloatArray) -> FloatArray:
    """One matrix (a, b) times the effects of every level, (b, J, m) to (a, J, m)."""
    if matrix.shape == (1, 1):
        return columns * matrix[0, 0]
    flat = matrix @ columns.reshape(matrix.shape[1], -1)
    return flat.reshape(matrix.shape[0], *columns.shape[1:])


def column_products(left: FloatArray, right: FloatArray) -> FloatArray:
    """Inner products of corresponding columns, over all axes but the last."""
    width = left.shape[-1]
    return np.einsum("im,im->m", left.reshape(-1, width), right.reshape(-1, width))


def level_products(left: FloatArray, right: FloatArray, k: int) -> FloatArray:
    """Products of the k columns that belong to one probe: (..., n k) twice give (n, k, k)."""
    width = left.shape[-1]
    if width == 0:
        return np.zeros((0, k, k))
    one, other = left.reshape(-1, width // k, k), right.reshape(-1, width // k, k)
    return np.einsum("ina,inb->nab", one, other)


def spread(blocks: FloatArray, v: FloatArray) -> FloatArray:
    """Blocks times (v in one effect at a time): (a, k, J) and (J, n) give (a, J, n k)."""
    columns = blocks.transpose(0, 2, 1)[:, :, None, :] * v[:, :, None]
    return columns.reshape(blocks.shape[0], v.shape[0], -1)
