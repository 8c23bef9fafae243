r"""Elimination of a sparse tail, front by front, and the entries of its inverse that are wanted.

A front with pivots P and boundary C holds the entries of A that meet P, and what its children have
left. With A the entries at the time of elimination,

.. math:: N_P = \Lambda_P(I + \Lambda_P'A_{PP}\Lambda_P)^{-1}\Lambda_P', \quad
          W = N_PA_{PC}, \quad A_{CC} \leftarrow A_{CC} - A_{CP}W,

which is the elimination of the first grouping factor over again, valid for singular Lambda. Going
back from the roots, the entries of :math:`N = \Lambda(I + \Lambda'A\Lambda)^{-1}\Lambda'` on the
pattern of the fronts are

.. math:: N_{PC} = -WN_{CC}, \qquad N_{PP} = N_P + WN_{CC}W',

and those of :math:`G = A - ANA`, with :math:`E = I - A_{PP}N_P` and :math:`Q = EA_{PC}`,

.. math:: G_{PP} = EA_{PP} - QN_{CC}Q'.

References
----------
Takahashi, Fagan and Chin (1973), 8th PICA Conference, 63-69 (entries of the inverse).
Campbell and Davis (1995), TR-95-021, University of Florida (the same by fronts).
"""

from __future__ import annotations

import numpy as np

from lmmformula._arrays import FloatArray
from lmmformula.engine.sparse.schedule import Batch, Part
from lmmformula.engine.tail import inverted

__all__ = ["Factor"]


class Factor:
    """M = I + Lambda' A Lambda, factorized.

    Parameters
    ----------
    batches : list of Batch
    Lambdas : list of ndarray, shape (k, k)
        One for each factor of the tail.
    flat : ndarray
        A in the tail's storage.
    grams : bool
        Keep what ``gram_sums`` needs.

    Attributes
    ----------
    logdet : float
        log |M|.
    """

    def __init__(
        self, batches: list[Batch], Lambdas: list[FloatArray], flat: FloatArray, *, grams: bool
    ) -> None:
        self.batches, self.Lambdas, self._storage = batches, Lambdas, len(flat)
        self.logdet = 0.0
        self.N: list[FloatArray] = []
        self.W: list[FloatArray] = []
        self._Q: list[FloatArray] = []
        self._sums = [np.zeros(Lambda.shape) for Lambda in Lambdas] if grams else []
        updates: dict[int, FloatArray] = {}
        uses = [len(batch.above) for batch in batches]
        for number, batch in enumerate(batches):
            A = _assembled(batch, flat, updates)
            for link in batch.below:
                uses[link.child] -= 1
                if not uses[link.child]:
                    del updates[link.child]
            update = self._eliminate(batch, A)
            if batch.above:
                updates[number] = update

    def _eliminate(self, batch: Batch, A: FloatArray) -> FloatArray:
        """Eliminate a batch's pivots; what is left on the boundaries, (B, c, c)."""
        p = batch.shape[1]
        A_P, A_C = A[:, :p, :p], A[:, :p, p:]
        M = _sandwich(batch.parts, [Lambda.T for Lambda in self.Lambdas], A_P)
        index = np.arange(p)
        M[:, index, index] += 1.0
        logdet, inverse = inverted(M)
        self.logdet += logdet
        N = _sandwich(batch.parts, self.Lambdas, inverse)
        W = np.matmul(N, A_C)
        self.N.append(N)
        self.W.append(W)
        if self._sums:
            self._Q.append(A_C - np.matmul(A_P, W))
            _add(self._sums, batch, A_P - np.matmul(A_P, np.matmul(N, A_P)))
        return A[:, p:, p:] - np.matmul(A_C.transpose(0, 2, 1), W)

    def solve(self, values: FloatArray) -> FloatArray:
        """``N @ values``; values (n_columns, t)."""
        n, t = values.shape
        work = np.zeros((n + 1, t))  # in C order whatever that of the values: it is used flat
        work[:n] = values
        for batch, W in zip(self.batches, self.W, strict=True):
            passed = np.matmul(W.transpose(0, 2, 1), work[batch.columns])
            where = (batch.boundary * t)[:, :, None] + np.arange(t)
            np.subtract.at(work.reshape(-1), where.reshape(-1), passed.reshape(-1))
        for batch, N, W in zip(self.batches[::-1], self.N[::-1], self.W[::-1], strict=True):
            own = np.matmul(N, work[batch.columns])
            work[batch.columns] = own - np.matmul(W, work[batch.boundary])
        return work[:n]

    def selected(self) -> tuple[FloatArray, list[FloatArray]]:
        """N where the tail's storage has entries, and for every factor the sum of G's blocks."""
        flat = np.zeros(self._storage)
        sums = [total.copy() for total in self._sums]
        fronts: dict[int, FloatArray] = {}
        uses = [len(batch.below) for batch in self.batches]
        for number in range(len(self.batches) - 1, -1, -1):
            batch = self.batches[number]
            corner = _corner(batch, fronts)
            for link in batch.above:
                uses[link.parent] -= 1
                if not uses[link.parent]:
                    del fronts[link.parent]
            front = _completed(self.N[number], self.W[number], corner, whole=bool(batch.below))
            flat[batch.source] = front.reshape(-1)[batch.target]
            if batch.below:
                fronts[number] = front
            if sums:
                Q = self._Q[number]
                _add(sums, batch, -np.matmul(np.matmul(Q, corner), Q.transpose(0, 2, 1)))
        return flat, sums


