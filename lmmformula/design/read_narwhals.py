"""Reading one column of a frame that is not pandas, through narwhals."""

from __future__ import annotations

from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd

from lmmformula._arrays import BoolArray
from lmmformula.design.columns import Categories, Numbers
from lmmformula.design.read_pandas import factorized, numbers_from_objects, read_pandas, unusable

__all__ = ["read_narwhals"]


def read_narwhals(name: str, series: nw.Series[Any]) -> Numbers | Categories:
    """Read a column of any eager backend.

    Parameters
    ----------
    name : str
        Its name, for messages.
    series : narwhals.Series
        The column; not modified.
    """
    if series.implementation.is_pandas():
        return read_pandas(name, series.to_native())
    dtype = series.dtype
    if dtype.is_integer() or dtype == nw.Boolean:
        return _read_exact(name, series)
    if dtype.is_float():
        return Numbers(name, series.cast(nw.Float64()).to_numpy())
    if dtype in (nw.String, nw.Categorical, nw.Enum):
        return _read_labels(name, series)
    if dtype.is_temporal() and dtype != nw.Time:
        return _read_times(name, series)
    if dtype.is_decimal() or dtype in (nw.Object, nw.Unknown):
        return _read_objects(name, series)
    raise unusable(name, str(dtype))


def _read_times(name: str, series: nw.Series[Any]) -> Numbers:
    """Datetimes with a zone count in UTC."""
    if getattr(series.dtype, "time_zone", None) is not None:
        series = series.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
    values = np.asarray(series.to_numpy())
    if values.dtype.kind not in "mM":
        values = values.astype("m8[us]" if series.dtype == nw.Duration else "M8[us]")
    return Numbers(name, values)


def _missing(series: nw.Series[Any]) -> BoolArray | None:
    return np.asarray(series.is_null().to_numpy()) if series.null_count() else None


def _read_exact(name: str, series: nw.Series[Any]) -> Numbers:
    missing = _missing(series)
    if missing is not None:
        series = series.fill_null(False if series.dtype == nw.Boolean else 0)
    return Numbers(name, np.asarray(series.to_numpy()), missing)


def _read_objects(name: str, series: nw.Series[Any]) -> Numbers | Categories:
    values = pd.Series(series.to_list(), dtype=object)
    if values.isna().all():
        return Numbers(name, np.full(len(values), np.nan))
    return numbers_from_objects(name, values)


def _read_labels(name: str, series: nw.Series[Any]) -> Categories:
    if series.implementation.is_polars():
        return _read_polars_labels(name, series.to_native())
    if series.implementation.is_pyarrow():
        return _read_arrow_labels(name, series.to_native())
    return factorized(name, np.asarray(series.to_list(), dtype=object))


def _read_polars_labels(name: str, series: Any) -> Categories:
    """Codes by way of an Enum: sorted levels, or an Enum's own order."""
    import polars as pl

    if isinstance(series.dtype, pl.Enum):
        levels = series.dtype.categories.to_list()
    else:
        levels = sorted(series.unique().drop_nulls().cast(pl.String).to_list())
        series = series.cast(pl.Enum(levels))
    codes = series.to_physical().cast(pl.Int32).fill_null(-1).to_numpy()
    return Categories(name, codes, levels)


def _read_arrow_labels(name: str, chunked: Any) -> Categories:
    """A dictionary's own order, or sorted levels for plain strings."""
    import pyarrow as pa  # type: ignore[import-untyped,unused-ignore]

    is_dictionary = pa.types.is_dictionary(chunked.type)
    if not is_dictionary:
        chunked = chunked.dictionary_encode()
    array = chunked.unify_dictionaries().combine_chunks()
    if isinstance(array, pa.ChunkedArray):
        array = array.chunk(0) if array.num_chunks else pa.array([], type=chunked.type)
    codes = array.indices.cast(pa.int32()).fill_null(-1).to_numpy(zero_copy_only=False)
    levels = array.dictionary.to_pylist()
    if is_dictionary:
        return Categories(name, codes, levels)
    order = sorted(range(len(levels)), key=levels.__getitem__)
    rank = np.empty(len(levels) + 1, dtype=np.int32)
    rank[order] = np.arange(len(levels), dtype=np.int32)
    rank[-1] = -1
    return Categories(name, rank[codes], [levels[i] for i in order])
