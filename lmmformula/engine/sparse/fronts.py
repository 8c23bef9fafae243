"""Which levels of the tail are eliminated together, and what their elimination touches.

A *front* is a set of levels that are eliminated as one dense block (its pivots); its boundary are
the later levels that this couples. Levels whose boundaries agree form a front by nature. Beyond
that, whole small subtrees of the elimination tree are taken as one front, and a level joins its
child's front where that adds few zeros: dense work on a few hundred entries costs less than the
call that does it.

References
----------
Duff and Reid (1983), ACM Trans. Math. Softw. 9, 302-325 (the multifrontal method).
Ashcraft and Grimes (1989), ACM Trans. Math. Softw. 15, 291-309 (relaxed supernodes).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array, tril, triu

from lmmformula._arrays import IntArray
from lmmformula.engine.sparse.ordering import elimination_tree, fill_reducing_order

__all__ = ["Fronts", "fronts_of"]

LEAF = 32
"""Columns of a subtree up to which it is one front."""
RELAXED = ((16, 0.8), (48, 0.3), (128, 0.15))
"""Share of zeros up to which a level joins a front, by the columns that it would then have."""
RELAXED_LARGE = 0.05


@dataclass(frozen=True, slots=True, eq=False)
class Fronts:
    """Fronts, children before their parents.

    Attributes
    ----------
    front_of : ndarray, shape (n_levels,)
        Front that eliminates each level.
    pointer, boundary : ndarray
        ``boundary[pointer[s]:pointer[s + 1]]`` are the levels of the boundary of front s, in the
        order of elimination.
    parent : ndarray, shape (n_fronts,)
        Front that receives what is left; -1 for none.
    position : ndarray, shape (n_levels,)
        Place of each level in the order of elimination.
    """

    front_of: IntArray
    pointer: IntArray
    boundary: IntArray
    parent: IntArray
    position: IntArray

    @property
    def n(self) -> int:
        """Number of fronts."""
        return len(self.parent)


@dataclass(slots=True)
class _Growing:
    """A front while levels join it."""

    pivots: list[int]
    width: int
    boundary: IntArray
    zeros: float = 0.0


def fronts_of(pattern: csr_array, weights: IntArray) -> Fronts:
    """Order the levels and gather them in fronts.

    Parameters
    ----------
    pattern : csr_array, shape (n, n)
        Symmetric pattern between levels.
    weights : ndarray, shape (n,)
        Columns of each level.
    """
    order = fill_reducing_order(pattern)
    ordered = csr_array(pattern[order][:, order])
    lower, upper = csr_array(tril(ordered, -1)), csr_array(triu(ordered, 1))
    upper.sort_indices()
    weights = weights[order]
    parent = elimination_tree(lower)
    leaf = _leaf_fronts(parent, weights)
    growing = _leaves(upper, leaf, weights)
    _grow(growing, upper, leaf, weights)
    return _finished(growing, order)


def _leaf_fronts(parent: IntArray, weights: IntArray) -> IntArray:
    """Number of the leaf front of every level, -1 for levels above those."""
    n = len(parent)
    size, up = weights.tolist(), parent.tolist()
    for j in range(n):
        if up[j] >= 0:
            size[up[j]] += size[j]
    front, count = [-1] * n, 0
    open_at: dict[int, tuple[int, int]] = {}
    for j in range(n - 1, -1, -1):
        above = up[j]
        if size[j] > LEAF:
            continue
        if above >= 0 and size[above] <= LEAF:
            front[j] = front[above]
            continue
        number, held = open_at.get(above, (-1, LEAF))
        if held + size[j] > LEAF:  # siblings share a front while there is room
            number, held = count, 0
            count += 1
        front[j] = number
        open_at[above] = number, held + size[j]
    return np.array(front, dtype=np.int64)


def _leaves(upper: csr_array, leaf: IntArray, weights: IntArray) -> list[_Growing]:
    """Leaf fronts with their boundaries."""
    n, count = len(leaf), int(leaf.max(initial=-1)) + 1
    row = np.repeat(np.arange(n), np.diff(upper.indptr))
    column = upper.indices.astype(np.int64)
    out = (leaf[row] >= 0) & (leaf[column] != leaf[row])
    pairs = np.unique(leaf[row[out]] * n + column[out])
    boundaries = np.split(pairs % n, np.searchsorted(pairs // n, np.arange(1, count)))
    members = np.argsort(leaf, kind="stable")
    pivots = np.split(members, np.searchsorted(leaf[members], np.arange(count)))[1:]
    return [
        _Growing(own.tolist(), int(weights[own].sum()), boundary)
        for own, boundary in zip(pivots, boundaries[:count], strict=True)
    ]


def _grow(growing: list[_Growing], upper: csr_array, leaf: IntArray, weights: IntArray) -> None:
    """Add the levels above the leaves, each to a child's front or as a new one."""
    uniform = bool(np.all(weights == weights[0])) if len(weights) else True
    unit = int(weights[0]) if len(weights) else 1
    waiting: dict[int, list[int]] = {}
    for number, front in enumerate(growing):
        if len(front.boundary):
            waiting.setdefault(int(front.boundary[0]), []).append(number)
    pointer, nodes = upper.indptr, upper.indices
    for j in np.flatnonzero(leaf < 0).tolist():
        children = waiting.pop(j, [])
        pieces = [growing[c].boundary[1:] for c in children]
        pieces.append(nodes[pointer[j] : pointer[j + 1]].astype(np.int64))
        boundary = _union(pieces)
        width = unit * len(boundary) if uniform else int(weights[boundary].sum())
        best = max(children, key=lambda c: len(growing[c].boundary), default=-1)
        if best >= 0 and _joins(growing[best], j, width, weights):
            front = growing[best]
            front.pivots.append(j)
            front.width += int(weights[j])
            front.boundary = boundary
        else:
            best = len(growing)
            growing.append(_Growing([j], int(weights[j]), boundary))
        if len(boundary):
            waiting.setdefault(int(boundary[0]), []).append(best)


