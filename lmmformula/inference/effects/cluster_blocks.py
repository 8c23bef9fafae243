r"""Clusters as small dense blocks, and the adjustments of cluster-robust covariances.

Within a cluster g let :math:`\Theta_g` be the marginal covariance over :math:`\sigma^2`,
:math:`M = (X'\Theta^{-1}X)^{-1}` and :math:`e_g` the marginal residuals. The covariance is
:math:`M \{\sum_g E_g e_g e_g' E_g'\} M` with :math:`E_g = X_g'\Theta_g^{-1}A_g`. Where rows have
unit weights, everything outside the span of the cluster's columns of X and Z is left alone by
:math:`\Theta_g` and :math:`A_g`, so a cluster enters through the triangular factor of these
columns: at most p + q_g rows, however many it has. Weighted clusters keep their rows. Clusters of
similar size are padded with rows of zeros, which change nothing, and handled together.

References
----------
Bell and McCaffrey (2002), Survey Methodology 28, 169-181.
Pustejovsky and Tipton (2018), J. Bus. Econ. Stat. 36, 672-683, eq. 10-11.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from lmmformula._arrays import BoolArray, FloatArray, IntArray
from lmmformula.engine import Estimates
from lmmformula.engine.threads import limited_threads
from lmmformula.errors import NumericalError
from lmmformula.matrices import ModelMatrices
from lmmformula.postfit.residual_covariance import Structured

__all__ = ["ADJUSTMENTS", "ClusterForms", "cluster_forms"]

CHUNK_ELEMENTS = 4_000_000
MEMORY_LIMIT = 8e9
EXPLAINED = 1e-10
"""A cluster whose leverage in some direction is this close to one tells all about a coefficient."""


@dataclass(frozen=True, slots=True, eq=False)
class ClusterForms:
    """What each cluster contributes, in the columns of X that were given.

    Attributes
    ----------
    scores : ndarray, shape (J, p)
        E e.
    middle : ndarray, shape (J, p, p)
        E Theta E'.
    crossed : ndarray, shape (J, p, p)
        E X.
    """

    scores: FloatArray
    middle: FloatArray
    crossed: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class _Blocks:
    """Clusters of one size: X (B, r, p), residuals (B, r), Cholesky factor of Theta (B, r, r)."""

    members: IntArray
    X: FloatArray
    residual: FloatArray
    root: FloatArray


Noise = Callable[[IntArray], FloatArray]
"""Rows of a cluster -> covariance of their residuals over sigma^2."""

Adjustment = Callable[[_Blocks, FloatArray, int], FloatArray]
"""(clusters, M, their number in all) -> E, shape (B, p, r)."""


def cluster_forms(
    matrices: ModelMatrices,
    estimates: Estimates,
    X: FloatArray,
    M: FloatArray,
    residual: FloatArray,
    codes: IntArray,
    adjustment: Adjustment,
    structure: Structured | None = None,
) -> ClusterForms:
    """Contributions of all clusters.

    Parameters
    ----------
    matrices : ModelMatrices
        The rows, for Z and the weights.
    estimates : Estimates
        The fit.
    X : ndarray, shape (n, p)
        Columns of the fixed effects, in any basis; results are in the same.
    M : ndarray, shape (p, p)
        Covariance of their coefficients over sigma^2.
    residual : ndarray, shape (n,)
        Marginal residuals.
    codes : ndarray of int, shape (n,)
        Cluster of every row, 0 to J - 1; levels of grouping factors must lie within clusters.
    adjustment : callable
        A value of ``ADJUSTMENTS``.
    structure : Structured, optional
        Covariance of the residuals, where they are not independent with equal variances; groups
        of correlated ones must lie within clusters.
    """
    J, p = int(codes.max()) + 1, X.shape[1]
    root, noise = np.ones((len(X), 1)), _noise_of(matrices.weights, structure, estimates.sigma)
    weights = matrices.weights
    if structure is None and weights is not None and adjustment is not _bias_reduced:
        # Without an adjustment matrix the scale of rows does not matter: unit weights are cheaper.
        root, noise = np.sqrt(weights)[:, None], None
        X, residual = X * root, residual * root[:, 0]
    effects = [
        _Effects.of(root * (block.z @ template), block.codes.astype(np.int64), codes, J)
        for block, template in zip(matrices.random, estimates.templates, strict=True)
    ]
    forms = ClusterForms(np.zeros((J, p)), np.zeros((J, p, p)), np.zeros((J, p, p)))
    with limited_threads():
        for blocks in _all_blocks(noise, X, residual, codes, effects):
            E = adjustment(blocks, M, J)
            spread = E @ blocks.root
            forms.scores[blocks.members] = (E @ blocks.residual[:, :, None])[:, :, 0]
            forms.middle[blocks.members] = spread @ spread.transpose(0, 2, 1)
            forms.crossed[blocks.members] = E @ blocks.X
    return forms


def _noise_of(
    weights: FloatArray | None, structure: Structured | None, sigma: float
) -> Noise | None:
    """What gives the residuals' covariance of a cluster over sigma^2; None for unit matrices."""
    if structure is not None:
        return lambda rows: structure.matrix(rows) / sigma**2
    return None if weights is None else lambda rows: np.diag(1.0 / weights[rows])


