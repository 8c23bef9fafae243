r"""Joint uncertainty of fixed and random effects, row by row, in cross-product space.

For a row with fixed-effects columns x and random-effects columns z, the error of the predictor
:math:`x'\hat\beta + z'\hat b` of :math:`x'\beta + z'b` has variance :math:`\sigma^2` times

.. math:: z'\Lambda M^{-1}\Lambda' z + a'\Phi a, \qquad
          a = x - B'z, \quad B = \Lambda M^{-1}\Lambda' Z'WX, \quad \Phi = (X'H^{-1}X)^{-1}

with :math:`M = \Lambda'Z'WZ\Lambda + I` (Henderson's mixed model equations, written so that
singular factors need no care). In a row of the data this number times the weight is the diagonal
of the hat matrix, so leverage and prediction errors are one computation. A row meets one level of
each factor: its cost does not depend on the number of levels.

References
----------
Henderson (1975), Biometrics 31, 423-447.
McLean, Sanders and Stroup (1991), The American Statistician 45, 54-64.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from lmmformula._arrays import CodeArray, FloatArray, IntArray
from lmmformula.engine.evaluation import Evaluation
from lmmformula.engine.kernels import block_product
from lmmformula.engine.objective import Objective
from lmmformula.engine.system import BlockedSystem
from lmmformula.matrices import RandomBlock

__all__ = [
    "ErrorForms",
    "JointCovariance",
    "TargetRows",
    "joint_covariance",
    "target_rows",
]

CHUNK_ELEMENTS = 8_000_000


@dataclass(frozen=True, slots=True, eq=False)
class TargetRows:
    """Rows to be predicted, in the working basis.

    Attributes
    ----------
    X : ndarray, shape (n, p)
    effects : tuple of (ndarray (n, k), ndarray (n,)) or None
        Columns and level codes for every grouping factor, elimination order; -1 is a level that
        was not fitted. None where a factor takes no part.
    """

    X: FloatArray
    effects: tuple[tuple[FloatArray, CodeArray] | None, ...]


@dataclass(frozen=True, slots=True, eq=False)
class ErrorForms:
    """Variances of prediction errors in units of sigma^2, by source; all of shape (n,).

    Attributes
    ----------
    random : ndarray
        Random effects of fitted levels, given the fixed effects.
    fixed : ndarray
        Fixed effects, with what the random effects take over from them.
    new : ndarray
        Random effects of levels that were not fitted.
    gaps : ndarray, shape (n, p)
        The vectors a, working basis.
    """

    random: FloatArray
    fixed: FloatArray
    new: FloatArray
    gaps: FloatArray

    @property
    def total(self) -> FloatArray:
        """The sum of the three."""
        return self.random + self.fixed + self.new


def target_rows(
    system: BlockedSystem, X: FloatArray, random: Mapping[int, RandomBlock]
) -> TargetRows:
    """Carry rows into the working basis.

    Parameters
    ----------
    system : BlockedSystem
    X : ndarray, shape (n, p)
        Fixed-effects columns as the user has them.
    random : mapping of int to RandomBlock
        Terms that take part, by their position in the model; all or none of a grouping factor's.
    """
    effects: list[tuple[FloatArray, CodeArray] | None] = []
    for factor in system.factors:
        members = [term.index for term in factor.terms if term.index in random]
        if not members:
            effects.append(None)
            continue
        columns = [random[index].z @ system.basis.random[index] for index in members]
        z = columns[0] if len(columns) == 1 else np.hstack(columns)
        effects.append((z, random[members[0]].codes))
    return TargetRows(X @ system.basis.fixed, tuple(effects))


def joint_covariance(system: BlockedSystem, theta: FloatArray, reml: bool) -> JointCovariance:
    """Joint covariance at a fit.

    Parameters
    ----------
    system : BlockedSystem
        The system that was fitted.
    theta : ndarray, shape (n_theta,)
        Its relative covariance parameters.
    reml : bool
        Criterion of the fit.
    """
    objective = Objective(system, reml)
    return JointCovariance(objective.evaluate(objective.phi_from_theta(theta)).evaluation)


class JointCovariance:
    """Covariance of the errors of fixed and random effects, in units of sigma^2.

    Parameters
    ----------
    evaluation : Evaluation
        The criterion at the parameters wanted.
    """

    def __init__(self, evaluation: Evaluation) -> None:
        self.evaluation = evaluation
        self.system = evaluation.system

    def forms(self, rows: TargetRows) -> ErrorForms:
        """Variances of the errors of rows; NaN in a row with missing values."""
        n = len(rows.X)
        random, new, gaps = np.zeros(n), np.zeros(n), rows.X.copy()
        known: list[tuple[FloatArray, IntArray] | None] = []
        for f, part in enumerate(rows.effects):
            if part is None:
                known.append(None)
                continue
            z, codes = part
            seen = codes >= 0
            if not seen.all():
                new += np.where(seen, 0.0, np.sum((z @ self._Lambda(f)) ** 2, axis=1))
                z, codes = np.where(seen[:, None], z, 0.0), np.where(seen, codes, 0)
            for a in range(z.shape[1]):
                gaps -= z[:, a, None] * self._carried(f)[a, codes]
            known.append((z, codes.astype(np.int64)))
        if known[0] is not None:
            random += _row_forms(self._first_blocks, *known[0])
        if self.evaluation.tail is not None:
            random += self._tail_forms(known, n)
        fixed = np.einsum("ip,pq,iq->i", gaps, self.evaluation.Phi, gaps, optimize=True)
        return ErrorForms(random, fixed, new, gaps)

    def _Lambda(self, factor: int) -> FloatArray:
        tail = self.evaluation.tail
        return self.evaluation.Lambda if factor == 0 or tail is None else tail.Lambdas[factor - 1]

    def _carried(self, factor: int) -> FloatArray:
        """B of one factor, (k, J, p): the modes that each column of X would have as response."""
        return self._all_carried[factor]

    @cached_property
    def _all_carried(self) -> list[FloatArray]:
        evaluation, p = self.evaluation, self.system.p
        columns = self.system.first_xy[:, :p]
        if evaluation.tail is not None:
            columns = columns - self.system.cross.times(evaluation.N_xy[:, :p])
        first = block_product(evaluation.N, columns)
        carried = [np.ascontiguousarray(first.transpose(0, 2, 1))]
        if evaluation.tail is not None:
            for f in range(len(self.system.tail.factors)):
                part = evaluation.of_factor(evaluation.N_xy[:, :p], f)
                carried.append(np.ascontiguousarray(part.transpose(1, 0, 2)))
        return carried

    @cached_property
    def _first_blocks(self) -> FloatArray:
        """Blocks of the first factor's levels, (k, k, J)."""
        N, tail = self.evaluation.N, self.evaluation.tail
        if tail is None:
            return N
        coupled = self.system.cross.adjoint(tail.flat_N)
        return N + block_product(block_product(N, coupled), N)

    def _tail_forms(self, known: list[tuple[FloatArray, IntArray] | None], n: int) -> FloatArray:
        """What the tail adds: its own blocks, and twice those with the first factor."""
        total = np.zeros(n)
        for f, left in enumerate(known[1:]):
            if left is None:
                continue
            for g in range(f, len(known) - 1):
                right = known[g + 1]
                if right is not None:
                    total += (1.0 if f == g else 2.0) * self._pair_forms(f, left, g, right)
            if known[0] is not None:
                total -= 2.0 * self._mixed_forms(known[0], f, left)
        return total

    def _pair_forms(
        self, f: int, left: tuple[FloatArray, IntArray], g: int, right: tuple[FloatArray, IntArray]
    ) -> FloatArray:
        """Return z_f' N z_g between two factors of the tail (or one with itself)."""
        layout, tail = self.system.tail, self.evaluation.tail
        assert tail is not None
        (z, codes), (other, levels) = left, right
        row = layout.starts[f] + codes * z.shape[1]
        column = layout.starts[g] + levels * other.shape[1]
        total, apart = np.zeros(len(z)), self._component[row] != self._component[column]
        for a in range(z.shape[1]):
            for b in range(other.shape[1]):
                safe = np.where(apart, row, column + b)  # any address of the same component
                values = tail.flat_N[layout.address(row + a, safe)]
                total += z[:, a] * other[:, b] * values
        return np.where(apart, 0.0, total)

    def _mixed_forms(
        self, first: tuple[FloatArray, IntArray], f: int, right: tuple[FloatArray, IntArray]
    ) -> FloatArray:
        """Return z_1' N_1 C N_tail z_f, with C N_tail taken a few columns at a time."""
        layout = self.system.tail
        (z, codes), (other, levels) = first, right
        weighted = np.einsum("ia,abi->ib", z, self.evaluation.N[:, :, codes])
        column = layout.starts[f] + levels * other.shape[1]
        together = self._first_component[codes] == self._component[column]
        slots = [layout.slot_of[column + b] for b in range(other.shape[1])]
        total = np.zeros(len(z))
        for start, block in self._coupled():
            for b, slot in enumerate(slots):
                rows = np.flatnonzero(together & (slot >= start) & (slot < start + block.shape[1]))
                for a in range(z.shape[1]):
                    values = block[a, slot[rows] - start, codes[rows]]
                    total[rows] += weighted[rows, a] * values * other[rows, b]
        return total

    @cached_property
    def _component(self) -> IntArray:
        """Number of the independent component that holds each tail column."""
        layout = self.system.tail
        starts = np.cumsum([0, *(len(bucket.columns) for bucket in layout.buckets)])
        return starts[layout.bucket_of] + layout.row_of

    @cached_property
    def _first_component(self) -> IntArray:
        """Component that each level of the first factor touches.

        C_j D C_j' with D the component's number on the diagonal is that number times the sum of
        squares of C_j; a level without any coupling belongs anywhere.
        """
        layout, cross = self.system.tail, self.system.cross
        if layout.is_single:
            return np.zeros(self.system.first.n_levels, dtype=np.int64)
        columns = np.arange(layout.n_columns)
        diagonal = layout.address(columns, columns)
        sums = []
        for values in (np.ones(layout.n_columns), self._component.astype(np.float64)):
            flat = np.zeros(layout.storage)
            flat[diagonal] = values
            sums.append(np.einsum("aaj->j", cross.adjoint(flat)))
        size, number = sums
        return np.rint(number / np.where(size > 0.0, size, 1.0)).astype(np.int64)

    @cached_property
    def _packed(self) -> FloatArray:
        """N of the tail as (q_tail, m): the entries of a column by slot in its component."""
        layout, tail = self.system.tail, self.evaluation.tail
        assert tail is not None
        if layout.is_single:
            return tail.N[0][0]
        width = max(bucket.columns.shape[1] for bucket in layout.buckets)
        packed = np.zeros((layout.n_columns + 1, width))
        for bucket, block in zip(layout.buckets, tail.N, strict=True):
            packed[bucket.columns, : block.shape[1]] = block
        return packed[:-1]

    def _coupled(self) -> Iterator[tuple[int, FloatArray]]:
        """C N_tail in pieces: first slot, (k, slots, J). A single piece is kept."""
        if self._whole is not None:
            yield 0, self._whole
            return
        step = max(1, CHUNK_ELEMENTS // self.system.first.n_columns)
        for start in range(0, self._packed.shape[1], step):
            piece = np.ascontiguousarray(self._packed[:, start : start + step])
            yield start, self.system.cross.times(piece)

    @cached_property
    def _whole(self) -> FloatArray | None:
        if self.system.first.n_columns * self._packed.shape[1] > CHUNK_ELEMENTS:
            return None
        return self.system.cross.times(self._packed)


def _row_forms(blocks: FloatArray, z: FloatArray, codes: IntArray) -> FloatArray:
    """Return z' B z with the block B of each row's level; blocks (k, k, J), symmetric."""
    total = np.zeros(len(z))
    for a in range(z.shape[1]):
        total += z[:, a] ** 2 * blocks[a, a, codes]
        for b in range(a):
            total += 2.0 * z[:, a] * z[:, b] * blocks[a, b, codes]
    return total
