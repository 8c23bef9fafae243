"""The blocked system: cross-products arranged for elimination. Free of theta and of row arrays."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import chain

import numpy as np

from lmmformula._arrays import CodeArray, FloatArray, IntArray
from lmmformula.engine.basis import WorkingBasis, centred, learn_basis
from lmmformula.engine.block_layout import blocks_held, tail_layout
from lmmformula.engine.cross import Cross, cross_blocks
from lmmformula.engine.crossproducts import (
    CrossProducts,
    PairBlocks,
    no_pairs,
    response_products,
)
from lmmformula.engine.layout import FactorLayout, TailLayout, TermLayout, factor_layouts
from lmmformula.engine.moments import dense_moments, moment_matrix, restricted_moments
from lmmformula.engine.relationship import Relations
from lmmformula.engine.residuals.model import ResidualModel
from lmmformula.engine.summation import DataSums, check_residual, sum_products
from lmmformula.engine.threads import limited_threads
from lmmformula.errors import DesignError, DimensionError
from lmmformula.matrices import ModelMatrices

__all__ = ["BlockedSystem", "arranged", "assemble", "rearranged", "replace_response", "tail_sums"]

MEMORY_LIMIT = 16e9
"""Bytes that the blocks of a tail may take."""


@dataclass(frozen=True, eq=False)
class BlockedSystem:
    """Cross-products of [Z X y], with the factor to be eliminated first set apart.

    Built once by ``assemble``; every evaluation at a theta reads it and changes nothing. All arrays
    are in the working basis.

    Attributes
    ----------
    first : FactorLayout
        The factor that is eliminated first.
    tail : TailLayout
        The other factors.
    basis : WorkingBasis
    gram : ndarray, shape (k, k, J)
        Z'WZ of the first factor.
    first_xy : ndarray, shape (k, p + 1, J)
        Z'W[X y] of the first factor.
    cross : Cross
        Z'WZ between the first factor and the tail.
    tail_gram : ndarray, flat storage of ``tail``
    tail_xy : ndarray, shape (q_tail, p + 1)
    xy : ndarray, shape (p + 1, p + 1)
    n_obs : int
    log_weights : float
        Sum of the log prior weights.
    moments : tuple of ndarray, shape (T + 1, T + 1)
        Traces from which starting values are found, for ML and for REML (module ``moments``).
    residual : ResidualModel or None
        Rows and covariance of structured residuals; the sums here are then those at the
        parameters asked for last.
    pairs : dict
        Sums for pairs of factors, kept where residuals are structured.
    """

    first: FactorLayout
    tail: TailLayout
    basis: WorkingBasis
    gram: FloatArray
    first_xy: FloatArray
    cross: Cross
    tail_gram: FloatArray
    tail_xy: FloatArray
    xy: FloatArray
    n_obs: int
    log_weights: float
    moments: tuple[FloatArray, ...]
    residual: ResidualModel | None = None
    pairs: dict[tuple[int, int], PairBlocks] = field(default_factory=dict)

    @cached_property
    def factors(self) -> tuple[FactorLayout, ...]:
        """All grouping factors in elimination order."""
        return (self.first, *self.tail.factors)

    @cached_property
    def terms(self) -> tuple[TermLayout, ...]:
        """Random-effects terms in the model's order."""
        terms = (term for factor in self.factors for term in factor.terms)
        return tuple(sorted(terms, key=lambda term: term.index))

    @cached_property
    def relations(self) -> Relations | None:
        """What relates the tail's levels; its arrays are for independent sources of the effects."""
        return Relations.of(self.tail)

    @cached_property
    def entry_order(self) -> IntArray | None:
        """Covariance entries in the model's order of terms, as positions in elimination order.

        None where the two orders are the same.
        """
        return self.order_of([len(term.structure.multiplicity) for term in self.terms])

    def order_of(self, sizes: list[int]) -> IntArray | None:
        """Quantities by term in the model's order, as positions in elimination order.

        Parameters
        ----------
        sizes : list of int
            Number of quantities of each term, model order.
        """
        position, start = {}, 0
        for factor in self.factors:
            for term in factor.terms:
                position[term.index] = np.arange(start, start + sizes[term.index])
                start += sizes[term.index]
        if not position:
            return None
        order = np.concatenate([position[index] for index in range(len(position))])
        return None if bool(np.all(np.diff(order) == 1)) else order

    @property
    def p(self) -> int:
        """Number of fixed effects."""
        return self.xy.shape[0] - 1

    @property
    def q(self) -> int:
        """Number of random effects."""
        return sum(factor.n_columns for factor in self.factors)

    @property
    def n_theta(self) -> int:
        """Number of covariance parameters, sigma apart."""
        own = sum(term.structure.n_theta for term in self.terms)
        return own + (self.residual.covariance.n_phi if self.residual is not None else 0)

    @property
    def hessian_is_cheap(self) -> bool:
        """Whether the exact Hessian costs little beside an evaluation."""
        return self.tail.traces_are_cheap

    def __repr__(self) -> str:
        return (
            f"BlockedSystem(n_obs={self.n_obs}, p={self.p}, q={self.q}, "
            f"first={self.first.group!r}, tail={self.tail.kind!r})"
        )


