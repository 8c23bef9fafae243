"""One pass over the rows: cross-products of [Z X y] in the working basis, additive over chunks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from scipy.sparse import csc_array

from lmmformula._arrays import CodeArray, FloatArray
from lmmformula.engine.basis import WorkingBasis, leads
from lmmformula.engine.layout import FactorLayout
from lmmformula.errors import NumericalError
from lmmformula.matrices import ModelMatrices

__all__ = [
    "CrossProducts",
    "PairBlocks",
    "RunningSums",
    "WorkingRows",
    "no_pairs",
    "response_products",
    "sums_by_level",
    "sums_of",
    "working_rows",
]

Places: TypeAlias = tuple[tuple[slice, ...], slice]
"""Columns of each factor's effects and of [X y] in working rows."""

ROWS_PER_BLOCK = 1 << 17
MOST_BYTES = 1 << 26
DENSE_PAIRS_PER_ROW = 4


@dataclass(frozen=True, slots=True, eq=False)
class PairBlocks:
    """Cross-product of two factors, kept for the pairs of levels that occur together.

    Attributes
    ----------
    left, right : ndarray of int32, shape (n_pairs,)
        Levels of the two factors, sorted by ``left``, then ``right``.
    values : ndarray, shape (k_left, k_right, n_pairs)
    """

    left: CodeArray
    right: CodeArray
    values: FloatArray


@dataclass(slots=True, eq=False)
class CrossProducts:
    """Sums over rows; all that the data contribute to the likelihood.

    Attributes
    ----------
    gram : list of ndarray, shape (k, k, J)
        Z'WZ of each factor, level by level.
    fixed : list of ndarray, shape (k, p + 1, J)
        Z'W[X y] of each factor.
    pairs : dict of (int, int) to PairBlocks
        Z'WZ between two factors (lower index first).
    xy : ndarray, shape (p + 1, p + 1)
        [X y]'W[X y].
    n_obs : int
    log_weights : float
        Sum of log w.
    """

    gram: list[FloatArray]
    fixed: list[FloatArray]
    xy: FloatArray
    pairs: dict[tuple[int, int], PairBlocks] = field(default_factory=dict)
    n_obs: int = 0
    log_weights: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class WorkingRows:
    """A block of rows in the working basis.

    Attributes
    ----------
    columns : ndarray, shape (n, any)
        Effects of the factors, then [X y].
    effects : tuple of slice
        Columns of each factor; the first ones of X where they are these.
    fixed : slice
        Columns of [X y].
    codes : list of ndarray of int32, shape (n,)
        Level of every row, factor by factor.
    """

    columns: FloatArray
    effects: tuple[slice, ...]
    fixed: slice
    codes: list[CodeArray]

    @property
    def z(self) -> list[FloatArray]:
        """Effects of each factor, (n, k)."""
        return [self.columns[:, effects] for effects in self.effects]

    @property
    def xy(self) -> FloatArray:
        """[X y], (n, p + 1)."""
        return self.columns[:, self.fixed]

    def is_shared(self, factor: int) -> bool:
        """Whether a factor's effects are the first columns of X."""
        return self.effects[factor].start == self.fixed.start

    def joined(self, factor: int) -> FloatArray:
        """[Z X y] of a factor; [X y] alone where the effects are shared."""
        effects = self.effects[factor]
        if self.is_shared(factor):
            return self.xy
        if effects.stop == self.fixed.start:
            return self.columns[:, effects.start : self.fixed.stop]
        return np.hstack([self.columns[:, effects], self.xy])


