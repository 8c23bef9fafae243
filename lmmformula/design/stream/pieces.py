"""One piece of a stream as a source of columns, in the data's own types.

The eager sources widen floats to double precision when a column is read; here that waits until
the numbers are used, so that a chunk of float32 takes half the memory.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd

from lmmformula.design.columns import Categories, Numbers
from lmmformula.design.read_narwhals import read_narwhals
from lmmformula.design.sources import MappingSource, NarwhalsSource, PandasSource, Source
from lmmformula.errors import DataError

__all__ = ["PieceSource", "is_arrow", "open_piece"]


class PieceSource(Source):
    """A source that can tell what its columns are made of."""

    @abstractmethod
    def type_of(self, name: str) -> str:
        """The type of a column in the data's own words."""

    @abstractmethod
    def own_order(self, name: str) -> bool:
        """Whether a column of categories has an order of its own, unlike text."""


class PandasPiece(PandasSource, PieceSource):
    """A pandas frame."""

    def _column(self, name: str) -> Numbers | Categories:
        series: Any = self._data[name]
        dtype = getattr(series, "dtype", None)
        if isinstance(dtype, np.dtype) and dtype.kind == "f":
            return Numbers(name, series.to_numpy())
        return super()._column(name)

    def type_of(self, name: str) -> str:
        """The dtype."""
        return str(self._data[name].dtype)

    def own_order(self, name: str) -> bool:
        """Whether it is a categorical."""
        dtype = self._data[name].dtype
        return isinstance(dtype, pd.CategoricalDtype) or str(dtype).startswith("dictionary")


class MappingPiece(MappingSource, PieceSource):
    """A mapping of names to arrays."""

    def _column(self, name: str) -> Numbers | Categories:
        values = self._data[name]
        dtype = getattr(values, "dtype", None)
        is_float = isinstance(dtype, np.dtype) and dtype.kind == "f"
        if is_float and isinstance(values, (np.ndarray, pd.Series)) and values.ndim == 1:
            return Numbers(name, np.asarray(values))
        return super()._column(name)

    def type_of(self, name: str) -> str:
        """The dtype, or the type of the container."""
        values = self._data[name]
        return str(getattr(values, "dtype", type(values).__name__))

    def own_order(self, name: str) -> bool:
        """Whether it is a categorical."""
        dtype = getattr(self._data[name], "dtype", None)
        if isinstance(dtype, pd.CategoricalDtype):
            return True
        return str(dtype).startswith("Enum")


class NarwhalsPiece(NarwhalsSource, PieceSource):
    """A polars frame, or any other that narwhals knows."""

    def _column(self, name: str) -> Numbers | Categories:
        series = self._data.get_column(name)
        if series.dtype.is_float():
            return Numbers(name, np.asarray(series.to_numpy()))
        return read_narwhals(name, series)

    def type_of(self, name: str) -> str:
        """The native type."""
        return str(self._data.get_column(name).to_native().dtype)

    def own_order(self, name: str) -> bool:
        """Whether it is an enumeration; a polars Categorical is sorted, as it is in memory."""
        return self._data.schema[name] == nw.Enum


def open_piece(frame: Any, where: str) -> PieceSource:
    """Open one frame of a stream.

    Parameters
    ----------
    frame : frame, Arrow table or record batch, or mapping
    where : str
        Which one it is, for messages.

    Raises
    ------
    DataError
        It cannot be read as a table.
    """
    frame = nw.to_native(frame, pass_through=True)
    if isinstance(frame, pd.DataFrame):
        return PandasPiece(frame)
    if isinstance(frame, Mapping):
        return MappingPiece(frame)
    if is_arrow(frame):
        from lmmformula.design.stream.arrow import ArrowPiece

        return ArrowPiece.of(frame)
    if nw.dependencies.is_into_dataframe(frame):
        return NarwhalsPiece(frame)
    raise DataError(
        f"{where} cannot be read as a table.",
        got=f"an object of type {type(frame).__module__}.{type(frame).__qualname__}",
        suggestion="`list(paths)`: a list of paths is read as it is"
        if isinstance(frame, Path)
        else "frames of pandas or polars, Arrow tables or dicts of arrays",
        where=where,
    )


def is_arrow(frame: Any) -> bool:
    """Whether it is an Arrow table or record batch."""
    return type(frame).__module__ == "pyarrow.lib" and type(frame).__name__ in (
        "Table",
        "RecordBatch",
    )
