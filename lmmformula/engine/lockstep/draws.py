r"""Responses drawn directly as cross-products: no array as long as the data.

Of a response only Z'y, X'y and y'y matter. For the signal they are linear in the random effects
drawn. For errors :math:`e \sim N(0, \sigma^2 I)` and A = [Z X] with A'A = R'R of rank m,

.. math:: A'e = \sigma R'g,\quad e'e = \sigma^2 (g'g + \chi^2_{n - m}),\quad g \sim N(0, I_m),

because the part of e outside the columns of A is independent of the part inside. This is exact, and
R comes from the blocks of levels and one small border, so a draw costs O(q) whatever the number of
rows.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lmmformula._arrays import FloatArray
from lmmformula.engine.lockstep.stack import ReplicateStack, design_blocks
from lmmformula.engine.system import BlockedSystem

__all__ = ["ResponseSampler"]

RANK_TOLERANCE = 1e-9


class ResponseSampler:
    """Draws responses of one design in cross-product space.

    Parameters
    ----------
    system : BlockedSystem
    beta : ndarray, shape (p,)
        Fixed effects in the user's units.
    templates : sequence of ndarray, shape (k, k)
        Relative covariance factor of every term, model order, user's columns.
    sigma : float
        Residual standard deviation.
    """

    def __init__(
        self,
        system: BlockedSystem,
        beta: FloatArray,
        templates: Sequence[FloatArray],
        sigma: float,
    ) -> None:
        self.system, basis = system, system.basis
        self.sigma = sigma / basis.scale
        self.beta = np.linalg.solve(basis.fixed, (beta - basis.beta) / basis.scale)
        factors = {
            term.index: np.asarray(
                np.linalg.solve(basis.random[term.index], templates[term.index]), dtype=np.float64
            )
            for term in system.terms
        }
        self.Lambdas = [factor.merged(factors) for factor in system.factors]
        self.fixed, self.border = design_blocks(system)
        self._noise_roots()

    def _noise_roots(self) -> None:
        """R of the errors: roots of the levels' blocks and of what the border adds to them."""
        blocks = np.ascontiguousarray(self.system.gram.transpose(2, 0, 1))
        values, vectors = np.linalg.eigh(blocks)
        present = values > RANK_TOLERANCE * np.maximum(values[:, -1:], 1e-300)
        size = np.sqrt(np.where(present, values, 0.0))
        self.present = present.T
        self.root = (vectors * size[:, None, :]).transpose(1, 2, 0)
        inverse = np.divide(1.0, size, out=np.zeros_like(size), where=present)
        columns = np.einsum("jab,jb,acj->bcj", vectors, inverse, self.fixed, optimize=True)
        k, c, J = columns.shape
        self.projected = np.ascontiguousarray(columns.transpose(0, 2, 1)).reshape(k * J, c)
        rest = self.border - self.projected.T @ self.projected
        values, vectors = np.linalg.eigh(0.5 * (rest + rest.T))
        largest = float(np.max(np.diag(self.border), initial=0.0))
        keep = values > RANK_TOLERANCE * largest
        self.rest_root = vectors[:, keep] * np.sqrt(values[keep])
        rank = int(present.sum()) + int(keep.sum())
        self.n_outside = max(self.system.n_obs - rank, 0)

    def draw(self, n: int, seed: np.random.SeedSequence) -> ReplicateStack:
        """Replicates; the first ones do not depend on ``n``."""
        streams = [np.random.default_rng(s) for s in seed.spawn(len(self.Lambdas) + 3)]
        first, tail = self._effects(n, streams)
        border_modes = np.concatenate([tail, np.broadcast_to(self.beta, (n, len(self.beta)))], 1)
        system = self.system
        y = np.einsum("abj,brj->arj", system.gram, first)
        y += np.einsum("acj,rc->arj", self.fixed, border_modes, optimize=True)
        border_y = np.einsum("acj,arj->rc", self.fixed, first, optimize=True)
        border_y += border_modes @ self.border
        noise, border_noise, square = self._errors(n, streams[len(self.Lambdas) :])
        yy = square + np.einsum("arj,arj->r", first, y + 2.0 * noise)
        yy += np.einsum("rc,rc->r", border_modes, border_y + 2.0 * border_noise)
        return ReplicateStack.with_responses(system, y + noise, border_y + border_noise, yy)

    def _effects(
        self, n: int, streams: Sequence[np.random.Generator]
    ) -> tuple[FloatArray, FloatArray]:
        """Random effects of the first factor, (k, n, J), and of the tail, (n, q_tail)."""
        parts = []
        for factor, Lambda, rng in zip(self.system.factors, self.Lambdas, streams, strict=False):
            u = self.sigma * rng.standard_normal((n, factor.n_levels, factor.k))
            parts.append(u @ Lambda.T)
        tail = [part.reshape(n, -1) for part in parts[1:]]
        first = np.ascontiguousarray(parts[0].transpose(2, 0, 1))
        return first, np.concatenate(tail, axis=1) if tail else np.zeros((n, 0))

    def _errors(
        self, n: int, streams: Sequence[np.random.Generator]
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Z1'e, (k, n, J), [T X]'e, (n, c), and e'e, (n,)."""
        k, J = self.present.shape
        g = self.sigma * streams[0].standard_normal((n, k, J)) * self.present
        h = self.sigma * streams[1].standard_normal((n, self.rest_root.shape[1]))
        outside = np.zeros(n)
        if self.n_outside:
            outside = self.sigma**2 * streams[2].chisquare(self.n_outside, n)
        noise = np.einsum("abj,rbj->arj", self.root, g)
        border = g.reshape(n, k * J) @ self.projected + h @ self.rest_root.T
        return noise, border, np.einsum("rbj,rbj->r", g, g) + np.sum(h * h, axis=1) + outside
