r"""Known relationships between the levels of a grouping factor, as a change of basis of the tail.

With :math:`K = LL'` between the levels, :math:`\mathrm{Var}(b) = \sigma^2 K \otimes \Sigma` is
:math:`b = (L \otimes I)u` with u independent over levels. The engine works with u: the sums over
rows are made for b and then multiplied by :math:`R = L \otimes I`,

.. math:: A_u = R'AR,\quad C_u = CR,\quad (Z'X)_u = R'Z'X,

and everything after that is as for independent levels. Nothing is divided by L, so K may be
singular (clones, identical twins). What is asked of b itself goes back through R. A factor with a
relationship couples all of its levels, so it belongs to a dense tail and is never eliminated first.

References
----------
Harville and Callanan (1989), in Gianola and Hammond (eds), Advances in Statistical Methods for
Genetic Improvement of Livestock, 136-176 (the equivalent model in u).
Vazquez, Bates, Rosa, Gianola and Weigel (2010), J. Anim. Sci. 88, 497-504.
"""

from __future__ import annotations

import numpy as np

from lmmformula._arrays import FloatArray
from lmmformula.engine.layout import TailLayout

__all__ = ["Relations"]


class Relations:
    """R of a tail: L (x) I for factors whose levels are related, the identity for the others.

    Parameters
    ----------
    layout : TailLayout
        A single dense component.
    maps : list of ndarray, shape (J', J), or None
        L of every factor; None is the identity. More rows than columns are levels beyond the
        fitted ones, whose effects are those combinations of u.

    Attributes
    ----------
    starts : list of int
        First row of every factor in b.
    """

    def __init__(self, layout: TailLayout, maps: list[FloatArray | None]) -> None:
        self.layout, self.maps = layout, maps
        self.starts, self.n_rows = [], 0
        for factor, L in zip(layout.factors, maps, strict=True):
            self.starts.append(self.n_rows)
            self.n_rows += factor.k * (factor.n_levels if L is None else len(L))

    @classmethod
    def of(cls, layout: TailLayout) -> Relations | None:
        """R of the fitted levels, or None where none are related."""
        maps = [factor.relationship for factor in layout.factors]
        return None if all(L is None for L in maps) else cls(layout, maps)

    def extended(self, extra: list[FloatArray | None]) -> Relations:
        """With rows for further levels, (m, J) for each factor."""
        maps = [
            L if L is None or more is None else np.concatenate([L, more])
            for L, more in zip(self.maps, extra, strict=True)
        ]
        return Relations(self.layout, maps)

    def forward(self, values: FloatArray) -> FloatArray:
        """``R @ values``; values (q_tail, t). From u to b."""
        parts = []
        for factor, start, L in zip(
            self.layout.factors, self.layout.starts, self.maps, strict=True
        ):
            part = values[start : start + factor.n_columns]
            parts.append(part if L is None else _times(L, part, factor.k))
        return np.concatenate(parts)

    def backward(self, values: FloatArray) -> FloatArray:
        """``R.T @ values``; values (n_rows, t). From sums for b to sums for u."""
        parts = []
        ends = [*self.starts[1:], self.n_rows]
        for factor, L, start, end in zip(
            self.layout.factors, self.maps, self.starts, ends, strict=True
        ):
            part = values[start:end]
            parts.append(part if L is None else _times(L.T, part, factor.k))
        return np.concatenate(parts)

    def columns(self, values: FloatArray) -> FloatArray:
        """``values @ R``; values (..., n_rows)."""
        rows = values.reshape(-1, values.shape[-1])
        return np.ascontiguousarray(self.backward(rows.T).T).reshape(*values.shape[:-1], -1)

    def inward(self, flat: FloatArray) -> FloatArray:
        """``R' A R`` of a symmetric A in flat storage: cross-products of u."""
        half = self.backward(flat.reshape(self.n_rows, self.n_rows))
        return _symmetrized(self.backward(half.T))

    def outward(self, flat: FloatArray) -> FloatArray:
        """``R A R'`` of a symmetric A in flat storage: covariances of b."""
        q = self.layout.n_columns
        half = self.forward(flat.reshape(q, q))
        return _symmetrized(self.forward(half.T))


def _times(L: FloatArray, values: FloatArray, k: int) -> FloatArray:
    """``(L x I_k) @ values``."""
    rows = np.ascontiguousarray(values).reshape(L.shape[1], k * values.shape[1])
    return np.asarray((L @ rows).reshape(L.shape[0] * k, values.shape[1]))


def _symmetrized(square: FloatArray) -> FloatArray:
    """Without the asymmetry of rounding, flat."""
    return np.asarray(0.5 * (square + square.T)).ravel()
