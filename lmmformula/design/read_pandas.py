"""Reading one pandas column, whatever its dtype."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lmmformula._arrays import BoolArray
from lmmformula.design.columns import Categories, Numbers
from lmmformula.design.notify import notify
from lmmformula.errors import DataError, DataWarning

__all__ = ["factorized", "numbers_from_objects", "read_pandas", "unusable"]


def read_pandas(name: str, series: pd.Series[Any]) -> Numbers | Categories:
    """Read a pandas column.

    Parameters
    ----------
    name : str
        Its name, for messages.
    series : pandas.Series
        The column; not modified, and not copied when it holds NumPy numbers.
    """
    dtype = series.dtype
    if isinstance(dtype, np.dtype):
        return _read_numpy(name, series)
    if isinstance(dtype, pd.CategoricalDtype):
        array: Any = series.array
        return Categories(name, array.codes, array.categories.tolist())
    if isinstance(dtype, pd.StringDtype):
        return factorized(name, series)
    if isinstance(dtype, pd.SparseDtype):
        return read_pandas(name, pd.Series(np.asarray(series.array)))
    if isinstance(dtype, pd.PeriodDtype):
        return read_pandas(name, series.dt.to_timestamp())
    if pd.api.types.is_datetime64_any_dtype(dtype) or pd.api.types.is_timedelta64_dtype(dtype):
        return _read_times(name, series)
    return _read_extension(name, series)


def _read_numpy(name: str, series: pd.Series[Any]) -> Numbers | Categories:
    values: NDArray[Any] = series.to_numpy()
    kind = values.dtype.kind
    if kind in "iub":
        return Numbers(name, values)
    if kind == "f":
        exact = values.dtype in (np.float32, np.float64)
        return Numbers(name, values if exact else values.astype(np.float64))
    if kind in "mM":
        return _read_times(name, series)
    if kind == "O":
        return numbers_from_objects(name, series)
    raise unusable(name, f"{values.dtype}")


def _read_extension(name: str, series: pd.Series[Any]) -> Numbers | Categories:
    """Nullable and Arrow-backed dtypes."""
    dtype = series.dtype
    types = pd.api.types
    missing: BoolArray | None = series.isna().to_numpy()
    if missing is not None and not missing.any():
        missing = None
    if types.is_bool_dtype(dtype):
        return Numbers(name, series.to_numpy(dtype=bool, na_value=False), missing)
    if types.is_unsigned_integer_dtype(dtype):
        return Numbers(name, series.to_numpy(dtype=np.uint64, na_value=0), missing)
    if types.is_integer_dtype(dtype):
        return Numbers(name, series.to_numpy(dtype=np.int64, na_value=0), missing)
    if types.is_float_dtype(dtype):
        return Numbers(name, series.to_numpy(dtype=np.float64, na_value=np.nan))
    if types.is_string_dtype(dtype):
        return factorized(name, series)
    if str(dtype).startswith("dictionary"):
        categorical = series.astype("category")
        return read_pandas(name, categorical)
    return numbers_from_objects(name, series.astype(object))


def factorized(name: str, values: Any) -> Categories:
    """Turn labels into codes with sorted levels (R's ``factor()``)."""
    codes, uniques = pd.factorize(values, use_na_sentinel=True)
    levels = np.asarray(uniques, dtype=object).tolist()
    try:
        order = sorted(range(len(levels)), key=levels.__getitem__)
    except TypeError as error:
        raise unusable(name, "object (mixed)", pd.Series(levels, dtype=object)) from error
    rank = np.empty(len(levels) + 1, dtype=np.int32)
    rank[order] = np.arange(len(levels), dtype=np.int32)
    rank[-1] = -1
    return Categories(name, rank[codes], [levels[i] for i in order])


def numbers_from_objects(name: str, series: pd.Series[Any]) -> Numbers | Categories:
    """Read a column of Python objects: strings, or numbers that can be had exactly."""
    kind = pd.api.types.infer_dtype(series, skipna=True)
    if kind in ("string", "categorical"):
        return factorized(name, series)
    if kind == "empty":
        return Numbers(name, np.full(len(series), np.nan))
    if kind == "boolean":
        return _filled(name, series, False, np.bool_)
    if kind == "integer":
        return _read_python_integers(name, series)
    if kind in ("floating", "mixed-integer-float"):
        return Numbers(name, pd.to_numeric(series).to_numpy(dtype=np.float64, na_value=np.nan))
    if kind == "decimal":
        return _read_decimals(name, series)
    if kind in ("datetime64", "datetime", "date"):
        return _read_times(name, pd.to_datetime(series))
    if kind in ("timedelta64", "timedelta"):
        return _read_times(name, pd.to_timedelta(series))
    raise unusable(name, f"object ({kind})", series)


def _filled(name: str, series: pd.Series[Any], fill: Any, dtype: Any) -> Numbers:
    missing: BoolArray = series.isna().to_numpy()
    values = np.fromiter(
        (fill if gone else value for value, gone in zip(series, missing, strict=True)),
        dtype=dtype,
        count=len(series),
    )
    return Numbers(name, values, missing if missing.any() else None)


def _read_python_integers(name: str, series: pd.Series[Any]) -> Numbers:
    try:
        return _filled(name, series, 0, np.int64)
    except OverflowError as error:
        raise DataError(
            f"`{name}` holds integers that do not fit 64 bits.",
            got=f"largest {max(series.dropna(), key=abs)}",
            suggestion=f"convert it first: `data[{name!r}].astype(float)` for a measurement, "
            f"`data[{name!r}].astype(str)` for an identifier",
            column=name,
        ) from error


def _read_decimals(name: str, series: pd.Series[Any]) -> Numbers:
    notify(
        DataWarning(
            f"`{name}` holds decimal numbers; they were converted to double precision.",
            column=name,
        )
    )
    values = [
        float(value) if isinstance(value, (Decimal, int, float)) else np.nan for value in series
    ]
    return Numbers(name, np.array(values, dtype=np.float64))


def _read_times(name: str, series: pd.Series[Any]) -> Numbers:
    """Datetimes with a zone count in UTC."""
    if not isinstance(series.dtype, np.dtype | pd.DatetimeTZDtype):
        objects = series.astype(object)
        stamps = series.dtype.kind == "M"
        series = pd.to_datetime(objects) if stamps else pd.to_timedelta(objects)
    if isinstance(series.dtype, pd.DatetimeTZDtype):
        series = series.dt.tz_convert("UTC").dt.tz_localize(None)
    return Numbers(name, series.to_numpy())


def unusable(name: str, kind: str, series: pd.Series[Any] | None = None) -> DataError:
    """Return the error for a column that no model can use."""
    example = ""
    if series is not None and series.notna().any():
        first = series[series.notna()].iloc[0]
        example = f", such as {first!r}"
    return DataError(
        f"`{name}` is of a kind that a model cannot use.",
        got=f"dtype {kind}{example}",
        suggestion="convert it to numbers or to categories before fitting",
        column=name,
        dtype=kind,
    )
