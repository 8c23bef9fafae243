"""The one table record: columns with a kind, rows of values, and notes.

A number becomes text here and nowhere else. The kind of its column decides how; what a terminal,
a notebook or a paper then does with the text is the business of ``render``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

__all__ = ["KINDS", "Column", "Kind", "Table", "decimal_text", "p_value_text", "significant_text"]

Kind: TypeAlias = Literal[
    "text",
    "number",
    "decimal",
    "count",
    "estimate",
    "statistic",
    "df",
    "p_value",
    "correlation",
    "criterion",
]

Formatter: TypeAlias = Callable[[Sequence[Any], Sequence[Any]], list[str]]
"""(values of the column, values that set its decimals) -> texts."""

_SIGNIFICANT = 4
_SPREAD = 1e-4
_MOST_DECIMALS = 8
_WIDEST = 1e8
_NOISE = 1e-9


@dataclass(frozen=True, slots=True)
class Column:
    """Name and kind of one column.

    Attributes
    ----------
    name : str
        Heading as printed; may be empty.
    kind : str
        What the values are; decides their formatting and alignment. One of ``KINDS``.
    like : int or None
        Position of the column whose values set the decimals; None for the column itself.
    """

    name: str
    kind: Kind = "text"
    like: int | None = None

    @property
    def is_left_aligned(self) -> bool:
        """Text starts at the left, numbers end at the right."""
        return self.kind == "text"


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """A table before it meets a medium.

    Attributes
    ----------
    title : str
        One line above the table; may be empty.
    columns : tuple of Column
        The columns, left to right.
    rows : tuple of tuple
        Values, one per column; None leaves the cell empty.
    notes : tuple of str
        Sentences below the table.
    subtitle : str
        A second line above the table, for what must not be wrapped (a formula).
    has_heading : bool
        Whether the names of the columns are shown.
    spans : tuple of (str, int)
        Headings above the headings, left to right: a text and how many columns it stands over.
        Empty, or together as many columns as there are.
    sections : tuple of (int, str)
        Position of a row and the heading that stands above it.
    label : str
        What LaTeX calls the table in references; empty for nothing.
    """

    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Any, ...], ...]
    notes: tuple[str, ...] = ()
    subtitle: str = ""
    has_heading: bool = True
    spans: tuple[tuple[str, int], ...] = ()
    sections: tuple[tuple[int, str], ...] = ()
    label: str = ""

    @property
    def heading(self) -> tuple[str, ...]:
        """Names of the columns."""
        return tuple(column.name for column in self.columns)

    def cells(self) -> tuple[tuple[str, ...], ...]:
        """Every value as text, formatted by the kind of its column."""
        values = list(zip(*self.rows, strict=True)) or [()] * len(self.columns)
        formatted = [
            KINDS[column.kind](values[i], values[i if column.like is None else column.like])
            for i, column in enumerate(self.columns)
        ]
        return tuple(zip(*formatted, strict=True))

    def __repr__(self) -> str:
        return f"Table({self.title!r}, {len(self.rows)} rows x {len(self.columns)} columns)"


def _each(write: Callable[[float], str]) -> Formatter:
    """Formatter that treats every value alone; empty and not-a-number cells are common to all."""

    def format_column(values: Sequence[Any], reference: Sequence[Any] = ()) -> list[str]:
        return [_guarded(write, value) for value in values]

    return format_column


def _guarded(write: Callable[[float], str], value: Any) -> str:
    if value is None:
        return ""
    number = float(value)
    if math.isnan(number):
        return "NaN"
    if math.isinf(number):
        return "inf" if number > 0 else "-inf"
    return _unsigned_zero(write(number))


def _unsigned_zero(text: str) -> str:
    """Write ``-0.000`` as ``0.000``: the sign of a rounded zero depends on the last bit."""
    if text.startswith("-") and not text.strip("-0."):
        return text[1:]
    return text


def _fixed(decimals: int) -> Callable[[float], str]:
    def write(value: float) -> str:
        return f"{value:.4g}" if abs(value) >= _WIDEST else f"{value:.{decimals}f}"

    return write


def _p_value(value: float) -> str:
    return "<0.001" if value < 0.0005 else f"{value:.3f}"


def decimal_text(value: float | None, decimals: int) -> str:
    """One number with fixed decimals; empty for None.

    Examples
    --------
    >>> decimal_text(-0.0001, 2), decimal_text(10.4673, 2), decimal_text(1.5e9, 2)
    ('0.00', '10.47', '1.5e+09')
    """
    return _guarded(_fixed(decimals), value)


def significant_text(value: float | None, digits: int = _SIGNIFICANT) -> str:
    """One number with some significant digits; whole digits are never rounded away.

    Examples
    --------
    >>> significant_text(298.5078), significant_text(0.012345), significant_text(123456.7)
    ('298.5', '0.01235', '123457')
    >>> significant_text(9.0)
    '9'
    """

    def write(number: float) -> str:
        size = abs(number)
        if number == round(number) and size < _WIDEST:
            return f"{number:.0f}"
        if not 10.0**-_MOST_DECIMALS <= size < _WIDEST:
            return f"{number:.{digits - 1}e}"
        places = max(digits - 1 - math.floor(math.log10(size)), 0)
        return f"{number:.{places}f}"

    return _guarded(write, value)


def p_value_text(value: float | None, style: str = "plain") -> str:
    """One p-value with three decimals; "apa" leaves out the zero and spaces the sign.

    Examples
    --------
    >>> p_value_text(0.0341), p_value_text(1e-9)
    ('0.034', '<0.001')
    >>> p_value_text(0.0341, "apa"), p_value_text(1e-9, "apa"), p_value_text(0.9997, "apa")
    ('.034', '< .001', '> .999')
    """
    text = _guarded(_p_value, value)
    if style != "apa":
        return text
    if text == "1.000":
        return "> .999"
    return text.replace("<0", "< ").removeprefix("0")


def _estimates(values: Sequence[Any], reference: Sequence[Any]) -> list[str]:
    """Four significant digits for the smallest reference that matters, its decimals for all.

    A value that these decimals would wipe out keeps four digits of its own; one below the
    rounding errors of its column is zero.
    """
    sizes, scale = _sizes(reference) or _sizes(values), max(_sizes(values), default=0.0)
    if not sizes:
        return _each(_fixed(3))(values, ())
    smallest = min(size for size in sizes if size >= _SPREAD * max(sizes))
    decimals = max(_SIGNIFICANT - 1 - math.floor(math.log10(smallest)), 0)
    is_extreme = decimals > _MOST_DECIMALS or max(scale, max(sizes)) >= _WIDEST

    def write(value: float) -> str:
        if is_extreme:
            return f"{value:.{_SIGNIFICANT - 1}e}" if value else "0"
        if _NOISE * scale < abs(value) < 10.0 ** (1 - decimals):
            return f"{value:.{_SIGNIFICANT}g}"
        return f"{value:.{decimals}f}"

    return _each(write)(values, ())


def _sizes(values: Sequence[Any]) -> list[float]:
    """Magnitudes of the values that are finite and not zero."""
    return [abs(float(v)) for v in values if v is not None and math.isfinite(v) and v != 0]


def _texts(values: Sequence[Any], reference: Sequence[Any] = ()) -> list[str]:
    return ["" if value is None else str(value) for value in values]


KINDS: dict[Kind, Formatter] = {
    "text": _texts,
    "number": _texts,  # written by the caller, aligned like a number
    "decimal": _texts,  # written by the caller, aligned at the decimal point
    "count": _each(lambda value: f"{value:.0f}"),
    "estimate": _estimates,
    "statistic": _each(_fixed(3)),
    "df": _each(_fixed(1)),
    "p_value": _each(_p_value),
    "correlation": _each(_fixed(3)),
    "criterion": _each(_fixed(3)),
}
