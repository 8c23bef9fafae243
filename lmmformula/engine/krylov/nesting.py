"""Which tail factors are nested in which, and where their levels meet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csr_array

from lmmformula._arrays import FloatArray, IntArray
from lmmformula.engine.krylov.coupling import Coupling

if TYPE_CHECKING:
    from lmmformula.engine.krylov.system import KrylovSystem

__all__ = ["Link", "Nesting"]


@dataclass(frozen=True, slots=True, eq=False)
class Link:
    """A factor nested in another one.

    Attributes
    ----------
    parent : ndarray, shape (J,)
        Level of the outer factor to which every level of the inner one belongs.
    values : ndarray, shape (k, k_outer, J)
        Z'WZ of every level with its parent.
    sums : csr_array, shape (J_outer, J)
        Adds up the levels of every parent.
    position : ndarray
        For every pair of the first factor with the inner one, the pair with its parent.
    """

    parent: IntArray
    values: FloatArray
    sums: csr_array
    position: IntArray


class Nesting:
    """The chains of nested factors in the tail.

    Parameters
    ----------
    system : KrylovSystem
    left_out : set of int
        Factors that are dealt with otherwise.
    linked : set of int
        Factors whose nesting counts; the others are by themselves.

    Attributes
    ----------
    order : list of int
        Factors, inner ones before the outer ones.
    outer : dict of int to list of int
        The factors in which one is nested, each nested in the next.
    links : dict of (int, int) to Link
        Inner and outer factor.
    """

    def __init__(self, system: KrylovSystem, left_out: set[int], linked: set[int]) -> None:
        self.system = system
        tail = [f for f in range(1, len(system.factors)) if f not in left_out]
        self.order = sorted(tail, key=lambda f: (-system.factors[f].n_levels, f))
        self.outer: dict[int, list[int]] = {}
        for place, g in enumerate(self.order):
            chain: list[int] = []
            for a in self.order[place + 1 :] if g in linked else []:
                if a not in linked:
                    continue
                inner = chain[-1] if chain else g
                if self._is_nested(g, a) and self._is_nested(inner, a):
                    chain.append(a)
            self.outer[g] = chain
        self.links = {
            (g, a): system.link(g, a, self._link) for g in self.order for a in self.outer[g]
        }

    @property
    def linked(self) -> set[int]:
        """Factors that are nested in another one, or another one in them."""
        return {f for pair in self.links for f in pair}

    def _is_nested(self, g: int, a: int) -> bool:
        coupling, _ = self._coupling(g, a)
        return coupling.n_pairs == self.system.factors[g].n_levels

    def _coupling(self, g: int, a: int) -> tuple[Coupling, bool]:
        """Cross-products of two factors, and whether ``g`` is the left one."""
        return self.system.couplings[min(g, a), max(g, a)], g < a

    def _link(self, g: int, a: int) -> Link:
        factors = self.system.factors
        coupling, is_left = self._coupling(g, a)
        rows, columns = coupling.rows(), coupling.columns
        values = coupling.values
        if not is_left:
            order = np.argsort(columns, kind="stable")
            rows, columns = columns[order], rows[order]
            values = np.ascontiguousarray(values.transpose(1, 0, 2)[:, :, order])
        J, J_outer = factors[g].n_levels, factors[a].n_levels
        parent = np.asarray(columns, dtype=np.int64)
        sums = csr_array((np.ones(J), (parent, np.arange(J))), shape=(J_outer, J))
        inner, outer = self.system.couplings[0, g], self.system.couplings[0, a]
        wanted = inner.rows() * np.int64(J_outer) + parent[inner.columns]
        known = outer.rows() * np.int64(J_outer) + outer.columns
        position = np.searchsorted(known, wanted).astype(np.int32)
        return Link(parent, values, sums, np.asarray(position))

    def eliminated(self, g: int, a: int, N: FloatArray) -> FloatArray:
        """What eliminating the first factor takes off ``Link.values``, (k, k_outer, J)."""
        link = self.links[g, a]
        inner, outer = self.system.couplings[0, g], self.system.couplings[0, a]
        rows, columns = inner.rows(), inner.columns
        out = np.zeros_like(link.values)
        for c in range(N.shape[0]):
            for d in range(N.shape[1]):
                weights = N[c, d][rows]
                for b in range(out.shape[1]):
                    right = weights * outer.values[d, b][link.position]
                    for e in range(out.shape[0]):
                        product = inner.values[c, e] * right
                        out[e, b] += np.bincount(columns, product, len(link.parent))
        return out
