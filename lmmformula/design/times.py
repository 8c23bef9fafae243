"""Times as successive whole numbers: for structures in which one time follows another."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmmformula._arrays import CodeArray, FloatArray, IntArray
from lmmformula.design.checks import check_finite
from lmmformula.design.columns import Categories, Numbers, Value, category_label
from lmmformula.design.grouping import compressed
from lmmformula.design.notify import notify
from lmmformula.design.sources import listed
from lmmformula.errors import DataError, DesignError, FormulaWarning

__all__ = ["MOST_STEPS", "check_order", "count_within", "numbers_in", "whole_positions"]

MOST_STEPS = 100_000
"""More steps from the first time to the last are surely not meant as steps."""

NUMBERED = re.compile(r"(\D*?)([-+]?\d+(?:\.\d+)?)(\D*)")


def whole_positions(
    value: Value, rows: NDArray[Any] | None, *, has_steps: bool, text: str, group: str
) -> tuple[IntArray, tuple[str, ...]]:
    """Return the position of every row and the labels of the positions.

    Parameters
    ----------
    value : Value
        Times of the rows used, nothing missing.
    rows : ndarray of int or None
        Positions of these rows in the data, for messages.
    has_steps : bool
        Distances between positions matter: a time that does not occur leaves a gap. Otherwise
        only times that occur are counted.
    text : str
        The structure as written, for messages.
    group : str
        Its grouping factor.

    Returns
    -------
    positions : ndarray of int, shape (n,)
        Counted from zero. Numeric times count in units of their greatest common step.
    labels : tuple of str
        Labels of all positions from the first to the last.
    """
    if isinstance(value, Categories):
        return _of_levels(value, has_steps=has_steps, text=text, group=group)
    if not isinstance(value, Numbers):
        raise DataError(
            f"`{value.name}` in `{text}` has several columns and is no time.",
            got=f"{value.values.shape[1]} columns",
            suggestion="one column of times",
            column=value.name,
            term=text,
        )
    return _of_numbers(value, rows, has_steps=has_steps, text=text, group=group)


def _of_levels(
    value: Categories, *, has_steps: bool, text: str, group: str
) -> tuple[IntArray, tuple[str, ...]]:
    codes, present = compressed(value.codes, len(value.levels))
    if not has_steps:
        return codes.astype(np.int64), tuple(category_label(value.levels[i]) for i in present)
    first, last = int(present[0]), int(present[-1])
    labels = tuple(category_label(value.levels[i]) for i in range(first, last + 1))
    check_order(labels, value.name, text, f'`residual="car1({value.name} | {group})"`')
    return value.codes.astype(np.int64) - first, labels


def _of_numbers(
    value: Numbers, rows: NDArray[Any] | None, *, has_steps: bool, text: str, group: str
) -> tuple[IntArray, tuple[str, ...]]:
    times = value.floats()
    check_finite(value.name, times, rows, "time")
    odd = times[times != np.rint(times)]
    continuous = f'`residual="car1({value.name} | {group})"`'
    if odd.size:
        advice = "" if has_steps else f"`factor({value.name})` in place of `{value.name}`, or "
        raise DataError(
            f"`{value.name}` in `{text}` holds times that are not whole numbers.",
            got=f"{odd.size} values, such as {odd[0]:g}",
            suggestion=f"{advice}{continuous}, which takes any times; or a column that counts "
            "the visits",
            column=value.name,
            term=text,
            n_not_whole=int(odd.size),
        )
    if not has_steps:
        found, codes = np.unique(times, return_inverse=True)
        return codes.astype(np.int64), tuple(str(int(time)) for time in found)
    low, high = float(times.min()), float(times.max())
    step = _common_step(times - low) if high - low < 2.0**53 else 1
    if (high - low) / step >= MOST_STEPS:
        raise DesignError(
            f"`{text}` goes by steps from one time to the next, and `{value.name}` has too many.",
            got=f"{(high - low) / step:.3g} steps of {step} from {low:g} to {high:g}",
            suggestion=f"{continuous}, which goes by the time between rows",
            column=value.name,
            term=text,
        )
    positions = ((times - low) / step).astype(np.int64)
    n_positions = int(positions.max()) + 1
    return positions, tuple(str(int(low) + step * i) for i in range(n_positions))


def _common_step(distances: FloatArray) -> int:
    """Greatest common divisor of whole distances; 1 where there is one time only."""
    return int(np.gcd.reduce(np.unique(distances.astype(np.int64)))) or 1


def count_within(codes: CodeArray) -> IntArray:
    """Position of every row within its group, in the order of the rows.

    Parameters
    ----------
    codes : ndarray of int, shape (n,)
        Group of every row.
    """
    order = np.argsort(codes, kind="stable")
    ordered = codes[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    lengths = np.diff(np.r_[starts, len(codes)])
    counts = np.empty(len(codes), dtype=np.int64)
    counts[order] = np.arange(len(codes)) - np.repeat(starts, lengths)
    return counts


def numbers_in(labels: Sequence[str]) -> FloatArray | None:
    """Return the numbers in labels such as ``visit 2``, where all are alike but for them."""
    found = [NUMBERED.fullmatch(label.strip()) for label in labels]
    parts = [match.groups() for match in found if match is not None]
    if len(parts) < len(labels) or len({(before, after) for before, _, after in parts}) > 1:
        return None
    return np.array([float(number) for _, number, _ in parts])


def check_order(labels: Sequence[str], name: str, text: str, unequal: str) -> None:
    """Refuse levels that are numbered but not in order; warn where they are not equally spaced.

    Parameters
    ----------
    labels : sequence of str
        Levels in order.
    name : str
        The factor.
    text : str
        The term or the structure, as written.
    unequal : str
        What to write for times that are not equally spaced.
    """
    numbers = numbers_in(labels)
    if numbers is None or len(numbers) < 3:
        return
    steps = np.diff(numbers)
    shown = listed(labels, 8)
    if not ((steps > 0).all() or (steps < 0).all()):
        ordered = [labels[i] for i in np.argsort(numbers, kind="stable")]
        raise DesignError(
            f"`{text}` goes by the order of the levels of `{name}`, which is not that of their "
            "numbers.",
            got=f"levels in the order {shown}",
            suggestion=f"`data['{name}'] = pd.Categorical(data['{name}'], categories={ordered!r})`"
            if len(ordered) <= 8
            else f"order the categories of `{name}` by their numbers, or make them numbers",
            column=name,
            term=text,
            levels=tuple(labels),
        )
    if not np.allclose(steps, steps[0], rtol=1e-8):
        notify(
            FormulaWarning(
                f"`{text}` takes the levels of `{name}` as equally spaced, which their numbers are "
                "not.",
                got=f"levels {shown}",
                suggestion=f"{unequal} with the numbers as a numeric column",
                term=text,
                column=name,
                levels=tuple(labels),
            )
        )
