"""What a pass collects in the rows that count: levels, groups and positions."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmmformula._arrays import FloatArray
from lmmformula.design.columns import Categories, Numbers, Value
from lmmformula.design.encode import numeric_variable
from lmmformula.design.evaluate import Evaluator
from lmmformula.design.stream.keys import Keys, keys_of
from lmmformula.design.stream.known import GrowingLevels
from lmmformula.design.stream.needs import Expression
from lmmformula.design.stream.stream import Stream
from lmmformula.design.stream.tables import Tables

__all__ = ["GroupTask", "LevelTask", "PlaceTask", "Task"]


class Task(ABC):
    """Something to collect.

    Attributes
    ----------
    columns : tuple of str
        Columns of the data that it needs.
    counted : tuple of Expression
        Its values; only rows in which all of them are there count.
    described : str
        What it learns, for the log.
    """

    columns: tuple[str, ...]
    counted: tuple[Expression, ...]
    described: str

    @abstractmethod
    def add(self, evaluator: Evaluator, values: Mapping[str, Value]) -> None:
        """Look at the rows of a chunk that count."""

    @abstractmethod
    def settle(self, tables: Tables, tasks: Sequence[Task], stream: Stream) -> None:
        """Write what was found into the tables."""


class LevelTask(Task):
    """Levels of a categorical column, or of categories made of values.

    Parameters
    ----------
    name : str
        Column or expression.
    columns : tuple of str
        Columns it needs.
    expression : Expression, optional
        What is counted; None if the order of the levels is all that matters.
    """

    def __init__(
        self, name: str, columns: tuple[str, ...], expression: Expression | None = None
    ) -> None:
        self.name, self.columns, self.expression = name, columns, expression
        self.growing = GrowingLevels(name)
        self.rank: NDArray[Any] = np.empty(0, dtype=np.int64)
        self.described = f"the levels of `{name}`"

    @property
    def is_column(self) -> bool:
        """Whether these are levels of a column of the data."""
        return self.expression is None or self.expression.lookup

    @property
    def counted(self) -> tuple[Expression, ...]:  # type: ignore[override]
        """The expression, if its rows count."""
        return () if self.expression is None else (self.expression,)

    def add(self, evaluator: Evaluator, values: Mapping[str, Value]) -> None:
        """Count the levels."""
        if self.expression is None:
            evaluator.source.column(self.name)  # which adds new ones
            return
        value = values[self.name]
        if isinstance(value, Categories):
            self.growing.count(value)

    def settle(self, tables: Tables, tasks: Sequence[Task], stream: Stream) -> None:
        """Put the levels in order."""
        keeps_order = self.is_column and bool(stream.keeps_order(self.name))
        known, self.rank, occurs = self.growing.settled(keeps_order=keeps_order)
        (tables.columns if self.is_column else tables.made)[self.name] = known
        if self.expression is not None:
            tables.occurs[self.name] = occurs


class GroupTask(Task):
    """Combinations of the components of a grouping factor."""

    def __init__(self, key: tuple[str, ...], counted: Sequence[Expression], text: str) -> None:
        self.key, self.counted, self.text = key, tuple(counted), text
        self.columns = tuple(dict.fromkeys(name for part in counted for name in part.columns))
        self.described = f"the levels of `{':'.join(key)}`"
        self._keys = Keys(len(key))
        self._like: list[Value] = []

    def add(self, evaluator: Evaluator, values: Mapping[str, Value]) -> None:
        """Note the combinations of a chunk."""
        chosen = [values[part.name] for part in self.counted]
        keys = [keys_of(value, self.text) for value in chosen]
        if keys[0].size:
            self._like = chosen
            self._keys.add(keys)

    def absorb(self, other: GroupTask, renumbered: Mapping[str, NDArray[Any]]) -> None:
        """Add the combinations of the rows that follow.

        Parameters
        ----------
        other : GroupTask
        renumbered : mapping of str to ndarray of int
            For components with levels of their own: where the other's levels are now.
        """
        found = other._keys.distinct()
        if not found:
            return
        self._like = self._like or other._like
        self._keys.add(
            [
                renumbered[part.name][keys] if part.name in renumbered else keys
                for part, keys in zip(self.counted, found, strict=True)
            ]
        )

    def slim(self) -> None:
        """Keep one row of the values that tell of what kind they are."""
        self._like = [value.take(np.zeros(1, dtype=np.int64)) for value in self._like]

    def settle(self, tables: Tables, tasks: Sequence[Task], stream: Stream) -> None:
        """Make values of the combinations, one row each."""
        found = self._keys.distinct() or tuple(np.empty(0, dtype=np.int64) for _ in self.key)
        ranks = {task.name: task.rank for task in tasks if isinstance(task, LevelTask)}
        made = []
        for i, (part, keys) in enumerate(zip(self.counted, found, strict=True)):
            like = self._like[i] if self._like else Numbers(part.name, keys)
            made.append(_value(part.name, like, keys, ranks.get(part.name), tables))
        tables.groups[self.key] = tuple(made)


def _value(
    name: str, like: Value, keys: NDArray[Any], rank: NDArray[Any] | None, tables: Tables
) -> Value:
    """Values with certain keys."""
    if isinstance(like, Categories):
        known = tables.made.get(name) or tables.columns.get(name)
        codes = keys if rank is None else rank[keys]
        levels = like.levels if known is None else known.levels
        return Categories(like.name, codes.astype(np.int32), levels, like.contrasts, like.label)
    assert isinstance(like, Numbers)
    return Numbers(like.name, keys.astype(bool) if like.is_logical else keys)


class PlaceTask(Task):
    """Positions of a random-effects term."""

    def __init__(self, number: int, counted: Sequence[Expression]) -> None:
        self.number, self.counted = number, tuple(counted)
        self.columns = tuple(dict.fromkeys(name for part in counted for name in part.columns))
        self.described = f"the positions `{', '.join(part.name for part in counted)}`"
        self._rows: FloatArray | None = None

    def add(self, evaluator: Evaluator, values: Mapping[str, Value]) -> None:
        """Note the positions of a chunk."""
        columns: list[FloatArray] = []
        for part in self.counted:
            value = values[part.name]
            if isinstance(value, Categories):
                return  # refused when the design is laid out
            columns.extend(numeric_variable(value, part.name).columns)
        rows = np.unique(np.column_stack(columns) + 0.0, axis=0)
        both = rows if self._rows is None else np.vstack([self._rows, rows])
        self._rows = np.unique(both, axis=0)

    def absorb(self, other: PlaceTask) -> None:
        """Add the positions of the rows that follow."""
        found = [rows for rows in (self._rows, other._rows) if rows is not None]
        self._rows = np.unique(np.vstack(found), axis=0) if found else None

    def settle(self, tables: Tables, tasks: Sequence[Task], stream: Stream) -> None:
        """Keep the positions."""
        tables.places[self.number] = np.zeros((0, 1)) if self._rows is None else self._rows
