"""Where data come from: one small class per kind of data, all answering the same questions.

A source hands out single columns on request, so a frame of a thousand columns is never copied.
To add one: a class with ``accepts``, and a row in ``SOURCES``.
"""

from __future__ import annotations

import difflib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd

from lmmformula.design.columns import Categories, Numbers
from lmmformula.design.read_narwhals import read_narwhals
from lmmformula.design.read_pandas import read_pandas
from lmmformula.errors import DataError

__all__ = ["SOURCES", "Source", "closest_name", "listed", "open_source"]

LISTED_NAMES = 12


def closest_name(name: str, available: Sequence[str]) -> str | None:
    """Return the known name nearest to a misspelt one, or None."""
    by_case = {str(known).lower(): str(known) for known in available}
    found = difflib.get_close_matches(name.lower(), list(by_case), n=1, cutoff=0.6)
    return by_case[found[0]] if found else None


def listed(names: Sequence[str], limit: int = LISTED_NAMES) -> str:
    """Return names joined by commas, cut short after ``limit``."""
    shown = ", ".join(str(name) for name in names[:limit])
    return shown if len(names) <= limit else f"{shown}, ... {len(names) - limit} more"


class Source(ABC):
    """Columns by name, read at most once each.

    Attributes
    ----------
    names : tuple of str
        Column names.
    n_rows : int
        Number of rows.
    index : pandas.Index
        Labels of the rows.
    """

    names: tuple[str, ...]
    n_rows: int
    index: pd.Index[Any]

    def __init__(self) -> None:
        self._read: dict[str, Numbers | Categories] = {}

    def __contains__(self, name: object) -> bool:
        return name in self.names

    def column(self, name: str) -> Numbers | Categories:
        """Read one column.

        Raises
        ------
        DataError
            The name occurs twice, or the values are of a kind that no model can use.
        """
        if name not in self._read:
            if self.names.count(name) > 1:
                raise DataError(
                    f"the data have {self.names.count(name)} columns named `{name}`.",
                    got=f"columns {listed(self.names)}",
                    suggestion="rename one of them; a formula can only mean one",
                    column=name,
                    available=self.names,
                )
            self._read[name] = self._column(name)
        return self._read[name]

    @abstractmethod
    def _column(self, name: str) -> Numbers | Categories:
        """Read a column that exists once."""

    @staticmethod
    @abstractmethod
    def accepts(data: Any) -> bool:
        """Whether this class reads such data."""


class PandasSource(Source):
    """A pandas DataFrame."""

    def __init__(self, data: pd.DataFrame) -> None:
        super().__init__()
        self._data = data
        self.names = tuple(data.columns)
        self.n_rows = len(data)
        self.index = data.index

    def _column(self, name: str) -> Numbers | Categories:
        series: Any = self._data[name]
        if isinstance(series, pd.DataFrame):
            raise DataError(
                f"`{name}` is a group of columns, not a column.",
                got=f"column labels of {self._data.columns.nlevels} levels",
                suggestion="flatten the column labels: `data.columns = "
                "['_'.join(map(str, c)) for c in data.columns]`",
                column=name,
            )
        return read_pandas(name, series)

    @staticmethod
    def accepts(data: Any) -> bool:
        """Whether this class reads such data."""
        return isinstance(data, pd.DataFrame)


class MappingSource(Source):
    """A mapping of column names to arrays, lists or series of one length."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        super().__init__()
        self._data = data
        self.names = tuple(data)
        self.n_rows = self._common_length()
        self.index = pd.RangeIndex(self.n_rows)

    def _common_length(self) -> int:
        lengths: dict[str, int] = {}
        for name, values in self._data.items():
            if isinstance(values, (str, bytes)) or not hasattr(values, "__len__"):
                raise DataError(
                    f"`{name}` is a single value where a column is needed.",
                    got=f"{values!r} ({type(values).__name__})",
                    suggestion=f"give `{name}` as an array or a list",
                    column=name,
                )
            lengths[name] = len(values)
        if len(set(lengths.values())) > 1:
            raise DataError(
                "the columns of the data differ in length.",
                got=listed([f"{name}: {length}" for name, length in lengths.items()]),
                suggestion="give every column one value per row",
                lengths=lengths,
            )
        return next(iter(lengths.values()), 0)

    def _column(self, name: str) -> Numbers | Categories:
        values = self._data[name]
        if nw.dependencies.is_into_series(values) and not isinstance(values, pd.Series):
            return read_narwhals(name, nw.from_native(values, series_only=True))
        if not isinstance(values, (pd.Series, pd.Categorical)):
            values = np.asarray(values) if not isinstance(values, list) else values
            if np.ndim(values) != 1:
                raise DataError(
                    f"`{name}` is not one-dimensional.",
                    got=f"shape {np.shape(values)}",
                    suggestion="give each column under a name of its own",
                    column=name,
                )
        return read_pandas(name, pd.Series(values, copy=False))

    @staticmethod
    def accepts(data: Any) -> bool:
        """Whether this class reads such data."""
        return isinstance(data, Mapping)


class NarwhalsSource(Source):
    """Any other eager frame that narwhals knows (polars, pyarrow, ...)."""

    def __init__(self, data: Any) -> None:
        super().__init__()
        self._data: nw.DataFrame[Any] = nw.from_native(data, eager_only=True)
        self.names = tuple(self._data.columns)
        self.n_rows = len(self._data)
        self.index = pd.RangeIndex(self.n_rows)

    def _column(self, name: str) -> Numbers | Categories:
        return read_narwhals(name, self._data.get_column(name))

    @staticmethod
    def accepts(data: Any) -> bool:
        """Whether this class reads such data."""
        return bool(nw.dependencies.is_into_dataframe(data))


def open_source(data: Any) -> Source:
    """Open data of any known kind.

    Parameters
    ----------
    data : frame, mapping or Source
        An eager frame that narwhals understands, or a dict of arrays; a source is returned as it
        is.

    Raises
    ------
    DataError
        Nothing here can be read as a table.
    """
    if isinstance(data, Source):
        return data
    data = nw.to_native(data, pass_through=True)
    for source in SOURCES:
        if source.accepts(data):
            opened: Source = source(data)
            return opened
    lazy = hasattr(data, "collect")
    raise DataError(
        "the data are a lazy frame; a model needs the rows themselves."
        if lazy
        else "the data cannot be read as a table.",
        got=f"an object of type {type(data).__module__}.{type(data).__qualname__}",
        suggestion="`data.collect()`"
        if lazy
        else "a DataFrame (pandas, polars, pyarrow) or a dict of arrays",
        kind=type(data).__qualname__,
    )


SOURCES: tuple[Any, ...] = (PandasSource, MappingSource, NarwhalsSource)