def _assembled(batch: Batch, flat: FloatArray, updates: dict[int, FloatArray]) -> FloatArray:
    """Entries of A and what the children have left, (B, m, m)."""
    n, p, c = batch.shape
    m = p + c
    A = np.zeros(n * m * m)
    A[batch.target] = flat[batch.source]
    for link in batch.below:
        passed = updates[link.child][link.rows]
        np.add.at(A, link.addresses(m).reshape(-1), passed.reshape(-1))
    return A.reshape(n, m, m)


def _corner(batch: Batch, fronts: dict[int, FloatArray]) -> FloatArray:
    """N between the columns of the boundaries, from the parents' fronts, (B, c, c)."""
    n, _, c = batch.shape
    corner = np.zeros((n, c, c))
    for link in batch.above:
        front = fronts[link.parent]
        corner[link.rows] = front.reshape(-1)[link.addresses(front.shape[1])]
    return corner


def _completed(N: FloatArray, W: FloatArray, corner: FloatArray, *, whole: bool) -> FloatArray:
    """N between all columns of the fronts, (B, p + c, p + c); rows of the boundary if wanted."""
    n, p, c = W.shape
    front = np.empty((n, p + c, p + c))
    WN = np.matmul(W, corner)
    np.negative(WN, out=front[:, :p, p:])
    if whole:
        front[:, p:, p:] = corner
        front[:, p:, :p] = front[:, :p, p:].transpose(0, 2, 1)
    front[:, :p, :p] = N + np.matmul(WN, W.transpose(0, 2, 1))
    return front


def _add(sums: list[FloatArray], batch: Batch, blocks: FloatArray) -> None:
    """Add the levels' diagonal blocks of (B, p, p) to the sums of their factors."""
    for part in batch.parts:
        n, k = part.factor.shape[1], part.k
        square = blocks[:, part.slots, part.slots].reshape(-1, n, k, n, k)
        levels = np.einsum("bjajc->bjac", square)
        for factor in np.unique(part.factor):
            sums[factor] += levels[part.factor == factor].sum(axis=0)


def _scaled(parts: tuple[Part, ...], Lambdas: list[FloatArray], blocks: FloatArray) -> FloatArray:
    """Lambda times blocks (B, p, m), Lambda block diagonal over the pivots' levels."""
    result = np.empty(blocks.shape)
    for part in parts:
        piece = blocks[:, part.slots]
        if part.k == 1:
            scalars = np.array([Lambda[0, 0] for Lambda in Lambdas])
            result[:, part.slots] = piece * scalars[part.factor][:, :, None]
            continue
        stack = np.array([L if len(L) == part.k else np.zeros((part.k, part.k)) for L in Lambdas])
        n, m = part.factor.shape[1], blocks.shape[2]
        turned = np.matmul(stack[part.factor], piece.reshape(len(blocks), n, part.k, m))
        result[:, part.slots] = turned.reshape(len(blocks), -1, m)
    return result


def _sandwich(parts: tuple[Part, ...], Lambdas: list[FloatArray], blocks: FloatArray) -> FloatArray:
    """``Lambda @ block @ Lambda'`` for symmetric blocks; a fresh C-ordered array."""
    if len(parts) == 1 and parts[0].k == 1:
        scalars = np.array([Lambda[0, 0] for Lambda in Lambdas])[parts[0].factor]
        return np.asarray(blocks * scalars[:, :, None] * scalars[:, None, :])
    half = _scaled(parts, Lambdas, blocks).transpose(0, 2, 1)
    return _scaled(parts, Lambdas, half)
