"""-2 log-likelihood of independent scalar random effects at given estimates.

For packages whose own value cannot be compared: computed here, outside the clock, by the plain
formula in the space of the random effects.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.sparse import csr_matrix, hstack

__all__ = ["minus_two_log_likelihood"]


def minus_two_log_likelihood(
    residual: np.ndarray, groups: list[np.ndarray], sigma2: float, variances: np.ndarray
) -> float:
    """-2 log N(residual; 0, sigma2 I + sum_t variances[t] Z_t Z_t').

    Parameters
    ----------
    residual : ndarray, shape (n,)
        Response less the fixed part.
    groups : list of ndarray of int, shape (n,)
        Codes of each grouping factor.
    sigma2 : float
        Residual variance.
    variances : ndarray, shape (len(groups),)
        Variance of each factor's effects.
    """
    n = len(residual)
    rows = np.arange(n)
    blocks = []
    for codes, variance in zip(groups, variances, strict=True):
        _, level = np.unique(codes, return_inverse=True)
        scale = np.full(n, np.sqrt(max(variance, 0.0) / sigma2))
        blocks.append(csr_matrix((scale, (rows, level))))
    Z = hstack(blocks).tocsr()
    M = (Z.T @ Z).toarray()
    M[np.diag_indices_from(M)] += 1.0
    factor = cho_factor(M, lower=True, overwrite_a=True)
    Ztr = Z.T @ residual
    quadratic = (residual @ residual - Ztr @ cho_solve(factor, Ztr)) / sigma2
    log_det = 2 * np.log(np.diag(factor[0])).sum() + n * np.log(sigma2)
    return float(n * np.log(2 * np.pi) + log_det + quadratic)
