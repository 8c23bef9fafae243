r"""What one partition contributes to the criterion and its derivatives.

With :math:`F_f = Z_f'H^{-1}[X\ y]` for a grouping factor, :math:`Z_f'r` and
:math:`Z_f'H^{-1}X` are columns of F times what is known only once all partitions have been added:
the fixed effects and the inverse of :math:`X'H^{-1}X`. So a partition sums the products of the
columns of F themselves, and their products with :math:`Z'H^{-1}Z`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from lmmformula._arrays import FloatArray, IntArray
from lmmformula.engine.evaluation import Evaluation
from lmmformula.engine.hessian import in_model_order, traces
from lmmformula.engine.system import BlockedSystem
from lmmformula.engine.threads import limited_threads

__all__ = ["EvaluateAt", "LocalEvaluation", "LocalTerms", "Partition"]


@dataclass(frozen=True, slots=True, eq=False)
class Partition:
    """Sums of one partition, arranged for elimination.

    Attributes
    ----------
    system : BlockedSystem or None
        Over the levels that occur here; None where the partition has no rows.
    levels : dict of str to ndarray of int
        By grouping factor, the positions of these levels among all levels.
    """

    system: BlockedSystem | None
    levels: dict[str, IntArray]


@dataclass(frozen=True, slots=True, eq=False)
class LocalTerms:
    """Sums from which the criterion and its first and second derivatives follow.

    Terms and directions are in the model's order, T the number of directions.

    Attributes
    ----------
    logdet_H : float
        log |H|.
    S : ndarray, shape (p + 1, p + 1)
        [X y]'H^-1[X y].
    tensors : tuple of ndarray, shape (k, p + 1, k, p + 1)
        For each term the sum over levels of F (x) F.
    traces : tuple of ndarray, shape (k, k)
        For each term the sum over levels of the diagonal blocks of Z'H^-1Z.
    products : ndarray, shape (T, p + 1, T, p + 1)
        (D_i F_r)'Z'H^-1Z (D_j F_s) for directions i, j and columns r, s.
    pairs : ndarray, shape (T, T)
        tr(H^-1 H_i H^-1 H_j).
    """

    logdet_H: float
    S: FloatArray
    tensors: tuple[FloatArray, ...]
    traces: tuple[FloatArray, ...]
    products: FloatArray
    pairs: FloatArray

    def __add__(self, other: LocalTerms) -> LocalTerms:
        return LocalTerms(
            self.logdet_H + other.logdet_H,
            self.S + other.S,
            tuple(a + b for a, b in zip(self.tensors, other.tensors, strict=True)),
            tuple(a + b for a, b in zip(self.traces, other.traces, strict=True)),
            self.products + other.products,
            self.pairs + other.pairs,
        )

    @classmethod
    def zero(cls, sizes: list[int], n_directions: int, p: int, logdet: float = 0.0) -> LocalTerms:
        """What a partition without rows contributes, for terms of ``sizes`` effects."""
        width = p + 1
        return cls(
            logdet,
            np.zeros((width, width)),
            tuple(np.zeros((k, width, k, width)) for k in sizes),
            tuple(np.zeros((k, k)) for k in sizes),
            np.zeros((n_directions, width, n_directions, width)),
            np.zeros((n_directions, n_directions)),
        )


class LocalEvaluation(Evaluation):
    """The elimination of a partition's effects, with the columns of [X y] kept apart.

    Parameters
    ----------
    system : BlockedSystem
        Of the partition.
    factors, directions
        As for ``Evaluation``.
    """

    def __init__(
        self,
        system: BlockedSystem,
        factors: list[FloatArray],
        directions: list[FloatArray] | None = None,
    ) -> None:
        super().__init__(system, factors, False, directions)

    def _finish(self) -> None:
        """Fixed effects are for all partitions together; traces here are those of H^-1."""
        p = self.system.p
        self.Phi = np.zeros((p, p))
        self.value = self.logdet_H

    @cached_property
    def _inner(self) -> FloatArray:
        """First factor's rows against [X y] after the tail, (k, p + 1, J)."""
        if self.tail is None:
            return self.system.first_xy
        return np.asarray(self.system.first_xy - self.system.cross.times(self.N_xy))

    @cached_property
    def _tail_F(self) -> FloatArray:
        """Z'H^-1[X y] of the tail, (q_tail, p + 1)."""
        assert self.tail is not None
        return np.asarray(self.tail_xy - self.tail.A_times(self.N_xy))

    @cached_property
    def columns(self) -> list[FloatArray]:
        """Z'H^-1[X y] of every factor, (k, p + 1, J), elimination order."""
        first = [self._F]
        if self.tail is None:
            return first
        tail = range(len(self.system.tail.factors))
        return first + [self.of_factor(self._tail_F, f).transpose(1, 2, 0) for f in tail]

    def terms(self) -> LocalTerms:
        """All that is added over partitions."""
        if not np.isfinite(self.logdet_H):
            sizes = [term.structure.k for term in self.system.terms]
            return LocalTerms.zero(sizes, sum(map(len, self.directions)), self.system.p, np.nan)
        return LocalTerms(
            logdet_H=self.logdet_H,
            S=self.S,
            tensors=self._tensors(),
            traces=tuple(self.trace_blocks),
            products=self._products(),
            pairs=in_model_order(self, traces(self)),
        )

    def modes(self, gamma: FloatArray) -> list[FloatArray]:
        """Conditional modes of every factor, (J, k), in the working basis.

        Parameters
        ----------
        gamma : ndarray, shape (p + 1,)
            (beta, -1).
        """
        first = -np.einsum("abj,brj,r->ja", self.N, self._inner, gamma, optimize=True)
        if self.tail is None:
            return [first]
        tail = -(self.N_xy @ gamma)
        return [first, *(self.of_factor(tail, f) for f in range(len(self.system.tail.factors)))]

    def _tensors(self) -> tuple[FloatArray, ...]:
        found = {}
        for factor, F in zip(self.system.factors, self.columns, strict=True):
            k, width, n = F.shape
            flat = F.reshape(k * width, n)
            square = (flat @ flat.T).reshape(k, width, k, width)
            for term in factor.terms:
                found[term.index] = square[term.columns, :, term.columns]
        return tuple(found[index] for index in range(len(found)))

    def _products(self) -> FloatArray:
        width = self.system.p + 1
        moved = [
            np.einsum("tab,brj->atrj", directions, F).reshape(F.shape[0], -1, F.shape[2])
            for directions, F in zip(self.directions, self.columns, strict=True)
        ]
        tail = None
        if self.tail is not None:
            tail = self.system.tail.side_by_side([part.transpose(2, 0, 1) for part in moved[1:]])
        products, _ = self.quadratic(moved[0], tail)
        n = len(products) // width
        products = products.reshape(n, width, n, width)
        order = self.direction_order
        return products if order is None else products[order][:, :, order]


@dataclass(frozen=True, slots=True, eq=False)
class EvaluateAt:
    """What a partition contributes at given covariance factors; picklable.

    Attributes
    ----------
    factors : list of ndarray, shape (k, k)
        Relative covariance factor of every term.
    directions : list of ndarray, shape (t, k, k)
        Directions of every term's covariance.
    p : int
        Fixed effects.
    """

    factors: list[FloatArray]
    directions: list[FloatArray]
    p: int

    def __call__(self, partition: Partition) -> LocalTerms:
        """Sums of one partition."""
        if partition.system is None:
            sizes = [len(factor) for factor in self.factors]
            return LocalTerms.zero(sizes, sum(map(len, self.directions)), self.p)
        with limited_threads():
            return LocalEvaluation(partition.system, self.factors, self.directions).terms()
