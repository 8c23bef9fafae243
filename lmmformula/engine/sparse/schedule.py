"""Fronts of equal shape at equal height in the tree, processed together: where everything goes.

Shapes are rounded up a little, so that most fronts share their shape with others. Padded slots hold
zeros and change nothing. The last slot of every boundary is always padding.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from lmmformula._arrays import IntArray
from lmmformula.engine.sparse.fronts import Fronts

__all__ = ["Batch", "Columns", "Link", "Part", "schedule"]

EXACT_FROM = 256
"""Slots from which shapes are not rounded: a call's overhead is nothing beside such a front."""


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """Columns of the tail by level.

    Attributes
    ----------
    level_of, effect_of : ndarray, shape (n_columns,)
        Level (numbered over all factors) and effect of each column.
    width, factor : ndarray, shape (n_levels,)
        Effects and factor of each level.
    """

    level_of: IntArray
    effect_of: IntArray
    width: IntArray
    factor: IntArray

    @property
    def first(self) -> IntArray:
        """First column of each level."""
        return np.cumsum(self.width) - self.width


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """Pivots with one number of effects: slots, effects per level, factor of each level (B, n)."""

    slots: slice
    k: int
    factor: IntArray


@dataclass(frozen=True, slots=True, eq=False)
class Link:
    """Fronts of a lower batch whose updates go into fronts of a higher one.

    Attributes
    ----------
    child, parent : int
        Numbers of the batches.
    rows, into : ndarray, shape (n,)
        The fronts within their batches.
    slots : ndarray, shape (n, c)
        Slot in the parent of every slot of the child's boundary.
    """

    child: int
    parent: int
    rows: IntArray
    into: IntArray
    slots: IntArray

    def addresses(self, size: int) -> IntArray:
        """Flat positions (n, c, c) in the parent batch's (B, size, size)."""
        corner = (self.into * (size * size))[:, None, None]
        return corner + (self.slots * size)[:, :, None] + self.slots[:, None, :]


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Fronts of one shape.

    Attributes
    ----------
    columns, boundary : ndarray, shapes (B, p) and (B, c)
        Tail column of every slot; ``n_columns`` marks padding.
    parts : tuple of Part
        Pivots by their number of effects.
    target, source : ndarray
        Entries of the (B, p + c, p + c) fronts that come from the tail's storage, and from where.
    below, above : list of Link
        To children and to parents.
    """

    columns: IntArray
    boundary: IntArray
    parts: tuple[Part, ...]
    target: IntArray
    source: IntArray
    below: list[Link] = field(default_factory=list)
    above: list[Link] = field(default_factory=list)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Fronts, pivots, boundary."""
        n, p = self.columns.shape
        return n, p, self.boundary.shape[1]


class _Places:
    """Batch, row and slot of everything."""

    def __init__(self, fronts: Fronts, columns: Columns) -> None:
        self.fronts, self.columns, self.n = fronts, columns, len(columns.level_of)
        self.front = fronts.front_of[columns.level_of]
        in_order = np.lexsort((columns.effect_of, fronts.position[columns.level_of]))
        self.place = np.empty(self.n, dtype=np.int64)
        self.place[in_order] = np.arange(self.n)
        self._expand_boundary()
        self._shape_pivots()
        self.c = _rounded(self.widths) + 1
        key = np.column_stack([_heights(fronts.parent), self.counts, self.c])
        self.shapes, self.batch = np.unique(key, axis=0, return_inverse=True)
        self.row = _ranks(self.batch)
        self.m = self.p + self.c

    def _expand_boundary(self) -> None:
        """Columns of the boundaries, by front and in the order of elimination."""
        fronts, columns = self.fronts, self.columns
        width = columns.width[fronts.boundary]
        owner = np.repeat(np.arange(fronts.n), np.diff(fronts.pointer))
        self.owner = np.repeat(owner, width)
        begin = np.repeat(columns.first[fronts.boundary], width)
        self.outer = begin + np.arange(len(begin)) - np.repeat(np.cumsum(width) - width, width)
        self._keys = self.owner * self.n + self.place[self.outer]
        self.widths = np.bincount(self.owner, minlength=fronts.n)
        self.begin = np.cumsum(self.widths) - self.widths

    def _shape_pivots(self) -> None:
        """Slots of the pivots: levels with equally many effects side by side."""
        fronts, columns = self.fronts, self.columns
        self.kinds, kind = np.unique(columns.width, return_inverse=True)
        self.default_factor = dict(
            zip(columns.width.tolist(), columns.factor.tolist(), strict=True)
        )
        group = fronts.front_of * len(self.kinds) + kind
        counts = np.bincount(group, minlength=fronts.n * len(self.kinds))
        self.counts = _rounded(counts.reshape(fronts.n, -1))
        size = self.counts * self.kinds
        self.p = size.sum(axis=1)
        begin = (np.cumsum(size, axis=1) - size).reshape(-1)
        self.rank = _ranks(group)
        slot = begin[group] + self.rank * columns.width
        self.slot = slot[columns.level_of] + columns.effect_of

    def slot_in(self, front: IntArray, column: IntArray) -> IntArray:
        """Slot of columns in fronts that hold them as pivot or in their boundary."""
        key = front * self.n + self.place[column]
        found = np.minimum(np.searchsorted(self._keys, key), max(len(self._keys) - 1, 0))
        outer = found - self.begin[front] + self.p[front]
        return np.where(self.front[column] == front, self.slot[column], outer)


