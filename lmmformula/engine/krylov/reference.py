r"""What of the Schur complement can be factorized: the preconditioner, exact where it can be.

D has the k x k blocks on the diagonal of S, the blocks that couple a level with those it is nested
in, and all rows of factors with few levels. It is factorized without fill, D = LL': nested levels
are eliminated before their parents, the few rows come last as a border. Nested factors alone make
D = S, and then conjugate gradients stop after one step.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np

from lmmformula._arrays import FloatArray
from lmmformula.engine.kernels import block_diagonals, block_product, cholesky, forward_solve
from lmmformula.engine.krylov.blocks import times
from lmmformula.engine.krylov.nesting import Nesting

__all__ = ["Chains", "Reference"]


def _transposed(blocks: FloatArray) -> FloatArray:
    return blocks.transpose(1, 0, 2)


class Chains:
    """Cholesky factor of the blocks of nested factors.

    Parameters
    ----------
    nesting : Nesting
    blocks : dict of int to ndarray, shape (k, k, J)
        Diagonal blocks by factor.
    coupled : dict of (int, int) to ndarray, shape (k, k_outer, J)
        Blocks between a level and its parents, inner factor first.

    Attributes
    ----------
    logdet : float
        NaN where the blocks are not positive definite together.
    """

    def __init__(
        self,
        nesting: Nesting,
        blocks: dict[int, FloatArray],
        coupled: dict[tuple[int, int], FloatArray],
    ) -> None:
        self.nesting = nesting
        blocks, coupled = dict(blocks), dict(coupled)
        self.factors: dict[int, FloatArray] = {}
        self.roots: dict[int, FloatArray] = {}
        self.rows: dict[tuple[int, int], FloatArray] = {}
        self.logdet = 0.0
        for g in nesting.order:
            factor = cholesky(blocks[g])
            self.logdet += 2.0 * float(np.log(block_diagonals(factor)).sum())
            eye = np.broadcast_to(np.eye(len(factor))[:, :, None], factor.shape)
            self.factors[g], self.roots[g] = factor, forward_solve(factor, eye)
            chain = nesting.outer[g]
            for a in chain:
                self.rows[g, a] = block_product(self.roots[g], coupled[g, a])
            for place, a in enumerate(chain):
                own = _transposed(self.rows[g, a])
                blocks[a] = blocks[a] - self._summed(g, a, block_product(own, self.rows[g, a]))
                for b in chain[place + 1 :]:
                    taken = self._summed(g, a, block_product(own, self.rows[g, b]))
                    coupled[a, b] = coupled[a, b] - taken

    def _summed(self, g: int, a: int, blocks: FloatArray) -> FloatArray:
        """Blocks (i, j, J) added up over the levels of every parent."""
        flat = blocks.reshape(-1, blocks.shape[-1])
        return (self.nesting.links[g, a].sums @ flat.T).T.reshape(*blocks.shape[:-1], -1)

    def half(self, parts: dict[int, FloatArray]) -> None:
        """L^-1 times columns by factor, (k, J, m) each; in place."""
        for g in self.nesting.order:
            parts[g][...] = times(self.roots[g], parts[g])
            for a in self.nesting.outer[g]:
                moved = times(_transposed(self.rows[g, a]), parts[g])
                for into, part in zip(parts[a], moved, strict=True):
                    into -= self.nesting.links[g, a].sums @ part

    def half_back(self, parts: dict[int, FloatArray]) -> None:
        """L'^-1 times columns by factor; in place."""
        for g in reversed(self.nesting.order):
            for a in self.nesting.outer[g]:
                parent = self.nesting.links[g, a].parent
                parts[g] -= times(self.rows[g, a], parts[a][:, parent])
            parts[g][...] = times(_transposed(self.roots[g]), parts[g])

    def times_back(self, parts: dict[int, FloatArray]) -> None:
        """L' times columns by factor; in place."""
        for g in self.nesting.order:
            own = times(_transposed(self.factors[g]), parts[g])
            for a in self.nesting.outer[g]:
                own += times(self.rows[g, a], parts[a][:, self.nesting.links[g, a].parent])
            parts[g][...] = own

    @property
    def inverse_blocks(self) -> dict[int, FloatArray]:
        """Diagonal blocks of the inverse by factor, (k, k, J)."""
        return {g: self.inverse[g, g] for g in self.nesting.order}

    @cached_property
    def inverse(self) -> dict[tuple[int, int], FloatArray]:
        """Blocks of the inverse, of levels and between a level and its parents, (k, k_outer, J)."""
        found: dict[tuple[int, int], FloatArray] = {}
        for g in reversed(self.nesting.order):
            back, chain = _transposed(self.roots[g]), self.nesting.outer[g]
            for a in chain:
                total = np.zeros_like(self.rows[g, a])
                for b in chain:
                    total += block_product(self.rows[g, b], self._between(g, b, a, found))
                found[g, a] = -block_product(back, total)
            found[g, g] = self._own(g, found)
        return found

    def _own(self, g: int, found: dict[tuple[int, int], FloatArray]) -> FloatArray:
        """L^-T (I - sum of Y Sigma) L^-1 with the blocks of the parents."""
        back = _transposed(self.roots[g])
        block = block_product(back, self.roots[g])
        for a in self.nesting.outer[g]:
            moved = block_product(found[g, a], _transposed(self.rows[g, a]))
            block = block - block_product(moved, self.roots[g])
        return 0.5 * (block + _transposed(block))

    def _between(
        self, g: int, b: int, a: int, found: dict[tuple[int, int], FloatArray]
    ) -> FloatArray:
        """Inverse's block between two parents of the levels of ``g``, (k_b, k_a, J)."""
        chain, links = self.nesting.outer[g], self.nesting.links
        if a == b:
            return found[a, a][:, :, links[g, a].parent]
        if chain.index(b) < chain.index(a):
            return found[b, a][:, :, links[g, b].parent]
        return _transposed(found[a, b])[:, :, links[g, a].parent]