def assemble(chunks: Iterable[ModelMatrices]) -> BlockedSystem:
    """Sum cross-products over chunks of rows and arrange them for elimination.

    Parameters
    ----------
    chunks : iterable of ModelMatrices
        Pieces of one design: the same columns, terms and levels in each. Structured residuals
        need all rows in one piece.

    Returns
    -------
    BlockedSystem

    Raises
    ------
    DesignError
        No rows, a response that X reproduces exactly, or crossed factors whose dense block
        would not fit in memory.
    NumericalError
        The sums of squares overflow.

    Notes
    -----
    Cost: one pass over the rows, O(n k (k + p)); nothing later touches them again.
    """
    pieces = iter(chunks)
    first = next(pieces, None)
    if first is not None and first.n_obs and first.residual is not None:
        with limited_threads():
            return _structured(first, factor_layouts(first), learn_basis(first))
    return arranged(sum_products(pieces if first is None else chain([first], pieces)))


def arranged(sums: DataSums, tail: TailLayout | None = None) -> BlockedSystem:
    """Arrange sums over rows for elimination.

    Parameters
    ----------
    sums : DataSums
        Not modified.
    tail : TailLayout, optional
        How the factors after the first are stored (``method.layout_for``); by default as dense
        blocks of coupled levels.

    Raises
    ------
    DesignError
        A response that X reproduces exactly, or crossed factors whose dense block would not fit in
        memory.
    """
    with limited_threads():
        return _arranged(sums.total, sums.layouts, sums.basis, tail)


def replace_response(
    system: BlockedSystem, matrices: ModelMatrices, y: FloatArray
) -> BlockedSystem:
    """The same design with another response; only products with y are computed again.

    Parameters
    ----------
    system : BlockedSystem
        Assembled from ``matrices``; not modified.
    matrices : ModelMatrices
        The rows.
    y : ndarray, shape (n,)
        New response (an offset is taken off as in the original fit).

    Raises
    ------
    DimensionError
        ``y`` does not have one value for each row.
    DesignError
        X reproduces ``y`` exactly.
    """
    if y.shape != matrices.y.shape:
        raise DimensionError(
            "the new response does not have one value for each row of the fit.",
            got=f"shape {y.shape}, rows used {matrices.n_obs}",
            suggestion="pass the rows that were used, in their order",
        )
    with limited_threads():
        basis = centred(system.basis, matrices, y)
        if system.residual is not None:
            return _structured(replace(matrices, y=y), system.factors, basis, system)
        columns, corner = response_products(matrices, system.factors, basis, y)
    first_xy = system.first_xy.copy()
    first_xy[:, -1] = columns[0]
    tail_xy = system.tail_xy
    if system.tail.factors:
        tail_xy = tail_xy.copy()
        column = np.concatenate([part.T.ravel() for part in columns[1:]])[:, None]
        if system.relations is not None:
            column = system.relations.backward(column)
        tail_xy[:, -1] = column[:, 0]
    xy = system.xy.copy()
    xy[-1] = xy[:, -1] = corner
    check_residual(xy, system.n_obs)
    return replace(system, basis=basis, first_xy=first_xy, tail_xy=tail_xy, xy=xy)


def rearranged(system: BlockedSystem, total: CrossProducts) -> BlockedSystem:
    """The same layout with other sums."""
    cross = system.cross
    if system.tail.factors and system.first.terms:
        pairs = [total.pairs[0, g] for g in range(1, len(system.factors))]
        cross = cross_blocks(system.first, system.tail, pairs)
    tail_gram, tail_xy = tail_sums(total, system.tail)
    return replace(
        system,
        gram=total.gram[0],
        first_xy=total.fixed[0],
        cross=cross,
        tail_gram=tail_gram,
        tail_xy=tail_xy,
        xy=total.xy,
        log_weights=total.log_weights,
        pairs=total.pairs,
    )