@dataclass(slots=True, eq=False)
class RunningSums:
    """Sums over the rows seen so far, level by level as rows meet them.

    Attributes
    ----------
    joined : list of ndarray, shape (k, J, k + p + 1) or (k, J, p + 1)
        Z'W[Z X y] of each factor, or Z'W[X y] where its effects are the first columns of X.
    xy, n_obs, log_weights
        As in ``CrossProducts``.
    places : tuple
        Where working rows have their columns, the same for all chunks.
    """

    joined: list[FloatArray]
    xy: FloatArray
    places: Places
    n_obs: int = 0
    log_weights: float = 0.0
    _space: FloatArray | None = None

    @classmethod
    def zero(
        cls, layouts: tuple[FactorLayout, ...], basis: WorkingBasis, matrices: ModelMatrices
    ) -> RunningSums:
        """No rows yet; matrices show which effects are columns of X."""
        places = effects, fixed = _places(matrices, layouts, basis)
        width = fixed.stop - fixed.start
        extra = [0 if own.start == fixed.start else own.stop - own.start for own in effects]
        joined = [
            np.zeros((f.k, f.n_levels, more + width))
            for f, more in zip(layouts, extra, strict=True)
        ]
        return cls(joined, np.zeros((width, width)), places)

    def add(
        self,
        matrices: ModelMatrices,
        layouts: tuple[FactorLayout, ...],
        basis: WorkingBasis,
    ) -> Iterator[tuple[tuple[int, int], PairBlocks]]:
        """Add one chunk's rows, and yield the sums over pairs of factors as they come."""
        levels = max(layout.n_levels for layout in layouts)
        largest = min(4 * levels, MOST_BYTES // (8 * self.places[1].stop))
        kept: dict[str, Any] = {"space": self._space, "places": self.places}
        for rows in _blocks(matrices, layouts, basis, rows=largest, **kept):
            self._space = rows.columns if rows.columns.base is None else rows.columns.base
            self.xy += rows.xy.T @ rows.xy
            for f, layout in enumerate(layouts):
                if not layout.terms:
                    continue
                z, columns = rows.columns[:, rows.effects[f]], rows.joined(f)
                sums = _sums_by_level(z, rows.codes[f], columns, layout.n_levels)
                for total, own in zip(self.joined[f], sums, strict=True):
                    total += own
                for g in range(f + 1, len(layouts)):
                    yield (f, g), _pair_sums(rows, rows, f, g, layouts)
        self._count(matrices)

    def _count(self, matrices: ModelMatrices) -> None:
        self.n_obs += matrices.n_obs
        if matrices.weights is not None:
            self.log_weights += float(np.sum(np.log(matrices.weights)))
        if not np.isfinite(self.xy).all():
            raise NumericalError(
                "the cross-products of the data overflow.",
                got="sums of squares beyond 1.8e308",
                suggestion="rescale the columns with the largest values",
            )

    def total(self, pairs: dict[tuple[int, int], PairBlocks]) -> CrossProducts:
        """The sums by factor; each array is taken apart once, and no longer here."""
        gram, fixed = [], []
        for f in range(len(self.joined)):
            joined, self.joined[f] = self.joined[f], np.zeros((0, 0, 0))
            k = len(joined)
            turned = joined.transpose(0, 2, 1)
            gram.append(np.ascontiguousarray(turned[:, :k]))
            fixed.append(np.ascontiguousarray(turned[:, -len(self.xy) :]))
        return CrossProducts(gram, fixed, self.xy, pairs, self.n_obs, self.log_weights)


def working_rows(
    matrices: ModelMatrices, layouts: tuple[FactorLayout, ...], basis: WorkingBasis
) -> WorkingRows:
    """All rows at once, weighted and in the working basis."""
    return next(_blocks(matrices, layouts, basis, rows=matrices.n_obs))


def sums_of(
    left: WorkingRows, right: WorkingRows, layouts: tuple[FactorLayout, ...]
) -> CrossProducts:
    """Cross-products of two versions of the same rows."""
    gram, fixed, pairs = [], [], {}
    for f, layout in enumerate(layouts):
        if not layout.terms:
            gram.append(np.zeros((layout.k, layout.k, 0)))
            fixed.append(np.zeros((layout.k, left.xy.shape[1], 0)))
            continue
        sums = sums_by_level(left.z[f], left.codes[f], right.joined(f), layout.n_levels)
        gram.append(np.ascontiguousarray(sums[:, : layout.k]))
        fixed.append(np.ascontiguousarray(sums[:, -right.xy.shape[1] :]))
        for g in range(f + 1, len(layouts)):
            pairs[f, g] = _pair_sums(left, right, f, g, layouts)
    return CrossProducts(gram, fixed, left.xy.T @ right.xy, pairs)


def response_products(
    matrices: ModelMatrices,
    layouts: tuple[FactorLayout, ...],
    basis: WorkingBasis,
    y: FloatArray,
) -> tuple[list[FloatArray], FloatArray]:
    """Z'Wy of each factor, (k, J), and [X y]'Wy, (p + 1,), for another response."""
    per_factor = [np.zeros((layout.k, layout.n_levels)) for layout in layouts]
    column = np.zeros(matrices.p + 1)
    for rows in _blocks(matrices, layouts, basis, y):
        column += rows.xy.T @ rows.xy[:, -1]
        for f, layout in enumerate(layouts):
            for a in range(rows.z[f].shape[1]):
                per_factor[f][a] += np.bincount(
                    rows.codes[f], rows.z[f][:, a] * rows.xy[:, -1], layout.n_levels
                )
    return per_factor, column


def _blocks(
    matrices: ModelMatrices,
    layouts: tuple[FactorLayout, ...],
    basis: WorkingBasis,
    y: FloatArray | None = None,
    rows: int = 0,
    space: FloatArray | None = None,
    places: Places | None = None,
) -> Iterator[WorkingRows]:
    """Yield the rows in pieces that stay in cache, weighted and in the working basis.

    Pieces are of ``rows`` rows where that is more: sums by level cost a pass over all levels. All
    of them are written into one array (``space`` where it is large enough), so that a piece holds
    until the next one is asked for.
    """
    response = matrices.y if y is None else y
    rows = min(max(rows, ROWS_PER_BLOCK), max(matrices.n_obs, 1))
    effects, fixed = _places(matrices, layouts, basis) if places is None else places
    buffer = np.empty((rows, fixed.stop)) if space is None or len(space) < rows else space
    for start in range(0, max(matrices.n_obs, 1), rows):
        piece = slice(start, start + rows)
        X = matrices.X[piece]
        columns = buffer[: len(X)]
        np.matmul(X, basis.fixed, out=columns[:, fixed.start : fixed.stop - 1])
        target = response[piece] - X @ basis.beta
        if matrices.offset is not None:
            target -= matrices.offset[piece]
        np.divide(target, basis.scale, out=columns[:, -1])
        for layout, own in zip(layouts, effects, strict=True):
            for term in layout.terms if own.start < fixed.start else ():
                z = matrices.random[term.index].z[piece]
                np.matmul(z, basis.random[term.index], out=columns[:, own][:, term.columns])
        if matrices.weights is not None:
            columns *= np.sqrt(matrices.weights[piece])[:, None]
        codes = [_codes(matrices, layout)[piece] for layout in layouts]
        yield WorkingRows(columns, effects, fixed, codes)


def _places(
    matrices: ModelMatrices, layouts: tuple[FactorLayout, ...], basis: WorkingBasis
) -> Places:
    """Columns of each factor's effects and of [X y]; effects that are columns of X have none."""
    shared = [_shares_columns(matrices, layout, basis) for layout in layouts]
    widths = [
        layout.k if layout.terms and not same else 0
        for layout, same in zip(layouts, shared, strict=True)
    ]
    ends = np.cumsum(widths).tolist()
    fixed = slice(ends[-1], ends[-1] + matrices.p + 1)
    return tuple(
        slice(fixed.start, fixed.start + layout.k) if same else slice(end - width, end)
        for layout, same, width, end in zip(layouts, shared, widths, ends, strict=True)
    ), fixed


def _codes(matrices: ModelMatrices, layout: FactorLayout) -> CodeArray:
    """Level of every row; nothing for a factor without levels."""
    if not layout.terms:
        return np.zeros(0, dtype=np.int32)
    return matrices.random[layout.terms[0].index].codes


def _shares_columns(matrices: ModelMatrices, layout: FactorLayout, basis: WorkingBasis) -> bool:
    """Whether a factor's effects are the first columns of X, in the working basis too."""
    if len(layout.terms) != 1:
        return False
    index, k = layout.terms[0].index, layout.k
    first = leads(matrices.random[index].z, matrices.X)
    return first and np.array_equal(basis.random[index], basis.fixed[:k, :k])


def sums_by_level(
    z: FloatArray, codes: CodeArray, columns: FloatArray, n_levels: int
) -> FloatArray:
    """Sum of z[:, a] * columns[:, c] within levels, shape (k, n_columns, J)."""
    sums = np.empty((z.shape[1], columns.shape[1], n_levels))
    for a, own in enumerate(_sums_by_level(z, codes, columns, n_levels)):
        sums[a] = own.T
    return sums


def _sums_by_level(
    z: FloatArray, codes: CodeArray, columns: FloatArray, n_levels: int
) -> Iterator[FloatArray]:
    """Yield, for each column of z, its products with ``columns`` within levels, (J, n_columns)."""
    n = len(codes)
    pointer = np.arange(n + 1, dtype=np.int32)
    for a in range(z.shape[1]):
        selector = csc_array((z[:, a], codes, pointer), shape=(n_levels, n))
        yield np.asarray(selector @ columns)


def _pair_sums(
    rows: WorkingRows, right: WorkingRows, f: int, g: int, layouts: tuple[FactorLayout, ...]
) -> PairBlocks:
    """Sum of products within pairs of levels, for the pairs that occur."""
    n_left, n_right = layouts[f].n_levels, layouts[g].n_levels
    key = rows.codes[f].astype(np.int64) * n_right + rows.codes[g]
    if n_left * n_right <= DENSE_PAIRS_PER_ROW * len(key):
        present = np.bincount(key, minlength=n_left * n_right)
        unique = np.nonzero(present)[0]
        number = np.zeros(n_left * n_right, dtype=np.int64)
        number[unique] = np.arange(len(unique))
        group = number[key]
    else:
        unique, group = np.unique(key, return_inverse=True)
    values = np.empty((layouts[f].k, layouts[g].k, len(unique)))
    for a in range(layouts[f].k):
        for b in range(layouts[g].k):
            product = rows.z[f][:, a] * right.z[g][:, b]
            values[a, b] = np.bincount(group, product, len(unique))
    levels = ((unique // n_right).astype(np.int32), (unique % n_right).astype(np.int32))
    return PairBlocks(*levels, values)


def no_pairs(left: FactorLayout, right: FactorLayout) -> PairBlocks:
    """Two factors without a pair of levels in common."""
    none = np.zeros(0, dtype=np.int32)
    return PairBlocks(none, none, np.zeros((left.k, right.k, 0)))
