"""Arrows for comparing estimates by eye: they overlap where two are not told apart."""

from __future__ import annotations

import numpy as np

from lmmformula._arrays import BoolArray, FloatArray

__all__ = ["arrows"]

MARGIN = 0.2
"""Share of the distance between a difference and its critical value that arrows must keep."""
EVENNESS = 0.05
"""Weight of arrows as long to the left as to the right, beside that of true lengths."""


def arrows(
    estimate: FloatArray, critical: FloatArray, differ: BoolArray
) -> tuple[FloatArray, FloatArray] | None:
    """Lengths of the arrows to the left and to the right of every estimate.

    Parameters
    ----------
    estimate : ndarray, shape (m,)
        Means or slopes.
    critical : ndarray, shape (m, m)
        Smallest difference of each pair that counts as one.
    differ : ndarray of bool, shape (m, m)
        Pairs that are told apart.

    Returns
    -------
    left, right : ndarray, shape (m,)
        Zero where there is nothing to compare with on that side. None where no arrows show all
        comparisons truly.

    Notes
    -----
    A linear program. For a pair with the first below the second, right arrow and left arrow
    together should be as long as the critical difference. The sum of deviations from that is
    minimized (with a small weight, also how far arrows are from half of it) under the conditions
    that arrows overlap where the pair is not told apart and leave a gap where it is.
    """
    from scipy.optimize import linprog

    m = len(estimate)
    pairs = [(i, j) for i in range(m) for j in range(m) if _is_below(estimate, i, j)]
    if not pairs:
        return np.zeros(m), np.zeros(m)
    n = len(pairs)
    # Unknowns: left (m), right (m), deviation of each pair (n), of each arrow from half (2m).
    size = 4 * m + n
    upper, bound = [], []

    def at_most(columns: dict[int, float], limit: float) -> None:
        row = np.zeros(size)
        row[list(columns)] = list(columns.values())
        upper.append(row)
        bound.append(limit)

    half: dict[int, list[float]] = {}
    for place, (low, high) in enumerate(pairs):
        gap, needed = float(estimate[high] - estimate[low]), float(critical[low, high])
        sign = 1.0 if differ[low, high] else -1.0
        margin = MARGIN * min(abs(gap - needed), gap)
        at_most({m + low: sign, high: sign}, sign * gap - margin)
        for side in (1.0, -1.0):
            at_most({m + low: side, high: side, 2 * m + place: -1.0}, side * needed)
        for arrow in (m + low, high):
            half.setdefault(arrow, []).append(0.5 * needed)
    for arrow, lengths in half.items():
        for side in (1.0, -1.0):
            at_most({arrow: side, 2 * m + n + arrow: -1.0}, side * float(np.mean(lengths)))
    cost = np.concatenate([np.full(2 * m, 1e-6), np.ones(n), np.full(2 * m, EVENNESS)])
    scale = max(float(np.max(critical)), float(np.ptp(estimate))) or 1.0
    found = linprog(cost, A_ub=np.array(upper), b_ub=np.array(bound) / scale, method="highs")
    if found.status != 0 or found.x is None:
        return None
    return scale * found.x[:m], scale * found.x[m : 2 * m]


def _is_below(estimate: FloatArray, i: int, j: int) -> bool:
    """Whether i comes before j; equal ones by their place, so that every pair counts once."""
    return bool(estimate[i] < estimate[j] or (estimate[i] == estimate[j] and i < j))
