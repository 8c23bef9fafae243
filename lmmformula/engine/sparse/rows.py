r"""Variances of combinations of the random effects of rows, with a sparse tail.

For a row with effects z of the first factor's level j and t of the tail,

.. math:: (z, t)'\Lambda M^{-1}\Lambda'(z, t) = z'N_jz + v'Nv, \qquad v = t - C_j'N_jz,

and v is zero but in the columns that j touches and in the row's own. In a row of the data these are
all coupled, so that the entries of N are at hand; any other row costs a pass through the fronts.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from scipy.sparse import csr_array

from lmmformula._arrays import FloatArray, IntArray
from lmmformula.engine.cross import SparseCross, entry_pairs
from lmmformula.engine.evaluation import Evaluation
from lmmformula.engine.sparse.layout import SparseTailLayout

__all__ = ["row_variances"]

CHUNK_PAIRS = 2_000_000
CHUNK_COLUMNS = 64


def row_variances(
    evaluation: Evaluation, known: list[tuple[FloatArray, IntArray] | None], n: int
) -> FloatArray:
    """Quadratic forms v'Nv of n rows.

    Parameters
    ----------
    evaluation : Evaluation
        With a sparse tail.
    known : list of (ndarray (n, k), ndarray (n,)) or None
        Effects and levels of every factor that takes part, elimination order.
    n : int
    """
    V = _combinations(evaluation, known, n)
    size = np.diff(V.indptr).astype(np.int64)
    ends = np.cumsum(size * (size + 1) // 2)
    cuts = np.searchsorted(ends, np.arange(CHUNK_PAIRS, ends[-1] if n else 0, CHUNK_PAIRS))
    bounds = np.unique([0, *(cuts + 1), n])
    pieces = [_chunk_variances(evaluation, V[start:stop]) for start, stop in pairwise(bounds)]
    return np.concatenate([np.zeros(0), *pieces])


def _combinations(
    evaluation: Evaluation, known: list[tuple[FloatArray, IntArray] | None], n: int
) -> csr_array:
    """The vectors v as rows, (n, q_tail)."""
    tail = evaluation.system.tail
    V = csr_array((n, tail.n_columns))
    for factor, start, part in zip(tail.factors, tail.starts, known[1:], strict=True):
        if part is None:
            continue
        z, levels = part
        columns = start + levels[:, None] * factor.k + np.arange(factor.k)
        pointer = np.arange(0, z.size + 1, factor.k)
        V = V + csr_array((z.ravel(), columns.ravel(), pointer), shape=V.shape)
    if known[0] is not None:
        z, levels = known[0]
        weights = np.einsum("ia,abi->ib", z, evaluation.N[:, :, levels])
        cross = evaluation.system.cross
        assert isinstance(cross, SparseCross)
        V = V - cross.combined(weights, levels)
    V = csr_array(V)
    V.sum_duplicates()
    return V


def _chunk_variances(evaluation: Evaluation, V: csr_array) -> FloatArray:
    layout, tail = evaluation.system.tail, evaluation.tail
    assert isinstance(layout, SparseTailLayout)
    assert tail is not None
    left, right, counts = entry_pairs(V.indptr.astype(np.int64))
    row = np.repeat(np.arange(V.shape[0]), counts)
    one, other = V.indices[left].astype(np.int64), V.indices[right].astype(np.int64)
    held = layout.holds(one, other)
    weight = np.where(left == right, 1.0, 2.0) * V.data[left] * V.data[right]
    forms = weight[held] * tail.flat_N[layout.address(one[held], other[held])]
    total = np.asarray(np.bincount(row[held], forms, V.shape[0]), dtype=np.float64)
    apart = np.unique(row[~held])
    for start in range(0, len(apart), CHUNK_COLUMNS):
        rows = apart[start : start + CHUNK_COLUMNS]
        columns = V[rows].T.toarray()
        total[rows] = np.sum(columns * tail.N_times(columns), axis=0)
    return total
