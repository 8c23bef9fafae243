"""Tests of linear combinations of fixed effects, in statsmodels' result class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from lmmformula._arrays import FloatArray
from lmmformula.errors import DimensionError, OptionError
from lmmformula.inference.effects.approximation import JointTest
from lmmformula.inference.effects.wald import f_p_value

__all__ = ["Constraint", "constraint_matrix", "f_test", "t_test", "wald_test"]

Constraint: TypeAlias = Any
"""Text (``"Days = 0"``), a list of texts, a mapping name -> value, an array (m, p), or
a pair (array, values)."""


def constraint_matrix(
    L: Constraint, names: Sequence[str], dropped: Sequence[str] = ()
) -> tuple[FloatArray, FloatArray]:
    """Read a set of linear constraints.

    Parameters
    ----------
    L : str, list of str, mapping, array or (array, values)
        Constraints in any of statsmodels' spellings. A name with operators in it goes in
        backticks inside an expression; alone it may be written as it is.
    names : sequence of str, length p
        Names of the fixed effects.
    dropped : sequence of str
        Names of effects that the data cannot tell from others.

    Returns
    -------
    matrix : ndarray, shape (m, p)
    values : ndarray, shape (m,)

    Raises
    ------
    OptionError
        Text that cannot be read, or that names an effect that cannot be estimated.
    DimensionError
        An array whose rows do not have one coefficient per fixed effect.
    """
    if _is_text(L):
        return _estimable(*_from_text(L, [*names, *dropped]), list(names), list(dropped))
    if isinstance(L, tuple) and len(L) == 2 and np.ndim(L[0]) > 0:
        matrix, values = L
    else:
        matrix, values = L, 0.0
    rows = np.atleast_2d(_numbers(matrix))
    if rows.ndim != 2 or rows.shape[1] != len(names):
        left_out = f"; left out because others determine them: {', '.join(dropped)}"
        raise DimensionError(
            "the constraints must have one column per fixed effect.",
            got=f"shape {np.shape(matrix)} for {len(names)} fixed effects ({', '.join(names)}"
            f"{left_out if dropped else ''})",
            suggestion=f"`np.eye({len(names)})`, or text such as {_example(names)}",
            available=tuple(names),
        )
    return rows, _values(values, len(rows))


def _numbers(values: Any) -> FloatArray:
    """Read an array of finite numbers."""
    try:
        numbers = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        numbers = np.array(np.nan)
    if np.isfinite(numbers).all():
        return numbers
    raise OptionError(
        "the constraints must be text or finite numbers.",
        got=f"{values!r}",
        suggestion='`"Days = 0"`, or an array with one row per constraint',
    )


def _values(values: Any, count: int) -> FloatArray:
    """One value per constraint."""
    numbers = _numbers(values)
    if numbers.ndim == 0 or numbers.shape == (count,):
        return np.broadcast_to(numbers, (count,))
    raise DimensionError(
        "there must be one value per constraint.",
        got=f"values of shape {numbers.shape} for {count} constraints",
        suggestion="`(array, values)` with as many values as the array has rows",
    )


def _example(names: Sequence[str]) -> str:
    return f'`"{names[-1]} = 0"`' if names else "none: the model has no fixed effects"


def _estimable(
    matrix: FloatArray, values: FloatArray, names: list[str], dropped: list[str]
) -> tuple[FloatArray, FloatArray]:
    """Refuse rows that involve effects left out of the model."""
    used = np.any(matrix[:, len(names) :] != 0.0, axis=0)
    if not used.any():
        return matrix[:, : len(names)], values
    lost = [name for name, is_used in zip(dropped, used, strict=True) if is_used]
    raise OptionError(
        "the constraint cannot be estimated: it involves an effect that the data cannot tell from "
        "others.",
        got=f"left out of the model: {', '.join(f'`{name}`' for name in lost)}",
        suggestion="test effects that the model has: " + ", ".join(f"`{name}`" for name in names),
        columns=tuple(lost),
        available=tuple(names),
    )


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
            suggestion=f"{_example(names)}; put names with operators in backticks",
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


def wald_test(test: JointTest) -> Any:
    """Test all rows together by chi-square."""
    from statsmodels.stats.contrast import ContrastResults

    return ContrastResults(
        statistic=test.unscaled * test.num_df,
        df_denom=test.num_df,
        distribution="chi2",
        dist_args=(test.num_df,),
    )


def f_test(test: JointTest) -> Any:
    """Test all rows together by F; with infinite ``den_df`` it is chi-square over its df."""
    from statsmodels.stats.contrast import ContrastResults

    result = ContrastResults(F=test.statistic, df_num=test.num_df, df_denom=test.den_df)
    if np.isinf(test.den_df):
        result.pvalue = np.float64(f_p_value(test.statistic, test.num_df, test.den_df))
    return result
