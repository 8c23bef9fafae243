"""Levels, means and combinations of the columns behind the fixed effects, chunk by chunk."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmmformula._arrays import IntArray, frozen
from lmmformula.design.columns import Categories, Numbers, category_label
from lmmformula.design.predictors import PROBE, Predictor, Predictors

__all__ = ["RunningPredictors"]


class RunningPredictors:
    """A running summary of columns.

    Parameters
    ----------
    names : sequence of str
        Columns of the fixed effects and of offsets.
    coded : set of str
        Those that the formula makes factors of.
    """

    def __init__(self, names: Sequence[str], coded: set[str]) -> None:
        self.columns = [_Column(name, name in coded) for name in names]
        self.n_rows = 0
        self._cells: IntArray = np.zeros((0, 0), dtype=np.int64)
        self._counts = np.zeros(0)
        self._held: list[_Column] = []

    def add(self, values: Sequence[Numbers | Categories], n_rows: int) -> None:
        """Add the rows of a chunk that are used, one value per column."""
        codes = [column.add(value) for column, value in zip(self.columns, values, strict=True)]
        self.n_rows += n_rows
        crossed = [column for column in self.columns if column.has_levels]
        if not crossed:
            self._held, self._cells = [], np.zeros((0, 0), dtype=np.int64)
            return
        self._drop([column for column in self._held if not column.has_levels])
        chosen = [code for code in codes if code is not None]
        cells, counts = _counted(chosen, n_rows)
        self._held = crossed
        if not len(self._counts):
            self._cells, self._counts = cells, counts
            return
        self._cells, self._counts = _summed(
            np.vstack([self._cells, cells]), np.concatenate([self._counts, counts])
        )

    def absorb(self, other: RunningPredictors) -> None:
        """Add a summary of other rows of the same columns."""
        if not other.n_rows:
            return
        pairs = zip(self.columns, other.columns, strict=True)
        numbers = [column.absorb(more) for column, more in pairs]
        self.n_rows += other.n_rows
        crossed = [column for column in self.columns if column.has_levels]
        if not crossed:
            self._held, self._cells = [], np.zeros((0, 0), dtype=np.int64)
            return
        self._drop([column for column in self._held if not column.has_levels])
        where = {id(column): j for j, column in enumerate(other._held)}
        cells = np.column_stack(
            [
                new[other._cells[:, where[id(more)]]]
                for column, more, new in zip(self.columns, other.columns, numbers, strict=True)
                if column.has_levels and new is not None
            ]
        ).astype(np.int64)
        self._held = crossed
        if len(self._counts):
            cells = np.vstack([self._cells, cells])
        self._cells, self._counts = _summed(cells, np.concatenate([self._counts, other._counts]))

    def _drop(self, gone: list[_Column]) -> None:
        """Columns turned out to have more than two values: sum over them."""
        if gone:
            kept = [j for j, column in enumerate(self._held) if column not in gone]
            self._cells, self._counts = _summed(self._cells[:, kept], self._counts)

    def total(self) -> Predictors:
        """Return the summary of all rows."""
        finished = [column.finished() for column in self.columns]
        columns = tuple(predictor for predictor, _ in finished)
        crossed = tuple(column.name for column in columns if column.levels)
        if not crossed:
            return Predictors(
                columns,
                (),
                frozen(np.zeros((1, 0), dtype=np.int64)),
                frozen(np.full(1, float(self.n_rows))),
            )
        places = [place for _, place in finished if place is not None]
        cells = np.column_stack(
            [place[self._cells[:, j]] for j, place in enumerate(places)]
        ).astype(np.int64)
        order = np.lexsort(cells.T[::-1])
        return Predictors(columns, crossed, frozen(cells[order]), frozen(self._counts[order]))


class _Column:
    """One column: levels in order of appearance, or a mean and a range."""

    def __init__(self, name: str, is_coded: bool) -> None:
        self.name, self.is_coded = name, is_coded
        self.kind = ""
        self.categories: Sequence[Any] = ()
        self.occurs: NDArray[np.bool_] = np.zeros(0, dtype=bool)
        self.values: list[Any] | None = []
        self.low, self.high, self.sum, self.count = np.inf, -np.inf, 0.0, 0

    @property
    def has_levels(self) -> bool:
        """Whether it has levels as far as is known."""
        return self.kind in ("categories", "values") or (
            self.kind == "numbers" and self.values is not None
        )

    def add(self, value: Numbers | Categories) -> NDArray[Any] | None:
        """Add rows; return their levels' numbers if it has levels."""
        if isinstance(value, Categories):
            self.kind, self.categories = "categories", value.levels
            if len(self.occurs) < len(value.levels):
                self.occurs = np.zeros(len(value.levels), dtype=bool)
            self.occurs[value.codes] = True
            return value.codes
        if value.is_logical or self.is_coded:
            self.kind = "values"
            found, inverse = np.unique(value.values, return_inverse=True)
            return self._numbered(found.tolist())[inverse]
        if value.is_time:
            self.kind = "times"
            days = value.values.astype("M8[ns]").astype(np.int64)
            self._extend(float(days.min()), float(days.max()))
            self.sum += float(np.sum(days.astype(np.float64)))
            self.count += len(days)
            return None
        self.kind = "numbers"
        return self._add_numbers(value)

    def _add_numbers(self, value: Numbers) -> NDArray[Any] | None:
        numbers = value.floats()
        low, high = float(numbers.min()), float(numbers.max())
        self._extend(low, high)
        self.sum += float(np.sum(numbers))
        self.count += len(numbers)
        if self.values is None:
            return None
        for some in (numbers[:PROBE], numbers):
            if not np.all((some == low) | (some == high)):
                self.values = None
                return None
        if len({*self.values, low, high}) > 2:
            self.values = None
            return None
        numbered = self._numbered([low, high])
        codes: NDArray[Any] = np.where(numbers == low, numbered[0], numbered[1])
        return codes

    def absorb(self, other: _Column) -> NDArray[Any] | None:
        """Add what another one saw; return the numbers of its levels here if it has levels."""
        self.kind = self.kind or other.kind
        if self.kind == "categories":
            self.categories = other.categories
            if len(self.occurs) < len(other.occurs):
                self.occurs = np.zeros(len(other.occurs), dtype=bool)
            self.occurs |= other.occurs
            return np.arange(len(other.occurs))
        self._extend(other.low, other.high)
        self.sum += other.sum
        self.count += other.count
        if self.kind == "times":
            return None
        both = None
        if self.values is not None and other.values is not None:
            both = {*self.values, *other.values}
        if both is None or (self.kind == "numbers" and len(both) > 2):
            self.values = None
            return None
        assert other.values is not None
        return self._numbered(other.values)

    def _extend(self, low: float, high: float) -> None:
        self.low = float(np.minimum(self.low, low))  # NaN stays NaN
        self.high = float(np.maximum(self.high, high))

    def _numbered(self, found: list[Any]) -> NDArray[Any]:
        """Numbers of values in order of appearance."""
        assert self.values is not None
        for value in found:
            if value not in self.values:
                self.values.append(value)
        return np.array([self.values.index(value) for value in found], dtype=np.int64)

    def finished(self) -> tuple[Predictor, NDArray[Any] | None]:
        """Return the summary, and the place of every number among the levels."""
        if self.kind == "categories":
            present = np.flatnonzero(self.occurs)
            categories = tuple(self.categories[int(i)] for i in present)
            labels = tuple(category_label(level) for level in categories)
            place = np.full(len(self.occurs), -1)
            place[present] = np.arange(len(present))
            return Predictor(self.name, True, labels, categories=categories), place
        if self.kind == "times":
            mean = np.int64(self.sum / self.count).astype("M8[ns]")
            return Predictor(self.name, False, (), mean, self.high - self.low), None
        if self.values is None:
            return self._numeric(()), None
        levels = sorted(self.values)
        place = np.array([levels.index(value) for value in self.values])
        if self.kind == "values":
            return Predictor(self.name, True, tuple(levels)), place
        return self._numeric(tuple(levels)), place

    def _numeric(self, levels: tuple[float, ...]) -> Predictor:
        return Predictor(self.name, False, levels, self.sum / self.count, self.high - self.low)


def _counted(codes: list[NDArray[Any]], n_rows: int) -> tuple[IntArray, NDArray[np.float64]]:
    """Combinations of numbers in one chunk, and their rows."""
    sizes = [int(code.max()) + 1 for code in codes]
    keys = np.zeros(n_rows, dtype=np.int64)
    for code, size in zip(codes, sizes, strict=True):
        keys *= size
        keys += code
    possible = int(np.prod([float(size) for size in sizes]))
    if possible <= 4 * n_rows + 100_000:
        counts = np.bincount(keys, minlength=possible)
        present = np.flatnonzero(counts)
        counts = counts[present]
    else:
        present, counts = np.unique(keys, return_counts=True)
    cells = np.empty((len(present), len(sizes)), dtype=np.int64)
    for j in range(len(sizes) - 1, -1, -1):
        present, cells[:, j] = np.divmod(present, sizes[j])
    return cells, counts.astype(np.float64)


def _summed(cells: IntArray, counts: NDArray[np.float64]) -> tuple[IntArray, NDArray[np.float64]]:
    """Equal combinations added."""
    distinct, number = np.unique(cells, axis=0, return_inverse=True)
    sums = np.bincount(number.reshape(-1), counts, len(distinct)).astype(np.float64)
    return distinct, sums