def schedule(
    fronts: Fronts, columns: Columns, row: IntArray, column: IntArray, source: IntArray
) -> list[Batch]:
    """Arrange fronts in batches, children before parents.

    Parameters
    ----------
    fronts : Fronts
    columns : Columns
    row, column, source : ndarray
        Entries of the tail's matrix (both triangles) and their positions in its storage.
    """
    places = _Places(fronts, columns)
    n = len(places.shapes)
    members = _grouped(places.batch, n)
    pivots = _grouped(places.batch[places.front], n)
    levels = _grouped(places.batch[fronts.front_of], n)
    outer = _grouped(places.batch[places.owner], n)
    entries = _entries(places, row, column)
    filled = _grouped(entries.batch, n)
    batches = []
    for number in range(n):
        shape = members[number], pivots[number], outer[number]
        own = filled[number]
        batches.append(
            Batch(
                *_columns_of(places, *shape),
                _parts(places, members[number], levels[number]),
                entries.target[own],
                source[entries.entry[own]],
            )
        )
    for link in _links(places):
        batches[link.parent].below.append(link)
        batches[link.child].above.append(link)
    return batches


def _columns_of(
    places: _Places, members: IntArray, pivots: IntArray, outer: IntArray
) -> tuple[IntArray, IntArray]:
    """Columns of the pivots and of the boundary of one batch's fronts."""
    inner = np.full((len(members), places.p[members[0]]), places.n)
    inner[places.row[places.front[pivots]], places.slot[pivots]] = pivots
    boundary = np.full((len(members), places.c[members[0]]), places.n)
    owner = places.owner[outer]
    boundary[places.row[owner], outer - places.begin[owner]] = places.outer[outer]
    return inner, boundary


def _parts(places: _Places, members: IntArray, levels: IntArray) -> tuple[Part, ...]:
    """Pivots of one batch by their number of effects."""
    counts, parts, start = places.counts[members[0]], [], 0
    for kind, n in zip(places.kinds.tolist(), counts.tolist(), strict=True):
        if not n:
            continue
        own = levels[places.columns.width[levels] == kind]
        factor = np.full((len(members), n), places.default_factor[kind])
        factor[places.row[places.fronts.front_of[own]], places.rank[own]] = places.columns.factor[
            own
        ]
        parts.append(Part(slice(start, start + n * kind), kind, factor))
        start += n * kind
    return tuple(parts)


@dataclass(frozen=True, slots=True, eq=False)
class _Entries:
    """Entries of the matrix that go into fronts: their number, batch and flat position there."""

    entry: IntArray
    batch: IntArray
    target: IntArray


def _entries(places: _Places, row: IntArray, column: IntArray) -> _Entries:
    """Each entry goes to the front that eliminates the earlier of its columns first."""
    kept = np.flatnonzero(places.front[row] <= places.front[column])
    row, column = row[kept], column[kept]
    front = places.front[row]
    m = places.m[front]
    inside = (places.row[front] * m + places.slot[row]) * m + places.slot_in(front, column)
    return _Entries(kept, places.batch[front], inside)


def _links(places: _Places) -> list[Link]:
    """Every pair of batches with fronts and parents of theirs."""
    fronts = places.fronts
    child = np.flatnonzero(fronts.parent >= 0)
    if not len(child):
        return []
    slots = places.slot_in(fronts.parent[places.owner], places.outer)
    n = len(places.shapes)
    pair = places.batch[child] * n + places.batch[fronts.parent[child]]
    order = np.argsort(pair, kind="stable")
    cuts = np.flatnonzero(np.diff(pair[order])) + 1
    links = []
    for members in np.split(child[order], cuts):
        parents = fronts.parent[members]
        below, above = int(places.batch[members[0]]), int(places.batch[parents[0]])
        c = int(places.c[members[0]])
        counts = places.widths[members]
        present = np.arange(c) < counts[:, None]
        where = np.where(present, places.begin[members][:, None] + np.arange(c), 0)
        into = np.where(present, slots[where], places.m[parents[0]] - 1)
        links.append(Link(below, above, places.row[members], places.row[parents], into))
    return links


def _grouped(group: IntArray, n: int) -> list[IntArray]:
    """Positions of every group's members."""
    order = np.argsort(group, kind="stable")
    return np.split(order, np.cumsum(np.bincount(group, minlength=n))[:-1])


def _rounded(sizes: IntArray) -> IntArray:
    """Sizes up to the next of a few: steps of a quarter, at least of four."""
    step = 2 ** np.floor(np.log2(np.maximum(sizes, 1)) - 2.0)
    step = np.where(sizes >= EXACT_FROM, 1.0, np.maximum(step, 4.0))
    return np.asarray(np.ceil(sizes / step) * step, dtype=np.int64)


def _ranks(group: IntArray) -> IntArray:
    """Number of every element within its group, in the order given."""
    order = np.argsort(group, kind="stable")
    counts = np.bincount(group) if len(group) else np.zeros(0, dtype=np.int64)
    ranks = np.empty(len(group), dtype=np.int64)
    ranks[order] = np.arange(len(group)) - np.repeat(np.cumsum(counts) - counts, counts)
    return ranks


def _heights(parent: IntArray) -> IntArray:
    """Length of the longest way from each front down to a leaf."""
    height, up = [0] * len(parent), parent.tolist()
    for front, above in enumerate(up):
        if above >= 0:
            height[above] = max(height[above], height[front] + 1)
    return np.array(height, dtype=np.int64)
