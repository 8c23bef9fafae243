"""Elimination of the tail: what every storage offers, and dense blocks batched by component."""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import cached_property

import numpy as np
from scipy.linalg import lapack

from lmmformula._arrays import FloatArray
from lmmformula.engine.block_layout import BlockTailLayout, Bucket
from lmmformula.engine.threads import product

__all__ = ["BlockTail", "Blocks", "Tail", "inverted"]

Blocks = list[FloatArray]
"""One (B, m, m) array for each bucket."""

DIRECT_SIZE = 200
SMALL = 64
WELL_CONDITIONED = 1e-3


class Tail(ABC):
    """The tail's cross-products A after the first elimination, and their own elimination.

    With M = I + Lambda' A Lambda: ``logdet`` is log |M| and ``N = Lambda M^-1 Lambda'``, so that
    what comes after loses ``B' N B``. Valid for singular Lambda.

    Attributes
    ----------
    Lambdas : list of ndarray, shape (k, k)
        Relative covariance factor of each tail factor.
    logdet : float
    """

    Lambdas: list[FloatArray]
    logdet: float

    @property
    @abstractmethod
    def flat_N(self) -> FloatArray:
        """N in the tail's flat storage."""

    @abstractmethod
    def A_times(self, values: FloatArray) -> FloatArray:
        """``A @ values``; values (q_tail, t)."""

    @abstractmethod
    def N_times(self, values: FloatArray) -> FloatArray:
        """``N @ values``; values (q_tail, t)."""

    @abstractmethod
    def residual_gram_sums(self, factor: int) -> FloatArray:
        """Sum over levels of the diagonal blocks of ``A - A N A``, (k, k)."""


class BlockTail(Tail):
    """Dense blocks, inverted.

    Where Sigma = Lambda Lambda' is well conditioned and the blocks are large, products with
    ``E = I - A N`` are taken as ``Sigma^-1 N``, which needs no matrix product.
    """

    def __init__(
        self, layout: BlockTailLayout, Lambdas: list[FloatArray], flat: FloatArray
    ) -> None:
        self.layout, self.Lambdas = layout, Lambdas
        self.A = layout.blocks(flat)
        self._flat_N = np.empty(layout.storage)
        self.N = layout.blocks(self._flat_N)
        self.logdet = 0.0
        transposed = [Lambda.T for Lambda in Lambdas]
        for bucket, A, N in zip(layout.buckets, self.A, self.N, strict=True):
            M = _sandwich(transposed, A, bucket)
            index = np.arange(M.shape[1])
            M[:, index, index] += 1.0
            logdet, inverse = inverted(M)
            self.logdet += logdet
            N[:] = _sandwich(Lambdas, inverse, bucket)

    @property
    def flat_N(self) -> FloatArray:
        """The blocks of N."""
        return self._flat_N

    def A_times(self, values: FloatArray) -> FloatArray:
        """Batched products."""
        return self.layout.apply(self.A, values)

    def N_times(self, values: FloatArray) -> FloatArray:
        """Batched products."""
        return self.layout.apply(self.N, values)

    def apply(self, blocks: Blocks, values: FloatArray) -> FloatArray:
        """Block-diagonal ``blocks`` times ``values`` (q_tail, t)."""
        return self.layout.apply(blocks, values)

    def products(self, left: Blocks, right: Blocks) -> Blocks:
        """``left @ right`` block by block."""
        return [_product(a, b) for a, b in zip(left, right, strict=True)]

    @cached_property
    def inverse_Sigmas(self) -> list[FloatArray] | None:
        """Sigma^-1 of every factor, where dividing by Sigma keeps most digits and saves work."""
        largest = max(bucket.columns.shape[1] for bucket in self.layout.buckets)
        if largest <= DIRECT_SIZE:
            return None
        for f, Lambda in enumerate(self.Lambdas):
            smallest = np.linalg.svd(Lambda, compute_uv=False)[-1]
            mean = np.trace(self.level_sums(self.A, f)) / self.layout.factors[f].n_columns
            if not smallest**2 * mean > WELL_CONDITIONED:
                return None
        return [
            np.asarray(np.linalg.inv(Lambda @ Lambda.T), dtype=np.float64)
            for Lambda in self.Lambdas
        ]

    @cached_property
    def E(self) -> Blocks:
        """I - A N."""
        if self.inverse_Sigmas is not None:
            return self._by_inverse(self.N)
        result = []
        for A, N in zip(self.A, self.N, strict=True):
            E = -_product(A, N)
            index = np.arange(E.shape[1])
            E[:, index, index] += 1.0
            result.append(E)
        return result

    def E_times(self, T: Blocks, NT: Blocks) -> Blocks:
        """``E @ T``, given ``N @ T``."""
        if self.inverse_Sigmas is not None:
            return self._by_inverse(NT)
        return [t - _product(A, nt) for t, A, nt in zip(T, self.A, NT, strict=True)]

    @cached_property
    def EA(self) -> Blocks:
        """``A - A N A``, symmetric."""
        if self.inverse_Sigmas is None:
            return self.products(self.E, self.A)
        result = []
        for bucket, N in zip(self.layout.buckets, self.N, strict=True):
            block = -_sandwich(self.inverse_Sigmas, N, bucket)
            for (slots, n), inverse in zip(bucket.parts, self.inverse_Sigmas, strict=True):
                k = len(inverse)
                index = slots.start + np.arange(n) * k
                for a in range(k):
                    for b in range(k):
                        block[:, index + a, index + b] += inverse[a, b]
            result.append(block)
        return result

    def _by_inverse(self, blocks: Blocks) -> Blocks:
        """``Sigma^-1 @ blocks``."""
        assert self.inverse_Sigmas is not None
        return [
            _left(self.inverse_Sigmas, block, bucket)
            for bucket, block in zip(self.layout.buckets, blocks, strict=True)
        ]

    def level_sums(self, blocks: Blocks, factor: int) -> FloatArray:
        """Sum over levels of the (k, k) diagonal blocks of a symmetric matrix."""
        k = self.layout.factors[factor].k
        total = np.zeros((k, k))
        for bucket, block in zip(self.layout.buckets, blocks, strict=True):
            slots, n = bucket.parts[factor]
            square = block[:, slots, slots].reshape(block.shape[0], n, k, n, k)
            total += np.einsum("bjajc->ac", square)
        return total

    def row_products(self, left: Blocks, right: Blocks, factor: int) -> FloatArray:
        """Sum over levels of the (k, k) diagonal blocks of ``left @ right'``."""
        k = self.layout.factors[factor].k
        total = np.zeros((k, k))
        for bucket, one, other in zip(self.layout.buckets, left, right, strict=True):
            slots, n = bucket.parts[factor]
            a = one[:, slots].reshape(len(one), n, k, -1).transpose(2, 0, 1, 3).reshape(k, -1)
            b = other[:, slots].reshape(len(one), n, k, -1).transpose(2, 0, 1, 3).reshape(k, -1)
            total += a @ b.T
        return total

    def residual_gram_sums(self, factor: int) -> FloatArray:
        """Sum over levels of the diagonal blocks of ``A - A N A``, (k, k)."""
        if self.inverse_Sigmas is not None:
            inverse = self.inverse_Sigmas[factor]
            n_slots = sum(len(b.columns) * b.parts[factor][1] for b in self.layout.buckets)
            return n_slots * inverse - inverse @ self.level_sums(self.N, factor) @ inverse
        total = self.row_products(self.E, self.A, factor)
        return 0.5 * (total + total.T)


