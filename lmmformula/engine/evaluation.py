r"""The profiled criterion at one set of covariance factors: value, gradient, average information.

With :math:`H = I + \sum_f Z_f \Lambda_f\Lambda_f' Z_f'` and s the generalised residual sum of
squares,

.. math:: f = \log|H| + [\log|X'H^{-1}X|] + \nu\{1 + \log(2\pi s/\nu)\} - \sum_i \log w_i

(bracket: REML only; :math:`\nu = n` for ML, :math:`n - p` for REML). The gradient in the relative
covariance of a term is :math:`D = B - (\nu/s) C`, with B the summed diagonal blocks of Z'PZ (ML:
:math:`Z'H^{-1}Z`) and C those of (Z'r)(Z'r)'. Nothing here has the length of the data.

References
----------
Bates, Maechler, Bolker and Walker (2015), J. Stat. Softw. 67(1), sections 3 and 5.4.
Gilmour, Thompson and Cullis (1995), Biometrics 51, 1440-1450 (average information).
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
from scipy.linalg import lapack

from lmmformula._arrays import FloatArray, IntArray
from lmmformula.engine.elimination import eliminated
from lmmformula.engine.kernels import (
    block_diagonals,
    block_product,
    cholesky,
    forward_solve,
    sandwich,
    symmetrized,
)
from lmmformula.engine.system import BlockedSystem
from lmmformula.engine.tail import Tail

__all__ = ["Evaluation"]


class Evaluation:
    """One computation of the criterion; derivatives are computed when first asked for.

    Parameters
    ----------
    system : BlockedSystem
    factors : list of ndarray, shape (k, k)
        Relative covariance factor Lambda of every term, in working units (any square factor).
    reml : bool
        Restricted likelihood.
    directions : list of ndarray, shape (t, k, k), optional
        Directions of every term's covariance in which second derivatives will be taken; by
        default its entries.

    Attributes
    ----------
    value : float
        The criterion; infinite where the arithmetic failed.
    nu : int
        n for ML, n - p for REML.
    logdet_H, logdet_X : float
        log |H| and log |X'H^-1X| (working basis).
    K : ndarray, shape (k, k, J)
        Root of ``N`` of the first factor: N = K'K.
    S : ndarray, shape (p + 1, p + 1)
        [X y]'H^-1[X y].
    tail : Tail or None
        The tail's own elimination.
    tail_xy, N_xy : ndarray, shape (q_tail, p + 1)
        Z'[X y] of the tail after the first elimination, and the tail's N times it.
    pwrss : float
        Penalised residual sum of squares s, in working units.
    precision : float
        Inverse of the residual variance, nu / s.
    beta : ndarray, shape (p,)
        Fixed effects in the working basis.
    Phi : ndarray, shape (p, p)
        Inverse of X'H^-1X in the working basis.
    """

    def __init__(
        self,
        system: BlockedSystem,
        factors: list[FloatArray],
        reml: bool,
        directions: list[FloatArray] | None = None,
    ) -> None:
        self.system, self.reml, self._given = system, reml, directions
        by_term = dict(enumerate(factors))
        self.Lambda = system.first.merged(by_term)
        self.nu = system.n_obs - (system.p if reml else 0)
        with np.errstate(all="ignore"):
            self._eliminate_first()
            self.tail: Tail | None = None
            if system.tail.factors:
                self._eliminate_tail([f.merged(by_term) for f in system.tail.factors])
            self._finish()

    def _eliminate_first(self) -> None:
        system, Lambda = self.system, self.Lambda
        k = Lambda.shape[0]
        D = sandwich(Lambda, system.gram)
        block_diagonals(D)[...] += 1.0
        factor = cholesky(D)
        self.logdet_H = 2.0 * float(np.log(block_diagonals(factor)).sum())
        right = np.broadcast_to(Lambda.T[:, :, None], factor.shape)
        self.K = forward_solve(factor, right)
        rows = block_product(self.K, system.first_xy)
        flat = rows.transpose(1, 0, 2).reshape(rows.shape[1], k * rows.shape[2])
        self.S = system.xy - flat @ flat.T
        self._rows = rows

    def _eliminate_tail(self, Lambdas: list[FloatArray]) -> None:
        system = self.system
        back = block_product(self.K.transpose(1, 0, 2), self._rows)
        self.tail_xy = system.tail_xy - system.cross.transpose_times(back)
        flat = system.tail_gram - system.cross.schur(self.K)
        self.tail = eliminated(system.tail, Lambdas, flat)
        self.logdet_H += self.tail.logdet
        self.N_xy = self.tail.N_times(self.tail_xy)
        self.S = self.S - self.tail_xy.T @ self.N_xy

    def _finish(self) -> None:
        p = self.system.p
        S_xx, S_xy = self.S[:p, :p], self.S[:p, p]
        factor, failed = lapack.dpotrf(S_xx, lower=1) if p else (np.zeros((0, 0)), 0)
        self.logdet_X = 2.0 * float(np.log(np.diag(factor)).sum())
        root = lapack.dtrtri(factor, lower=1)[0] if p else factor
        self.Phi = root.T @ root
        projected = root @ S_xy
        self.beta = root.T @ projected
        self.pwrss = float(self.S[p, p] - projected @ projected)
        self.precision = self.nu / self.pwrss
        system, basis = self.system, self.system.basis
        self.value = (
            self.logdet_H
            + self.nu * (1.0 + np.log(2.0 * np.pi * self.pwrss / self.nu))
            + 2.0 * self.nu * np.log(basis.scale)
            - system.log_weights
        )
        if self.reml:
            self.value += self.logdet_X - 2.0 * basis.logdet_fixed
        if failed or not np.isfinite(self.value):
            self.value = np.inf

    @cached_property
    def directions(self) -> list[FloatArray]:
        """Directions of each factor's covariance, (T, k, k), term by term."""
        given = self._given
        if given is None:
            return [factor.directions for factor in self.system.factors]
        return [
            factor.embedded([given[term.index] for term in factor.terms])
            for factor in self.system.factors
        ]

    @cached_property
    def direction_order(self) -> IntArray | None:
        """Directions in the model's order of terms, as positions in elimination order."""
        if self._given is None:
            return self.system.entry_order
        return self.system.order_of([len(part) for part in self._given])

    def forms(self, blocks: list[FloatArray]) -> FloatArray:
        """Inner product of each term's block, (k, k), with its directions; elimination order."""
        parts = []
        for factor in self.system.factors:
            for term in factor.terms:
                block, structure = blocks[term.index], term.structure
                if self._given is None:
                    parts.append(structure.multiplicity * block[structure.pairs])
                else:
                    parts.append(np.einsum("tab,ab->t", self._given[term.index], block))
        return np.concatenate([np.zeros(0), *parts])

    @cached_property
    def gamma(self) -> FloatArray:
        """(beta, -1): working columns [X y] times gamma are minus the marginal residual."""
        return np.append(self.beta, -1.0)

    @property
    def Phi_logdet(self) -> FloatArray:
        """Phi where the criterion contains log |X'H^-1X| (REML), zero for ML."""
        return self.Phi if self.reml else np.zeros_like(self.Phi)

    @cached_property
    def N(self) -> FloatArray:
        """Lambda (I + Lambda' A Lambda)^-1 Lambda' of the first factor, (k, k, J)."""
        return block_product(self.K.transpose(1, 0, 2), self.K)

    @cached_property
    def E(self) -> FloatArray:
        """I - A N of the first factor, (k, k, J)."""
        E = -block_product(self.system.gram, self.N)
        block_diagonals(E)[...] += 1.0
        return E

    @cached_property
    def G0(self) -> FloatArray:
        """A - A N A of the first factor, (k, k, J)."""
        return symmetrized(block_product(self.E, self.system.gram))

    @cached_property
    def tail_modes(self) -> FloatArray:
        """Conditional modes of the tail's effects, (q_tail,)."""
        return -(self.N_xy @ self.gamma)

    @cached_property
    def _inner(self) -> FloatArray:
        """First factor's rows against (X after the tail, residual after the tail), (k, p + 1, J).

        The last column is Z1'(X beta + Z_tail b - y) before the first factor's own elimination.
        """
        p = self.system.p
        columns = np.empty_like(self.system.first_xy)
        columns[:, :p] = self.system.first_xy[:, :p]
        columns[:, p] = np.einsum("arj,r->aj", self.system.first_xy, self.gamma)
        if self.tail is not None:
            right = np.column_stack([-self.N_xy[:, :p], self.tail_modes])
            columns += self.system.cross.times(right)
        return columns

    @cached_property
    def first_modes(self) -> FloatArray:
        """Conditional modes of the first factor's effects, (k, J)."""
        return -block_product(self.N, self._inner[:, -1:])[:, 0]

    @cached_property
    def _F(self) -> FloatArray:
        """E times ``_inner``: (Z1'H^-1X, -Z1'r), shape (k, p + 1, J)."""
        return block_product(self.E, self._inner)

    @property
    def first_X(self) -> FloatArray:
        """Z1'H^-1X, (k, p, J)."""
        return self._F[:, :-1]

    @property
    def first_residual(self) -> FloatArray:
        """Z1'r, (k, J)."""
        return -self._F[:, -1]

    @cached_property
    def _tail_F(self) -> FloatArray:
        """(Z'H^-1X, -Z'r) of the tail, (q_tail, p + 1)."""
        assert self.tail is not None
        F = self.tail_xy - self.tail.A_times(self.N_xy)
        F[:, -1] = F @ self.gamma
        return F

    @property
    def tail_X(self) -> FloatArray:
        """Z'H^-1X of the tail, (q_tail, p)."""
        return self._tail_F[:, :-1]

    @property
    def tail_residual(self) -> FloatArray:
        """Z'r of the tail, (q_tail,)."""
        return -self._tail_F[:, -1]

    @cached_property
    def first_explained(self) -> FloatArray:
        """What the tail and X take off G0, level by level: (k, k, J)."""
        explained = np.zeros_like(self.G0)
        if self.tail is not None:
            V = self.system.cross.adjoint(self.tail.flat_N)
            explained += block_product(block_product(self.E, V), self.E.transpose(1, 0, 2))
        if self.reml and self.system.p:
            F = self.first_X
            explained += block_product(np.matmul(self.Phi, F), F.transpose(1, 0, 2))
        return symmetrized(explained)

    @cached_property
    def gradients(self) -> list[FloatArray]:
        """D = df/dSigma of every term, (k, k) each, in the model's order."""
        return [
            B - (self.nu / self.pwrss) * C
            for B, C in zip(self.trace_blocks, self.residual_blocks, strict=True)
        ]

    @cached_property
    def trace_blocks(self) -> list[FloatArray]:
        """B of every term: sum over levels of the diagonal blocks of Z'PZ."""
        per_factor = [(self.G0 - self.first_explained).sum(axis=2)]
        if self.tail is not None:
            for f in range(len(self.system.tail.factors)):
                block = self.tail.residual_gram_sums(f)
                if self.reml:
                    F = self.of_factor(self.tail_X, f)
                    block = block - np.einsum("jap,pr,jbr->ab", F, self.Phi, F, optimize=True)
                per_factor.append(block)
        return self._by_term(per_factor)

    @cached_property
    def residual_blocks(self) -> list[FloatArray]:
        """C of every term: sum over levels of (Z'r)(Z'r)'."""
        rho = self.first_residual
        per_factor = [rho @ rho.T]
        if self.tail is not None:
            for f in range(len(self.system.tail.factors)):
                rho = self.of_factor(self.tail_residual, f)
                per_factor.append(rho.T @ rho)
        return self._by_term(per_factor)

    def of_factor(self, values: FloatArray, factor: int) -> FloatArray:
        """Rows of one tail factor, reshaped to (J, k, ...)."""
        layout, start = self.system.tail.factors[factor], self.system.tail.starts[factor]
        rows = values[start : start + layout.n_columns]
        return rows.reshape(layout.n_levels, layout.k, *values.shape[1:])

    def _by_term(self, per_factor: list[FloatArray]) -> list[FloatArray]:
        """Diagonal sub-blocks of merged factors, in the model's order of terms."""
        blocks = {
            term.index: block[term.columns, term.columns]
            for factor, block in zip(self.system.factors, per_factor, strict=True)
            for term in factor.terms
        }
        return [blocks[index] for index in range(len(blocks))]

    @cached_property
    def working_products(self) -> FloatArray:
        """w_i' Z'PZ w_j for w_i = D_i Z'r over all directions D_i, (T, T), by factor.

        With ``residual_blocks`` this is the whole second derivative of s; it costs T more
        right-hand sides and no factorization.
        """
        products, V_x = self.quadratic(*self.working_columns)
        return products - V_x.T @ self.Phi @ V_x

    @cached_property
    def working_columns(self) -> tuple[FloatArray, FloatArray | None]:
        """Columns D_i Z'r of the first factor, (k, T, J), and of the tail, (q_tail, T_tail)."""
        first = np.einsum("tab,bj->atj", self.directions[0], self.first_residual)
        return first, self._tail_working()

    def quadratic(
        self, first: FloatArray, tail: FloatArray | None
    ) -> tuple[FloatArray, FloatArray]:
        """W'Z'H^-1Z W and X'H^-1Z W for columns W of random effects.

        Parameters
        ----------
        first : ndarray, shape (k, c, J)
            Columns that are zero outside the first factor.
        tail : ndarray, shape (q_tail, d), or None
            Columns that are zero in the first factor.

        Returns
        -------
        ndarray, shape (c + d, c + d), and ndarray, shape (p, c + d)
        """
        system, p, n_first = self.system, self.system.p, first.shape[1]
        width = system.first.n_columns
        flat = first.transpose(1, 0, 2).reshape(n_first, width)
        G0W = block_product(self.G0, first).transpose(1, 0, 2).reshape(n_first, width)
        products = flat @ G0W.T
        EW = block_product(self.E.transpose(1, 0, 2), first)
        V_x = np.matmul(system.first_xy[:, :p], EW.transpose(0, 2, 1)).sum(axis=0)
        if self.tail is not None and tail is not None:
            V_c = system.cross.transpose_times(EW)
            AW = self.tail.A_times(tail)
            mixed = V_c.T @ tail
            products = np.block([[products, mixed], [mixed.T, tail.T @ AW]])
            V_x = np.hstack([V_x, self.tail_xy[:, :p].T @ tail])
            V_c = np.hstack([V_c, AW])
            NV = self.tail.N_times(V_c)
            products -= V_c.T @ NV
            V_x -= self.tail_xy[:, :p].T @ NV
        return products, V_x

    def _tail_working(self) -> FloatArray | None:
        """Columns D_i Z'r of the tail's directions, (q_tail, T_tail)."""
        if self.tail is None:
            return None
        return self.system.tail.side_by_side(
            [
                np.einsum("tab,jb->jat", directions, self.of_factor(self.tail_residual, f))
                for f, directions in enumerate(self.directions[1:])
            ]
        )
