r"""What the exact engine knows of one point, from solves with conjugate gradients.

Everything about the response and the fixed effects is exact up to the solver's tolerance: S, beta,
modes, C and the working products of the average information. Random probes v (the same signs for
all effects of a level) enter only B, the diagonal blocks of :math:`Z'H^{-1}Z`, and only its part of
second order in what couples the levels. With the notation of ``operator`` and
:math:`E_D = I - \tilde D N_D`,

.. math:: Z_t'H^{-1}Z_t = (\tilde D - \tilde D N_D\tilde D) + E_DOE_D' - E_DO\,N\,OE_D',
          \qquad N = \Lambda_t S^{-1}\Lambda_t',

where the second term has no diagonal blocks and the first is known; and for the first factor
:math:`Z_0'H^{-1}Z_0 = (A - AN_0A) - E_0A_{0t}\,N\,A_{t0}E_0'`, of which the part with all that
is factorized of S (``reference``) is known, level by level (``eliminated``). What moves all levels
of a factor together is taken out of the probes as well: a product with one column for each effect
gives its traces, and it would be most of their variance. No covariance has to be inverted, so zero
variances are nothing special.

References
----------
Hutchinson (1990), Commun. Stat. Simul. Comput. 19, 433-450.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from lmmformula._arrays import FloatArray
from lmmformula.engine.evaluation import Evaluation
from lmmformula.engine.kernels import block_product, symmetrized
from lmmformula.engine.krylov.blocks import level_products, spread, times
from lmmformula.engine.krylov.eliminated import coupled_blocks
from lmmformula.engine.krylov.operator import SchurOperator
from lmmformula.engine.krylov.probes import TRACE, signs
from lmmformula.engine.krylov.solve import conjugate_gradients

__all__ = ["Accuracy", "KrylovEvaluation"]

BATCH = 32
"""Columns that are solved for at once: their memory is this many times that of the levels."""
FEW_LEVELS = 32
"""Levels of a factor up to which each is taken by itself instead of random probes."""


@dataclass(frozen=True, slots=True)
class Accuracy:
    """How exactly an evaluation computes.

    Attributes
    ----------
    n_probes : int
        Random probes for every grouping factor.
    seed : int
        Their source.
    tolerance : float
        Relative residual of solutions that are used themselves.
    form_tolerance : float
        Relative residual of those of which only quadratic forms are used: these are wrong by its
        square.
    """

    n_probes: int = 8
    seed: int = 0
    tolerance: float = 1e-11
    form_tolerance: float = 1e-6


class KrylovEvaluation(Evaluation):
    """One point; ``value`` lacks log|H| unless it is given.

    Parameters
    ----------
    system : KrylovSystem
    factors : list of ndarray, shape (k, k)
        Relative covariance factor Lambda of every term, in working units (any square factor).
    reml : bool
    directions : list of ndarray or None
        As in ``Evaluation``.
    accuracy : Accuracy
    logdet : float
        log|H|, where it is known.

    Attributes
    ----------
    operator : SchurOperator
    tail_xy, N_xy : ndarray, shape (q_tail, p + 1)
        As in ``Evaluation``, the rows of every factor by effects, then levels.
    n_iterations : int
        Iterations of the conjugate gradients so far.
    """

    system: Any
    operator: SchurOperator

    def __init__(
        self,
        system: Any,
        factors: list[FloatArray],
        reml: bool,
        directions: list[FloatArray] | None,
        accuracy: Accuracy,
        logdet: float = 0.0,
    ) -> None:
        self.system, self.reml, self._given = system, reml, directions
        self.accuracy, self.logdet_H, self.tail = accuracy, logdet, None
        self.n_iterations = 0
        self.nu = system.n_obs - (system.p if reml else 0)
        by_term = dict(enumerate(factors))
        with np.errstate(all="ignore"):
            merged = [factor.merged(by_term) for factor in system.factors]
            self.operator = SchurOperator(system, merged)
            if not self.operator.is_finite:
                self.value = np.inf
                return
            self.Lambda = merged[0]
            self._project()
            self._finish()

    def with_logdet(self, logdet: float) -> None:
        """Complete the criterion."""
        self.logdet_H = logdet
        self._finish()

    def _project(self) -> None:
        """[X y]'H^-1[X y] and what leads to it."""
        system, operator = self.system, self.operator
        own = block_product(operator.first.N, system.fixed[0])
        flat = own.transpose(1, 0, 2).reshape(own.shape[1], -1)
        against = system.fixed[0].transpose(1, 0, 2).reshape(own.shape[1], -1)
        tail = [part.transpose(0, 2, 1) for part in system.fixed[1:]]
        width = system.p + 1
        self.tail_xy = np.concatenate(
            [np.zeros((0, width)), *(part.reshape(-1, width) for part in tail)]
        )
        self.tail_xy -= operator.from_first(own.transpose(0, 2, 1))
        right = operator.scaled_back(self.tail_xy)
        self._solution, form = self._solved(right, self.accuracy.tolerance)
        self.N_xy = operator.scaled(self._solution)
        self.S = system.xy - flat @ against.T - form

    def _solved(self, right: FloatArray, tolerance: float) -> tuple[FloatArray, FloatArray]:
        """S^-1 b, and b'S^-1b up to the square of its error."""
        solved = self._solve(right.copy(), tolerance)
        form = right.T @ solved.x + solved.x.T @ solved.residual
        return solved.x, 0.5 * (form + form.T)

    def _solve(self, right: FloatArray, tolerance: float) -> Any:
        operator = self.operator
        solved = conjugate_gradients(operator.apply, operator.precondition, right, tolerance)
        self.n_iterations += solved.n_iterations
        return solved

    # -- rows of the factors ----------------------------------------------------------------------

    @property
    def N(self) -> FloatArray:
        """Lambda (I + Lambda'A Lambda)^-1 Lambda' of the first factor, (k, k, J)."""
        return self.operator.first.N

    @property
    def E(self) -> FloatArray:
        """I - A N of the first factor, (k, k, J)."""
        return self.operator.first.E

    @cached_property
    def _inner(self) -> FloatArray:
        """First factor's rows against (X after the tail, residual after the tail), (k, p+1, J)."""
        system, p = self.system, self.system.p
        columns = np.empty_like(system.fixed[0])
        columns[:, :p] = system.fixed[0][:, :p]
        columns[:, p] = np.einsum("arj,r->aj", system.fixed[0], self.gamma)
        if len(system.factors) > 1:
            right = np.column_stack([-self.N_xy[:, :p], self.tail_modes])
            columns += self.operator.to_first(system.tail_parts(right)).transpose(0, 2, 1)
        return columns

    @cached_property
    def _tail_F(self) -> FloatArray:
        """(Z'H^-1X, -Z'r) of the tail, (q_tail, p + 1)."""
        F = self.operator.unscaled(self._solution, self.tail_xy)
        F[:, -1] = F @ self.gamma
        return F

    def of_factor(self, values: FloatArray, factor: int) -> FloatArray:
        """Rows of one tail factor, reshaped to (J, k, ...)."""
        layout, start = self.system.factors[factor + 1], self.system.starts[factor]
        rows = values[start : start + layout.n_columns]
        return rows.reshape(layout.k, layout.n_levels, *values.shape[1:]).swapaxes(0, 1)

    @property
    def modes_by_factor(self) -> list[FloatArray]:
        """Conditional modes, (J, k) for each factor."""
        tail = range(len(self.system.factors) - 1)
        return [self.first_modes.T, *(self.of_factor(self.tail_modes, f) for f in tail)]

    @cached_property
    def residual_sums(self) -> list[FloatArray]:
        """Z'r of every factor, (k, J)."""
        tail = range(len(self.system.factors) - 1)
        rows = [self.of_factor(self.tail_residual, f).T for f in tail]
        return [self.first_residual, *rows]

    @cached_property
    def residual_blocks(self) -> list[FloatArray]:
        """C of every term: sum over levels of (Z'r)(Z'r)'."""
        return self._by_term([rho @ rho.T for rho in self.residual_sums])

    # -- traces -----------------------------------------------------------------------------------

    @cached_property
    def trace_blocks(self) -> list[FloatArray]:
        """B of every term, the mean over the probes."""
        draws = (part.mean(axis=0) for part in self._draws)
        return self._by_term([known + own for known, own in zip(self._known, draws, strict=True)])

    @cached_property
    def trace_draws(self) -> list[list[FloatArray]]:
        """What every probe says of B: a list like ``trace_blocks`` for each."""
        pairs = list(zip(self._known, self._draws, strict=True))
        return [
            self._by_term([known + draws[n] for known, draws in pairs])
            for n in range(self.accuracy.n_probes)
        ]

    @cached_property
    def _known(self) -> list[FloatArray]:
        """What is known of B without probes, (k, k) by factor."""
        operator, system = self.operator, self.system
        known = []
        for g, own in enumerate(operator.own, start=1):
            Lambda, block = operator.Lambdas[g], own.G.sum(axis=2)
            if not operator.reference.is_alone(g):
                inverse = operator.reference.inverse_blocks[g]
                back = np.linalg.inv(Lambda)
                left = inverse.shape[2] * np.eye(len(Lambda)) - inverse.sum(axis=2)
                block = back.T @ left @ back
            known.append(block)
        E = operator.first.E
        removed = block_product(block_product(E, coupled_blocks(operator)), E.transpose(1, 0, 2))
        known.insert(0, symmetrized(operator.first.G - removed).sum(axis=2))
        if not self.reml:
            return known
        rows = [self.first_X.transpose(0, 2, 1)]
        rows += [
            self.of_factor(self.tail_X, f).swapaxes(0, 1) for f in range(len(system.factors) - 1)
        ]
        return [
            block - np.einsum("ajp,pr,bjr->ab", F, self.Phi, F, optimize=True)
            for block, F in zip(known, rows, strict=True)
        ]

    @cached_property
    def _draws(self) -> list[FloatArray]:
        """What every probe adds to ``_known``, (n, k, k) by factor."""
        return [self._draws_of(f) for f in range(len(self.system.factors))]

    def _draws_of(self, factor: int) -> FloatArray:
        layout, n = self.system.factors[factor], self.accuracy.n_probes
        shape = n, layout.k, layout.k
        if len(self.system.factors) == 1:
            return np.zeros(shape)
        few = self.is_exact(factor)
        probes = self._units(factor) if few else self._signs(factor)
        total = None if few else self._common_total(factor)
        found = [self._forms(factor, v, total) for v in probes]
        draws = np.concatenate([np.zeros((0, *shape[1:])), *found])
        return np.broadcast_to(draws.sum(axis=0), shape) if few else draws

    def is_exact(self, factor: int) -> bool:
        """Whether a factor has so few levels that each is taken by itself, without probes."""
        return self.system.factors[factor].n_levels <= max(FEW_LEVELS, self.accuracy.n_probes)

    def _signs(self, factor: int) -> Iterator[FloatArray]:
        """Probes of one factor, (J, n), in batches."""
        layout, accuracy = self.system.factors[factor], self.accuracy
        for numbers in _batches(accuracy.n_probes, layout.k):
            shape = 1, layout.n_levels
            yield signs(accuracy.seed, layout.group, TRACE, numbers, shape)[0]

    def _units(self, factor: int) -> Iterator[FloatArray]:
        """Every level of one factor by itself, (J, n), in batches."""
        layout = self.system.factors[factor]
        for numbers in _batches(layout.n_levels, layout.k):
            v = np.zeros((layout.n_levels, len(numbers)))
            v[list(numbers), np.arange(len(numbers))] = 1.0
            yield v

    def _common_total(self, factor: int) -> FloatArray:
        """What is common to the levels adds to the sum of ``_forms`` over them all, (k, k)."""
        operator, system = self.operator, self.system
        C = operator.common
        if factor == 0:
            rows = times(operator.first.E, operator.to_first(system.tail_parts(operator.scaled(C))))
        elif operator.reference.is_alone(factor):
            own, moved = operator.own[factor - 1], operator.scaled(C)
            left = system.tail_parts(operator.reduced(moved))[factor - 1]
            rows = left - times(own.gram, system.tail_parts(moved)[factor - 1])
            rows = times(own.E, rows)
        else:
            moved = operator.precondition(operator.apply(C)) - C
            rows = system.tail_parts(moved)[factor - 1]
        return np.einsum("ajr,rs,bjs->ab", rows, operator.common_excess, rows, optimize=True)

    def _forms(self, factor: int, v: FloatArray, total: FloatArray | None) -> FloatArray:
        """What probes v, (J, n), add to ``_known``, (n, k, k).

        What is common to the levels is most of their variance; its ``total`` takes its place.
        """
        k = self.system.factors[factor].k
        if factor == 0 or self.operator.reference.is_alone(factor):
            right = self._rows_probed(factor, v)
            known = np.zeros((v.shape[1], k, k))
        else:
            w, right = self._inverse_probed(factor, v)
            known = level_products(w, right, k)
        start = right.copy()
        solved = self._solve(right, self.accuracy.form_tolerance)
        forms = level_products(start, solved.x, k) + level_products(solved.x, solved.residual, k)
        if factor == 0:
            forms -= level_products(start, self.operator.precondition(start), k)
        if total is not None:
            common = self.operator.common.T @ start
            forms += total - level_products(common, self.operator.common_excess @ common, k)
        forms = known - forms
        if factor > 0 and not self.operator.reference.is_alone(factor):
            back = np.linalg.inv(self.operator.Lambdas[factor])
            forms = back.T @ forms @ back
        return 0.5 * (forms + forms.transpose(0, 2, 1))

    def _rows_probed(self, factor: int, v: FloatArray) -> FloatArray:
        """Lambda' O E_D' v (first factor: Lambda' A_t0 E_0' v), (q_tail, n k)."""
        operator = self.operator
        own = operator.first if factor == 0 else operator.own[factor - 1]
        columns = spread(own.E_transposed, v)
        return operator.scaled_back(operator.off(factor, columns))

    def _inverse_probed(self, factor: int, v: FloatArray) -> tuple[FloatArray, FloatArray]:
        """D^-1 v and (S - D) D^-1 v, (q_tail, n k) each."""
        k, operator = self.system.factors[factor].k, self.operator
        units = np.broadcast_to(np.eye(k)[:, :, None], (k, k, len(v)))
        right = np.zeros((self.system.starts[-1], v.shape[1] * k))
        right[self.system.place(factor)] = spread(units, v).reshape(-1, right.shape[1])
        w = operator.reference.solve(right)
        return w, operator.apply(w) - right

    # -- second derivatives -----------------------------------------------------------------------

    @cached_property
    def working_products(self) -> FloatArray:
        """w_i' Z'PZ w_j for w_i = D_i Z'r over all directions D_i, (T, T), by factor."""
        operator, system, p = self.operator, self.system, self.system.p
        moved = [
            np.einsum("tab,bj->ajt", directions, rho)
            for directions, rho in zip(self.directions, self.residual_sums, strict=True)
        ]
        first = operator.first
        local = np.tensordot(moved[0], times(first.G, moved[0]), axes=([0, 1], [0, 1]))
        turned = times(first.E_transposed, moved[0])
        V_x = np.tensordot(system.fixed[0][:, :p], turned, axes=([0, 2], [0, 1]))
        if len(system.factors) == 1:
            return local - V_x.T @ self.Phi @ V_x
        tail = self._side_by_side(moved[1:])
        applied = operator.reduced(tail)
        linked = operator.from_first(turned)
        mixed = linked.T @ tail
        products = np.block([[local, mixed], [mixed.T, tail.T @ applied]])
        right = np.hstack([linked, applied])
        _, form = self._solved(operator.scaled_back(right), self.accuracy.form_tolerance)
        products -= form
        V_x = np.hstack([V_x, self.tail_xy[:, :p].T @ tail]) - self.N_xy[:, :p].T @ right
        return products - V_x.T @ self.Phi @ V_x

    def _side_by_side(self, parts: list[FloatArray]) -> FloatArray:
        """Columns of the tail from each factor's own (k, J, c), side by side."""
        out = np.zeros((self.system.starts[-1], sum(part.shape[2] for part in parts)))
        position = 0
        for start, part in zip(self.system.starts, parts, strict=False):
            rows = part.reshape(-1, part.shape[2])
            out[start : start + len(rows), position : position + part.shape[2]] = rows
            position += part.shape[2]
        return out


def _batches(n: int, k: int) -> Iterator[range]:
    """Probes 0 to n - 1 in ranges of about ``BATCH`` columns, k for each."""
    size = max(1, BATCH // k)
    return (range(start, min(start + size, n)) for start in range(0, n, size))
