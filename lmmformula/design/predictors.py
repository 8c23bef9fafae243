"""The columns behind the fixed effects: their levels, means and the combinations that occur.

Reference grids need the variables that users know, not the columns of X, and they need them after
the rows are gone. So the summary is made once, when the design is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lmmformula._arrays import FloatArray, IntArray, frozen
from lmmformula.design.columns import Categories, Numbers, category_label
from lmmformula.design.evaluate import Evaluator, column_names
from lmmformula.design.grouping import compressed
from lmmformula.design.inputs import Inputs
from lmmformula.design.sources import Source

__all__ = ["Predictor", "Predictors", "learn_predictors", "made_factors", "predictor_columns"]

PROBE = 64
"""Rows that usually show at once that a number has more than two values."""


@dataclass(frozen=True, slots=True, eq=False)
class Predictor:
    """One column of the data that the fixed effects or an offset use.

    Attributes
    ----------
    name : str
        The column.
    is_factor : bool
        Whether the model takes it as categorical.
    levels : tuple
        Values that occur, in order: labels of categories, true and false, numbers that the
        formula makes a factor of, the values of a numeric column that has two at most. Empty for
        other numeric columns.
    mean : object
        Mean in the rows used (a float, or a datetime); None for factors.
    extent : float
        Largest less smallest value (nanoseconds for datetimes); zero for factors.
    categories : tuple
        What the data call the levels, for a column of categories; empty for others.
    """

    name: str
    is_factor: bool
    levels: tuple[Any, ...]
    mean: Any = None
    extent: float = 0.0
    categories: tuple[Any, ...] = ()

    def column(self, values: Sequence[Any], codes: IntArray) -> Any:
        """Make a column such as the data have.

        Parameters
        ----------
        values : sequence
            Some of ``levels``, or numbers.
        codes : ndarray of int
            Positions in ``values``.
        """
        if not self.categories:
            return np.array(values)[codes]
        known = dict(zip(self.levels, self.categories, strict=True))
        categories: Any = pd.Index([known[value] for value in values])
        return pd.Categorical.from_codes(codes, categories=categories)


@dataclass(frozen=True, slots=True, eq=False)
class Predictors:
    """Columns behind the fixed effects, and how often their levels meet.

    Attributes
    ----------
    columns : tuple of Predictor
        In order of appearance in the formula.
    crossed : tuple of str
        Those that have levels: the columns of ``cells``.
    cells : ndarray of int, shape (n_cells, n_crossed)
        Combinations that occur, as positions in the levels.
    counts : ndarray, shape (n_cells,)
        Rows in each (prior weights are not counted, as in emmeans).
    """

    columns: tuple[Predictor, ...] = ()
    crossed: tuple[str, ...] = ()
    cells: IntArray | None = None
    counts: FloatArray | None = None


def learn_predictors(
    inputs: Inputs, evaluator: Evaluator, used: NDArray[Any] | None, n_rows: int
) -> Predictors:
    """Summarize the columns behind the fixed effects in the rows used.

    Parameters
    ----------
    inputs : Inputs
        Expressions of the model.
    evaluator : Evaluator
        Holds the data.
    used : ndarray or None
        Rows used; None for all.
    n_rows : int
        Their number.
    """
    coded = set(made_factors(inputs))
    columns: list[Predictor] = []
    codes: list[NDArray[Any]] = []
    for name in predictor_columns(inputs, evaluator.source):
        predictor, positions = _read(evaluator.source.column(name).take(used), name in coded)
        columns.append(predictor)
        if positions is not None:
            codes.append(positions)
    crossed = tuple(column.name for column in columns if column.levels)
    cells, counts = _cells(codes, [len(c.levels) for c in columns if c.levels], n_rows)
    return Predictors(tuple(columns), crossed, cells, counts)


def predictor_columns(inputs: Inputs, source: Source) -> Iterator[str]:
    """Every column of the fixed effects once, then those of offsets given by name."""
    seen: set[str] = set()
    expressions = [*inputs.fixed.expressions, *(n for n in inputs.offsets if n != "offset")]
    for expression in expressions:
        text = expression.removeprefix("offset=")
        lookup = text in source or text in inputs.fixed.lookups
        for name in [text] if lookup else sorted(column_names(text), key=text.find):
            if name in source and name not in seen:
                seen.add(name)
                yield name


def made_factors(inputs: Inputs) -> Iterator[str]:
    """Columns inside ``C(...)``."""
    for expression in inputs.fixed.expressions:
        value = inputs.values[expression]
        if isinstance(value, Categories) and value.label is not None:
            yield from column_names(expression)


def _read(value: Numbers | Categories, is_coded: bool) -> tuple[Predictor, NDArray[Any] | None]:
    """One column, with the positions of its values among its levels if it has levels."""
    if isinstance(value, Categories):
        codes, present = compressed(value.codes, len(value.levels))
        categories = tuple(value.levels[i] for i in present)
        labels = tuple(category_label(level) for level in categories)
        return Predictor(value.name, True, labels, categories=categories), codes
    if value.is_logical or is_coded:
        found, inverse = np.unique(value.values, return_inverse=True)
        return Predictor(value.name, True, tuple(found.tolist())), inverse
    if value.is_time:
        days = value.values.astype("M8[ns]").astype(np.int64)
        mean = np.int64(np.mean(days.astype(np.float64))).astype("M8[ns]")
        extent = float(days.max() - days.min())
        return Predictor(value.name, False, (), mean, extent), None
    as_read = value.missing is None and value.values.dtype.kind == "f"
    numbers = value.values if as_read else value.floats()
    low, high = float(numbers.min()), float(numbers.max())
    mean, extent = float(np.mean(numbers, dtype=np.float64)), high - low
    if not (_two_valued(numbers[:PROBE], low, high) and _two_valued(numbers, low, high)):
        return Predictor(value.name, False, (), mean, extent), None
    levels = (low,) if extent == 0.0 else (low, high)
    return Predictor(value.name, False, levels, mean, extent), (numbers != low).astype(np.int8)


def _two_valued(numbers: FloatArray, low: float, high: float) -> bool:
    return bool(np.all((numbers == low) | (numbers == high)))


def _cells(codes: list[NDArray[Any]], sizes: list[int], n_rows: int) -> tuple[IntArray, FloatArray]:
    """Combinations of codes that occur, the last code varying fastest, and how often."""
    cells = np.zeros((1, 0), dtype=np.int64)
    if not codes:
        return frozen(cells), frozen(np.full(1, float(n_rows)))
    keys: NDArray[Any] = np.zeros(n_rows, dtype=np.int64)
    possible = 1
    for code, size in zip(codes, sizes, strict=True):
        keys, present = compressed(keys.astype(np.int64) * size + code, possible * size)
        cells = np.column_stack([cells[present // size], present % size])
        possible = len(present)
    counts = np.bincount(keys, minlength=len(cells)).astype(np.float64)
    return frozen(cells), frozen(counts)