def _structured(
    matrices: ModelMatrices,
    layouts: tuple[FactorLayout, ...],
    basis: WorkingBasis,
    like: BlockedSystem | None = None,
) -> BlockedSystem:
    """A system whose residuals have parameters, arranged at their starting values.

    Starting values of the random effects are those of independent residuals.
    """
    covariance = like.residual.covariance if like is not None and like.residual else None
    residual = ResidualModel(matrices, layouts, basis, covariance)
    at = residual.whitened(residual.covariance.start())
    assert at is not None
    total = residual.products(at)
    if like is None:
        system = _arranged(total, layouts, basis)
    else:
        check_residual(total.xy, total.n_obs)
        system = rearranged(like, total)
    return replace(system, basis=basis, residual=residual, pairs=total.pairs)


def _arranged(
    total: CrossProducts,
    layouts: tuple[FactorLayout, ...],
    basis: WorkingBasis,
    tail: TailLayout | None = None,
) -> BlockedSystem:
    """Put the sums where the elimination wants them."""
    check_residual(total.xy, total.n_obs)
    first, rest = layouts[0], layouts[1:]
    none = no_pairs
    pairs = [total.pairs.get((0, g), none(first, right)) for g, right in enumerate(rest, 1)]
    tail = tail_layout(rest, pairs, first.n_levels) if tail is None else tail
    if tail.kind != "sparse":
        _check_memory(tail, layouts)
    cross = cross_blocks(first, tail, pairs)
    tail_gram, tail_xy = tail_sums(total, tail)
    system = BlockedSystem(
        first=first,
        tail=tail,
        basis=basis,
        gram=total.gram[0],
        first_xy=total.fixed[0],
        cross=cross,
        tail_gram=tail_gram,
        tail_xy=tail_xy,
        xy=total.xy,
        n_obs=total.n_obs,
        log_weights=total.log_weights,
        moments=(),
    )
    related = system.relations is not None
    full = dense_moments(system) if related else moment_matrix(total, layouts)
    return replace(system, moments=(full, restricted_moments(system, full)))


def _check_memory(tail: TailLayout, layouts: tuple[FactorLayout, ...]) -> None:
    """Raise where the tail's blocks would not fit, with the copies that a fit makes of them."""
    needed = 8.0 * blocks_held(layouts[0].k) * tail.storage
    if needed > MEMORY_LIMIT:
        related = [layout.group for layout in layouts if layout.relationship is not None]
        cause, remedy = "cross so widely", "drop a crossed term, or group by a coarser factor"
        if related:
            cause, remedy = "have so many related levels", "fewer members, or groups of them"
        sizes = ", ".join(f"{layout.group}: {layout.n_columns}" for layout in layouts)
        raise DesignError(
            f"the grouping factors {cause} that their dense blocks would not fit in memory.",
            got=f"columns {sizes}; {1e-9 * needed:.1f} GB (limit {1e-9 * MEMORY_LIMIT:.0f} GB)",
            suggestion=remedy,
        )


def tail_sums(total: CrossProducts, tail: TailLayout) -> tuple[FloatArray, FloatArray]:
    """Z'WZ of the tail in its flat storage, and Z'W[X y], (q_tail, p + 1)."""
    width = total.xy.shape[0]
    rows = [part.transpose(2, 0, 1).reshape(-1, width) for part in total.fixed[1:]]
    gram, xy = _tail_gram(total, tail), np.concatenate([np.zeros((0, width)), *rows])
    relations = Relations.of(tail)
    if relations is None:
        return gram, xy
    return relations.inward(gram), relations.backward(xy)


def _tail_gram(total: CrossProducts, tail: TailLayout) -> FloatArray:
    """Z'WZ of the tail in its flat storage."""
    flat = np.zeros(tail.storage)

    def column(factor: int, level: CodeArray, effect: int) -> IntArray:
        columns: IntArray = level.astype(np.int64) * tail.factors[factor].k
        return columns + (tail.starts[factor] + effect)

    for f, layout in enumerate(tail.factors):
        levels = np.arange(layout.n_levels, dtype=np.int32)
        for a in range(layout.k):
            for b in range(layout.k):
                where = tail.address(column(f, levels, a), column(f, levels, b))
                flat[where] = total.gram[f + 1][a, b]
        for g in range(f + 1, len(tail.factors)):
            block = total.pairs[f + 1, g + 1]
            for a in range(layout.k):
                for b in range(tail.factors[g].k):
                    left, right = column(f, block.left, a), column(g, block.right, b)
                    flat[tail.address(left, right)] = block.values[a, b]
                    flat[tail.address(right, left)] = block.values[a, b]
    return flat
