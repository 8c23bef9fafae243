"""Solution of sparse symmetric positive definite systems in whatever units their unknowns have."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeAlias

import numpy as np
from scipy import sparse

from lmmformula._arrays import FloatArray
from lmmformula.errors import NumericalError

__all__ = ["Solver", "chunks", "solver"]

Solver: TypeAlias = Callable[[FloatArray], FloatArray]
"""Right-hand sides, shape (m,) or (m, r), to solutions of the same shape."""

CHUNK_ELEMENTS = 4_000_000


def solver(matrix: sparse.csc_array) -> Solver:
    """Factor a matrix once, to solve with it many times.

    Parameters
    ----------
    matrix : sparse array, shape (m, m)
        Symmetric, positive definite.

    Raises
    ------
    NumericalError
        It is singular in floating point.
    """
    from scipy.sparse.linalg import splu

    if not matrix.shape[0]:
        return np.array
    unit = 1.0 / np.sqrt(matrix.diagonal())
    scale = sparse.diags_array(unit)
    options = {"SymmetricMode": True}
    try:
        factor = splu(
            sparse.csc_array(scale @ matrix @ scale),
            permc_spec="MMD_AT_PLUS_A",
            diag_pivot_thresh=0.0,
            options=options,
        )
    except RuntimeError as error:
        raise NumericalError(
            "the mixed model equations cannot be solved: they are singular in floating point.",
            got=f"{matrix.shape[0]} unknowns; {error}",
            suggestion='`mixed_model_equations(form="spherical")`, which needs no inverse of G',
        ) from error

    def solve(right: FloatArray) -> FloatArray:
        column = unit if right.ndim == 1 else unit[:, None]
        return np.asarray(column * factor.solve(column * right))

    return solve


def chunks(n_columns: int, n_rows: int) -> Iterator[slice]:
    """Slices of columns, so many at a time that a dense block of them stays small."""
    step = max(1, CHUNK_ELEMENTS // max(n_rows, 1))
    for start in range(0, n_columns, step):
        yield slice(start, min(start + step, n_columns))
