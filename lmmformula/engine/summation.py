"""All that the data contribute to a model: sums over rows, made in one pass over any pieces.

Sums of the same layout and basis can be added, so pieces may come from one table, from a file that
does not fit in memory or from several machines. Nothing later needs the rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from lmmformula._arrays import FloatArray, IntArray
from lmmformula._memory import available_memory
from lmmformula.engine.basis import EXACT_FIT, WorkingBasis, learn_basis, solved
from lmmformula.engine.crossproducts import CrossProducts, PairBlocks, RunningSums
from lmmformula.engine.layout import FactorLayout, factor_layouts
from lmmformula.engine.pair_sums import PairSums
from lmmformula.engine.threads import limited_threads
from lmmformula.errors import DesignError
from lmmformula.matrices import ModelMatrices

__all__ = [
    "DataSums",
    "check_residual",
    "combined",
    "only_levels",
    "rebased",
    "sum_products",
    "without_columns",
]


COPIES = 2.0
"""Sets of sums that are held at once, when they are arranged by factor."""
SMALL = 1e8
"""Bytes that there always are."""


@dataclass(frozen=True, slots=True, eq=False)
class DataSums:
    """Cross-products of [Z X y] over all rows.

    Attributes
    ----------
    layouts : tuple of FactorLayout
        Grouping factors, the one to be eliminated first at the front.
    basis : WorkingBasis
        Columns in which the sums are.
    total : CrossProducts
    """

    layouts: tuple[FactorLayout, ...]
    basis: WorkingBasis
    total: CrossProducts

    def __repr__(self) -> str:
        sizes = ", ".join(f"{layout.group}: {layout.n_levels}" for layout in self.layouts)
        return f"DataSums(n_obs={self.total.n_obs}, levels={{{sizes}}})"


def sum_products(
    chunks: Iterable[ModelMatrices],
    basis: WorkingBasis | None = None,
    layouts: tuple[FactorLayout, ...] | None = None,
) -> DataSums:
    """Sum cross-products over chunks of rows.

    Parameters
    ----------
    chunks : iterable of ModelMatrices
        Pieces of one design: the same columns, terms and levels in each.
    basis : WorkingBasis, optional
        Columns to work in, for sums that are to be added to others; by default learned from the
        first chunk.
    layouts : tuple of FactorLayout, optional
        As they are in the sums to which these will be added.

    Returns
    -------
    DataSums

    Raises
    ------
    DesignError
        No rows, or so many levels that their sums would not fit in memory.
    NumericalError
        The sums of squares overflow.

    Notes
    -----
    Cost: one pass over the rows, O(n k (k + p)); memory of the size of the result and a block of
    rows.
    """
    running: RunningSums | None = None
    pairs: dict[tuple[int, int], PairSums] = {}
    with limited_threads():
        for matrices in chunks:
            if not matrices.n_obs:
                continue
            if running is None:
                layouts = factor_layouts(matrices) if layouts is None else layouts
                basis = learn_basis(matrices) if basis is None else basis
                _check_room(layouts, matrices.p)
                running = RunningSums.zero(layouts, basis, matrices)
            assert layouts is not None
            assert basis is not None
            for key, block in running.add(matrices, layouts, basis):
                pairs.setdefault(key, PairSums(layouts[key[1]].n_levels)).add(block)
    if running is None or layouts is None or basis is None:
        raise DesignError("there are no rows to fit.", suggestion="check `subset`")
    total = running.total({key: part.total() for key, part in pairs.items()})
    return DataSums(layouts, basis, total)


def _check_room(layouts: tuple[FactorLayout, ...], p: int) -> None:
    """Refuse sums that would not fit in memory, before they are begun."""
    needed = 8.0 * COPIES * sum(f.n_columns * (f.k + p + 1) for f in layouts)
    available = available_memory() if needed > SMALL else None
    if available is None or needed <= available:
        return
    sizes = ", ".join(f"{f.group}: {f.n_levels} levels of {f.k} effects" for f in layouts)
    raise DesignError(
        "the sums over the levels of the grouping factors would not fit in memory.",
        got=f"{sizes}; {p} fixed effects; about {1e-9 * needed:.2f} GB needed, "
        f"{1e-9 * available:.2f} GB available",
        suggestion="fewer random effects for each level, a coarser grouping factor, or a Dask "
        'DataFrame with `fit(method="partitioned")`',
        needed=needed,
        available=available,
    )


def combined(parts: Sequence[DataSums]) -> DataSums:
    """Add sums of one layout and basis; in any order and grouping, up to rounding.

    Parameters
    ----------
    parts : sequence of DataSums
        At least one; not modified.
    """
    first = parts[0]
    if len(parts) == 1:
        return first
    totals = [part.total for part in parts]
    pairs: dict[tuple[int, int], PairSums] = {}
    for total in totals:
        for key, block in total.pairs.items():
            pairs.setdefault(key, PairSums(first.layouts[key[1]].n_levels)).add(block)
    total = CrossProducts(
        gram=[_summed(values) for values in zip(*(t.gram for t in totals), strict=True)],
        fixed=[_summed(values) for values in zip(*(t.fixed for t in totals), strict=True)],
        xy=_summed([t.xy for t in totals]),
        pairs={key: running.total() for key, running in pairs.items()},
        n_obs=sum(t.n_obs for t in totals),
        log_weights=sum(t.log_weights for t in totals),
    )
    return replace(first, total=total)


def _summed(values: Sequence[FloatArray]) -> FloatArray:
    result = values[0].copy()
    for more in values[1:]:
        result += more
    return result


def only_levels(sums: DataSums, kept: Mapping[str, IntArray]) -> DataSums:
    """Leave out levels without rows.

    Parameters
    ----------
    sums : DataSums
        Not modified.
    kept : mapping of str to ndarray of int
        For grouping factors with fewer levels than were allowed for: positions that stay, sorted.
    """
    if not kept:
        return sums
    layouts, gram, fixed, renumber = [], [], [], []
    for f, layout in enumerate(sums.layouts):
        positions = kept.get(layout.group)
        if positions is None:
            positions = np.arange(layout.n_levels)
        number = np.full(layout.n_levels, -1, dtype=np.int32)
        number[positions] = np.arange(len(positions), dtype=np.int32)
        renumber.append(number)
        layouts.append(replace(layout, n_levels=len(positions)))
        gram.append(np.ascontiguousarray(sums.total.gram[f][:, :, positions]))
        fixed.append(np.ascontiguousarray(sums.total.fixed[f][:, :, positions]))
    pairs = {
        (f, g): PairBlocks(renumber[f][block.left], renumber[g][block.right], block.values)
        for (f, g), block in sums.total.pairs.items()
    }
    return replace(
        sums,
        layouts=tuple(layouts),
        total=replace(sums.total, gram=gram, fixed=fixed, pairs=pairs),
    )


def without_columns(
    sums: DataSums, kept: Sequence[int], dropped: Sequence[int], coefficients: FloatArray
) -> DataSums:
    """Leave out columns of X that the others determine.

    Parameters
    ----------
    sums : DataSums
        Not modified.
    kept, dropped : sequence of int
        Positions in X.
    coefficients : ndarray, shape (n_kept, n_dropped)
        ``X[:, dropped] = X[:, kept] @ coefficients``.
    """
    if not len(dropped):
        return sums
    basis = sums.basis
    back = np.linalg.inv(basis.fixed)  # the user's columns from the working ones
    chosen = back[:, list(kept)]
    beta = basis.beta[list(kept)] + coefficients @ basis.beta[list(dropped)]
    gram = chosen.T @ sums.total.xy[:-1, :-1] @ chosen
    fixed = _orthonormal(gram / sums.total.n_obs)
    return _turned(sums, chosen @ fixed, replace(basis, fixed=fixed, beta=beta))


def rebased(sums: DataSums) -> DataSums:
    """The same sums in columns of X that are orthonormal over all rows, and residuals of y.

    The basis is learned from the first rows, which need not be like the others.
    """
    total, basis = sums.total, sums.basis
    p = len(total.xy) - 1
    turn = _orthonormal(total.xy[:p, :p] / total.n_obs)
    return _centred(_turned(sums, turn, replace(basis, fixed=basis.fixed @ turn)))


def _orthonormal(gram: FloatArray) -> FloatArray:
    """Upper-triangular T such that T' gram T is the identity."""
    try:
        return np.ascontiguousarray(np.linalg.inv(np.linalg.cholesky(gram)).T)
    except np.linalg.LinAlgError:
        size = np.sqrt(np.diag(gram))
        return np.diag(1.0 / np.where(size > 0.0, size, 1.0))


