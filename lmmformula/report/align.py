"""Numbers under each other: what stands before and after the digits hangs outside them.

``251.405***`` and ``(6.825)`` align where their digits do, not where their stars and parentheses
end. Cells without digits of that form (intervals, words) stand in the middle of their column.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Frame", "Pieces", "centered", "split"]

_CELL = re.compile(r"([(<>\s\-]*)(\d*)(\.\d+)?([)*†‡§+]*)")


@dataclass(frozen=True, slots=True)
class Pieces:
    """A cell taken apart at its digits.

    Attributes
    ----------
    prefix, suffix : str
        What hangs outside: a parenthesis, a sign, stars.
    whole, fraction : str
        Digits before the point; the point and the digits after it.
    """

    prefix: str
    whole: str
    fraction: str
    suffix: str


@dataclass(frozen=True, slots=True)
class Frame:
    """Most characters of each piece in one column."""

    prefix: int = 0
    whole: int = 0
    fraction: int = 0
    suffix: int = 0

    @classmethod
    def of(cls, cells: Sequence[str]) -> Frame:
        """Measure the cells of a column that have a decimal point."""
        found = [pieces for cell in cells if (pieces := split(cell)) is not None]
        return cls(
            *(
                max((len(getattr(pieces, name)) for pieces in found), default=0)
                for name in ("prefix", "whole", "fraction", "suffix")
            )
        )


def split(cell: str) -> Pieces | None:
    """Take a cell apart; None where it has no decimal point, so nothing to align.

    Examples
    --------
    >>> split("(-6.825)")
    Pieces(prefix='(-', whole='6', fraction='.825', suffix=')')
    >>> split("180") is None, split("[1.2, 3.4]") is None
    (True, True)
    """
    match = _CELL.fullmatch(cell)
    if match is None or not match[3]:
        return None
    return Pieces(match[1], match[2], match[3], match[4])


def centered(cells: Sequence[str], heading: str = "") -> list[str]:
    """Pad the cells of a column with spaces to one width, decimal points under each other.

    Examples
    --------
    >>> centered(["251.405***", "(6.825)", "-0.1"])
    ['251.405***', ' (6.825)  ', '  -0.1    ']
    """
    pieces = [split(cell) for cell in cells]
    before = max((len(p.prefix + p.whole) for p in pieces if p is not None), default=0)
    after = max((len(p.fraction + p.suffix) for p in pieces if p is not None), default=0)
    width = max(before + after, len(heading), *(len(cell) for cell in cells), 0)
    left = (width - before - after) // 2 + before
    right = width - left
    return [
        cell.center(width)
        if p is None
        else (p.prefix + p.whole).rjust(left) + (p.fraction + p.suffix).ljust(right)
        for cell, p in zip(cells, pieces, strict=True)
    ]
