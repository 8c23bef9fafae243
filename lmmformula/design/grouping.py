"""Grouping factors: integer codes, string labels, interactions, and their replay on new rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lmmformula._arrays import BoolArray, CodeArray, IntArray, LabelArray
from lmmformula.design.columns import Categories, Numbers, Value, category_label
from lmmformula.errors import DataError

__all__ = [
    "GroupCoding",
    "Grouping",
    "compressed",
    "grouping",
    "labelled_codes",
    "recoded",
    "whole_numbers",
]


@dataclass(frozen=True, slots=True, eq=False)
class GroupCoding:
    """How the values of a grouping factor become codes, kept for new rows.

    Attributes
    ----------
    components : tuple of str
        Expressions whose interaction is the factor.
    labels : tuple of tuple of str
        Levels of each component.
    combinations : tuple of ndarray
        After each further component: sorted keys (code so far x its levels + its code) that occur.
    levels : ndarray of str, shape (J,)
        Labels of the factor's levels.
    """

    components: tuple[str, ...]
    labels: tuple[tuple[str, ...], ...]
    combinations: tuple[IntArray, ...]
    levels: LabelArray


@dataclass(frozen=True, slots=True, eq=False)
class Grouping:
    """A grouping factor on the rows used: codes, shape (n,), and how they came about."""

    codes: CodeArray
    coding: GroupCoding


def grouping(components: Sequence[str], values: Sequence[Value], term: str) -> Grouping:
    """Make a grouping factor from the values of its components in the rows used.

    Levels are in R's order: those of the first component vary slowest, and only combinations
    that occur count.

    Parameters
    ----------
    components : sequence of str
        Expressions, for replay.
    values : sequence of Value
        Their values, nothing missing.
    term : str
        The term as written, for messages.
    """
    codes, labels = labelled_codes(values[0], term)
    all_labels = [labels]
    combinations: list[IntArray] = []
    texts = labels
    for value in values[1:]:
        more, labels = labelled_codes(value, term)
        key = codes.astype(np.int64) * len(labels) + more
        codes, present = compressed(key, len(texts) * len(labels))
        before = present // len(labels)
        after = present % len(labels)
        texts = tuple(f"{texts[i]}:{labels[j]}" for i, j in zip(before, after, strict=True))
        combinations.append(present)
        all_labels.append(labels)
    levels = np.empty(len(texts), dtype=object)
    levels[:] = texts
    coding = GroupCoding(tuple(components), tuple(all_labels), tuple(combinations), levels)
    return Grouping(codes, coding)


def compressed(codes: NDArray[Any], n_possible: int) -> tuple[CodeArray, IntArray]:
    """Renumber codes so that every number occurs, in the same order.

    Parameters
    ----------
    codes : ndarray of int, shape (n,)
        Non-negative codes.
    n_possible : int
        All codes are below it.

    Returns
    -------
    codes : ndarray of int32, shape (n,)
        The new codes.
    present : ndarray of int
        The old codes that occur, sorted.
    """
    if n_possible > 4 * len(codes) + 100_000:
        present, inverse = np.unique(codes, return_inverse=True)
        return inverse.astype(np.int32), present.astype(np.int64)
    occurs = np.zeros(n_possible, dtype=np.bool_)
    occurs[codes] = True
    present = np.flatnonzero(occurs)
    if len(present) == n_possible:
        return codes.astype(np.int32), present
    renumber = np.empty(n_possible, dtype=np.int32)
    renumber[present] = np.arange(len(present), dtype=np.int32)
    return renumber[codes], present


def labelled_codes(value: Value, term: str) -> tuple[CodeArray, tuple[str, ...]]:
    """Return codes and labels of one variable, only levels that occur."""
    if isinstance(value, Categories):
        codes, present = compressed(value.codes, len(value.levels))
        return _merged(codes, [category_label(value.levels[i]) for i in present])
    if not isinstance(value, Numbers):
        raise DataError(
            f"`{value.name}` in `{term}` has several columns and cannot group rows.",
            got=f"{value.values.shape[1]} columns",
            suggestion="group by a column of labels",
            column=value.name,
            term=term,
        )
    if value.values.dtype.kind == "f":
        whole = whole_numbers(value, term)
    elif value.is_time or value.values.dtype == np.uint64:
        levels, inverse = np.unique(value.values, return_inverse=True)
        if value.is_time:
            stamps: Any = pd.Index(levels)
            return inverse.astype(np.int32), tuple(category_label(stamp) for stamp in stamps)
        return inverse.astype(np.int32), tuple(str(level) for level in levels)
    else:
        whole = value.values
    codes, integers = _integer_codes(whole)
    if value.is_logical:
        return codes, tuple(str(bool(level)) for level in integers)
    return codes, tuple(str(level) for level in integers)


def _merged(codes: CodeArray, labels: list[str]) -> tuple[CodeArray, tuple[str, ...]]:
    """Levels whose labels coincide (1 and '1') are one level, as in R."""
    once = dict.fromkeys(labels)
    if len(once) == len(labels):
        return codes, tuple(labels)
    position = {label: i for i, label in enumerate(once)}
    renumber = np.array([position[label] for label in labels], dtype=np.int32)
    return renumber[codes], tuple(once)


def whole_numbers(value: Numbers, term: str) -> IntArray:
    """Return whole-number floats as integers; refuse others."""
    floats = value.values
    fits = np.abs(floats, out=np.empty_like(floats)).max(initial=0.0) < 2.0**63
    if fits:
        whole: IntArray = floats.astype(np.int64)
        if np.array_equal(whole, floats):
            return whole
    odd = floats[~np.isfinite(floats) | (floats != np.rint(floats))]
    got = (
        f"{odd.size} values that are not whole numbers, such as {odd[0]!s}"
        if odd.size
        else f"values up to {np.abs(floats).max():.3g}, too large to be labels"
    )
    raise DataError(
        f"`{value.name}` in `{term}` holds measurements, not labels, so it cannot group rows.",
        got=got,
        suggestion=f"group by a categorical column; to cut `{value.name}` into classes, "
        "make the classes a column of the data",
        column=value.name,
        term=term,
        n_not_whole=int(odd.size),
    )


def _integer_codes(values: NDArray[Any]) -> tuple[CodeArray, list[int]]:
    low, high = int(values.min()), int(values.max())
    if high - low < min(4 * len(values) + 100_000, 2**31):
        from_zero = np.empty(len(values), dtype=np.int32)
        np.subtract(values, low, out=from_zero, dtype=np.int64, casting="unsafe")
        codes, present = compressed(from_zero, high - low + 1)
        return codes, [int(level) + low for level in present]
    values = values.astype(np.int64, copy=False)
    first, uniques = pd.factorize(values)
    order = np.argsort(uniques, kind="stable")
    rank = np.empty(len(order), dtype=np.int32)
    rank[order] = np.arange(len(order), dtype=np.int32)
    return rank[first], [int(level) for level in uniques[order]]


def recoded(
    coding: GroupCoding,
    values: Mapping[str, Value],
    complete: BoolArray,
    term: str,
    further: Mapping[str, int] | None = None,
) -> tuple[CodeArray, list[str]]:
    """Return codes of new rows and the labels that the fitted data did not have.

    Parameters
    ----------
    coding : GroupCoding
        The fitted factor.
    values : mapping of str to Value
        Values of the components, all rows.
    complete : ndarray of bool, shape (n,)
        Rows in which no component is missing.
    term : str
        The term as written, for messages.
    further : mapping of str to int, optional
        Codes of levels that the fitted data did not have and that are known all the same.

    Returns
    -------
    codes : ndarray of int32, shape (n,)
        -1 where the row is incomplete or its level is unknown.
    unseen : list of str
        Labels of unknown levels, in order of appearance.
    """
    n = len(complete)
    rows = np.flatnonzero(complete)
    codes = np.full(n, -1, dtype=np.int32)
    if not rows.size:
        return codes, []
    key: IntArray | None = None
    parts: list[tuple[CodeArray, tuple[str, ...]]] = []
    for i, (name, known) in enumerate(zip(coding.components, coding.labels, strict=True)):
        fresh, labels = labelled_codes(values[name].take(rows), term)
        position = {label: j for j, label in enumerate(known)}
        found = np.fromiter(map(position.get, labels, repeat(-1)), np.int64, len(labels))
        match = found[fresh]
        parts.append((fresh, labels))
        key = (
            match if key is None else _combined(key, match, len(known), coding.combinations[i - 1])
        )
    assert key is not None
    codes[rows] = key
    lost = np.flatnonzero(key < 0)
    texts = [":".join(labels[fresh[i]] for fresh, labels in parts) for i in lost]
    if further:
        codes[rows[lost]] = [further.get(text, -1) for text in texts]
        texts = [text for text in texts if text not in further]
    return codes, list(dict.fromkeys(texts))


def _combined(key: IntArray, match: IntArray, n_labels: int, present: IntArray) -> IntArray:
    wanted = key * n_labels + match
    at = np.minimum(np.searchsorted(present, wanted), len(present) - 1)
    known = (key >= 0) & (match >= 0) & (present[at] == wanted)
    return np.where(known, at, -1)
