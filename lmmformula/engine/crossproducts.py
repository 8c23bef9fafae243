"""One pass over the rows: cross-products of [Z X y] in the working basis, additive over chunks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from scipy.sparse import csc_array

from lmmformula._arrays import CodeArray, FloatArray, IntArray
from lmmformula.engine.basis import WorkingBasis
from lmmformula.engine.layout import FactorLayout
from lmmformula.errors import NumericalError
from lmmformula.matrices import ModelMatrices

__all__ = [
    "CrossProducts",
    "PairBlocks",
    "WorkingRows",
    "accumulate",
    "no_pairs",
    "response_products",
    "sums_by_level",
    "sums_of",
    "working_rows",
]

ROWS_PER_BLOCK = 1 << 17
DENSE_PAIRS_PER_ROW = 4


@dataclass(frozen=True, slots=True, eq=False)
class PairBlocks:
    """Cross-product of two factors, kept for the pairs of levels that occur together.

    Attributes
    ----------
    left, right : ndarray, shape (n_pairs,)
        Levels of the two factors, sorted by ``left``, then ``right``.
    values : ndarray, shape (k_left, k_right, n_pairs)
    """

    left: IntArray
    right: IntArray
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
    """A block of rows in the working basis: effects of each factor, codes, and [X y]."""

    z: list[FloatArray]
    codes: list[CodeArray]
    xy: FloatArray


def accumulate(
    total: CrossProducts,
    matrices: ModelMatrices,
    layouts: tuple[FactorLayout, ...],
    basis: WorkingBasis,
) -> None:
    """Add one chunk's rows to the sums."""
    found: dict[tuple[int, int], list[PairBlocks]] = {
        key: [block] for key, block in total.pairs.items()
    }
    for rows in _blocks(matrices, layouts, basis):
        total.xy += rows.xy.T @ rows.xy
        for f, layout in enumerate(layouts):
            if not layout.terms:
                continue
            shared = rows.z[f].base is rows.xy
            joined = rows.xy if shared else np.hstack([rows.z[f], rows.xy])
            sums = sums_by_level(rows.z[f], rows.codes[f], joined, layout.n_levels)
            total.gram[f] += sums[:, : layout.k]
            total.fixed[f] += sums if shared else sums[:, layout.k :]
            for g in range(f + 1, len(layouts)):
                block = _pair_sums(rows, rows, f, g, layouts)
                found.setdefault((f, g), []).append(block)
    total.pairs = {key: _merged(blocks) for key, blocks in found.items()}
    total.n_obs += matrices.n_obs
    if matrices.weights is not None:
        total.log_weights += float(np.sum(np.log(matrices.weights)))
    if not np.isfinite(total.xy).all():
        raise NumericalError(
            "the cross-products of the data overflow.",
            got="sums of squares beyond 1.8e308",
            suggestion="rescale the columns with the largest values",
        )


def working_rows(
    matrices: ModelMatrices, layouts: tuple[FactorLayout, ...], basis: WorkingBasis
) -> WorkingRows:
    """All rows at once, weighted and in the working basis."""
    pieces = list(_blocks(matrices, layouts, basis))
    if len(pieces) == 1:
        return pieces[0]
    factors = range(len(layouts))
    return WorkingRows(
        [np.concatenate([piece.z[f] for piece in pieces]) for f in factors],
        [np.concatenate([piece.codes[f] for piece in pieces]) for f in factors],
        np.concatenate([piece.xy for piece in pieces]),
    )


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
        joined = np.hstack([right.z[f], right.xy])
        sums = sums_by_level(left.z[f], left.codes[f], joined, layout.n_levels)
        gram.append(np.ascontiguousarray(sums[:, : layout.k]))
        fixed.append(np.ascontiguousarray(sums[:, layout.k :]))
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
) -> Iterator[WorkingRows]:
    """Yield the rows in pieces that stay in cache, weighted and in the working basis."""
    response = matrices.y if y is None else y
    for start in range(0, matrices.n_obs, ROWS_PER_BLOCK):
        piece = slice(start, start + ROWS_PER_BLOCK)
        X = matrices.X[piece]
        xy = np.empty((len(X), matrices.p + 1))
        np.matmul(X, basis.fixed, out=xy[:, :-1])
        target = response[piece] - X @ basis.beta
        if matrices.offset is not None:
            target = target - matrices.offset[piece]
        xy[:, -1] = target / basis.scale
        root = None
        if matrices.weights is not None:
            root = np.sqrt(matrices.weights[piece])[:, None]
            xy *= root
        z = [_effects(matrices, layout, basis, piece, root, xy) for layout in layouts]
        codes = [_codes(matrices, layout)[piece] for layout in layouts]
        yield WorkingRows(z, codes, xy)


def _codes(matrices: ModelMatrices, layout: FactorLayout) -> CodeArray:
    """Level of every row; nothing for a factor without levels."""
    if not layout.terms:
        return np.zeros(0, dtype=np.int32)
    return matrices.random[layout.terms[0].index].codes


def _effects(
    matrices: ModelMatrices,
    layout: FactorLayout,
    basis: WorkingBasis,
    piece: slice,
    root: FloatArray | None,
    xy: FloatArray,
) -> FloatArray:
    """Effects of one factor, (n, k); a view of ``xy`` where they are the fixed effects' columns."""
    if not layout.terms:
        return xy[:, :0]
    blocks = [matrices.random[term.index] for term in layout.terms]
    bases = [basis.random[term.index] for term in layout.terms]
    if len(blocks) == 1 and blocks[0].z is matrices.X and np.array_equal(bases[0], basis.fixed):
        return xy[:, :-1]
    columns = [block.z[piece] @ transform for block, transform in zip(blocks, bases, strict=True)]
    effects = columns[0] if len(columns) == 1 else np.hstack(columns)
    return effects if root is None else effects * root


def sums_by_level(
    z: FloatArray, codes: CodeArray, columns: FloatArray, n_levels: int
) -> FloatArray:
    """Sum of z[:, a] * columns[:, c] within levels, shape (k, n_columns, J)."""
    n, k = z.shape
    pointer = np.arange(n + 1, dtype=np.int32)
    sums = np.empty((k, columns.shape[1], n_levels))
    for a in range(k):
        selector = csc_array((z[:, a], codes, pointer), shape=(n_levels, n))
        sums[a] = np.asarray(selector @ columns).T
    return sums


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
    return PairBlocks(unique // n_right, unique % n_right, values)


def no_pairs(left: FactorLayout, right: FactorLayout) -> PairBlocks:
    """Two factors without a pair of levels in common."""
    none = np.zeros(0, dtype=np.int64)
    return PairBlocks(none, none, np.zeros((left.k, right.k, 0)))


def _merged(blocks: list[PairBlocks]) -> PairBlocks:
    """Sum of several pair blocks of the same two factors."""
    if len(blocks) == 1:
        return blocks[0]
    left = np.concatenate([block.left for block in blocks])
    right = np.concatenate([block.right for block in blocks])
    values = np.concatenate([block.values for block in blocks], axis=2)
    order = np.lexsort((right, left))
    left, right = left[order], right[order]
    starts = np.concatenate([[True], (np.diff(left) != 0) | (np.diff(right) != 0)])
    summed = np.add.reduceat(values[:, :, order], np.nonzero(starts)[0], axis=2)
    return PairBlocks(left[starts], right[starts], summed)
