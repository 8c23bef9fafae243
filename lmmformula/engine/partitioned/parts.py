"""From rows to partitions: sums over the levels that occur, in columns common to all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from lmmformula._arrays import CodeArray, FloatArray, IntArray, LabelArray
from lmmformula.engine.basis import WorkingBasis
from lmmformula.engine.block_layout import tail_layout
from lmmformula.engine.cross import cross_blocks
from lmmformula.engine.crossproducts import CrossProducts, PairBlocks, no_pairs
from lmmformula.engine.layout import FactorLayout
from lmmformula.engine.moments import moment_matrix
from lmmformula.engine.partitioned.local import Partition
from lmmformula.engine.partitioned.moments import LocalMoments, moments_of
from lmmformula.engine.summation import DataSums, combined, sum_products
from lmmformula.engine.system import BlockedSystem, tail_sums
from lmmformula.errors import DesignError
from lmmformula.matrices import ModelMatrices

__all__ = [
    "Arrange",
    "LocalSums",
    "MomentsAt",
    "Totals",
    "check_whole_groups",
    "joined_parts",
    "over_all_levels",
    "sums_of_part",
    "turned_by",
]

DENSE_LEVELS_PER_ROW = 8
"""Levels per row up to which a table of all levels is the quickest way to those that occur."""


@dataclass(frozen=True, slots=True, eq=False)
class LocalSums:
    """Cross-products of one partition over the levels that occur in it.

    Attributes
    ----------
    sums : DataSums or None
        None where there are no rows.
    levels : dict of str to ndarray of int
        By grouping factor, the positions of these levels among all levels.
    """

    sums: DataSums | None
    levels: dict[str, IntArray]

    def renumbered(self, kept: Mapping[str, IntArray]) -> LocalSums:
        """The same sums where fewer levels were kept in all, by their new positions."""
        levels = {
            group: np.searchsorted(kept[group], found) if group in kept else found
            for group, found in self.levels.items()
        }
        return LocalSums(self.sums, levels)


def joined_parts(parts: Sequence[LocalSums]) -> LocalSums:
    """Sums of several partitions together, over the levels that occur in any of them."""
    filled = [part for part in parts if part.sums is not None]
    if not filled:
        return parts[0]
    assert filled[0].sums is not None
    groups = [layout.group for layout in filled[0].sums.layouts]
    levels = {group: _union([part.levels[group] for part in filled]) for group in groups}
    return LocalSums(combined([_spread(part, levels) for part in filled]), levels)


def over_all_levels(part: LocalSums, layouts: tuple[FactorLayout, ...]) -> DataSums:
    """Sums of all partitions together as if they had been summed at once."""
    levels = {layout.group: np.arange(layout.n_levels) for layout in layouts}
    return replace(_spread(part, levels), layouts=layouts)


def _union(found: Sequence[IntArray]) -> IntArray:
    """Levels in any of several sorted arrays."""
    if all(len(one) == len(found[0]) and np.array_equal(one, found[0]) for one in found):
        return found[0]
    return np.unique(np.concatenate(found))


def _spread(part: LocalSums, levels: Mapping[str, IntArray]) -> DataSums:
    """One partition's sums with zeros for levels of the others."""
    assert part.sums is not None
    sums, total = part.sums, part.sums.total
    layouts, gram, fixed, places = [], [], [], []
    for f, layout in enumerate(sums.layouts):
        union = levels[layout.group]
        place = np.searchsorted(union, part.levels[layout.group])
        places.append(place.astype(np.int32))
        layouts.append(replace(layout, n_levels=len(union)))
        gram.append(_placed(total.gram[f], place, len(union)))
        fixed.append(_placed(total.fixed[f], place, len(union)))
    pairs = {
        (f, g): PairBlocks(places[f][block.left], places[g][block.right], block.values)
        for (f, g), block in total.pairs.items()
    }
    spread = replace(total, gram=gram, fixed=fixed, pairs=pairs)
    return replace(sums, layouts=tuple(layouts), total=spread)


