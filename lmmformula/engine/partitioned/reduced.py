"""The criterion and its derivatives from sums over partitions."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from lmmformula._arrays import FloatArray
from lmmformula.engine.evaluation import Evaluation
from lmmformula.engine.hessian import traces
from lmmformula.engine.information import entry_moves, entry_products
from lmmformula.engine.partitioned.local import LocalTerms

__all__ = ["ReducedEvaluation"]


class ReducedEvaluation(Evaluation):
    """What ``Evaluation`` says of one point, without the arrays that are as long as the levels.

    Everything is in the model's order of terms.

    Parameters
    ----------
    system : PartitionedSystem
    terms : LocalTerms
        Added over all partitions.
    factors : list of ndarray, shape (k, k)
        Relative covariance factor of every term.
    reml : bool
    directions : list of ndarray, shape (t, k, k)
        Directions of every term's covariance.
    """

    system: Any

    def __init__(
        self,
        system: Any,
        terms: LocalTerms,
        factors: list[FloatArray],
        reml: bool,
        directions: list[FloatArray],
    ) -> None:
        self.factors = factors
        self.system, self.terms, self.reml, self._given = system, terms, reml, directions
        self.nu = system.n_obs - (system.p if reml else 0)
        self.tail = None
        self.logdet_H, self.S = terms.logdet_H, terms.S
        with np.errstate(all="ignore"):
            self._finish()

    direction_order = None

    def forms(self, blocks: list[FloatArray]) -> FloatArray:
        """Inner product of each term's block, (k, k), with its directions."""
        assert self._given is not None
        pairs = zip(self._given, blocks, strict=True)
        return np.concatenate([np.zeros(0), *(np.einsum("tab,ab->t", D, B) for D, B in pairs)])

    @cached_property
    def trace_blocks(self) -> list[FloatArray]:
        """B of every term: sum over levels of the diagonal blocks of Z'PZ."""
        if not self.reml:
            return list(self.terms.traces)
        p = self.system.p
        return [
            trace - np.einsum("arbs,rs->ab", tensor[:, :p, :, :p], self.Phi)
            for trace, tensor in zip(self.terms.traces, self.terms.tensors, strict=True)
        ]

    @cached_property
    def residual_blocks(self) -> list[FloatArray]:
        """C of every term: sum over levels of (Z'r)(Z'r)'."""
        gamma = self.gamma
        return [np.einsum("arbs,r,s->ab", tensor, gamma, gamma) for tensor in self.terms.tensors]

    @cached_property
    def moved(self) -> FloatArray:
        """[X y]'H^-1 H_i H^-1 [X y], (T, p + 1, p + 1)."""
        assert self._given is not None
        width = self.system.p + 1
        pairs = zip(self._given, self.terms.tensors, strict=True)
        parts = [np.einsum("tab,arbs->trs", D, tensor, optimize=True) for D, tensor in pairs]
        return np.concatenate([np.zeros((0, width, width)), *parts])

    @cached_property
    def working_products(self) -> FloatArray:
        """w_i' Z'PZ w_j for w_i = D_i Z'r over all directions D_i, (T, T)."""
        gamma, p = self.gamma, self.system.p
        products = np.einsum("irjs,r,s->ij", self.terms.products, gamma, gamma, optimize=True)
        V_x = (self.moved @ gamma)[:, :p]
        return products - V_x @ self.Phi @ V_x.T


@traces.register
def _(evaluation: ReducedEvaluation) -> FloatArray:
    p, pairs = evaluation.system.p, evaluation.terms.pairs
    if not evaluation.reml:
        return pairs
    turned = np.matmul(evaluation.Phi, evaluation.moved[:, :p, :p])
    crossing = np.einsum(
        "irjs,rs->ij", evaluation.terms.products[:, :p, :, :p], evaluation.Phi, optimize=True
    )
    return pairs - crossing - crossing.T + np.einsum("ipq,jqp->ij", turned, turned)


@entry_moves.register
def _(evaluation: ReducedEvaluation) -> FloatArray:
    p = evaluation.system.p
    return evaluation.moved[:, :p, :p]


@entry_products.register
def _(evaluation: ReducedEvaluation) -> FloatArray:
    p = evaluation.system.p
    return evaluation.terms.products[:, :p, :, :p].transpose(0, 2, 1, 3)
