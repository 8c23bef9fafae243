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

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, singledispatch

import numpy as np

from lmmformula._arrays import CodeArray, FloatArray, IntArray
from lmmformula.engine.alternative import AnySystem
from lmmformula.engine.evaluation import Evaluation
from lmmformula.engine.kernels import block_product
from lmmformula.engine.kriging import NewPlaces, kriged, new_places
from lmmformula.engine.objective import Objective
from lmmformula.engine.sparse.rows import row_variances
from lmmformula.engine.system import BlockedSystem
from lmmformula.engine.tail_rows import TailRows
from lmmformula.matrices import RandomBlock

__all__ = [
    "ErrorForms",
    "JointCovariance",
    "TargetRows",
    "error_forms",
    "joint_covariance",
    "target_rows",
]


@dataclass(frozen=True, slots=True, eq=False)
class TargetRows:
    """Rows to be predicted, in the working basis.

    Attributes
    ----------
    X : ndarray, shape (n, p)
    effects : tuple of (ndarray (n, k), ndarray (n,)) or None
        Columns and level codes for every grouping factor, elimination order; -1 is a level that
        was not fitted. None where a factor takes no part.
    extra : tuple of ndarray (m, J + m), or None
        For every factor with related levels: rows of L for m levels beyond the J fitted ones,
        which have the codes J, J + 1, and so on.
    places : tuple of NewPlaces
        Rows at times or places where no effect was fitted; their columns are zeros here.
    """

    X: FloatArray
    effects: tuple[tuple[FloatArray, CodeArray] | None, ...]
    extra: tuple[FloatArray | None, ...]
    places: tuple[NewPlaces, ...] = ()


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
        Random effects of levels or at places that were not fitted, or the part of them that the
        fitted ones do not tell.
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
    system: AnySystem,
    X: FloatArray,
    random: Mapping[int, RandomBlock],
    places: Mapping[int, FloatArray | None] | None = None,
) -> TargetRows:
    """Carry rows into the working basis.

    Parameters
    ----------
    system : BlockedSystem or AlternativeSystem
    X : ndarray, shape (n, p)
        Fixed-effects columns as the user has them.
    random : mapping of int to RandomBlock
        Terms that take part, by their position in the model; all or none of a grouping factor's.
        Related levels may be more than the fitted ones, which come first.
    places : mapping of int to ndarray (n, d) or None, optional
        Coordinates of the rows, for terms over times or places; without them a row of zeros means
        that the row has no such effect.
    """
    effects: list[tuple[FloatArray, CodeArray] | None] = []
    extra: list[FloatArray | None] = []
    for factor in system.factors:
        members = [term.index for term in factor.terms if term.index in random]
        L = random[members[0]].relationship if members else None
        extra.append(None if L is None or len(L) == factor.n_levels else L[factor.n_levels :])
        if not members:
            effects.append(None)
            continue
        columns = [random[index].z @ system.basis.random[index] for index in members]
        z = columns[0] if len(columns) == 1 else np.hstack(columns)
        effects.append((z, random[members[0]].codes))
    moved = new_places(system, random, places or {})
    return TargetRows(X @ system.basis.fixed, tuple(effects), tuple(extra), moved)


