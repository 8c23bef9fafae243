"""Working basis: changes of variables that make the cross-products well conditioned.

The criterion does not care which columns span the fixed effects, which origin and unit the
response has, or in which basis an unstructured term's effects are written. So the engine works
with orthonormal columns of X, the residuals of an ordinary regression in units of their own size,
and random-effect columns of unit root mean square (orthonormal ones where the structure allows
it). All of this is algebra, exact for any invertible choice; the choice is made on the first
chunk of rows and then holds for all of them. Estimates are carried back at the end.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from lmmformula._arrays import FloatArray
from lmmformula.covariance import make_structure
from lmmformula.matrices import ModelMatrices, RandomBlock

__all__ = ["EXACT_FIT", "WorkingBasis", "centred", "leads", "learn_basis", "solved"]

SAMPLE_ROWS = 25_000
CONDITION_LIMIT = 1e-6
EXACT_FIT = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class WorkingBasis:
    """Transforms from the user's columns to the working ones.

    Attributes
    ----------
    fixed : ndarray, shape (p, p)
        ``X @ fixed`` are the working columns.
    beta : ndarray, shape (p,)
        Coefficients subtracted from the response, in the user's units.
    scale : float
        Unit of the working response.
    random : tuple of ndarray, shape (k, k)
        ``z @ random[t]`` are the working columns of term t.
    """

    fixed: FloatArray
    beta: FloatArray
    scale: float
    random: tuple[FloatArray, ...]

    @property
    def logdet_fixed(self) -> float:
        """Log |det fixed|."""
        return float(np.sum(np.log(np.abs(np.diag(self.fixed)))))


def learn_basis(matrices: ModelMatrices) -> WorkingBasis:
    """Choose the working basis from (a systematic sample of) the rows of one chunk."""
    step = max(1, matrices.n_obs // SAMPLE_ROWS)
    fixed = _inverse_factor(_weighted(matrices.X, matrices, step), orthonormal=True)
    if fixed is None and step > 1:  # the sample missed a rare column
        step = 1
        fixed = _inverse_factor(_weighted(matrices.X, matrices, step), orthonormal=True)
    if fixed is None:
        fixed = _inverse_factor(_weighted(matrices.X, matrices, step), orthonormal=False)
    assert fixed is not None
    random = tuple(
        _block_basis(block, matrices, fixed, step) / _relationship_scale(block)
        for block in matrices.random
    )
    blank = WorkingBasis(fixed, np.zeros(matrices.p), 1.0, random)
    return centred(blank, matrices, matrices.y)


def _block_basis(
    block: RandomBlock, matrices: ModelMatrices, fixed: FloatArray, step: int
) -> FloatArray:
    """Transform of a term's effects; that of X where they are its first columns."""
    k, invariance = block.n_effects, _invariance(block)
    if leads(block.z, matrices.X) and (invariance == "linear" or k == 1):
        return fixed[:k, :k]
    return _term_basis(_weighted(block.z, matrices, step), invariance)


def leads(z: FloatArray, X: FloatArray) -> bool:
    """Whether z are the first columns of X, in the same memory."""
    same = z is X or (z.strides == X.strides and z.ctypes.data == X.ctypes.data)
    return same and 0 < z.shape[1] <= X.shape[1]


def centred(basis: WorkingBasis, matrices: ModelMatrices, y: FloatArray) -> WorkingBasis:
    """The same columns, with the origin and unit of another response y (n,)."""
    step = max(1, matrices.n_obs // SAMPLE_ROWS)
    response = y if matrices.offset is None else y - matrices.offset
    working = _weighted(matrices.X, matrices, step) @ basis.fixed
    response = _weighted(response[:, None], matrices, step)[:, 0]
    coefficients = solved(working.T @ working, working.T @ response)
    size = _root_mean_square(response)
    scale = _root_mean_square(response - working @ coefficients)
    if scale <= EXACT_FIT * size:  # these rows cannot tell; the sums over all rows are checked
        scale = size or 1.0
    return replace(basis, beta=basis.fixed @ coefficients, scale=scale)


def solved(gram: FloatArray, target: FloatArray) -> FloatArray:
    """Coefficients of normal equations; any solution where the columns are dependent."""
    try:
        return np.asarray(np.linalg.solve(gram, target))
    except np.linalg.LinAlgError:
        return np.asarray(np.linalg.lstsq(gram, target, rcond=1e-14)[0])


def _relationship_scale(block: RandomBlock) -> float:
    """Root of the mean diagonal of the levels' relationship; one for independent levels."""
    if block.relationship is None:
        return 1.0
    return float(np.sqrt(np.sum(block.relationship**2) / block.n_levels)) or 1.0


def _weighted(columns: FloatArray, matrices: ModelMatrices, step: int) -> FloatArray:
    """Every ``step``-th row, times the square root of its weight."""
    sample = columns[::step]
    if matrices.weights is None:
        return sample
    return np.asarray(sample * np.sqrt(matrices.weights[::step])[:, None])


def _invariance(block: RandomBlock) -> str:
    """Changes of basis that the term's structure permits."""
    return make_structure(block.structure, 1).invariance


def _term_basis(z: FloatArray, invariance: str) -> FloatArray:
    """Transform of one term's effects that its covariance structure permits."""
    transform = _inverse_factor(z, orthonormal=invariance == "linear")
    if transform is None:
        transform = _inverse_factor(z, orthonormal=False)
    assert transform is not None
    if invariance == "scalar":
        size = np.exp(np.mean(np.log(np.diag(transform))))
        return np.asarray(size * np.eye(len(transform)))
    return transform


def _root_mean_square(values: FloatArray) -> float:
    """Root mean square without overflow."""
    largest = float(np.max(np.abs(values), initial=0.0))
    return largest * float(np.sqrt(np.mean((values / largest) ** 2))) if largest > 0.0 else 0.0


def _inverse_factor(columns: FloatArray, *, orthonormal: bool) -> FloatArray | None:
    """Upper-triangular T such that ``columns @ T`` has unit mean squares (and is orthogonal).

    None when orthogonality is asked for and the columns are too nearly dependent for it.
    """
    k = columns.shape[1]
    if k == 0:
        return np.zeros((0, 0))
    size = np.array([_root_mean_square(columns[:, j]) for j in range(k)])
    size[size == 0.0] = 1.0
    if not orthonormal or k == 1:
        return np.diag(1.0 / size)
    factor = np.linalg.qr(columns / size, mode="r") / np.sqrt(len(columns))
    diagonal = np.diag(factor)
    if np.any(np.abs(diagonal) < CONDITION_LIMIT) or len(factor) < k:
        return None
    factor = factor * np.sign(diagonal)[:, None]
    # NumPy's small solve; SciPy's would wake its thread pool for a k x k matrix.
    return np.asarray(np.triu(np.linalg.inv(factor)) / size[:, None], dtype=np.float64)