def _product(left: FloatArray, right: FloatArray) -> FloatArray:
    """Batched product; a single large block goes through one BLAS pool."""
    if len(left) == 1 and left.shape[1] >= SMALL:
        return product(left[0], right[0])[None]
    result: FloatArray = np.matmul(left, right)
    return result


def _scalars(factors: list[FloatArray], bucket: Bucket) -> FloatArray | None:
    """Slot-wise multipliers when every factor has one effect."""
    if any(factor.shape[0] > 1 for factor in factors):
        return None
    return np.concatenate(
        [np.full(n, factor[0, 0]) for (_, n), factor in zip(bucket.parts, factors, strict=True)]
    )


def _left(factors: list[FloatArray], blocks: FloatArray, bucket: Bucket) -> FloatArray:
    """``F @ block`` with F block diagonal, the (k, k) ``factors`` repeated over levels."""
    scalars = _scalars(factors, bucket)
    if scalars is not None:
        return np.asarray(blocks * scalars[:, None])
    result = np.empty(blocks.shape)
    for (slots, n), factor in zip(bucket.parts, factors, strict=True):
        piece = blocks[:, slots].reshape(len(blocks), n, factor.shape[0], -1)
        result[:, slots] = np.matmul(factor, piece).reshape(len(blocks), -1, blocks.shape[2])
    return result


def _sandwich(factors: list[FloatArray], blocks: FloatArray, bucket: Bucket) -> FloatArray:
    """``F @ block @ F'`` for symmetric blocks; a fresh C-ordered array."""
    scalars = _scalars(factors, bucket)
    if scalars is not None:
        return np.asarray(blocks * np.outer(scalars, scalars))
    half = _left(factors, blocks, bucket).transpose(0, 2, 1)
    return _left(factors, half, bucket)


def inverted(M: FloatArray) -> tuple[float, FloatArray]:
    """Log-determinant and inverse of positive definite blocks (B, m, m); ``M`` is overwritten.

    A matrix that is not positive definite gives a log-determinant of NaN.
    """
    if M.shape[1] == 1:
        return float(np.sum(np.log(M))), 1.0 / M
    if len(M) == 1:
        factor, failed = lapack.dpotrf(M[0].T, lower=1, overwrite_a=1, clean=0)
        if failed:
            return np.nan, np.full(M.shape, np.nan)
        logdet = 2.0 * float(np.sum(np.log(np.diag(factor))))
        upper = lapack.dpotri(factor, lower=1, overwrite_c=1)[0].T
        return logdet, _mirrored(upper)[None]
    try:
        factors = np.linalg.cholesky(M)
    except np.linalg.LinAlgError:
        return np.nan, np.full(M.shape, np.nan)
    logdet = 2.0 * float(np.sum(np.log(np.einsum("bii->bi", factors))))
    return logdet, np.asarray(np.linalg.inv(M), dtype=np.float64)


def _mirrored(upper: FloatArray) -> FloatArray:
    """Full symmetric matrix of a C-ordered upper triangle, tile by tile (cache-sized)."""
    n, tile = len(upper), 128
    for start in range(0, n, tile):
        stop = min(start + tile, n)
        corner = upper[start:stop, start:stop]
        corner[:] = np.triu(corner) + np.triu(corner, 1).T
        upper[stop:, start:stop] = upper[start:stop, stop:].T
    return upper
