"""What the factorized part of the Schur complement says of the first factor, level by level.

The Cholesky factor of nested levels has no fill, so that its inverse times the columns of one level
of the first factor is zero but for the levels it occurs with, and for their parents. All of these
columns are then one number for each pair, and the border adds as many as it has columns.
"""

from __future__ import annotations

import numpy as np

from lmmformula._arrays import CodeArray, FloatArray
from lmmformula.engine.krylov.nesting import Nesting
from lmmformula.engine.krylov.operator import SchurOperator

__all__ = ["coupled_blocks", "excess_trace"]


def coupled_blocks(operator: SchurOperator) -> FloatArray:
    """Diagonal blocks of A_0t Lambda D^-1 Lambda' A_t0, (k_0, k_0, J_0).

    Parameters
    ----------
    operator : SchurOperator
        With D as ``operator.reference`` factorizes it.
    """
    total = np.zeros_like(operator.first.gram)
    halves = _halves(operator)
    for g, half in halves.items():
        total += _squares(half, operator.system.couplings[0, g].rows(), total.shape)
    reference = operator.reference
    if len(reference.border):
        moved = np.tensordot(reference.corner_root, _border(operator, halves), axes=1)
        total += np.einsum("raj,rbj->abj", moved, moved)
    return total


def excess_trace(operator: SchurOperator) -> float | None:
    """tr(D^-1 S) less the number of rows, where it is known.

    S has blocks beside the diagonal between levels that occur together, and D^-1 between levels
    that have a parent in common and by the border. What the first factor's elimination makes of
    the former is summed over its levels. Not known where two factors are crossed in a third that
    both are nested in.

    Parameters
    ----------
    operator : SchurOperator
    """
    reference, nesting = operator.reference, operator.reference.chains.nesting
    if _is_crossed_within(nesting):
        return None
    excess = _chain_excess(operator) if nesting.links else 0.0
    if len(reference.border):
        rows, own = reference.solved_rows, reference.rows_of.copy()
        own[reference.border] = 0.0
        corner = reference.corner_root.T @ reference.corner_root
        excess += float(np.sum(corner * (rows.T @ (operator.apply(rows) - own))))
    return excess


def _is_crossed_within(nesting: Nesting) -> bool:
    """Whether two factors that are not nested in one another are nested in the same one."""
    above = {g: {g, *nesting.outer[g]} for g in nesting.order}
    return any(
        above[f] & above[g] and f not in above[g] and g not in above[f]
        for place, f in enumerate(nesting.order)
        for g in nesting.order[:place]
    )


def _chain_excess(operator: SchurOperator) -> float:
    """tr(D^-1 S) less the number of rows, of the chains alone."""
    chains, gram = operator.reference.chains, operator.system.gram
    total = 0.0
    for (g, a), inverse in chains.inverse.items():
        values = gram[g] if g == a else chains.nesting.links[g, a].values
        left, right = operator.Lambdas[g], operator.Lambdas[a]
        part = float(np.einsum("abj,ca,cdj,db->", inverse, left, values, right, optimize=True))
        total += part if g == a else 2.0 * part
        if g == a:
            total += float(np.einsum("aaj->", inverse)) - inverse.shape[2] * len(left)
    for g, half in _halves(operator).items():
        rows = operator.system.couplings[0, g].rows()
        squares = _squares(half, rows, operator.first.N.shape)
        total -= float(np.sum(squares * operator.first.N))
    return total


def _halves(operator: SchurOperator) -> dict[int, FloatArray]:
    """L^-1 Lambda' A_t0 of the chains: (k_g, k_0, pairs) by factor."""
    chains, couplings = operator.reference.chains, operator.system.couplings
    parts = {
        g: np.einsum("dc,adn->can", operator.Lambdas[g], couplings[0, g].values)
        for g in chains.nesting.order
    }
    for g in chains.nesting.order:
        levels = couplings[0, g].columns
        parts[g] = _by_pair(chains.roots[g], levels, parts[g])
        for a in chains.nesting.outer[g]:
            position = chains.nesting.links[g, a].position
            moved = _by_pair(chains.rows[g, a].transpose(1, 0, 2), levels, parts[g])
            for into, part in zip(parts[a], moved, strict=True):
                for row, values in zip(into, part, strict=True):
                    row -= np.bincount(position, values, len(row))
    return parts


def _by_pair(blocks: FloatArray, levels: CodeArray, columns: FloatArray) -> FloatArray:
    """The block of every pair's level times its columns: (c, d, J) and (d, a, n) give (c, a, n)."""
    out = np.zeros((len(blocks), *columns.shape[1:]))
    for c, row in enumerate(blocks):
        for d, values in enumerate(row):
            out[c] += values[levels] * columns[d]
    return out


def _squares(half: FloatArray, rows: CodeArray, shape: tuple[int, ...]) -> FloatArray:
    """Sums of products over the pairs of every level of the first factor, (k_0, k_0, J_0)."""
    out = np.zeros(shape)
    for a in range(shape[0]):
        for b in range(a, shape[0]):
            out[a, b] = np.bincount(rows, (half[:, a] * half[:, b]).sum(axis=0), shape[2])
            out[b, a] = out[a, b]
    return out


def _border(operator: SchurOperator, halves: dict[int, FloatArray]) -> FloatArray:
    """The border's rows of Lambda'A_t0 less what the chains take over, (r, k_0, J_0)."""
    reference, system = operator.reference, operator.system
    out = []
    for f in reference.few:
        own = system.couplings[0, f].dense()
        moved = np.einsum("dc,adjl->clja", operator.Lambdas[f], own, optimize=True)
        out.append(moved.reshape(-1, *moved.shape[2:]))
    border = np.concatenate(out)
    for g, half in halves.items():
        rows = reference.rows[system.place(g)].reshape(len(half), -1, len(border))
        for a in range(half.shape[1]):
            for part, columns in zip(half[:, a], rows, strict=True):
                border[:, :, a] -= (system.couplings[0, g].with_values(part) @ columns).T
    return border.transpose(0, 2, 1)
