"""Cross-products of many replicates of one design, side by side.

A bootstrap replicate has another response, or other levels, but never another layout: what differs
is a vector of length q + p + 1, or the blocks of some levels. Arrays carry one more axis for the
replicates, before the levels: (k, c, R, J). An axis of length one there is shared by all.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.sparse import csr_array

from lmmformula._arrays import FloatArray, IntArray
from lmmformula.engine.block_layout import BlockTailLayout
from lmmformula.engine.system import BlockedSystem
from lmmformula.matrices import ModelMatrices

__all__ = ["ReplicateStack", "RowProducts", "design_blocks", "level_products", "resampled_stack"]


@dataclass(frozen=True, slots=True, eq=False)
class ReplicateStack:
    """Cross-products of R replicates, in the working basis of ``system``.

    "Border" means the columns [T X]: the tail's columns of Z, then the fixed effects.

    Attributes
    ----------
    system : BlockedSystem
        Layout and basis.
    gram : ndarray, shape (k, k, 1 or R, J)
        Z1'WZ1 of the factor that is eliminated first.
    fixed : ndarray, shape (k, c, 1 or R, J)
        Z1'W[T X], c = q_tail + p.
    y : ndarray, shape (k, R, J)
        Z1'Wy.
    border : ndarray, shape (1 or R, c, c)
        [T X]'W[T X].
    border_y : ndarray, shape (R, c)
        [T X]'Wy.
    yy : ndarray, shape (R,)
        y'Wy.
    n_obs, log_weights : ndarray, shape (R,)
        Rows, and sum of their log prior weights.
    """

    system: BlockedSystem
    gram: FloatArray
    fixed: FloatArray
    y: FloatArray
    border: FloatArray
    border_y: FloatArray
    yy: FloatArray
    n_obs: FloatArray
    log_weights: FloatArray

    def __len__(self) -> int:
        return len(self.yy)

    @classmethod
    def with_responses(
        cls, system: BlockedSystem, y: FloatArray, border_y: FloatArray, yy: FloatArray
    ) -> ReplicateStack:
        """Replicates that share the design of ``system``."""
        n_replicates = len(yy)
        fixed, border = design_blocks(system)
        return cls(
            system=system,
            gram=system.gram[:, :, None, :],
            fixed=fixed[:, :, None, :],
            y=y,
            border=border[None],
            border_y=border_y,
            yy=yy,
            n_obs=np.full(n_replicates, float(system.n_obs)),
            log_weights=np.full(n_replicates, system.log_weights),
        )

    def take(self, index: IntArray) -> ReplicateStack:
        """Some of the replicates."""
        shared = self.gram.shape[2] == 1
        return ReplicateStack(
            system=self.system,
            gram=self.gram if shared else self.gram[:, :, index],
            fixed=self.fixed if self.fixed.shape[2] == 1 else self.fixed[:, :, index],
            y=self.y[:, index],
            border=self.border if len(self.border) == 1 else self.border[index],
            border_y=self.border_y[index],
            yy=self.yy[index],
            n_obs=self.n_obs[index],
            log_weights=self.log_weights[index],
        )

    def single(self, index: int) -> BlockedSystem:
        """One replicate as a system of its own, for the ordinary optimizer."""
        one, base = self.take(np.array([index])), self.system
        q = base.tail.n_columns
        first_xy = np.concatenate([one.fixed[:, q:, 0], one.y], axis=1)
        xy = np.empty_like(base.xy)
        xy[:-1, :-1] = one.border[0, q:, q:]
        xy[-1, :-1] = xy[:-1, -1] = one.border_y[0, q:]
        xy[-1, -1] = one.yy[0]
        tail_xy = base.tail_xy.copy()
        tail_xy[:, -1] = one.border_y[0, :q]
        return replace(
            base,
            first=replace(base.first, n_levels=one.y.shape[2]),
            gram=np.ascontiguousarray(one.gram[:, :, 0]),
            first_xy=first_xy,
            tail_xy=tail_xy,
            xy=xy,
            n_obs=round(float(one.n_obs[0])),
            log_weights=float(one.log_weights[0]),
        )


def design_blocks(system: BlockedSystem) -> tuple[FloatArray, FloatArray]:
    """Z1'W[T X], (k, c, J), and [T X]'W[T X], (c, c)."""
    p, q = system.p, system.tail.n_columns
    X = system.first_xy[:, :p]
    if not q:
        return X, system.xy[:p, :p]
    cross = system.cross.times(np.eye(q))
    border = np.empty((q + p, q + p))
    border[:q, :q] = _dense_tail_gram(system)
    border[:q, q:] = system.tail_xy[:, :p]
    border[q:, :q] = border[:q, q:].T
    border[q:, q:] = system.xy[:p, :p]
    return np.concatenate([cross, X], axis=1), border


def _dense_tail_gram(system: BlockedSystem) -> FloatArray:
    """Z'WZ of the tail, (q_tail, q_tail)."""
    q = system.tail.n_columns
    gram, layout = np.zeros((q + 1, q + 1)), system.tail
    assert isinstance(layout, BlockTailLayout)  # others take no part in lockstep
    blocks = layout.blocks(system.tail_gram)
    for bucket, block in zip(layout.buckets, blocks, strict=True):
        for columns, values in zip(bucket.columns, block, strict=True):
            gram[np.ix_(columns, columns)] = values
    return gram[:q, :q]


