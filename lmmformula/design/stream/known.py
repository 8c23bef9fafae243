"""Chunks whose categories have the same levels everywhere, known before or learned on the way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import repeat
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lmmformula._arrays import CodeArray, IntArray
from lmmformula.design.columns import Categories, Numbers
from lmmformula.design.sources import Source, listed
from lmmformula.errors import DataError

__all__ = ["ChunkSource", "GrowingLevels", "KnownLevels"]


class KnownLevels:
    """All levels of a column or an expression, in their final order.

    Parameters
    ----------
    levels : sequence
    """

    def __init__(self, levels: Sequence[Any]) -> None:
        self.levels = levels
        self._positions: dict[Any, int] | None = None

    def place(self, value: Categories) -> Categories:
        """Return the same values with codes that are positions among these levels.

        Raises
        ------
        DataError
            A level was not there when the levels were learned.
        """
        if value.levels is self.levels:
            return value
        if len(value.levels) == len(self.levels) and list(value.levels) == list(self.levels):
            return replace(value, levels=self.levels)
        if self._positions is None:
            self._positions = {level: i for i, level in enumerate(self.levels)}
        new = _numbered(self._positions, value.levels)
        codes = new[value.codes]
        if (new[:-1] >= 0).all():
            return replace(value, codes=codes, levels=self.levels)
        lost = np.unique(value.codes[(codes < 0) & (value.codes >= 0)])
        if lost.size:
            raise DataError(
                f"`{value.name}` has levels that the data did not have when they were read first.",
                got=listed([repr(value.levels[i]) for i in lost], 6),
                suggestion="see that nothing writes to the data while the model is built",
                column=value.name,
            )
        return replace(value, codes=codes, levels=self.levels)


class GrowingLevels:
    """Levels met so far, in order of appearance, and which of them have rows that count.

    Parameters
    ----------
    name : str
        The column or expression.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._positions: dict[Any, int] = {}
        self._occurs = np.zeros(0, dtype=bool)

    def place(self, value: Categories) -> Categories:
        """Return codes among the levels so far; new ones are added."""
        known = self._positions
        for level in value.levels:
            known.setdefault(level, len(known))
        codes = _numbered(known, value.levels)[value.codes]
        return replace(value, codes=codes, levels=list(known))

    def count(self, value: Categories) -> None:
        """Note which levels (already placed) have rows."""
        short = len(self._positions) - len(self._occurs)
        self._occurs = np.concatenate([self._occurs, np.zeros(short, dtype=bool)])
        self._occurs[value.codes[value.codes >= 0]] = True

    def absorb(self, other: GrowingLevels) -> NDArray[Any]:
        """Add the levels of the rows that follow; return where each of them is now."""
        known = self._positions
        for level in other._positions:
            known.setdefault(level, len(known))
        place = np.array([known[level] for level in other._positions], dtype=np.int64)
        short = len(known) - len(self._occurs)
        self._occurs = np.concatenate([self._occurs, np.zeros(short, dtype=bool)])
        self._occurs[place[: len(other._occurs)][other._occurs]] = True
        return place

    def settled(self, *, keeps_order: bool) -> tuple[KnownLevels, NDArray[Any], NDArray[Any]]:
        """Return the final levels, the new position of every old one, and which have rows.

        Parameters
        ----------
        keeps_order : bool
            Whether the order of appearance is the order; otherwise levels are sorted.
        """
        levels = list(self._positions)
        order = list(range(len(levels)))
        if not keeps_order:
            order = sorted(order, key=levels.__getitem__)
        rank = np.empty(len(levels), dtype=np.int64)
        rank[order] = np.arange(len(levels))
        occurs = np.zeros(len(levels), dtype=bool)
        occurs[: len(self._occurs)] = self._occurs
        return KnownLevels([levels[i] for i in order]), rank, occurs[order]


class ChunkSource(Source):
    """A chunk that answers as if it were cut from the whole data.

    Parameters
    ----------
    source : Source
        The chunk's own columns.
    names : tuple of str
        All columns of the stream, for messages.
    levels : mapping of str to KnownLevels or GrowingLevels
        Levels of categorical columns.
    rows : slice or ndarray of int, optional
        Only these rows.
    """

    def __init__(
        self,
        source: Source,
        names: tuple[str, ...],
        levels: Mapping[str, KnownLevels | GrowingLevels],
        rows: slice | IntArray | None = None,
    ) -> None:
        super().__init__()
        self._source, self._levels, self._rows = source, levels, rows
        self.names = names
        self.n_rows = _count(source.n_rows, rows)
        self.index = pd.RangeIndex(self.n_rows)

    @staticmethod
    def accepts(data: Any) -> bool:
        """Nothing: it is made by the design."""
        return False

    def _column(self, name: str) -> Numbers | Categories:
        value = self._source.column(name)
        if isinstance(value, Categories) and name in self._levels:
            value = self._levels[name].place(value)
        return value if self._rows is None else value.take(self._rows)  # type: ignore[arg-type]


def _count(n_rows: int, rows: slice | IntArray | None) -> int:
    if rows is None:
        return n_rows
    return len(range(n_rows)[rows]) if isinstance(rows, slice) else len(rows)


def _numbered(known: Mapping[Any, int], levels: Sequence[Any]) -> CodeArray:
    """Numbers of levels, -1 for unknown ones, and -1 at the end for missing values."""
    new = np.full(len(levels) + 1, -1, dtype=np.int32)
    new[:-1] = np.fromiter(map(known.get, levels, repeat(-1)), np.int32, len(levels))
    return new
