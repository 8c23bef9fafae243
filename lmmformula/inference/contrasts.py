"""Tests of linear combinations of fixed effects, in statsmodels' result class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from scipy import special

from lmmformula._arrays import FloatArray
from lmmformula.errors import DimensionError, OptionError

__all__ = ["Constraint", "constraint_matrix", "f_test", "t_test", "wald_test"]

Constraint: TypeAlias = Any
"""Text (``"Days = 0"``), a list of texts, a mapping name -> value, an array (m, p), or
a pair (array, values)."""


def constraint_matrix(L: Constraint, names: Sequence[str]) -> tuple[FloatArray, FloatArray]:
    """Read a set of linear constraints.

    Parameters
    ----------
    L : str, list of str, mapping, array or (array, values)
        Constraints in any of statsmodels' spellings. A name with operators in it goes in
        backticks inside an expression; alone it may be written as it is.
    names : sequence of str, length p
        Names of the fixed effects.

    Returns
    -------
    matrix : ndarray, shape (m, p)
    values : ndarray, shape (m,)
    """
    if _is_text(L):
        return _from_text(L, list(names))
    if isinstance(L, tuple) and len(L) == 2 and np.ndim(L[0]) > 0:
        matrix, values = L
    else:
        matrix, values = L, 0.0
    rows = np.atleast_2d(np.asarray(matrix, dtype=np.float64))
    if rows.ndim != 2 or rows.shape[1] != len(names):
        raise DimensionError(
            "the constraints must have one column per fixed effect.",
            got=f"shape {np.shape(matrix)} for {len(names)} fixed effects ({', '.join(names)})",
            suggestion=f'`np.eye({len(names)})[1:]`, or text such as `"{names[-1]} = 0"`',
            available=tuple(names),
        )
    return rows, np.broadcast_to(np.asarray(values, dtype=np.float64), (len(rows),))


def _is_text(L: Constraint) -> bool:
    if isinstance(L, str | Mapping):
        return True
    return isinstance(L, list | tuple) and len(L) > 0 and all(isinstance(x, str) for x in L)


def _from_text(L: Constraint, names: list[str]) -> tuple[FloatArray, FloatArray]:
    from formulaic.errors import FormulaicError
    from formulaic.utils.constraints import LinearConstraints

    if isinstance(L, list | tuple):
        parts = [_from_text(one, names) for one in L]
        return np.vstack([m for m, _ in parts]), np.concatenate([v for _, v in parts])
    if isinstance(L, str) and L.strip() in names:
        return np.eye(len(names))[[names.index(L.strip())]], np.zeros(1)
    try:
        read = LinearConstraints.from_spec(L, variable_names=names)
    except (FormulaicError, KeyError, RuntimeError, ValueError) as error:
        raise OptionError(
            f"the constraint `{L}` cannot be read.",
            got=f"fixed effects: {', '.join(f'`{name}`' for name in names)}",
            suggestion=f'`"{names[-1]} = 0"`; put names with operators in backticks',
            available=tuple(names),
        ) from error
    matrix = np.asarray(read.constraint_matrix, dtype=np.float64)
    return matrix, np.asarray(read.constraint_values, dtype=np.float64)


def t_test(
    L: Constraint, names: Sequence[str], beta: FloatArray, cov: FloatArray, df: FloatArray
) -> Any:
    """Test each row of ``L`` by itself.

    Parameters
    ----------
    L : ndarray, shape (m, p), and values as (matrix, values)
        As ``constraint_matrix`` returns them.
    names : sequence of str
        Names of the fixed effects.
    beta, cov : ndarray
        Estimates (p,) and their covariance (p, p).
    df : ndarray, shape (m,)
        Degrees of freedom; infinite for the normal.

    Returns
    -------
    statsmodels.stats.contrast.ContrastResults
        With ``effect, sd, tvalue, pvalue, conf_int()`` and ``summary_frame()``.
    """
    from statsmodels.stats.contrast import ContrastResults

    matrix, values = L
    effect = matrix @ beta
    sd = np.sqrt(np.einsum("ij,jk,ik->i", matrix, cov, matrix))
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = (effect - values) / sd
    if np.isinf(df).all():
        result = ContrastResults(effect=effect, statistic=statistic, sd=sd, distribution="norm")
    else:
        result = ContrastResults(effect=effect, t=statistic, sd=sd, df_denom=df)
    result.c_names = [_row_name(i, row, names) for i, row in enumerate(matrix)]
    return result


def _row_name(i: int, row: FloatArray, names: Sequence[str]) -> str:
    picked = np.flatnonzero(row)
    is_single = len(picked) == 1 and row[picked[0]] == 1
    return names[picked[0]] if is_single else f"c{i}"


def _quadratic_form(
    L: tuple[FloatArray, FloatArray], beta: FloatArray, cov: FloatArray
) -> tuple[float, int]:
    """Wald statistic of all rows together and its rank."""
    matrix, values = L
    difference = matrix @ beta - values
    middle = matrix @ cov @ matrix.T
    scale = np.sqrt(np.diagonal(middle))
    scale = np.where(scale > 0, scale, 1.0)
    rank = int(np.linalg.matrix_rank(middle / np.outer(scale, scale), hermitian=True))
    if rank < len(matrix):
        raise OptionError(
            "the constraints are not linearly independent.",
            got=f"{len(matrix)} rows of rank {rank}",
            suggestion="leave out the rows that follow from the others",
            rank=rank,
        )
    scaled = np.linalg.solve(middle / np.outer(scale, scale), difference / scale)
    return float((difference / scale) @ scaled), rank


def wald_test(L: tuple[FloatArray, FloatArray], beta: FloatArray, cov: FloatArray) -> Any:
    """Test all rows of ``L`` together by chi-square."""
    from statsmodels.stats.contrast import ContrastResults

    statistic, rank = _quadratic_form(L, beta, cov)
    return ContrastResults(
        statistic=statistic, df_denom=rank, distribution="chi2", dist_args=(rank,)
    )


def f_test(L: tuple[FloatArray, FloatArray], beta: FloatArray, cov: FloatArray, df: float) -> Any:
    """Test all rows of ``L`` together by F; with infinite ``df`` it is chi-square over rank."""
    from statsmodels.stats.contrast import ContrastResults

    statistic, rank = _quadratic_form(L, beta, cov)
    result = ContrastResults(F=statistic / rank, df_num=rank, df_denom=df)
    if np.isinf(df):
        result.pvalue = np.float64(special.chdtrc(rank, statistic))
    return result
