r"""The Schur complement of the first factor as an operator, and its block-diagonal part.

With :math:`A = Z'WZ`, :math:`N_0 = \Lambda_0(I + \Lambda_0'A_{00}\Lambda_0)^{-1}\Lambda_0'` and
:math:`\tilde A = A_{tt} - A_{t0}N_0A_{0t}` over the other factors (the tail),

.. math:: S = I + \Lambda_t'\tilde A\Lambda_t, \qquad \tilde A = \tilde D + O,

where :math:`\tilde D` holds the k x k blocks on the diagonal. Its part of S, D, is what the
conjugate gradients are preconditioned with. Products cost one pass over the pairs of levels that
occur together; no matrix of the tail is formed.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np

from lmmformula._arrays import FloatArray
from lmmformula.engine.kernels import (
    block_diagonals,
    block_product,
    cholesky,
    forward_solve,
    sandwich,
    symmetrized,
)
from lmmformula.engine.krylov.blocks import repeated, times
from lmmformula.engine.krylov.nesting import Nesting
from lmmformula.engine.krylov.reference import Chains, Reference
from lmmformula.engine.krylov.system import KrylovSystem

__all__ = ["LevelBlocks", "SchurOperator"]

LARGE = 0.1
"""Mean size of Lambda'A Lambda from which Lambda may be divided by."""


class LevelBlocks:
    """One factor by itself: M = I + Lambda'A Lambda for every level.

    Parameters
    ----------
    Lambda : ndarray, shape (k, k)
    gram : ndarray, shape (k, k, J)

    Attributes
    ----------
    gram : ndarray, shape (k, k, J)
    M, factor : ndarray, shape (k, k, J)
        And its lower Cholesky factors.
    logdet : float
        Sum of the log-determinants of M.
    """

    def __init__(self, Lambda: FloatArray, gram: FloatArray) -> None:
        self.Lambda, self.gram = Lambda, gram
        self.M = sandwich(Lambda, gram)
        block_diagonals(self.M)[...] += 1.0
        self.factor = cholesky(self.M)
        self.logdet = 2.0 * float(np.log(block_diagonals(self.factor)).sum())

    @cached_property
    def root(self) -> FloatArray:
        """Inverse of ``factor``."""
        k = len(self.Lambda)
        eye = np.broadcast_to(np.eye(k)[:, :, None], self.factor.shape)
        return forward_solve(self.factor, eye)

    @cached_property
    def is_large(self) -> bool:
        """Whether dividing by Lambda keeps more digits than the difference A - A N A."""
        if not self.gram.size:
            return False
        size = np.linalg.svd(self.Lambda, compute_uv=False)
        mean = np.einsum("aaj->", self.gram) / (len(self.gram) * self.gram.shape[2])
        return bool(size[-1] * size[0] * mean > LARGE)

    @cached_property
    def N(self) -> FloatArray:
        """Lambda M^-1 Lambda'."""
        half = self.Lambda @ self.root.transpose(1, 0, 2).reshape(len(self.Lambda), -1)
        half = half.reshape(self.root.shape)
        return block_product(half, half.transpose(1, 0, 2))

    @cached_property
    def E(self) -> FloatArray:
        """I - A N."""
        E = -block_product(self.gram, self.N)
        block_diagonals(E)[...] += 1.0
        return E

    @property
    def E_transposed(self) -> FloatArray:
        """I - N A."""
        return self.E.transpose(1, 0, 2)

    @cached_property
    def G(self) -> FloatArray:
        """A - A N A."""
        return symmetrized(block_product(self.E, self.gram))


