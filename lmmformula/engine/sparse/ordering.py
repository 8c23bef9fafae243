"""A fill-reducing order of a sparse symmetric matrix's nodes, and its elimination tree.

SciPy brings minimum degree. Nested dissection (METIS, the optional package ``pymetis``) takes half
the operations for coupling that is local, such as neighbourhoods on a map.

References
----------
Karypis and Kumar (1998), SIAM J. Sci. Comput. 20, 359-392 (METIS).
Liu (1985), ACM Trans. Math. Softw. 11, 141-153 (multiple minimum degree).
Liu (1990), SIAM J. Matrix Anal. Appl. 11, 134-172 (the elimination tree).
"""

from __future__ import annotations

from contextlib import suppress
from importlib import import_module
from types import ModuleType

import numpy as np
from scipy.sparse import csc_array, csr_array, eye_array
from scipy.sparse.linalg import spilu

from lmmformula._arrays import IntArray

__all__ = ["elimination_tree", "fill_reducing_order", "minimum_degree"]

DISSECTED = 2000
"""Nodes from which nested dissection is worth its time."""


def fill_reducing_order(pattern: csr_array) -> IntArray:
    """Nodes in the order of elimination.

    Parameters
    ----------
    pattern : csr_array, shape (n, n)
        Symmetric, with its diagonal; entries off the diagonal are edges.
    """
    if pattern.shape[0] >= DISSECTED:
        with suppress(ImportError):
            return _nested_dissection(pattern, import_module("pymetis"))
    return minimum_degree(pattern)


def _nested_dissection(pattern: csr_array, metis: ModuleType) -> IntArray:
    edges = csr_array(pattern - pattern.multiply(eye_array(pattern.shape[0])))
    edges.eliminate_zeros()
    order, _ = metis.nested_dissection(metis.CSRAdjacency(edges.indptr, edges.indices))
    return np.asarray(order, dtype=np.int64)


def minimum_degree(pattern: csr_array) -> IntArray:
    """Nodes in an order of least degree, multiple nodes at a time.

    Parameters
    ----------
    pattern : csr_array, shape (n, n)
        Symmetric; entries off the diagonal are edges.

    Notes
    -----
    SuperLU orders by multiple minimum degree before it factorizes; an incomplete factorization
    that drops everything is all that follows here, so this costs little more than the order.
    """
    n = pattern.shape[0]
    if n < 3:
        return np.arange(n, dtype=np.int64)
    edges = csr_array((np.full(pattern.nnz, -1.0), pattern.indices, pattern.indptr), pattern.shape)
    dominant = csc_array(edges + (n + 1.0) * eye_array(n, format="csr"))
    incomplete = spilu(
        dominant,
        drop_tol=1.0,
        fill_factor=1.0,
        permc_spec="MMD_AT_PLUS_A",
        diag_pivot_thresh=0.0,
        options={"SymmetricMode": True},
    )
    return np.argsort(incomplete.perm_c).astype(np.int64)


def elimination_tree(lower: csr_array) -> IntArray:
    """Parent of every node, -1 for roots; nodes are numbered in the order of elimination.

    Parameters
    ----------
    lower : csr_array, shape (n, n)
        Row j holds the nodes before j that are joined to it.
    """
    n = lower.shape[0]
    parent, ancestor = [-1] * n, [-1] * n
    pointer, nodes = lower.indptr.tolist(), lower.indices.tolist()
    for j in range(n):
        for i in nodes[pointer[j] : pointer[j + 1]]:
            while i != j:
                above, ancestor[i] = ancestor[i], j
                if above == -1:
                    parent[i] = j
                    break
                i = above
    return np.array(parent, dtype=np.int64)
