r"""The criterion's derivative in the residuals' parameters, from derivatives of cross-products.

With N the covariance of the random effects given the data over :math:`\sigma^2` (zero mean
effects), W the columns that X becomes after the random effects, and w the residual as a
combination of [Z X y],

.. math:: \dot f = (\log|R|)^{\cdot} + \mathrm{tr}(N\dot M_{ZZ})
          + \mathrm{tr}(\Phi\,W'\dot MW) + \frac{\nu}{s} w'\dot Mw

(third term: REML only). Nothing else moves: fixed and random effects are at their optimum.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from lmmformula._arrays import FloatArray
from lmmformula.engine.crossproducts import CrossProducts
from lmmformula.engine.evaluation import Evaluation
from lmmformula.engine.kernels import block_product
from lmmformula.engine.system import BlockedSystem, rearranged

__all__ = ["moved_forms", "residual_slope"]


class _Columns:
    """Combinations of [Z X y]: first factor (k, c, J), tail (q_tail, c), [X y] (p + 1, c)."""

    def __init__(self, first: FloatArray, tail: FloatArray, fixed: FloatArray) -> None:
        self.first, self.tail, self.fixed = first, tail, fixed

    def quadratic(self, moved: BlockedSystem) -> FloatArray:
        """Forms of the cross-products ``moved``, (c, c)."""
        F, G = self.first, self.fixed
        c = F.shape[1]
        flat = F.transpose(1, 0, 2).reshape(c, F.shape[0] * F.shape[2])

        def against_first(blocks: FloatArray) -> FloatArray:
            return np.asarray(flat @ blocks.transpose(0, 2, 1).reshape(flat.shape[1], c))

        result = against_first(block_product(moved.gram, F)) + G.T @ moved.xy @ G
        mixed = against_first(np.matmul(G.T, moved.first_xy))
        if moved.tail.factors:
            T, tail = self.tail, moved.tail
            result += T.T @ tail.times(moved.tail_gram, T)
            mixed += against_first(moved.cross.times(T)) + T.T @ moved.tail_xy @ G
        return result + mixed + mixed.T


def _residual_columns(evaluation: Evaluation) -> _Columns:
    """X beta + Z b - y."""
    tail = evaluation.tail_modes[:, None] if evaluation.tail is not None else np.zeros((0, 1))
    return _Columns(evaluation.first_modes[:, None], tail, evaluation.gamma[:, None])


def _fixed_columns(evaluation: Evaluation) -> _Columns:
    """X less what the random effects take over from it."""
    system, p = evaluation.system, evaluation.system.p
    columns, tail = system.first_xy[:, :p], np.zeros((0, p))
    if evaluation.tail is not None:
        tail = evaluation.N_xy[:, :p]
        columns = columns - system.cross.times(tail)
    return _Columns(-block_product(evaluation.N, columns), -tail, np.eye(p + 1)[:, :p])


def _trace(evaluation: Evaluation, moved: BlockedSystem, products: CrossProducts) -> float:
    """tr(N dM_ZZ)."""
    N, system = evaluation.N, evaluation.system
    if evaluation.tail is None:
        return float(np.sum(N * moved.gram))
    coupled = system.cross.adjoint(evaluation.tail.flat_N)
    first = N + block_product(block_product(N, coupled), N)
    total = float(np.sum(first * moved.gram))
    total += system.tail.inner(evaluation.tail.flat_N, moved.tail_gram)
    if not system.first.terms:
        return total
    ahead, behind = (_shifted(evaluation, moved, products, sign) for sign in (1.0, -1.0))
    crossing = ahead.cross.adjoint(evaluation.tail.flat_N)
    crossing = crossing - behind.cross.adjoint(evaluation.tail.flat_N)
    return total - 0.5 * float(np.sum(N * crossing))


def _shifted(
    evaluation: Evaluation, moved: BlockedSystem, products: CrossProducts, sign: float
) -> BlockedSystem:
    """The crossing of the first factor with the tail, moved; it enters as a square."""
    pairs = {
        key: replace(block, values=evaluation.system.pairs[key].values + sign * block.values)
        for key, block in products.pairs.items()
    }
    return rearranged(evaluation.system, replace(products, pairs=pairs))


def residual_slope(evaluation: Evaluation, products: CrossProducts) -> float:
    """df/drho for the derivative ``products`` of the cross-products in one parameter."""
    moved = rearranged(evaluation.system, products)
    slope = -products.log_weights + _trace(evaluation, moved, products)
    if evaluation.reml and evaluation.system.p:
        turned = _fixed_columns(evaluation).quadratic(moved)
        slope += float(np.sum(evaluation.Phi * turned))
    own = _residual_columns(evaluation).quadratic(moved)
    return slope + evaluation.precision * float(own[0, 0])


def moved_forms(evaluation: Evaluation, products: CrossProducts) -> tuple[float, FloatArray]:
    """-ds/drho and -d(X'H^-1X)/drho, (p, p), as r'H_i r and X'H^-1 H_i H^-1 X of covariances."""
    moved = rearranged(evaluation.system, products)
    own = _residual_columns(evaluation).quadratic(moved)
    return -float(own[0, 0]), -_fixed_columns(evaluation).quadratic(moved)
