"""From what an expression returned to numbers, categories or a basis."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse
from formulaic.materializers.types.factor_values import FactorValues

from lmmformula._arrays import BoolArray
from lmmformula.design.columns import Basis, Categories, Numbers, Value
from lmmformula.design.context import Coded
from lmmformula.design.read_pandas import factorized, read_pandas
from lmmformula.errors import FormulaError

__all__ = ["as_value"]


def as_value(expression: str, result: Any, n_rows: int, missing: BoolArray | None) -> Value:
    """Turn a result into one of the three kinds of variables.

    Parameters
    ----------
    expression : str
        What was evaluated.
    result : object
        What came out: an array, a series, several columns, a constant.
    n_rows : int
        Rows of the data.
    missing : ndarray of bool or None
        Rows in which a variable of the expression is missing; comparisons forget that.
    """
    if isinstance(result, Coded):
        return _categories(expression, result, n_rows, missing)
    metadata = None
    if isinstance(result, FactorValues):
        metadata = result.__formulaic_metadata__
        result = result.__wrapped__
        if metadata.kind.value == "categorical":
            return _categories(expression, Coded(result, None, None), n_rows, missing)
    if isinstance(result, scipy.sparse.sparray | scipy.sparse.spmatrix):
        result = scipy.sparse.csc_array(result).toarray()
    if isinstance(result, pd.DataFrame):
        result = {name: result[name].to_numpy() for name in result.columns}
    if isinstance(result, Mapping):
        return _basis_of_columns(expression, result, metadata, n_rows)
    if np.ndim(result) == 2:
        return _basis_of_matrix(expression, result, metadata, n_rows)
    if np.ndim(result) == 0:
        return _constant(expression, result, n_rows)
    return _one_column(expression, result, n_rows, missing)


def _one_column(
    expression: str, result: Any, n_rows: int, missing: BoolArray | None
) -> Numbers | Categories:
    series = result if isinstance(result, pd.Series) else pd.Series(result, copy=False)
    _check_length(expression, len(series), n_rows)
    value = read_pandas(expression, series)
    if isinstance(value, Numbers) and value.is_logical and missing is not None:
        gone = missing if value.missing is None else missing | value.missing
        return Numbers(expression, value.values, gone)
    return value


def _constant(expression: str, result: Any, n_rows: int) -> Numbers:
    if not isinstance(result, (bool, int, float, np.number, np.bool_)):
        raise FormulaError(
            f"`{expression}` does not give a column.",
            got=f"an object of type {type(result).__name__}",
            suggestion="an expression with one number or category per row",
            expression=expression,
        )
    return Numbers(expression, np.full(n_rows, float(result)))


def _basis_of_columns(
    expression: str, columns: Mapping[Any, Any], metadata: Any, n_rows: int
) -> Basis:
    keys = [key for key in columns if not (isinstance(key, str) and key.startswith("__"))]
    arrays = [np.asarray(columns[key], dtype=np.float64) for key in keys]
    template = "{name}[{field}]" if metadata is None else metadata.format
    fields = tuple(template.format(name="", field=key) for key in keys)
    drop = None
    if metadata is not None and metadata.spans_intercept and metadata.drop_field in keys:
        drop = keys.index(metadata.drop_field)
    _check_length(expression, len(arrays[0]) if arrays else 0, n_rows)
    return Basis(expression, np.column_stack(arrays), fields, drop)


def _basis_of_matrix(expression: str, matrix: Any, metadata: Any, n_rows: int) -> Basis:
    values = np.asarray(matrix, dtype=np.float64)
    names = metadata.column_names if metadata is not None else None
    keys = list(names) if names else list(range(values.shape[1]))
    _check_length(expression, len(values), n_rows)
    return Basis(expression, values, tuple(f"[{key}]" for key in keys))


def _categories(
    expression: str, coded: Coded, n_rows: int, missing: BoolArray | None
) -> Categories:
    """Categories from anything, whole numbers included."""
    values = coded.values
    if isinstance(values, FactorValues):
        values = values.__wrapped__
    series = values if isinstance(values, pd.Series) else pd.Series(values, copy=False)
    _check_length(expression, len(series), n_rows)
    if coded.levels is not None:
        series = pd.Series(pd.Categorical(series, categories=list(coded.levels)))
    value = (
        read_pandas(expression, series)
        if isinstance(series.dtype, pd.CategoricalDtype)
        else factorized(expression, series)
    )
    assert isinstance(value, Categories)
    codes = value.codes
    if missing is not None:
        codes = np.where(missing, -1, codes)
    return Categories(expression, codes, value.levels, coded.contrasts)


def _check_length(expression: str, length: int, n_rows: int) -> None:
    if length != n_rows:
        raise FormulaError(
            f"`{expression}` does not give one value per row.",
            got=f"{length} values for {n_rows} rows",
            suggestion="compute the column before fitting and name it in the formula",
            expression=expression,
        )
