"""Values placed among levels that were declared beforehand."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from lmmformula.design.columns import Categories, Numbers, category_label
from lmmformula.design.sources import listed
from lmmformula.errors import DataError

__all__ = ["DeclaredLevels"]


class DeclaredLevels:
    """All levels that a column may have.

    Parameters
    ----------
    levels : sequence
        In order.
    """

    def __init__(self, levels: Sequence[Any]) -> None:
        self.levels = levels

    @cached_property
    def _positions(self) -> dict[Any, int]:
        positions: dict[Any, int] = {
            category_label(level): place for place, level in enumerate(self.levels)
        }
        positions.update({level: place for place, level in enumerate(self.levels)})
        return positions

    def place(self, value: Numbers | Categories, where: str) -> Categories:
        """Return the values as positions among the declared levels.

        Parameters
        ----------
        value : Numbers or Categories
        where : str
            Where they come from, for messages.

        Raises
        ------
        DataError
            A value is not among the levels.
        """
        if isinstance(value, Numbers):
            value = _categories(value)
        if value.levels is self.levels or list(value.levels) == list(self.levels):
            return Categories(value.name, value.codes, self.levels)
        new = np.array([self._position(level) for level in value.levels] + [-1], dtype=np.int32)
        unknown = np.flatnonzero(new[:-1] < 0)
        if unknown.size:
            seen = np.intersect1d(unknown, value.codes)
            if seen.size:
                raise self._unseen(value, [value.levels[i] for i in seen], where)
        codes = new[value.codes]
        return Categories(value.name, codes, self.levels)

    def _position(self, level: Any) -> int:
        found = self._positions.get(level)
        return self._positions.get(category_label(level), -1) if found is None else found

    def _unseen(self, value: Categories, levels: list[Any], where: str) -> DataError:
        several = len(levels) > 1
        return DataError(
            f"`{value.name}` has {'levels' if several else 'a level'} in {where} that "
            f"{'were' if several else 'was'} not declared.",
            got=f"{listed([repr(level) for level in levels], 6)}; declared are "
            f"{listed([repr(level) for level in self.levels], 6)}",
            suggestion=f"declare all levels of `{value.name}`, or none: they are then learned in a "
            "pass of their own",
            column=value.name,
            where=where,
            levels=levels,
        )


def _categories(value: Numbers) -> Categories:
    gone = value.missing_rows()
    levels, codes = np.unique(value.values, return_inverse=True)
    codes = codes.astype(np.int32)
    if gone is not None:
        codes[gone] = -1
    return Categories(value.name, codes, levels.tolist())
