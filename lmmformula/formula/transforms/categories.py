"""R's ``cut``: a numeric column in classes."""

from __future__ import annotations

from collections.abc import MutableMapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from lmmformula._arrays import FloatArray, IntArray
from lmmformula.formula.transforms.arrays import as_numbers, present, settings, stateful

__all__ = ["cut"]


@stateful
def cut(
    x: Any,
    breaks: int | Sequence[float],
    labels: Sequence[str] | bool | None = None,
    include_lowest: bool = False,
    right: bool = True,
    *,
    _state: MutableMapping[str, Any],
) -> pd.Series:
    """Divide the range of a column into classes, as R's ``cut``.

    Parameters
    ----------
    x : array-like, shape (n,)
        A numeric column.
    breaks : int or sequence of float
        Number of classes of equal width, or the limits of the classes.
    labels : sequence of str, optional
        Names of the classes, by default ``(a,b]``; FALSE numbers them.
    include_lowest : bool, default False
        Whether the first class holds its lower limit too (the last its upper one).
    right : bool, default True
        Whether classes hold their upper limit rather than their lower one.
    """
    x = as_numbers(x, "cut")
    if "edges" not in _state:
        _state["edges"] = _edges(x, breaks)
    edges: FloatArray = _state["edges"]
    names = _names(edges, labels, right=right, lowest=include_lowest)
    codes: IntArray = np.searchsorted(edges, x, side="left" if right else "right") - 1
    if include_lowest:
        codes[x == edges[0]] = 0
        codes[x == edges[-1]] = edges.size - 2
    codes[np.isnan(x) | (codes < 0) | (codes > edges.size - 2)] = -1
    return pd.Series(pd.Categorical.from_codes(codes, categories=pd.Index(names)))


def _edges(x: FloatArray, breaks: Any) -> FloatArray:
    """Return the limits of the classes, widened by a thousandth when they come from the range."""
    if np.ndim(breaks) == 0:
        if isinstance(breaks, bool) or int(breaks) != breaks or breaks < 2:
            raise settings("cut", "breaks", breaks, "a whole number from 2, or the limits")
        known = x[present(x, "cut")]
        low, high = known.min(), known.max()
        width = high - low
        if width == 0.0:
            width = abs(low)
            return np.linspace(low - width / 1000, high + width / 1000, int(breaks) + 1)
        edges = np.linspace(low, high, int(breaks) + 1)
        edges[0], edges[-1] = low - width / 1000, high + width / 1000
        return edges
    edges = np.unique(np.asarray(breaks, dtype=np.float64))
    if edges.size != np.size(breaks) or edges.size < 2 or np.isnan(edges).any():
        raise settings("cut", "breaks", breaks, "two or more different limits")
    return edges


def _names(
    edges: FloatArray, labels: Sequence[str] | bool | None, *, right: bool, lowest: bool
) -> list[str]:
    """Return the names of the classes, limits with as few digits as tell them apart."""
    count = edges.size - 1
    if labels is False:
        return [str(number) for number in range(1, count + 1)]
    if labels is not None and not isinstance(labels, bool):
        if len(labels) != count or len(set(labels)) != count:
            raise settings("cut", "labels", labels, f"{count} different names")
        return list(labels)
    shown = [f"{edge:g}" for edge in edges]
    for digits in range(3, 16):
        shown = [f"{edge:.{digits}g}" for edge in edges]
        if len(set(shown)) == edges.size:
            break
    opening, closing = ("(", "]") if right else ("[", ")")
    names = [f"{opening}{low},{high}{closing}" for low, high in pairwise(shown)]
    if lowest and right:
        names[0] = f"[{names[0][1:]}"
    elif lowest:
        names[-1] = f"{names[-1][:-1]}]"
    return names