@singledispatch
def error_forms(system: AnySystem, theta: FloatArray, reml: bool, rows: TargetRows) -> ErrorForms:
    """Variances of the errors of rows, in units of sigma^2; NaN in a row with missing values.

    Parameters
    ----------
    system : BlockedSystem or KrylovSystem
        The system that was fitted.
    theta : ndarray, shape (n_theta,)
    reml : bool
    rows : TargetRows
    """
    assert isinstance(system, BlockedSystem)
    return joint_covariance(system, theta, reml).forms(rows)


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
        n, tail = len(rows.X), self._tail_rows(rows)
        random, new, gaps = np.zeros(n), np.zeros(n), rows.X.copy()
        known: list[tuple[FloatArray, IntArray] | None] = []
        for f, part in enumerate(rows.effects):
            if part is None:
                known.append(None)
                continue
            z, codes = part
            seen = codes >= 0
            own = self._own_variance(f, codes, rows.extra[f])
            if rows.places:
                z, apart = kriged(rows.places, f, z, self._Lambda(f))
                new += apart * self._level_variance(f, codes, rows.extra[f])
            if own.any():
                new += own * np.sum((z @ self._Lambda(f)) ** 2, axis=1)
                z, codes = np.where(seen[:, None], z, 0.0), np.where(seen, codes, 0)
            carried = self._carried if f == 0 or tail is None else tail.carried(f - 1)
            for a in range(z.shape[1]):
                gaps -= z[:, a, None] * carried[a, codes]
            known.append((z, codes.astype(np.int64)))
        if tail is not None and self.system.tail.kind == "sparse":
            random += row_variances(self.evaluation, known, n)
            if known[0] is not None:
                random += _row_forms(self.evaluation.N, *known[0])
        else:
            if known[0] is not None:
                random += _row_forms(self._first_blocks, *known[0])
            if tail is not None:
                random += self._tail_forms(tail, known, n)
        fixed = np.einsum("ip,pq,iq->i", gaps, self.evaluation.Phi, gaps, optimize=True)
        return ErrorForms(random, fixed, new, gaps)

    def _Lambda(self, factor: int) -> FloatArray:
        tail = self.evaluation.tail
        return self.evaluation.Lambda if factor == 0 or tail is None else tail.Lambdas[factor - 1]

    def _own_variance(self, factor: int, codes: CodeArray, extra: FloatArray | None) -> FloatArray:
        """Variance of each row's level given the fitted ones' effects, in units of Sigma.

        An unknown level among related ones stands for an unrelated one with a variance like theirs.
        """
        layout = self.system.factors[factor]
        L, J, unknown = layout.relationship, layout.n_levels, 1.0
        if L is not None:
            unknown = float(np.sum(L**2)) / J
        own = np.where(codes < 0, unknown, 0.0)
        if extra is not None:
            beyond = codes >= J
            own[beyond] = np.sum(extra[:, J:] ** 2, axis=1)[codes[beyond] - J]
        return own

    def _level_variance(
        self, factor: int, codes: CodeArray, extra: FloatArray | None
    ) -> FloatArray:
        """Variance of each row's level over the population, in units of Sigma."""
        L = self.system.factors[factor].relationship
        if L is None:
            return np.ones(len(codes))
        members = L if extra is None else np.vstack([np.pad(L, ((0, 0), (0, len(extra)))), extra])
        variances = np.append(np.sum(members**2, axis=1), np.sum(L**2) / len(L))
        return variances[codes]

    @cached_property
    def _fitted_tail(self) -> TailRows:
        return TailRows(self.evaluation, self.system.relations)

    def _tail_rows(self, rows: TargetRows) -> TailRows | None:
        """The tail as these rows need it."""
        if self.evaluation.tail is None:
            return None
        relations, extra = self.system.relations, rows.extra[1:]
        if relations is None or all(more is None for more in extra):
            return self._fitted_tail
        factors = self.system.tail.factors
        known = [
            None if more is None else more[:, : factor.n_levels]
            for more, factor in zip(extra, factors, strict=True)
        ]
        return TailRows(self.evaluation, relations.extended(known))

    @cached_property
    def _carried(self) -> FloatArray:
        """B of the first factor, (k, J, p): the modes that each column of X would have."""
        evaluation, p = self.evaluation, self.system.p
        columns = self.system.first_xy[:, :p]
        if evaluation.tail is not None:
            columns = columns - self.system.cross.times(evaluation.N_xy[:, :p])
        first = block_product(evaluation.N, columns)
        return np.ascontiguousarray(first.transpose(0, 2, 1))

    @cached_property
    def _first_blocks(self) -> FloatArray:
        """Blocks of the first factor's levels, (k, k, J)."""
        N, tail = self.evaluation.N, self.evaluation.tail
        if tail is None:
            return N
        coupled = self.system.cross.adjoint(tail.flat_N)
        return N + block_product(block_product(N, coupled), N)

    def _tail_forms(
        self, tail: TailRows, known: list[tuple[FloatArray, IntArray] | None], n: int
    ) -> FloatArray:
        """What the tail adds: its own blocks, and twice those with the first factor."""
        total = np.zeros(n)
        for f, left in enumerate(known[1:]):
            if left is None:
                continue
            for g in range(f, len(known) - 1):
                right = known[g + 1]
                if right is not None:
                    total += (1.0 if f == g else 2.0) * _pair_forms(tail, f, left, g, right)
            if known[0] is not None:
                total -= 2.0 * self._mixed_forms(tail, known[0], f, left)
        return total

    def _mixed_forms(
        self,
        tail: TailRows,
        first: tuple[FloatArray, IntArray],
        f: int,
        right: tuple[FloatArray, IntArray],
    ) -> FloatArray:
        """Return z_1' N_1 C N_tail z_f, with C N_tail taken a few columns at a time."""
        (z, codes), (other, levels) = first, right
        weighted = np.einsum("ia,abi->ib", z, self.evaluation.N[:, :, codes])
        column = tail.column(f, levels)
        together = tail.first_component[codes] == tail.component[column]
        slots = [tail.slots(column + b) for b in range(other.shape[1])]
        total = np.zeros(len(z))
        for start, block in tail.coupled():
            for b, slot in enumerate(slots):
                rows = np.flatnonzero(together & (slot >= start) & (slot < start + block.shape[1]))
                for a in range(z.shape[1]):
                    values = block[a, slot[rows] - start, codes[rows]]
                    total[rows] += weighted[rows, a] * values * other[rows, b]
        return total


def _pair_forms(
    tail: TailRows,
    f: int,
    left: tuple[FloatArray, IntArray],
    g: int,
    right: tuple[FloatArray, IntArray],
) -> FloatArray:
    """Return z_f' N z_g between two factors of the tail (or one with itself)."""
    (z, codes), (other, levels) = left, right
    row, column = tail.column(f, codes), tail.column(g, levels)
    total, apart = np.zeros(len(z)), tail.component[row] != tail.component[column]
    for a in range(z.shape[1]):
        for b in range(other.shape[1]):
            safe = np.where(apart, row, column + b)  # any address of the same component
            total += z[:, a] * other[:, b] * tail.entries(row + a, safe)
    return np.where(apart, 0.0, total)


def _row_forms(blocks: FloatArray, z: FloatArray, codes: IntArray) -> FloatArray:
    """Return z' B z with the block B of each row's level; blocks (k, k, J), symmetric."""
    total = np.zeros(len(z))
    for a in range(z.shape[1]):
        total += z[:, a] ** 2 * blocks[a, a, codes]
        for b in range(a):
            total += 2.0 * z[:, a] * z[:, b] * blocks[a, b, codes]
    return total