class SchurOperator:
    """Products with S, the tail's system after the first factor is eliminated.

    Parameters
    ----------
    system : KrylovSystem
    Lambdas : list of ndarray, shape (k, k)
        Relative covariance factor of every grouping factor.

    Attributes
    ----------
    first : LevelBlocks
        The first factor, eliminated exactly.
    own : list of LevelBlocks
        Blocks on the diagonal of S.
    """

    def __init__(self, system: KrylovSystem, Lambdas: list[FloatArray]) -> None:
        self.system, self.Lambdas = system, Lambdas
        self.first = LevelBlocks(Lambdas[0], system.gram[0])
        self.own = [
            LevelBlocks(Lambda, gram - self._eliminated(f))
            for f, (Lambda, gram) in enumerate(
                zip(Lambdas[1:], system.gram[1:], strict=True), start=1
            )
        ]

    def _eliminated(self, factor: int) -> FloatArray:
        return self.system.couplings[0, factor].right_diagonals(self.first.N)

    @cached_property
    def reference(self) -> Reference:
        """What of S is factorized: as much as possible of it."""
        large = {f for f, own in enumerate(self.own, start=1) if own.is_large}
        small = self.system.small & large
        nothing: set[int] = set()
        for border, linked in ((small, large), (nothing, large), (nothing, nothing)):
            reference = self._reference(border, linked)
            if np.isfinite(reference.logdet):
                break
        return reference

    def _reference(self, border: set[int], linked: set[int]) -> Reference:
        """Factorize D with a border and with the links of some factors."""
        system = self.system
        nesting = Nesting(system, border, linked - border)
        blocks = {f: self.own[f - 1].M for f in nesting.order}
        coupled = {}
        for (g, a), link in nesting.links.items():
            reduced = link.values - nesting.eliminated(g, a, self.first.N)
            left, right = self.Lambdas[g], self.Lambdas[a]
            coupled[g, a] = np.einsum("ca,cdj,db->abj", left, reduced, right, optimize=True)
        chains = Chains(nesting, blocks, coupled)
        places = {f: system.place(f) for f in range(1, len(system.factors))}
        shapes = {f: (layout.k, layout.n_levels) for f, layout in enumerate(system.factors)}
        columns = self._columns(sorted(border), linked) if border else None
        return Reference(chains, places, shapes, sorted(border), columns)

    def _columns(self, border: list[int], linked: set[int]) -> FloatArray:
        """Columns of S that belong to the border, (q_tail, r), in the rows of linked factors."""
        q = self.system.starts[-1]
        index = np.concatenate([np.arange(q)[self.system.place(f)] for f in border])
        units = np.zeros((q, len(index)))
        units[index, np.arange(len(index))] = 1.0
        columns = self.apply(units)
        for f in range(1, len(self.system.factors)):
            if f not in linked:
                columns[self.system.place(f)] = 0.0
        return columns

    @cached_property
    def common(self) -> FloatArray:
        """What moves all levels of a tail factor together, (q_tail, r), a column for each effect.

        Where factors are crossed S is smallest along these: another factor can take them over.
        """
        columns = np.zeros((self.system.starts[-1], sum(f.k for f in self.system.factors[1:])))
        position = 0
        for part in self.system.tail_parts(columns):
            for effect in part:
                effect[:, position] = 1.0
                position += 1
        return columns

    @cached_property
    def common_excess(self) -> FloatArray:
        """S^-1 less D^-1 along ``common``, (r, r)."""
        C, W = self.common, self.reference.times_back(self.common)
        return np.asarray(np.linalg.inv(C.T @ self.apply(C)) - np.linalg.inv(W.T @ W))

    @property
    def is_finite(self) -> bool:
        """Whether the arithmetic has not failed so far."""
        return bool(np.isfinite(self.first.logdet + sum(own.logdet for own in self.own)))

    # -- the tail's columns, (q_tail, m) ----------------------------------------------------------

    def to_first(self, tail: list[FloatArray]) -> FloatArray:
        """A_0t times columns of the tail: (k_0, J_0, m)."""
        parts = [self.system.couplings[0, g].times(part) for g, part in enumerate(tail, 1)]
        return sum(parts[1:], start=parts[0])

    def from_first(self, columns: FloatArray) -> FloatArray:
        """A_t0 times columns of the first factor: (q_tail, m)."""
        factors = range(1, len(self.system.factors))
        return self._joined(
            [self.system.couplings[0, g].transposed_times(columns) for g in factors],
            columns.shape[-1],
        )

    def reduced(self, columns: FloatArray) -> FloatArray:
        """A~ times columns of the tail."""
        parts = self.system.tail_parts(columns)
        coupled = self.from_first(times(self.first.N, self.to_first(parts)))
        np.negative(coupled, out=coupled)
        into = self.system.tail_parts(coupled)
        for f, (part, gram) in enumerate(zip(parts, self.system.gram[1:], strict=True), start=1):
            into[f - 1] += times(gram, part)
            for g in range(f + 1, len(self.system.factors)):
                coupling = self.system.couplings[f, g]
                into[f - 1] += coupling.times(parts[g - 1])
                into[g - 1] += coupling.transposed_times(part)
        return coupled

    def off(self, factor: int, columns: FloatArray) -> FloatArray:
        """O (for the first factor A_t0) times columns of one factor, (k, J, m): (q_tail, m)."""
        couplings = self.system.couplings
        if factor == 0:
            return self.from_first(columns)
        coupled = self.from_first(times(self.first.N, couplings[0, factor].times(columns)))
        np.negative(coupled, out=coupled)
        for g, into in enumerate(self.system.tail_parts(coupled), start=1):
            if g == factor:
                into += times(self.system.gram[g] - self.own[g - 1].gram, columns)
            elif g < factor:
                into += couplings[g, factor].times(columns)
            else:
                into += couplings[factor, g].transposed_times(columns)
        return coupled

    def scaled(self, columns: FloatArray) -> FloatArray:
        """Lambda_t times columns of the tail."""
        return self.by_factor([Lambda for Lambda in self.Lambdas[1:]], columns)

    def scaled_back(self, columns: FloatArray) -> FloatArray:
        """Lambda_t' times columns of the tail."""
        return self.by_factor([Lambda.T for Lambda in self.Lambdas[1:]], columns)

    def unscaled(self, solution: FloatArray, right: FloatArray) -> FloatArray:
        """(I + A~ Lambda_t Lambda_t')^-1 times columns of the tail.

        In the way that keeps more digits: by division, or as the difference that it is.

        Parameters
        ----------
        solution, right : ndarray, shape (q_tail, m)
            S^-1 Lambda_t' times the columns, and these themselves.
        """
        if all(own.is_large for own in self.own):
            inverses = [np.asarray(np.linalg.inv(Lambda).T) for Lambda in self.Lambdas[1:]]
            return self.by_factor(inverses, solution)
        return right - self.reduced(self.scaled(solution))

    def apply(self, columns: FloatArray) -> FloatArray:
        """S times columns of the tail."""
        result = self.scaled_back(self.reduced(self.scaled(columns)))
        result += columns
        return result

    def precondition(self, columns: FloatArray) -> FloatArray:
        """D^-1 times columns of the tail."""
        return self.reference.solve(columns)

    def by_factor(self, matrices: list[FloatArray], columns: FloatArray) -> FloatArray:
        """One matrix (k, k) for every tail factor times columns of the tail."""
        parts = zip(matrices, self.system.tail_parts(columns), strict=True)
        return self._joined([repeated(matrix, part) for matrix, part in parts], columns.shape[-1])

    @staticmethod
    def _joined(parts: list[FloatArray], width: int) -> FloatArray:
        if not parts:
            return np.zeros((0, width))
        flat = [part.reshape(-1, width) for part in parts]
        return flat[0] if len(flat) == 1 else np.concatenate(flat)
