r"""log|S| by stochastic Lanczos quadrature of the preconditioned Schur complement.

With D = LL' the part that is factorized (``reference``), :math:`T = L^{-1}SL^{-T}` and
:math:`\log|S| = \log|D| + \log|T|`. Directions in which all levels of a factor move together are
the only ones that T nearly annuls when factors are crossed (what all items share, all users can
take over); with an orthonormal basis W of them,

.. math:: \log|T| = \log|W'TW| + tr\log T_c, \qquad
          T_c = Q\{T - TW(W'TW)^{-1}W'T\}Q, \quad Q = I - WW'.

The trace is estimated with random signs; where :math:`tr\,T_c` is known (``eliminated``),
from :math:`\log x - (x - 1)`, whose off-diagonal elements are of second order.

References
----------
Ubaru, Chen and Saad (2017), SIAM J. Matrix Anal. Appl. 38, 1075-1099.
Kuendig and Sigrist (2025), arXiv:2505.09552.
"""

from __future__ import annotations

import numpy as np

from lmmformula._arrays import FloatArray
from lmmformula.engine.krylov.blocks import column_products
from lmmformula.engine.krylov.eliminated import excess_trace
from lmmformula.engine.krylov.operator import SchurOperator
from lmmformula.engine.krylov.probes import DETERMINANT, signs

__all__ = ["LogDeterminant"]

FEW_COLUMNS = 256
"""Columns of the tail up to which log|S| is computed exactly."""
MOST_STEPS = 200
SETTLED = 1e-4
"""Change of a draw, in units of the criterion, below which its quadrature has converged."""
BATCH = 16


class LogDeterminant:
    """log|M| of one point.

    Parameters
    ----------
    operator : SchurOperator
    seed : int

    Attributes
    ----------
    exact : float
        What is known of it without probes.
    is_exact : bool
        Whether that is all.
    """

    def __init__(self, operator: SchurOperator, seed: int) -> None:
        self.operator, self.seed = operator, seed
        self.exact = operator.first.logdet + operator.reference.logdet
        self.is_exact = operator.system.starts[-1] <= FEW_COLUMNS
        if self.is_exact:
            self.exact += self._small()
            return
        self._W = self._common()
        self._TW = self._apply(self._W)
        middle = self._W.T @ self._TW
        self._middle = np.linalg.inv(0.5 * (middle + middle.T))
        self.exact += float(np.linalg.slogdet(middle)[1])
        excess = excess_trace(operator)
        self._has_trace = excess is not None
        if excess is not None:  # tr T_c less its number of dimensions
            taken = float(np.sum(self._middle * (self._TW.T @ self._TW)))
            self.exact += excess + self._W.shape[1] - taken

    def _small(self) -> float:
        """log|T| of a tail with few columns."""
        q = self.operator.system.starts[-1]
        return float(np.linalg.slogdet(self._apply(np.eye(q)))[1]) if q else 0.0

    def draws(self, numbers: range) -> FloatArray:
        """What every probe adds to ``exact``; their mean is an estimate of the rest."""
        if self.is_exact:
            return np.zeros(len(numbers))
        starts = range(numbers.start, numbers.stop, BATCH)
        return np.concatenate(
            [self._quadrature(range(s, min(s + BATCH, numbers.stop))) for s in starts]
        )

    def _common(self) -> FloatArray:
        """Orthonormal basis of what moves all levels of a factor together, (q_tail, r)."""
        columns = self.operator.reference.times_back(self.operator.common)
        return np.asarray(np.linalg.qr(columns)[0])

    def _apply(self, columns: FloatArray) -> FloatArray:
        """T times columns of the tail."""
        operator = self.operator
        return operator.reference.half(operator.apply(operator.reference.half_back(columns)))

    def _complement(self, columns: FloatArray) -> FloatArray:
        """T_c times columns that are orthogonal to W."""
        result = self._apply(columns)
        result -= self._TW @ (self._middle @ (self._TW.T @ columns))
        return self._projected(result)

    def _projected(self, columns: FloatArray) -> FloatArray:
        columns -= self._W @ (self._W.T @ columns)
        return columns

    def _quadrature(self, numbers: range) -> FloatArray:
        """z'f(T_c)z for every probe, f(x) = log x [- (x - 1)], by the Lanczos process."""
        v = self._projected(self._probes(numbers))
        length = column_products(v, v)
        v /= np.sqrt(length)
        before, beta = np.zeros_like(v), np.zeros(v.shape[1])
        diagonal: list[FloatArray] = []
        side: list[FloatArray] = []
        value = np.full(v.shape[1], np.inf)
        for _ in range(min(MOST_STEPS, len(v) - self._W.shape[1])):
            w = self._complement(v) - beta * before
            alpha = column_products(w, v)
            diagonal.append(alpha)
            last, value = value, length * self._gauss(diagonal, side)
            if np.abs(value - last).max() <= SETTLED:
                break
            w -= alpha * v
            beta = np.sqrt(column_products(w, w))
            if not beta.max() > 1e-10:
                break
            side.append(beta)
            before, v = v, w / np.where(beta > 0.0, beta, 1.0)
        return value

    def _probes(self, numbers: range) -> FloatArray:
        parts = [
            signs(self.seed, factor.group, DETERMINANT, numbers, (factor.k, factor.n_levels))
            for factor in self.operator.system.factors[1:]
        ]
        return np.concatenate([part.reshape(-1, len(numbers)) for part in parts])

    def _gauss(self, diagonal: list[FloatArray], side: list[FloatArray]) -> FloatArray:
        """First element of f(tridiagonal matrix) for every probe."""
        n = len(diagonal)
        matrix = np.zeros((len(diagonal[0]), n, n))
        index = np.arange(n)
        matrix[:, index, index] = np.array(diagonal).T
        if n > 1:
            beside = np.array(side[: n - 1]).T
            matrix[:, index[1:], index[:-1]] = matrix[:, index[:-1], index[1:]] = beside
        nodes, vectors = np.linalg.eigh(matrix)
        values = np.log(np.maximum(nodes, 1e-300))
        if self._has_trace:
            values -= nodes - 1.0
        return np.asarray(np.sum(vectors[:, 0] ** 2 * values, axis=1))