def _placed(blocks: FloatArray, place: IntArray, n: int) -> FloatArray:
    if blocks.shape[2] == n:
        return blocks
    whole = np.zeros((*blocks.shape[:2], n))
    whole[:, :, place] = blocks
    return whole


@dataclass(frozen=True, slots=True, eq=False)
class Totals:
    """Sums over all rows that have no levels.

    Attributes
    ----------
    xy : ndarray, shape (p + 1, p + 1)
        [X y]'W[X y].
    n_obs : int
    log_weights : float
    """

    xy: FloatArray
    n_obs: int
    log_weights: float

    def __add__(self, other: Totals) -> Totals:
        return Totals(
            self.xy + other.xy, self.n_obs + other.n_obs, self.log_weights + other.log_weights
        )

    @classmethod
    def of(cls, part: LocalSums, p: int) -> Totals:
        """Those of one partition of a model with ``p`` fixed effects."""
        if part.sums is None:
            return cls(np.zeros((p + 1, p + 1)), 0, 0.0)
        total = part.sums.total
        return cls(total.xy, total.n_obs, total.log_weights)

    def as_sums(self, layouts: tuple[FactorLayout, ...], basis: WorkingBasis) -> DataSums:
        """Sums without levels, for what changes the columns of X or the response.

        Whatever is done to them is done to an identity as well, which `turned_by` reads off: the
        same change for the partitions.
        """
        none = tuple(replace(layout, n_levels=0) for layout in layouts)
        identity = np.eye(len(self.xy))[:, :, None]
        gram = [np.zeros((layout.k, layout.k, 0)) for layout in layouts]
        total = CrossProducts(gram, [identity], self.xy, {}, self.n_obs, self.log_weights)
        return DataSums(none, basis, total)


def turned_by(sums: DataSums) -> FloatArray:
    """What [X y] was multiplied by since ``Totals.as_sums``, shape (p + 1, any)."""
    return sums.total.fixed[0][:, :, 0]


def sums_of_part(
    matrices: ModelMatrices, basis: WorkingBasis, layouts: tuple[FactorLayout, ...]
) -> LocalSums:
    """Cross-products of one partition's rows.

    Parameters
    ----------
    matrices : ModelMatrices
        Codes and levels as in the whole data.
    basis : WorkingBasis
        The same for all partitions.
    layouts : tuple of FactorLayout
        Over all levels; the partition's factors are in this order.
    """
    levels: dict[str, IntArray] = {}
    codes: dict[str, CodeArray] = {}
    for block in matrices.random:
        if block.group not in levels:
            levels[block.group], codes[block.group] = _occurring(block.codes, block.n_levels)
    if not matrices.n_obs:
        return LocalSums(None, levels)
    local = tuple(
        replace(block, codes=codes[block.group], levels=block.levels[levels[block.group]])
        for block in matrices.random
    )
    own = tuple(replace(part, n_levels=len(levels[part.group])) for part in layouts)
    return LocalSums(sum_products([replace(matrices, random=local)], basis, own), levels)


def _occurring(codes: CodeArray, n_levels: int) -> tuple[IntArray, CodeArray]:
    """Levels that occur, sorted, and the codes among them."""
    if n_levels > DENSE_LEVELS_PER_ROW * len(codes):
        found, inverse = np.unique(codes, return_inverse=True)
        return found.astype(np.int64), inverse.astype(np.int32)
    levels = np.flatnonzero(np.bincount(codes, minlength=n_levels))
    place = np.empty(n_levels, dtype=np.int32)
    place[levels] = np.arange(len(levels), dtype=np.int32)
    return levels, place[codes]