def _all_blocks(
    noise: Noise | None,
    X: FloatArray,
    residual: FloatArray,
    codes: IntArray,
    effects: list[_Effects],
) -> Iterator[_Blocks]:
    """Yield clusters of similar size together, in pieces of bounded memory."""
    size = np.bincount(codes)
    start = np.concatenate([[0], np.cumsum(size)[:-1]])
    order = np.argsort(codes, kind="stable")
    shapes = np.stack([_rounded(size), *(_rounded(term.counts) for term in effects)], axis=1)
    kinds, kind_of = np.unique(shapes, axis=0, return_inverse=True)
    for number, shape in enumerate(kinds.tolist()):
        clusters = np.flatnonzero(kind_of.ravel() == number)
        n = int(size[clusters].max())
        width = X.shape[1] + sum(
            c * e.values.shape[1] for c, e in zip(shape[1:], effects, strict=True)
        )
        rank = n if noise is not None else min(n, width)
        elements = n * (width + 1) + 6 * rank * rank
        _check_memory(8.0 * elements, n, width)
        step = max(1, CHUNK_ELEMENTS // elements)
        for first in range(0, len(clusters), step):
            members = clusters[first : first + step]
            position = start[members][:, None] + np.arange(n)
            present = np.arange(n) < size[members][:, None]
            rows = order[np.where(present, position, 0)]
            yield _block(members, rows, present, noise, X, residual, effects, shape[1:])


def _rounded(counts: IntArray) -> IntArray:
    """Round up to a power of two, so that few shapes occur."""
    rounded: IntArray = (2 ** np.ceil(np.log2(np.maximum(counts, 1)))).astype(np.int64)
    return rounded


def _check_memory(needed: float, rows: int, width: int) -> None:
    if needed > MEMORY_LIMIT:
        raise NumericalError(
            "a cluster is too large for a cluster-robust covariance.",
            got=f"{rows} rows with {width} columns of fixed and random effects in one cluster: "
            f"{1e-9 * needed:.0f} GB (limit {1e-9 * MEMORY_LIMIT:.0f} GB)",
            suggestion="cluster by a finer factor that still holds every level of the others",
            needed=needed,
        )


def _block(
    members: IntArray,
    rows: IntArray,
    present: BoolArray,
    noise: Noise | None,
    X: FloatArray,
    residual: FloatArray,
    effects: list[_Effects],
    counts: list[int],
) -> _Blocks:
    """Gather clusters of one shape and reduce them to their triangular factors."""
    p, n = X.shape[1], rows.shape[1]
    ZL = [term.dense(rows, present, count) for term, count in zip(effects, counts, strict=True)]
    columns = np.concatenate(
        [X[rows] * present[:, :, None], *ZL, (residual[rows] * present)[:, :, None]], axis=2
    )
    width = columns.shape[2] - 1
    if noise is None and n > width:
        columns = np.asarray(np.linalg.qr(columns, mode="r"), dtype=np.float64)[:, :width]
    Z = columns[:, :, p:-1]
    Theta = Z @ Z.transpose(0, 2, 1) + np.eye(columns.shape[1])
    if noise is not None:
        for own, where, matrix in zip(rows, present, Theta, strict=True):
            size = int(where.sum())
            matrix[:size, :size] += noise(own[:size]) - np.eye(size)
    return _Blocks(members, columns[:, :, :p], columns[:, :, -1], np.linalg.cholesky(Theta))


@dataclass(frozen=True, slots=True, eq=False)
class _Effects:
    """One random-effects term, its levels numbered within clusters.

    Attributes
    ----------
    values : ndarray, shape (n, k)
        Columns times the relative factor.
    local : ndarray of int, shape (n,)
        Number of the row's level within its cluster.
    counts : ndarray of int, shape (J,)
        Levels in every cluster.
    """

    values: FloatArray
    local: IntArray
    counts: IntArray

    @classmethod
    def of(cls, values: FloatArray, levels: IntArray, codes: IntArray, J: int) -> _Effects:
        """Number the levels."""
        owner = np.zeros(int(levels.max()) + 1, dtype=np.int64)
        owner[levels] = codes
        counts = np.bincount(owner, minlength=J)
        order = np.argsort(owner, kind="stable")
        start = np.concatenate([[0], np.cumsum(counts)[:-1]])
        local = np.empty(len(owner), dtype=np.int64)
        local[order] = np.arange(len(owner)) - start[owner[order]]
        return cls(values, local[levels], counts)

    def dense(self, rows: IntArray, present: BoolArray, count: int) -> FloatArray:
        """Columns of the clusters' own levels, (B, n, count * k), zero in the padding."""
        (B, n), k = rows.shape, self.values.shape[1]
        out = np.zeros((B, n, count, k))
        cluster, row = np.nonzero(present)
        picked = rows[cluster, row]
        out[cluster, row, self.local[picked]] = self.values[picked]
        return out.reshape(B, n, count * k)


def _plain(blocks: _Blocks, M: FloatArray, J: int) -> FloatArray:
    """CR0: no adjustment."""
    half = np.linalg.solve(blocks.root, blocks.X)
    return np.asarray(np.linalg.solve(blocks.root.transpose(0, 2, 1), half).transpose(0, 2, 1))


def _counted(blocks: _Blocks, M: FloatArray, J: int) -> FloatArray:
    """CR1: J / (J - 1) times CR0."""
    return np.asarray(np.sqrt(J / (J - 1.0)) * _plain(blocks, M, J))


def _bias_reduced(blocks: _Blocks, M: FloatArray, J: int) -> FloatArray:
    r"""CR2: unbiased where the model's covariance is right.

    :math:`A = L G^{-1/2} L'` with :math:`\Theta = LL'` and
    :math:`G = L'(\Theta - XMX')L`; directions that X explains fully are left out.
    """
    L = blocks.root
    Y = np.linalg.solve(L, blocks.X)
    K = L.transpose(0, 2, 1) @ L
    KY = K @ Y
    G = K @ K - KY @ M @ KY.transpose(0, 2, 1)
    shares = np.linalg.svd(Y @ np.linalg.cholesky(M), compute_uv=False) ** 2
    lost = np.sum(shares > 1.0 - EXPLAINED, axis=1)
    values, vectors = np.linalg.eigh(G)
    keep = np.arange(values.shape[1]) >= lost[:, None]
    power = np.where(keep, 1.0 / np.sqrt(np.where(keep, np.abs(values), 1.0)), 0.0)
    projected = Y.transpose(0, 2, 1) @ vectors
    return np.asarray(
        (projected * power[:, None]) @ vectors.transpose(0, 2, 1) @ L.transpose(0, 2, 1)
    )


ADJUSTMENTS: dict[str, Adjustment] = {"CR0": _plain, "CR1": _counted, "CR2": _bias_reduced}
