"""The Krylov engine's system: cross-products kept as they are, nothing eliminated beforehand."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from lmmformula._arrays import FloatArray
from lmmformula.engine.alternative import AlternativeSystem
from lmmformula.engine.crossproducts import no_pairs
from lmmformula.engine.krylov.coupling import Coupling
from lmmformula.engine.krylov.moments import moments
from lmmformula.engine.krylov.nesting import Link
from lmmformula.engine.layout import TermLayout
from lmmformula.engine.summation import DataSums, check_residual
from lmmformula.engine.system import BlockedSystem
from lmmformula.errors import DesignError

if TYPE_CHECKING:
    from lmmformula.engine.estimates import Estimates
    from lmmformula.engine.information import VarianceInformation

__all__ = ["KrylovSystem"]

FEW_ROWS = 64
"""Columns of small tail factors, all together, that are eliminated exactly."""


class KrylovSystem(AlternativeSystem):
    """Cross-products of [Z X y] by factor and by pair of factors, used as operators.

    Memory: the sums themselves and one array of 32-bit indices for each pair of factors.

    Parameters
    ----------
    sums : DataSums
        Not modified; its arrays are not copied.

    Attributes
    ----------
    gram : tuple of ndarray, shape (k, k, J)
        Z'WZ of each factor, in elimination order.
    fixed : tuple of ndarray, shape (k, p + 1, J)
        Z'W[X y] of each factor.
    couplings : dict of (int, int) to Coupling
        Z'WZ between two factors (lower index first).

    Raises
    ------
    DesignError
        A response that X reproduces exactly, or related levels.
    """

    method: ClassVar[str] = "krylov"
    hessian_is_cheap = False

    def __init__(self, sums: DataSums) -> None:
        total, layouts = sums.total, sums.layouts
        check_residual(total.xy, total.n_obs)
        related = [f.group for f in layouts if f.relationship is not None]
        if related:
            raise DesignError(
                f"the Krylov engine takes the levels of {related[0]} as independent, and they have "
                "a known relationship.",
                got="relationship=",
                suggestion='fit(method="exact")',
            )
        self.factors, self.basis = layouts, sums.basis
        self.gram, self.fixed = tuple(total.gram), tuple(total.fixed)
        self.xy, self.n_obs, self.log_weights = total.xy, total.n_obs, total.log_weights
        self.couplings = {
            (f, g): Coupling(
                layouts[f],
                layouts[g],
                total.pairs.get((f, g), no_pairs(layouts[f], layouts[g])),
            )
            for f in range(len(layouts))
            for g in range(f + 1, len(layouts))
        }
        self._sums = sums
        self._links: dict[tuple[int, int], Link] = {}

    @classmethod
    def of(cls, sums: DataSums) -> KrylovSystem:
        """The system of some sums over rows."""
        return cls(sums)

    @cached_property
    def terms(self) -> tuple[TermLayout, ...]:
        """Random-effects terms in the model's order."""
        terms = (term for factor in self.factors for term in factor.terms)
        return tuple(sorted(terms, key=lambda term: term.index))

    @cached_property
    def starts(self) -> tuple[int, ...]:
        """First row of every tail factor among the columns of the tail; the end at last."""
        sizes = [factor.n_columns for factor in self.factors[1:]]
        return tuple(int(end) for end in np.cumsum([0, *sizes]))

    @cached_property
    def moments(self) -> tuple[FloatArray, FloatArray]:
        """Traces from which starting values are found, for ML and for REML."""
        return moments(self._sums, self.couplings)

    entry_order = BlockedSystem.entry_order
    order_of = BlockedSystem.order_of

    @cached_property
    def small(self) -> set[int]:
        """Tail factors whose rows of the Schur complement are few enough to be formed."""
        chosen: set[int] = set()
        total = 0
        for f in sorted(range(1, len(self.factors)), key=lambda f: self.factors[f].n_columns):
            total += self.factors[f].n_columns
            if total > FEW_ROWS:
                break
            chosen.add(f)
        return chosen

    def place(self, factor: int) -> slice:
        """Rows of one tail factor."""
        return slice(self.starts[factor - 1], self.starts[factor])

    def link(self, g: int, a: int, make: Callable[[int, int], Link]) -> Link:
        """The link of two nested factors, made once."""
        if (g, a) not in self._links:
            self._links[g, a] = make(g, a)
        return self._links[g, a]

    def tail_parts(self, columns: FloatArray) -> list[FloatArray]:
        """Views of rows of the tail, (q_tail, m), by factor: (k, J, m) each."""
        return [
            columns[start : start + factor.n_columns].reshape(factor.k, factor.n_levels, -1)
            for factor, start in zip(self.factors[1:], self.starts, strict=False)
        ]

    def estimate(self, theta: FloatArray, reml: bool = True) -> Estimates:
        """Estimates at a given theta; nothing is optimized.

        Exact up to rounding, but for the objective, which has a Monte Carlo error
        (``monte_carlo.objective_error``).
        """
        from lmmformula.engine.krylov.estimates import estimates_of

        return estimates_of(self, theta, reml)

    def variance_information(self, theta: FloatArray, reml: bool = True) -> VarianceInformation:
        """Joint uncertainty of the variance parameters, from the average information.

        The exact engine has the exact Hessian in its place; both estimate the same information,
        and they differ by terms that vanish beside it as the numbers of levels grow.
        """
        from lmmformula.engine.krylov.estimates import information_of

        return information_of(self, theta, reml)

    def conditional_covariances(self, estimates: Estimates) -> tuple[FloatArray, ...]:
        """Covariance of each level's effects given the data, theta and sigma, (J, k, k) by term.

        By random probes (``conditional.conditional_blocks`` says with which error).
        """
        from lmmformula.engine.krylov.conditional import conditional_blocks

        return conditional_blocks(self, estimates).covariances

    def __repr__(self) -> str:
        levels = ", ".join(f"{factor.group}: {factor.n_levels}" for factor in self.factors)
        return f"KrylovSystem(n_obs={self.n_obs}, p={self.p}, q={self.q}, levels={{{levels}}})"