@dataclass(frozen=True, slots=True, eq=False)
class Arrange:
    """Puts one partition's sums into the common columns and arranges them for elimination.

    Attributes
    ----------
    turn : ndarray, shape (p_before + 1, p + 1)
        What [X y] is multiplied by.
    basis : WorkingBasis
        The columns that are reached.
    """

    turn: FloatArray
    basis: WorkingBasis

    def __call__(self, part: LocalSums) -> Partition:
        """Arrange one partition."""
        if part.sums is None:
            return Partition(None, part.levels)
        total, turn = part.sums.total, self.turn
        fixed = [np.einsum("krj,rs->ksj", block, turn, optimize=True) for block in total.fixed]
        turned = replace(total, xy=turn.T @ total.xy @ turn, fixed=fixed)
        return Partition(_arranged(part.sums.layouts, turned, self.basis), part.levels)


def _arranged(
    layouts: tuple[FactorLayout, ...], total: CrossProducts, basis: WorkingBasis
) -> BlockedSystem:
    """As for all data, but nothing is asked of rows that are a part of them."""
    first, rest = layouts[0], layouts[1:]
    pairs = [total.pairs.get((0, g), no_pairs(first, right)) for g, right in enumerate(rest, 1)]
    tail = tail_layout(rest, pairs, first.n_levels)
    tail_gram, tail_xy = tail_sums(total, tail)
    return BlockedSystem(
        first=first,
        tail=tail,
        basis=basis,
        gram=total.gram[0],
        first_xy=total.fixed[0],
        cross=cross_blocks(first, tail, pairs),
        tail_gram=tail_gram,
        tail_xy=tail_xy,
        xy=total.xy,
        n_obs=total.n_obs,
        log_weights=total.log_weights,
        moments=(moment_matrix(total, layouts),),
    )


@dataclass(frozen=True, slots=True)
class MomentsAt:
    """Moments of one partition, for starting values.

    Attributes
    ----------
    n_directions, p : int
        Moment directions of all terms, and fixed effects.
    """

    n_directions: int
    p: int

    def __call__(self, partition: Partition) -> LocalMoments:
        """Those of its rows."""
        if partition.system is None:
            return LocalMoments.zero(self.n_directions, self.p)
        return moments_of(partition.system, partition.system.moments[0])


def check_whole_groups(
    levels: Sequence[Mapping[str, IntArray]], labels: Mapping[str, LabelArray], remedy: str
) -> None:
    """Raise where a level has rows in two partitions.

    Parameters
    ----------
    levels : sequence of mapping
        For every partition, by grouping factor, the positions of the levels that occur there.
    labels : mapping of str to ndarray of str
        Labels of all levels by grouping factor.
    remedy : str
        How the rows of a group get together, with ``{group}`` for the factor's name.

    Raises
    ------
    DesignError
        With the attributes ``group``, ``level`` and ``partitions``.
    """
    groups = sorted(labels, key=lambda group: len(labels[group]))
    for group in groups:
        found = _split(levels, group)
        if found is None:
            continue
        level, first, second = found
        label = str(labels[group][level])
        facts = {"group": group, "level": label, "partitions": (first, second)}
        got = f"level {label!r} of `{group}` has rows in partitions {first} and {second}"
        if group == groups[0]:
            raise DesignError(
                f"a fit over partitions needs each group's rows in one partition, and those of "
                f"`{group}` are divided.",
                got=got,
                suggestion=remedy.format(group=group),
                **facts,
            )
        raise DesignError(
            f"a fit over partitions needs nested grouping factors, and `{group}` crosses "
            f"`{groups[0]}`.",
            got=got,
            suggestion='`fit(method="exact")`, or `fit(method="krylov")` where that is too large',
            **facts,
        )


def _split(levels: Sequence[Mapping[str, IntArray]], group: str) -> tuple[int, int, int] | None:
    """Some level with rows in two partitions, and the partitions; None where there is none."""
    positions = np.concatenate([part[group] for part in levels])
    holder = np.repeat(np.arange(len(levels)), [len(part[group]) for part in levels])
    order = np.argsort(positions, kind="stable")
    positions, holder = positions[order], holder[order]
    repeated = np.flatnonzero(positions[1:] == positions[:-1])
    if not len(repeated):
        return None
    at = int(repeated[0])
    return int(positions[at]), int(holder[at]), int(holder[at + 1])