def _union(pieces: list[IntArray]) -> IntArray:
    """Sorted union of sorted sets; the largest often holds all the others."""
    largest = max(pieces, key=len)
    rest = [piece for piece in pieces if piece is not largest and len(piece)]
    if not rest:
        return largest
    others = np.concatenate(rest)
    if len(largest):
        where = np.minimum(np.searchsorted(largest, others), len(largest) - 1)
        others = others[largest[where] != others]
    return largest if not len(others) else np.union1d(largest, others)


def _joins(front: _Growing, level: int, width: int, weights: IntArray) -> bool:
    """Whether a level joins its child's front; counts the zeros that this adds."""
    own = int(weights[level])
    before = int(weights[front.boundary].sum())
    zeros = front.zeros + front.width * (width + own - before)
    columns = front.width + own
    stored = columns * (0.5 * columns + width)
    allowed = next((share for limit, share in RELAXED if columns <= limit), RELAXED_LARGE)
    if zeros > allowed * stored:
        return False
    front.zeros = zeros
    return True


def _finished(growing: list[_Growing], order: IntArray) -> Fronts:
    """Number the fronts from the leaves to the roots, and name levels as the caller does."""
    n = len(order)
    growing = sorted(growing, key=lambda front: front.pivots[-1])
    front_of = np.empty(n, dtype=np.int64)
    for number, front in enumerate(growing):
        front_of[front.pivots] = number
    parent = [front_of[front.boundary[0]] if len(front.boundary) else -1 for front in growing]
    sizes = [len(front.boundary) for front in growing]
    none = np.zeros(0, dtype=np.int64)
    boundary = np.concatenate([none, *(front.boundary for front in growing)])
    position = np.empty(n, dtype=np.int64)
    position[order] = np.arange(n)
    return Fronts(
        front_of=front_of[position],
        pointer=np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)]),
        boundary=order[boundary],
        parent=np.array(parent, dtype=np.int64),
        position=position,
    )