class RowProducts:
    """Cross-products of many responses with one design; prepared once, used block by block.

    Parameters
    ----------
    system : BlockedSystem
    matrices : ModelMatrices
        The rows that it was assembled from.
    """

    def __init__(self, system: BlockedSystem, matrices: ModelMatrices) -> None:
        self.system = system
        basis, n = system.basis, matrices.n_obs
        weights = matrices.weights
        self.root = None if weights is None else np.sqrt(weights)
        shift = matrices.X @ basis.beta
        self.shift = shift if matrices.offset is None else shift + matrices.offset
        self.X = self._weighted(matrices.X @ basis.fixed)
        self.selectors: list[csr_array] = []
        pointer = np.arange(n + 1)
        for factor in system.factors:
            blocks = [matrices.random[term.index] for term in factor.terms]
            z = np.hstack(
                [
                    block.z @ basis.random[term.index]
                    for block, term in zip(blocks, factor.terms, strict=True)
                ]
            )
            z = self._weighted(z)
            index = blocks[0].codes[:, None].astype(np.int64) * factor.k + np.arange(factor.k)
            entries = (z.ravel(), index.ravel(), pointer * factor.k)
            rows = csr_array(entries, shape=(n, factor.n_columns))
            self.selectors.append(csr_array(rows.T))

    def _weighted(self, columns: FloatArray) -> FloatArray:
        return columns if self.root is None else columns * self.root[:, None]

    def stack(self, responses: FloatArray) -> ReplicateStack:
        """Replicates with the columns of ``responses`` (n, R), before the offset is taken off."""
        system = self.system
        y = self._weighted((responses - self.shift[:, None]) / system.basis.scale)
        first = system.first
        sums = np.asarray(self.selectors[0] @ y)
        Z1y = sums.reshape(first.n_levels, first.k, -1).transpose(1, 2, 0)
        border_y = [np.asarray(selector @ y) for selector in self.selectors[1:]]
        if system.relations is not None:
            border_y = [system.relations.backward(np.concatenate(border_y))]
        border_y.append(self.X.T @ y)
        return ReplicateStack.with_responses(
            system,
            np.ascontiguousarray(Z1y),
            np.ascontiguousarray(np.concatenate(border_y).T),
            np.einsum("ir,ir->r", y, y),
        )


def level_products(
    products: RowProducts, matrices: ModelMatrices
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """[X y]'W[X y], (J, p + 1, p + 1), rows and log weights, (J,), of every level.

    For designs with one grouping factor, whose levels are resampled as a whole.
    """
    system = products.system
    y = products._weighted(((matrices.y - products.shift) / system.basis.scale)[:, None])
    xy = np.hstack([products.X, y])
    codes, J = matrices.random[0].codes, system.first.n_levels
    selector = csr_array(
        (np.ones(len(codes)), codes, np.arange(len(codes) + 1)), shape=(len(codes), J)
    ).T
    m = xy.shape[1]
    sums = np.empty((J, m, m))
    for a in range(m):
        sums[:, a] = np.asarray(selector @ (xy[:, [a]] * xy), dtype=np.float64)
    log_weights = np.zeros(J)
    if matrices.weights is not None:
        log_weights += np.bincount(codes, np.log(matrices.weights), J)
    return sums, np.bincount(codes, minlength=J).astype(np.float64), log_weights


def resampled_stack(
    system: BlockedSystem,
    products: tuple[FloatArray, FloatArray, FloatArray],
    levels: IntArray,
) -> ReplicateStack:
    """Replicates made of resampled levels of the only grouping factor.

    Parameters
    ----------
    system : BlockedSystem
        One grouping factor.
    products : tuple
        From ``level_products``.
    levels : ndarray of int, shape (R, J')
        Levels of each replicate; one may occur several times, each time as a new level.
    """
    sums, counts, log_weights = products
    p = system.p
    n_replicates, J = len(levels), system.first.n_levels
    times = np.zeros((n_replicates, J))
    np.add.at(times, (np.arange(n_replicates)[:, None], levels), 1.0)
    xy = (times @ sums.reshape(J, -1)).reshape(n_replicates, p + 1, p + 1)
    first_xy = system.first_xy[:, :, levels]
    return ReplicateStack(
        system=system,
        gram=system.gram[:, :, levels],
        fixed=first_xy[:, :p],
        y=np.ascontiguousarray(first_xy[:, p]),
        border=xy[:, :p, :p],
        border_y=xy[:, :p, p],
        yy=xy[:, p, p],
        n_obs=times @ counts,
        log_weights=times @ log_weights,
    )
