"""What a variable of the model is once it has been read: numbers, categories or a basis.

These records have the length of the data, missing values included; rows are chosen later, once,
for all variables together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmmformula._arrays import BoolArray, FloatArray
from lmmformula.design.notify import notify
from lmmformula.errors import DataError, DataWarning

__all__ = ["Basis", "Categories", "Numbers", "Value", "category_label"]

EXACT_INTEGERS = 2**53
"""Largest integer up to which float64 holds every integer."""


@dataclass(frozen=True, slots=True, eq=False)
class Numbers:
    """A numeric or logical variable.

    Attributes
    ----------
    name : str
        Column or expression, for messages.
    values : ndarray, shape (n,)
        Float, integer, boolean or datetime64/timedelta64 values. Where ``missing`` is None, NaN
        and NaT mark the missing ones.
    missing : ndarray of bool, shape (n,), or None
        Missing rows of a type that has no missing value of its own.
    """

    name: str
    values: NDArray[Any]
    missing: BoolArray | None = None

    @property
    def is_logical(self) -> bool:
        """Whether the variable is true/false, which R codes as a factor."""
        return self.values.dtype.kind == "b"

    @property
    def is_integer(self) -> bool:
        """Whether the values are integers."""
        return self.values.dtype.kind in "iu"

    @property
    def is_time(self) -> bool:
        """Whether the values are datetimes or durations."""
        return self.values.dtype.kind in "mM"

    def missing_rows(self) -> BoolArray | None:
        """Mask of missing rows, or None when there are none."""
        if self.missing is not None:
            return self.missing if self.missing.any() else None
        if self.is_time:
            gone: BoolArray = np.isnat(self.values)
            return gone if gone.any() else None
        if self.values.dtype.kind != "f" or not np.isnan(np.min(self.values, initial=np.inf)):
            return None
        nan: BoolArray = np.isnan(self.values)
        return nan

    def floats(self) -> FloatArray:
        """Values as float64 with NaN for missing; the data's own array where it already is that.

        Datetimes become days since 1970-01-01 and durations days, with a warning.
        """
        if self.is_time:
            return self._days()
        if self.is_integer:
            self._check_exact()
        out = self.values.astype(np.float64, copy=False)
        if self.missing is not None and self.missing.any():
            out = np.where(self.missing, np.nan, out)
        return out

    def _days(self) -> FloatArray:
        stamp = self.values.dtype.kind == "M"
        unit = "days since 1970-01-01" if stamp else "days"
        notify(
            DataWarning(
                f"`{self.name}` holds {'datetimes' if stamp else 'durations'}; "
                f"the model uses them as numbers in {unit}.",
                suggestion=f"a column of your own in the unit that you want replaces `{self.name}`",
                column=self.name,
                unit=unit,
            )
        )
        durations = self.values - np.datetime64(0, "D") if stamp else self.values
        days: FloatArray = durations / np.timedelta64(1, "D")
        return days

    def _check_exact(self) -> None:
        values = self.values if self.missing is None else self.values[~self.missing]
        if not values.size or values.dtype.itemsize < 8:
            return
        low, high = int(values.min()), int(values.max())
        if max(-low, high) > EXACT_INTEGERS:
            raise DataError(
                f"`{self.name}` holds integers too large to be exact in double precision.",
                got=f"values from {low} to {high}; integers are exact up to 2**53 = "
                f"{EXACT_INTEGERS}",
                suggestion="subtract a constant or divide in the data; an identifier belongs "
                "among the grouping factors or must be made categorical",
                column=self.name,
                largest=max(-low, high),
            )

    def take(self, rows: NDArray[Any] | None) -> Numbers:
        """Return the chosen rows (a mask or positions; None for all)."""
        if rows is None:
            return self
        missing = None if self.missing is None else self.missing[rows]
        return replace(self, values=self.values[rows], missing=missing)


@dataclass(frozen=True, slots=True, eq=False)
class Categories:
    """A categorical variable.

    Attributes
    ----------
    name : str
        Column or expression, for messages.
    codes : ndarray of int, shape (n,)
        Positions in ``levels``; -1 is missing.
    levels : sequence
        The categories in order, as the data hold them (strings, integers, ...).
    contrasts : object or None
        Coding asked for inside the formula (``C(store, contr.sum)``).
    label : str or None
        Name that columns use instead of ``name`` (``store`` for ``C(store)``).
    """

    name: str
    codes: NDArray[Any]
    levels: Sequence[Any]
    contrasts: Any = None
    label: str | None = None

    def missing_rows(self) -> BoolArray | None:
        """Mask of missing rows, or None when there are none."""
        if not self.codes.size or self.codes.min() >= 0:
            return None
        return self.codes < 0

    def take(self, rows: NDArray[Any] | None) -> Categories:
        """Return the chosen rows (a mask or positions; None for all)."""
        return self if rows is None else replace(self, codes=self.codes[rows])


@dataclass(frozen=True, slots=True, eq=False)
class Basis:
    """Several numeric columns made from one expression (polynomials, splines).

    Attributes
    ----------
    name : str
        The expression, for messages.
    values : ndarray, shape (n, k)
        The columns; NaN is missing.
    fields : tuple of str, length k
        What distinguishes the columns in their names.
    drop : int or None
        Column to leave out where the basis, which spans the constant, meets an intercept.
    """

    name: str
    values: FloatArray
    fields: tuple[str, ...]
    drop: int | None = None

    def missing_rows(self) -> BoolArray | None:
        """Mask of missing rows, or None when there are none."""
        missing: BoolArray = np.asarray(np.isnan(self.values).any(axis=1))
        return missing if missing.any() else None

    def take(self, rows: NDArray[Any] | None) -> Basis:
        """Return the chosen rows (a mask or positions; None for all)."""
        return self if rows is None else replace(self, values=self.values[rows])


Value = Numbers | Categories | Basis


def category_label(level: Any) -> str:
    """Return the text of a category as R's ``factor()`` writes it: 308 for 308.0, a date as ISO."""
    if isinstance(level, str):
        return str(level)
    if isinstance(level, (float, np.floating)) and float(level).is_integer():
        return str(int(level))
    if hasattr(level, "isoformat"):
        text = str(level.isoformat())
        return text.removesuffix("T00:00:00")
    return str(level)
