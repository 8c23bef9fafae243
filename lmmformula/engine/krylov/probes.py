"""Random signs, the same for the same seed, grouping factor and number.

They do not depend on how many are drawn, nor on the other factors of the model: two models that
share a factor share its probes, and a fit that asks for more keeps those it had.
"""

from __future__ import annotations

from zlib import crc32

import numpy as np

from lmmformula._arrays import FloatArray

__all__ = ["CONDITIONAL", "DETERMINANT", "TRACE", "signs"]

TRACE, DETERMINANT, CONDITIONAL = 0, 1, 2


def signs(
    seed: int, group: str, purpose: int, numbers: range, shape: tuple[int, int]
) -> FloatArray:
    """Rademacher vectors of one grouping factor.

    Parameters
    ----------
    seed : int
    group : str
        Name of the grouping factor.
    purpose : int
        ``TRACE``, ``DETERMINANT`` or ``CONDITIONAL``: one must not know the other's probes.
    numbers : range
        Which of the endless sequence of probes.
    shape : tuple of int
        Effects k and levels J.

    Returns
    -------
    ndarray of -1.0 and 1.0, shape (k, J, n)
    """
    k, n_levels = shape
    out = np.empty((k, n_levels, len(numbers)))
    for column, number in enumerate(numbers):
        rng = np.random.default_rng([seed, crc32(group.encode()), purpose, number])
        for effect in range(k):
            data = np.frombuffer(rng.bytes((n_levels + 7) // 8), dtype=np.uint8)
            out[effect, :, column] = np.unpackbits(data, count=n_levels)
    out *= 2.0
    out -= 1.0
    return out