def _turned(sums: DataSums, turn: FloatArray, basis: WorkingBasis) -> DataSums:
    """Sums with the columns of X replaced by X times ``turn``."""
    p, width = turn.shape
    whole = np.zeros((p + 1, width + 1))
    whole[:p, :width], whole[p, width] = turn, 1.0
    return replace(sums, basis=basis, total=_in_columns(sums.total, whole))


def _centred(sums: DataSums) -> DataSums:
    """Sums with the response replaced by its residuals."""
    basis, xy = sums.basis, sums.total.xy
    p = len(xy) - 1
    own = solved(xy[:p, :p], xy[:p, p])
    whole = np.eye(p + 1)
    whole[:p, p] = -own
    beta = basis.beta + basis.scale * (basis.fixed @ own)
    return replace(sums, basis=replace(basis, beta=beta), total=_in_columns(sums.total, whole))


def _in_columns(total: CrossProducts, whole: FloatArray) -> CrossProducts:
    """Sums with [X y] replaced by [X y] times ``whole``."""
    return replace(
        total,
        xy=whole.T @ total.xy @ whole,
        fixed=[
            np.matmul(part.transpose(0, 2, 1), whole).transpose(0, 2, 1) for part in total.fixed
        ],
    )


def check_residual(xy: FloatArray, n_obs: int) -> None:
    """Raise where X reproduces the response exactly."""
    p = len(xy) - 1
    explained = xy[:p, p] @ solved(xy[:p, :p], xy[:p, p])
    if not xy[p, p] - explained > n_obs * EXACT_FIT**2:
        raise DesignError(
            "the fixed effects reproduce the response exactly, so no residual variance is left to "
            "estimate.",
            got="a residual sum of squares of zero, up to rounding",
            suggestion="check that the response is not among the predictors, nor rounded to a "
            "function of them",
        )
