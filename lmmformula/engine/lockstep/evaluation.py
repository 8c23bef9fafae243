"""The criterion and its derivatives for many replicates at once.

The algebra is that of ``evaluation`` and ``hessian`` with one more axis. After the first factor is
eliminated, level by level, everything else is a *border* of few columns [T X]: the tail's columns
of Z and the fixed effects. With E = I - A N of the first factor and EW = E Z1'[T X], every piece of
G = Z'PZ is linear in EW:

    Z1'PZ1 = diag(G0) - U U',  U = EW R,    Z1'PZt = EW V,    Zt'PZt = dense,

so sums over pairs of levels are products of small matrices, one batched call for all replicates.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from lmmformula._arrays import FloatArray
from lmmformula.engine.kernels import block_product, cholesky, forward_solve
from lmmformula.engine.lockstep.stack import ReplicateStack

__all__ = ["Derivatives", "LockstepEvaluation"]


@dataclass(frozen=True, slots=True, eq=False)
class Derivatives:
    """Derivatives in the covariance entries, by factor (elimination order).

    Attributes
    ----------
    blocks : list of ndarray, shape (R, k, k)
        D = df/dSigma of every factor.
    average, exact : ndarray, shape (R, T, T)
        Average information and exact Hessian.
    """

    blocks: list[FloatArray]
    average: FloatArray
    exact: FloatArray


def _t(blocks: FloatArray) -> FloatArray:
    """Transpose of the last two axes."""
    return np.swapaxes(blocks, -1, -2)


class LockstepEvaluation:
    """One computation of R criteria.

    Parameters
    ----------
    stack : ReplicateStack
    factors : list of ndarray, shape (R, k, k)
        Merged Lambda of every grouping factor, elimination order.
    reml : bool

    Attributes
    ----------
    value : ndarray, shape (R,)
        Criterion; infinite where the arithmetic failed.
    beta : ndarray, shape (R, p)
        Fixed effects, working basis.
    pwrss, nu : ndarray, shape (R,)
    """

    def __init__(self, stack: ReplicateStack, factors: list[FloatArray], reml: bool) -> None:
        self.stack, self.factors, self.reml = stack, factors, reml
        self.system = stack.system
        self.q, self.p = self.system.tail.n_columns, self.system.p
        self.nu = stack.n_obs - (self.p if reml else 0)
        with np.errstate(all="ignore"):
            self._eliminate_first()
            if self.q:
                self._eliminate_tail()
            self._finish()

    def _eliminate_first(self) -> None:
        stack, (n_replicates, k, _) = self.stack, self.factors[0].shape
        J = stack.y.shape[2]
        Lambda = np.ascontiguousarray(self.factors[0].transpose(1, 2, 0))[:, :, :, None]
        M = block_product(Lambda.transpose(1, 0, 2, 3), block_product(stack.gram, Lambda))
        for a in range(k):
            M[a, a] += 1.0
        L = cholesky(M.reshape(k, k, -1))
        self.logdet = 2.0 * sum(
            np.log(L[a, a]).reshape(n_replicates, J).sum(axis=1) for a in range(k)
        )
        right = np.broadcast_to(Lambda.transpose(1, 0, 2, 3), (k, k, n_replicates, J))
        self.K = forward_solve(L, right.reshape(k, k, -1)).reshape(k, k, n_replicates, J)
        c = self.q + self.p
        rows = np.empty((k, c + 1, n_replicates, J))
        rows[:, :c] = block_product(self.K, stack.fixed)
        rows[:, c] = block_product(self.K, stack.y[:, None])[:, 0]
        explained = sum(
            np.matmul(rows[a].transpose(1, 0, 2), rows[a].transpose(1, 2, 0)) for a in range(k)
        )
        self.B = stack.border - explained[:, :c, :c]
        self.By = stack.border_y - explained[:, :c, c]
        self.Syy = stack.yy - explained[:, c, c]

    def _eliminate_tail(self) -> None:
        q = self.q
        self.A = self.B[:, :q, :q]
        M = self._left_factors(_t(self._left_factors(self.A, transposed=True)), transposed=True)
        M[:, np.arange(q), np.arange(q)] += 1.0
        broken = ~np.isfinite(M).all(axis=(1, 2))
        M[broken] = np.eye(q)
        L = np.linalg.cholesky(M)
        self.logdet = self.logdet + 2.0 * np.log(np.diagonal(L, axis1=1, axis2=2)).sum(axis=1)
        self.logdet[broken] = np.nan
        self.root = self._left_factors(_t(np.linalg.inv(L)), transposed=False)
        self.N = self.root @ _t(self.root)
        self.NX = self.N @ self.B[:, :q, q:]
        self.Ny = np.matmul(self.N, self.By[:, :q, None])[:, :, 0]

    def _left_factors(self, values: FloatArray, *, transposed: bool) -> FloatArray:
        """Block-diagonal Lambda (or its transpose) of the tail times ``values`` (R, q, t)."""
        result = np.empty(values.shape)
        layout = self.system.tail
        for factor, start, Lambda in zip(
            layout.factors, layout.starts, self.factors[1:], strict=True
        ):
            rows = slice(start, start + factor.n_columns)
            part = values[:, rows]
            shape = len(part), factor.n_levels, factor.k, values.shape[2]
            left = (_t(Lambda) if transposed else Lambda)[:, None]
            product = left * part.reshape(shape) if factor.k == 1 else left @ part.reshape(shape)
            result[:, rows] = product.reshape(part.shape)
        return result

    def _finish(self) -> None:
        q, p, stack = self.q, self.p, self.stack
        Sxx, Sxy, Syy = self.B[:, q:, q:], self.By[:, q:], self.Syy
        if q:
            TX = self.B[:, :q, q:]
            Sxx = Sxx - _t(TX) @ self.NX
            Sxy = Sxy - np.matmul(_t(TX), self.Ny[:, :, None])[:, :, 0]
            Syy = Syy - np.sum(self.By[:, :q] * self.Ny, axis=1)
        L = cholesky(np.ascontiguousarray(Sxx.transpose(1, 2, 0)))
        identity = np.broadcast_to(np.eye(p)[:, :, None], L.shape)
        self.root_X = forward_solve(L, identity).transpose(2, 0, 1)
        logdet_X = 2.0 * np.log(np.diagonal(L)).sum(axis=1)
        projected = np.matmul(self.root_X, Sxy[:, :, None])[:, :, 0]
        self.beta = np.matmul(projected[:, None, :], self.root_X)[:, 0]
        self.pwrss = Syy - np.sum(projected**2, axis=1)
        basis = self.system.basis
        value = (
            self.logdet
            + self.nu * (1.0 + np.log(2.0 * np.pi * self.pwrss / self.nu))
            + 2.0 * self.nu * np.log(basis.scale)
            - stack.log_weights
        )
        if self.reml:
            value = value + logdet_X - 2.0 * basis.logdet_fixed
        self.value = np.where(np.isfinite(value) & np.isfinite(logdet_X), value, np.inf)

    @cached_property
    def E(self) -> FloatArray:
        """I - A N of the first factor, (k, k, R, J)."""
        N = block_product(self.K.transpose(1, 0, 2, 3), self.K)
        E = -block_product(self.stack.gram, N)
        for a in range(len(E)):
            E[a, a] += 1.0
        return E

    @cached_property
    def EW(self) -> FloatArray:
        """E Z1'[T X], (k, R, c, J)."""
        rows = block_product(self.E, self.stack.fixed)
        return np.ascontiguousarray(rows.transpose(0, 2, 1, 3))

    @cached_property
    def modes(self) -> FloatArray:
        """(tail modes, beta), (R, c)."""
        if not self.q:
            return self.beta
        tail = self.Ny - np.matmul(self.NX, self.beta[:, :, None])[:, :, 0]
        return np.concatenate([tail, self.beta], axis=1)

    @cached_property
    def first_residual(self) -> FloatArray:
        """Z1'r, (k, R, J)."""
        own = block_product(self.E, self.stack.y[:, None])[:, 0]
        return own - np.matmul(self.modes[None, :, None, :], self.EW)[:, :, 0]

    @cached_property
    def tail_residual(self) -> FloatArray:
        """Z'r of the tail, (R, q)."""
        moved = np.matmul(self.B[:, : self.q], self.modes[:, :, None])[:, :, 0]
        return self.By[:, : self.q] - moved

    @cached_property
    def tail_X(self) -> FloatArray:
        """Z'H^-1X of the tail, (R, q, p)."""
        return self.B[:, : self.q, self.q :] - self.A @ self.NX

    @cached_property
    def R(self) -> FloatArray:
        """U = EW R with Z1'PZ1 = diag(G0) - U U', (R, c, c): the tail's columns, then X's."""
        q, c = self.q, self.q + self.p
        R = np.zeros((len(self.value), c, c))
        R[:, q:, q:] = _t(self.root_X)
        if q:
            R[:, :q, :q] = self.root
            R[:, :q, q:] = -self.NX @ _t(self.root_X)
        return R

    def V(self, *, projected: bool) -> FloatArray:
        """Z1'PZt = EW V, (R, c, q); H^-1 for P unless ``projected``."""
        q = self.q
        V = np.zeros((len(self.value), q + self.p, q))
        V[:, :q] = np.eye(q) - self.N @ self.A
        if projected:
            PhiF = _t(self.root_X) @ (self.root_X @ _t(self.tail_X))
            V[:, :q] += self.NX @ PhiF
            V[:, q:] -= PhiF
        return V

    def tail_gram(self, *, projected: bool) -> FloatArray:
        """Zt'PZt, (R, q, q); H^-1 for P unless ``projected``."""
        G = self.A - self.A @ self.N @ self.A
        if projected:
            half = self.tail_X @ _t(self.root_X)
            G = G - half @ _t(half)
        return 0.5 * (G + _t(G))