class Reference:
    """Cholesky factor of D, as an operator on columns of the tail, (q_tail, m).

    Parameters
    ----------
    chains : Chains
        Of all factors but those of the border.
    places : dict of int to slice
        Rows of every tail factor.
    shapes : dict of int to (int, int)
        Effects and levels of every tail factor.
    border : list of int
        Factors with few levels.
    columns : ndarray, shape (q_tail, r), or None
        Columns of S that belong to the border.
    """

    def __init__(
        self,
        chains: Chains,
        places: dict[int, slice],
        shapes: dict[int, tuple[int, int]],
        border: list[int],
        columns: FloatArray | None,
    ) -> None:
        self.chains, self.places, self.shapes = chains, places, shapes
        self.border = np.concatenate(
            [np.zeros(0, np.int64), *(np.arange(places[f].start, places[f].stop) for f in border)]
        )
        self.logdet = chains.logdet
        self.few = border
        if columns is not None:
            self._add_border(columns)

    @cached_property
    def solved_rows(self) -> FloatArray:
        """The chains' inverse times the border's columns, (q_tail, r), zero in the border."""
        out = self.rows.copy()
        self.chains.half_back(self._parts(out))
        return out

    def is_alone(self, factor: int) -> bool:
        """Whether nothing in D couples a factor with another one."""
        if factor in self.chains.nesting.linked:
            return False
        return not len(self.border) or not self.rows_of[self.places[factor]].any()

    def _add_border(self, columns: FloatArray) -> None:
        """Eliminate everything else from the border's rows."""
        self.rows_of = columns
        corner = columns[self.border]
        rows = columns.copy()
        rows[self.border] = 0.0
        self.chains.half(self._parts(rows))
        self.rows = rows
        corner = 0.5 * (corner + corner.T) - rows.T @ rows
        try:
            self.corner_factor = np.linalg.cholesky(corner)
        except np.linalg.LinAlgError:
            self.logdet = np.nan
            return
        self.logdet += 2.0 * float(np.sum(np.log(np.diag(self.corner_factor))))
        self.corner_root = np.linalg.inv(self.corner_factor)

    def _parts(self, columns: FloatArray) -> dict[int, FloatArray]:
        """Views of the rows of the chains' factors."""
        return {
            f: columns[self.places[f]].reshape(*self.shapes[f], -1)
            for f in self.chains.nesting.order
        }

    def half(self, columns: FloatArray) -> FloatArray:
        """L^-1 times columns."""
        out = columns.copy()
        self.chains.half(self._parts(out))
        if len(self.border):
            own = columns[self.border]
            out[self.border] = 0.0
            out[self.border] = self.corner_root @ (own - self.rows.T @ out)
        return out

    def half_back(self, columns: FloatArray) -> FloatArray:
        """L'^-1 times columns."""
        out = columns.copy()
        if len(self.border):
            own = self.corner_root.T @ columns[self.border]
            out -= self.rows @ own
            out[self.border] = own
        self.chains.half_back(self._parts(out))
        return out

    def times_back(self, columns: FloatArray) -> FloatArray:
        """L' times columns."""
        out = columns.copy()
        self.chains.times_back(self._parts(out))
        if len(self.border):
            own = columns[self.border]
            out += self.rows @ own
            out[self.border] = self.corner_factor.T @ own
        return out

    def solve(self, columns: FloatArray) -> FloatArray:
        """D^-1 times columns."""
        return self.half_back(self.half(columns))

    @cached_property
    def inverse_blocks(self) -> dict[int, FloatArray]:
        """Diagonal blocks of D^-1 by factor, (k, k, J)."""
        blocks = dict(self.chains.inverse_blocks)
        if not len(self.border):
            return blocks
        corner = self.corner_root.T @ self.corner_root
        for f, part in self._parts(self.solved_rows).items():
            blocks[f] = blocks[f] + np.einsum("ajr,rs,bjs->abj", part, corner, part, optimize=True)
        start = 0
        for f in self.few:
            k, n_levels = self.shapes[f]
            own = corner[start : start + k * n_levels, start : start + k * n_levels]
            blocks[f] = np.einsum("ajbj->abj", own.reshape(k, n_levels, k, n_levels)).copy()
            start += k * n_levels
        return blocks
