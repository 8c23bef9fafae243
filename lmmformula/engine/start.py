"""Starting values from moments of the regression residuals.

At Sigma = 0 the quadratic forms e'H_i e, H_i = Z(I x D_i)Z', have expectations that are linear in
the covariance entries: E e'H_i e = sum_j sigma_j tr(H_i H_j), with H_0 = I for the residual
variance (MINQUE with zero prior weights). The traces are sums of squares of the cross-products,
free of theta and of y. On balanced data this is already the answer; elsewhere it saves the first
steps. Small eigenvalues are lifted to a floor that falls with the number of levels, because from
an exact zero no gradient leads away.

References
----------
Rao (1971), J. Multivariate Anal. 1, 257-275.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lmmformula._arrays import FloatArray
from lmmformula.engine.layout import TermLayout
from lmmformula.engine.system import BlockedSystem

__all__ = ["moment_forms", "moment_start", "start_from"]

LARGEST = 30.0
SMALLEST_RESIDUAL = 0.01
INDEPENDENT = 1e-10


def moment_start(system: BlockedSystem, reml: bool) -> FloatArray:
    """Optimizer's parameters to start from, working units."""
    if not system.terms:
        return np.zeros(0)
    terms = [(term, factor.n_levels) for factor in system.factors for term in factor.terms]
    target = np.append(moment_forms(system), system.xy[-1, -1])
    return start_from(terms, system.moments[int(reml)], target, system.n_obs)


def start_from(
    terms: Sequence[tuple[TermLayout, int]], moments: FloatArray, target: FloatArray, n_obs: int
) -> FloatArray:
    """Optimizer's parameters whose moments are those of the data.

    Parameters
    ----------
    terms : sequence of (TermLayout, int)
        Terms and their numbers of levels, in the order of the traces.
    moments : ndarray, shape (T + 1, T + 1)
        Traces over the terms' directions, and I last.
    target : ndarray, shape (T + 1,)
        Quadratic forms of the residuals, and their sum of squares last.
    n_obs : int
    """
    size = np.sqrt(np.maximum(np.diag(moments), 1e-300))
    scaled = moments / np.outer(size, size)
    solution = np.linalg.lstsq(scaled, target / size, rcond=INDEPENDENT)[0] / size
    residual = max(solution[-1], SMALLEST_RESIDUAL * target[-1] / n_obs)
    starts, position = {}, 0
    for term, n_levels in terms:
        directions = term.structure.moment_directions()
        entries = solution[position : position + len(directions)]
        position += len(directions)
        Sigma = np.einsum("t,tab->ab", entries / residual, directions)
        starts[term.index] = term.structure.from_moments(Sigma, 0.5 / np.sqrt(n_levels), LARGEST)
    return np.concatenate([starts[index] for index in range(len(starts))])


def moment_forms(system: BlockedSystem) -> FloatArray:
    """e'H_i e over the directions of all factors, (T,), for the residuals e of the regression."""
    forms = [
        np.einsum("tab,ab->t", factor.moment_directions, c @ c.T)
        for factor, c in zip(system.factors, _residual_sums(system), strict=True)
    ]
    return np.concatenate(forms)


def _residual_sums(system: BlockedSystem) -> list[FloatArray]:
    """Z'e of every factor, (k, J), for the residuals e of the working regression."""
    sums = [system.first_xy[:, -1]]
    for layout, start in zip(system.tail.factors, system.tail.starts, strict=True):
        rows = system.tail_xy[start : start + layout.n_columns, -1]
        sums.append(rows.reshape(layout.n_levels, layout.k).T)
    return sums
