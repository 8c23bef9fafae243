r"""Uncertainty of the random effects given the data: all levels by probes, some exactly.

The covariance of all effects given the data, theta and sigma is
:math:`\sigma^2\Lambda M^{-1}\Lambda'` (the uncertainty of the fixed effects apart). Its diagonal
blocks for all levels are those of the part that is factorized, and what random signs say of the
rest: :math:`v_j` times the solution for v [Bekas et al.]. What is common to all levels of a factor
(columns C) would be noise for everyone, and is computed apart, as :math:`C(C'SC)^{-1}C'` less what
the factorized part has of it. A block for one level costs k solves.

References
----------
Bekas, Kokiopoulou and Saad (2007), Appl. Numer. Math. 57, 1214-1229.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lmmformula._arrays import FloatArray, IntArray
from lmmformula.engine.estimates import Estimates
from lmmformula.engine.kernels import block_product
from lmmformula.engine.krylov.blocks import repeated, spread, times
from lmmformula.engine.krylov.eliminated import coupled_blocks
from lmmformula.engine.krylov.evaluation import Accuracy, KrylovEvaluation
from lmmformula.engine.krylov.objective import KrylovObjective
from lmmformula.engine.krylov.operator import SchurOperator
from lmmformula.engine.krylov.probes import CONDITIONAL, signs
from lmmformula.engine.krylov.solve import conjugate_gradients
from lmmformula.engine.krylov.system import KrylovSystem

__all__ = ["ConditionalBlocks", "conditional_at", "conditional_blocks", "evaluated"]

TOLERANCE = 1e-5
BATCH = 32
RELATIVE_ERROR = 0.01
"""Monte Carlo error of the standard deviations, relative to them, at which to stop."""
MOST_PROBES = 256
DOUBTFUL, MOST_SOLVED = 0.03, 64
"""Relative error beyond which a level is solved for, and for how many at most."""


@dataclass(frozen=True, slots=True, eq=False)
class ConditionalBlocks:
    """Covariances of the random effects given the data, level by level.

    Attributes
    ----------
    covariances : tuple of ndarray, shape (J, k, k)
        For every term, in the model's order; sigma^2 included.
    errors : tuple of ndarray, shape (J, k)
        Monte Carlo standard errors of the standard deviations.
    n_probes : int
    """

    covariances: tuple[FloatArray, ...]
    errors: tuple[FloatArray, ...]
    n_probes: int


def evaluated(system: KrylovSystem, estimates: Estimates, tolerance: float) -> KrylovEvaluation:
    """The system at the theta of some estimates."""
    objective = KrylovObjective(
        system, estimates.criterion == "REML", Accuracy(n_probes=0, tolerance=tolerance)
    )
    return objective.unjudged(objective.phi_from_theta(estimates.theta)).krylov


def conditional_blocks(
    system: KrylovSystem, estimates: Estimates, *, seed: int = 0, n_probes: int | None = None
) -> ConditionalBlocks:
    """Blocks of all levels by random probes.

    Parameters
    ----------
    system : KrylovSystem
        The system that was fitted.
    estimates : Estimates
        Its estimates; theta and sigma are used.
    seed : int
    n_probes : int, optional
        By default as many as the typical standard deviation needs to be known to one percent.
    """
    evaluation = evaluated(system, estimates, TOLERANCE)
    draws = [_FactorDraws(evaluation, f, seed) for f in range(len(system.factors))]
    n, limit = 0, MOST_PROBES if n_probes is None else n_probes
    while n < limit:
        more = min(BATCH, limit - n)
        for draw in draws:
            draw.add(range(n, n + more))
        n += more
        if n_probes is None and all(draw.relative_error <= RELATIVE_ERROR for draw in draws):
            break
    for draw in draws:
        draw.solve_worst()
    found = {}
    for factor, draw in zip(system.factors, draws, strict=True):
        for term in factor.terms:
            T = system.basis.random[term.index]
            found[term.index] = draw.in_columns(term.columns, T, estimates.sigma)
    pairs = [found[index] for index in range(len(found))]
    return ConditionalBlocks(tuple(pair[0] for pair in pairs), tuple(pair[1] for pair in pairs), n)


class _FactorDraws:
    """Running sums of what the probes say of one factor's blocks, working units."""

    def __init__(self, evaluation: KrylovEvaluation, factor: int, seed: int) -> None:
        self.evaluation, self.factor, self.seed = evaluation, factor, seed
        self.operator, self.system = evaluation.operator, evaluation.system
        self.layout = self.system.factors[factor]
        self.n = 0
        self.solved = np.zeros(0, dtype=np.int64)
        if len(self.system.factors) > 1:
            self.C, self.middle = self.operator.common, self.operator.common_excess
        self.known = self._known()
        self.sum, self.squares = np.zeros_like(self.known), np.zeros_like(self.known)

    def _inner(self, factor: int) -> FloatArray:
        """Blocks of Lambda D^-1 Lambda'."""
        Lambda = self.operator.Lambdas[factor]
        inverse = self.operator.reference.inverse_blocks[factor]
        return np.asarray(np.einsum("ac,cdj,bd->abj", Lambda, inverse, Lambda, optimize=True))

    def _known(self) -> FloatArray:
        """Blocks of what is factorized, and of what is common."""
        if self.factor > 0:
            return self._inner(self.factor) + self._common()
        N = self.operator.first.N
        if len(self.system.factors) == 1:
            return N
        coupled = coupled_blocks(self.operator)
        return N + block_product(block_product(N, coupled), N) + self._common()

    def _common(self) -> FloatArray:
        """Blocks of what is common to the levels."""
        operator = self.operator
        if self.factor == 0:
            parts = self.system.tail_parts(operator.scaled(self.C))
            rows = times(operator.first.N, operator.to_first(parts))
        else:
            rows = self.system.tail_parts(operator.scaled(self.C))[self.factor - 1]
        moved = rows @ self.middle
        return np.asarray(np.einsum("ajr,bjr->abj", moved, rows))

    def _less_common(self, solution: FloatArray, right: FloatArray) -> FloatArray:
        """Solutions without what is common in them."""
        solution -= self.C @ (self.middle @ (self.C.T @ right))
        return solution

    def add(self, numbers: range) -> None:
        """More probes."""
        if len(self.system.factors) == 1:
            self.n += len(numbers)
            return
        k, size = self.layout.k, max(1, BATCH // self.layout.k)
        for start in range(numbers.start, numbers.stop, size):
            some = range(start, min(start + size, numbers.stop))
            shape = 1, self.layout.n_levels
            v = signs(self.seed, self.layout.group, CONDITIONAL, some, shape)[0]
            rows = self._rows(v).reshape(k, self.layout.n_levels, len(some), k)
            draws = np.einsum("ajnb,jn->abjn", rows, v)
            draws = 0.5 * (draws + draws.transpose(1, 0, 2, 3))
            self.sum += draws.sum(axis=3)
            self.squares += np.einsum("abjn,abjn->abj", draws, draws)
        self.n += len(numbers)

    def _rows(self, v: FloatArray) -> FloatArray:
        """What the blocks lack, times v in every effect: (k, J, n k)."""
        operator, factor = self.operator, self.factor
        if factor == 0:
            N = operator.first.N
            right = operator.scaled_back(operator.from_first(spread(N, v)))
            solution = self._solved(right) - operator.precondition(right)
            solution = self._less_common(solution, right)
            back = operator.to_first(self.system.tail_parts(operator.scaled(solution)))
            return times(N, back)
        Lambda, place = operator.Lambdas[factor], self.system.place(factor)
        units = np.broadcast_to(Lambda.T[:, :, None], (*Lambda.shape, len(v)))
        own = spread(units, v)
        columns = np.zeros((self.system.starts[-1], own.shape[2]))
        columns[place] = own.reshape(-1, own.shape[2])
        rest = operator.apply(operator.reference.solve(columns)) - columns
        moved = -self._solved(rest)
        if operator.reference.is_alone(factor):  # less what has no diagonal blocks
            moved += operator.reference.solve(rest)
        moved = self._less_common(moved, columns)
        return repeated(Lambda, moved[place].reshape(own.shape))

    def _solved(self, right: FloatArray) -> FloatArray:
        operator = self.operator
        start = right.copy()
        return conjugate_gradients(operator.apply, operator.precondition, start, TOLERANCE).x

    @property
    def blocks(self) -> FloatArray:
        """The estimates, (k, k, J), without negative variances."""
        blocks = self.known + self.sum / max(self.n, 1)
        index = np.arange(len(blocks))
        negative = blocks[index, index] < 0.0
        if negative.any():
            blocks[:, :, negative.any(axis=0)] = self.known[:, :, negative.any(axis=0)]
        if len(self.solved):
            blocks[:, :, self.solved] = self.solved_blocks
        return blocks

    @property
    def variance_of_mean(self) -> FloatArray:
        """Squared Monte Carlo standard errors of the blocks."""
        if self.n < 2:
            return np.zeros_like(self.sum)
        noise = np.maximum(self.squares - self.sum**2 / self.n, 0.0) / (self.n * (self.n - 1))
        noise[:, :, self.solved] = 0.0
        return np.asarray(noise)

    def solve_worst(self) -> None:
        """Solve for the levels of which the probes know least."""
        worst = self._relative_errors().max(axis=0, initial=0.0)
        levels = np.argsort(-worst, kind="stable")[:MOST_SOLVED]
        levels = np.sort(levels[worst[levels] > DOUBTFUL])
        if len(levels):
            blocks = _blocks_at(self.operator, self.factor, levels)
            self.solved, self.solved_blocks = levels, blocks.transpose(1, 2, 0)

    def in_columns(
        self, columns: slice, T: FloatArray, sigma: float
    ) -> tuple[FloatArray, FloatArray]:
        """Covariances (J, k, k) in the user's columns, and errors of the roots of variances."""
        part = self.blocks[columns, columns].transpose(2, 0, 1)
        noise = self.variance_of_mean[columns, columns].transpose(2, 0, 1)
        covariance = sigma**2 * (T @ part @ T.T)
        size = np.sqrt(np.maximum(np.einsum("jcc->jc", covariance), 0.0))
        error = 0.5 * sigma**2 * np.sqrt(np.einsum("jab,ca,cb->jc", noise, T**2, T**2))
        return covariance, np.divide(error, size, out=np.zeros_like(error), where=size > 0.0)

    @property
    def relative_error(self) -> float:
        """Typical error of a standard deviation, relative to it."""
        relative = self._relative_errors()
        return float(np.sqrt(np.mean(relative**2))) if relative.size else 0.0

    def _relative_errors(self) -> FloatArray:
        """Errors of the standard deviations, relative to them, (k, J)."""
        index = np.arange(self.layout.k)
        size = self.blocks[index, index]
        error = np.sqrt(self.variance_of_mean[index, index])
        return np.divide(0.5 * error, size, out=np.zeros_like(size), where=size > 0.0)


def conditional_at(
    system: KrylovSystem, estimates: Estimates, factor: int, levels: IntArray
) -> FloatArray:
    """Blocks of some levels of one grouping factor, exact up to the solver's tolerance.

    Parameters
    ----------
    system : KrylovSystem
    estimates : Estimates
    factor : int
        Position among ``system.factors``.
    levels : ndarray of int, shape (m,)

    Returns
    -------
    ndarray, shape (m, k, k)
        Covariance of the effects in the user's columns, terms of the factor side by side.
    """
    operator = evaluated(system, estimates, TOLERANCE).operator
    layout = system.factors[factor]
    T = layout.merged(dict(enumerate(system.basis.random)))
    return np.asarray(estimates.sigma**2 * (T @ _blocks_at(operator, factor, levels) @ T.T))


def _blocks_at(operator: SchurOperator, factor: int, levels: IntArray) -> FloatArray:
    """Blocks of Lambda M^-1 Lambda' at some levels, (m, k, k), working columns."""
    k = len(operator.Lambdas[factor])
    size = max(1, BATCH // k)
    starts = range(0, len(levels), size)
    found = [_some_blocks(operator, factor, levels[s : s + size]) for s in starts]
    return np.concatenate([np.zeros((0, k, k)), *found])


def _some_blocks(operator: SchurOperator, factor: int, levels: IntArray) -> FloatArray:
    """As ``_blocks_at``, all at once."""
    system, k = operator.system, len(operator.Lambdas[factor])
    place = np.arange(len(levels))
    v = np.zeros((system.factors[factor].n_levels, len(levels)))
    v[levels, place] = 1.0
    if factor == 0:
        N = operator.first.N
        right = operator.scaled_back(operator.from_first(spread(N, v)))
    else:
        Lambda = operator.Lambdas[factor]
        own = spread(np.broadcast_to(Lambda.T[:, :, None], (k, k, len(v))), v)
        right = np.zeros((system.starts[-1], own.shape[2]))
        right[system.place(factor)] = own.reshape(-1, own.shape[2])
    solution = conjugate_gradients(operator.apply, operator.precondition, right.copy(), 1e-10).x
    products = (right.T @ solution).reshape(len(levels), k, len(levels), k)[place, :, place]
    blocks = 0.5 * (products + products.transpose(0, 2, 1))
    return blocks + N[:, :, levels].transpose(2, 0, 1) if factor == 0 else blocks
