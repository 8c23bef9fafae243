"""A sparse tail, eliminated: the criterion's pieces without a dense block."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from scipy.sparse import csr_array

from lmmformula._arrays import FloatArray
from lmmformula.engine.sparse.factor import Factor
from lmmformula.engine.sparse.layout import SparseTailLayout
from lmmformula.engine.tail import WELL_CONDITIONED, Tail

__all__ = ["SparseTail"]


class SparseTail(Tail):
    """Fronts of coupled levels, eliminated from the leaves to the roots.

    Entries of N are known where A has entries. Where Sigma = Lambda Lambda' is well conditioned,
    the blocks of A - A N A are ``Sigma^-1 - Sigma^-1 N Sigma^-1``; elsewhere, singular Lambda
    included, they are found by the traversal that finds N, without dividing by Lambda.
    """

    def __init__(
        self, layout: SparseTailLayout, Lambdas: list[FloatArray], flat: FloatArray
    ) -> None:
        self.layout, self.Lambdas, self._flat = layout, Lambdas, flat
        self._inverses = self._inverse_Sigmas()
        direct = any(inverse is None for inverse in self._inverses)
        self._factor = Factor(layout.batches, Lambdas, flat, grams=direct)
        self.logdet = self._factor.logdet

    def _inverse_Sigmas(self) -> list[FloatArray | None]:
        """Sigma^-1 of every factor where dividing by Sigma keeps most digits."""
        inverses: list[FloatArray | None] = []
        for Lambda, own in zip(self.Lambdas, self.layout.own_blocks(self._flat), strict=True):
            smallest = np.linalg.svd(Lambda, compute_uv=False)[-1]
            mean = np.einsum("jaa->", own) / max(own.shape[0] * own.shape[1], 1)
            safe = smallest**2 * mean > WELL_CONDITIONED
            Sigma = Lambda @ Lambda.T
            inverses.append(np.asarray(np.linalg.inv(Sigma), np.float64) if safe else None)
        return inverses

    @cached_property
    def _matrix(self) -> csr_array:
        return self.layout.matrix(self._flat)

    def A_times(self, values: FloatArray) -> FloatArray:
        """Sparse product."""
        return np.asarray(self._matrix @ values)

    def N_times(self, values: FloatArray) -> FloatArray:
        """A forward and a backward pass through the fronts."""
        return self._factor.solve(values)

    @cached_property
    def _selected(self) -> tuple[FloatArray, list[FloatArray]]:
        return self._factor.selected()

    @property
    def flat_N(self) -> FloatArray:
        """Entries of N where A has entries."""
        return self._selected[0]

    def residual_gram_sums(self, factor: int) -> FloatArray:
        """Sum over levels of the diagonal blocks of ``A - A N A``, (k, k)."""
        inverse = self._inverses[factor]
        if inverse is None:
            total = self._selected[1][factor]
            return 0.5 * (total + total.T)
        own = self.layout.own_blocks(self.flat_N)[factor]
        return len(own) * inverse - inverse @ own.sum(axis=0) @ inverse
