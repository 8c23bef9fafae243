"""Relationships from a pedigree: the numerator relationship matrix of animal models."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from lmmformula._arrays import FloatArray
from lmmformula.design.columns import category_label
from lmmformula.design.sources import listed
from lmmformula.errors import DataError, DimensionError

__all__ = ["pedigree_relationship"]

UNKNOWN = frozenset({"", "0", "NA", "NaN", "nan", "None", "<NA>", ".", "*"})
"""Ways to write that a parent is not known, where no animal has that name."""


def pedigree_relationship(id: Any, sire: Any, dam: Any) -> pd.DataFrame:
    """Additive (numerator) relationship matrix of a pedigree, with inbreeding.

    Parameters
    ----------
    id : array_like, shape (n,)
        Names of the animals (plants, people), each once, in any order.
    sire, dam : array_like, shape (n,)
        Names of their parents; missing, ``0``, ``"."``, ``"*"`` or ``""`` where unknown. A parent
        that has no row of its own is added as a founder. One parent may take both places
        (selfing).

    Returns
    -------
    DataFrame, shape (n + added, n + added)
        Founders that were added come first, then the animals in the order given. The diagonal
        is one plus the coefficient of inbreeding; half of an element is the kinship (coancestry)
        of the two. For ``lf.lmm(..., relationship={"animal": K})``.

    Raises
    ------
    DimensionError
        The three do not have the same length.
    DataError
        Two rows for one animal, an animal without a name, or an animal among its own ancestors.

    Notes
    -----
    The tabular method: parents come before their offspring, and then
    a_ij = (a_i,sire(j) + a_i,dam(j)) / 2 and a_jj = 1 + a_sire,dam / 2, where what an unknown
    parent contributes is zero. Cost and memory grow with the square of the number of animals.

    References
    ----------
    Henderson (1976), Biometrics 32, 69-83.
    Emik and Terrill (1949), J. Hered. 40, 51-55.

    Examples
    --------
    >>> import lmmformula as lf
    >>> K = lf.pedigree_relationship(["c", "d", "e"], ["a", "a", "c"], ["b", None, "d"])
    >>> K.loc["c", "d"], K.loc["e", "e"]
    (np.float64(0.25), np.float64(1.125))
    """
    names, parents = _read(id, sire, dam)
    order = _parents_first(names, parents)
    place = {name: i for i, name in enumerate(order)}
    table = _tabular([tuple(place.get(parent, -1) for parent in parents[name]) for name in order])
    at = [place[name] for name in names]
    return pd.DataFrame(table[np.ix_(at, at)], index=names, columns=names)


def _read(id: Any, sire: Any, dam: Any) -> tuple[list[str], dict[str, tuple[str, ...]]]:
    """All names, added founders first, and the known parents of each."""
    columns = {"id": _texts(id), "sire": _texts(sire), "dam": _texts(dam)}
    sizes = {name: len(values) for name, values in columns.items()}
    if len(set(sizes.values())) > 1:
        raise DimensionError(
            "a pedigree needs one sire and one dam for each animal.",
            got=", ".join(f"{name}: {size}" for name, size in sizes.items()),
            suggestion="three columns of one table; None where a parent is unknown",
        )
    animals = columns["id"]
    unnamed = [i for i, name in enumerate(animals) if name is None]
    if unnamed:
        raise DataError(
            "the pedigree has animals without a name.",
            got=f"`id` is missing in {len(unnamed)} rows, the first at position {unnamed[0]}",
            suggestion="drop these rows, or give the animals names",
            rows=tuple(unnamed),
        )
    known = [str(name) for name in animals]
    twice = [name for name, count in Counter(known).items() if count > 1]
    if twice:
        raise DataError(
            "the pedigree has more than one row for an animal.",
            got=listed(twice),
            suggestion="`pedigree.drop_duplicates()`; one row for each animal",
            animals=tuple(twice),
        )
    present = set(known)
    parents = {
        name: tuple(p for p in pair if p is not None and (p in present or p not in UNKNOWN))
        for name, *pair in zip(known, columns["sire"], columns["dam"], strict=True)
    }
    founders = dict.fromkeys(p for pair in parents.values() for p in pair if p not in present)
    parents |= {name: () for name in founders}
    return [*founders, *known], parents


def _texts(values: Any) -> list[str | None]:
    """Names as text, None where missing."""
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise DataError(
            "a pedigree is given as three columns of names.",
            got=f"`{values!r:.40}`",
            suggestion='`lf.pedigree_relationship(p["id"], p["sire"], p["dam"])`',
        )
    items = list(values)
    missing = [bool(flag) for flag in pd.isna(np.array(items, dtype=object))]
    return [
        None if gone else category_label(item) for item, gone in zip(items, missing, strict=True)
    ]


def _parents_first(names: Sequence[str], parents: dict[str, tuple[str, ...]]) -> list[str]:
    """Names in an order in which no animal comes before its parents."""
    offspring: dict[str, list[str]] = {name: [] for name in names}
    waiting = {name: len(parents[name]) for name in names}
    for name in names:
        for parent in parents[name]:
            offspring[parent].append(name)
    ready = [name for name in names if not waiting[name]]
    for name in ready:
        for child in offspring[name]:
            waiting[child] -= 1
            if not waiting[child]:
                ready.append(child)
    if len(ready) < len(names):
        loop = _loop([name for name in names if waiting[name]], parents)
        raise DataError(
            "the pedigree has an animal among its own ancestors.",
            got=" <- ".join(loop),
            suggestion="correct the parents of one of them",
            animals=tuple(loop),
        )
    return ready


def _loop(stuck: Sequence[str], parents: dict[str, tuple[str, ...]]) -> list[str]:
    """One round of descent, from an animal back to itself."""
    inside, path = set(stuck), [stuck[0]]
    while True:
        # Every animal that is stuck has a parent that is.
        path.append(next(parent for parent in parents[path[-1]] if parent in inside))
        if path[-1] in path[:-1]:
            return path[path.index(path[-1]) :]


def _tabular(parents: Sequence[tuple[int, ...]]) -> FloatArray:
    """Relationships of animals whose parents (positions, -1 if unknown) come before them."""
    n = len(parents)
    table = np.zeros((n, n))
    for j, known in enumerate(parents):
        for parent in known:
            table[j, :j] += 0.5 * table[parent, :j]
        table[:j, j] = table[j, :j]
        table[j, j] = 1.0 + (0.5 * table[known[0], known[1]] if len(known) == 2 else 0.0)
    return table
