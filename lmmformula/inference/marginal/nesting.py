"""Factors nested in others, and averages that stay within what exists.

A factor is nested in another when each of its levels occurs with one level of the other only, or
when the formula has it in interactions but not as a main effect (``a + a:b``), as R's emmeans has
it; of two that would hold each other, neither is nested. Averages over a nested factor are taken
within the levels that hold it, over the levels that occur there.

References
----------
Lenth (2023), emmeans: Estimated Marginal Means, aka Least-Squares Means (R package).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from lmmformula._arrays import BoolArray
from lmmformula.design import DesignSpec
from lmmformula.design.terms import full_codings
from lmmformula.inference.marginal.grid import Grid, average

__all__ = ["Nesting", "find_nesting", "marginal_average"]

Nesting = Mapping[str, tuple[str, ...]]
"""Nested variable -> the variables that hold it."""


def find_nesting(grid: Grid, spec: DesignSpec) -> Nesting:
    """Find nested variables, from the combinations that occur and from the formula."""
    found: dict[str, list[str]] = {}
    varying = [name for name in grid.names if len(grid.levels[name]) > 1]
    for inner in varying:
        outer = [
            name
            for name in varying
            if name != inner and inner not in found.get(name, ()) and _holds(grid, name, inner)
        ]
        if outer:
            found[inner] = outer
    written = _nested_terms(spec, varying)
    for inner, more in written.items():
        outer = found.get(inner, [])
        more = [n for n in more if inner not in (*found.get(n, ()), *written.get(n, ()))]
        if more:
            found[inner] = list(dict.fromkeys([*outer, *more]))
    return _closed(found)


def _holds(grid: Grid, outer: str, inner: str) -> bool:
    """Whether each level of ``inner`` occurs with one level of ``outer`` only."""
    occurs = grid.counts > 0
    a, b = (codes[occurs] for codes in grid.columns([outer, inner]))
    pairs = np.unique(a + len(grid.levels[outer]) * b)
    _, partners = np.unique(pairs // len(grid.levels[outer]), return_counts=True)
    return bool((partners == 1).all())


def _nested_terms(spec: DesignSpec, varying: Sequence[str]) -> dict[str, list[str]]:
    """Factors without a main effect, and the factors that hold them in the formula."""
    part = spec.part
    label = dict(zip(part.expressions, part.expressions, strict=True))
    for term, fixed in zip(part.terms, [t for t in spec.fixed_terms if t.variables], strict=True):
        label |= dict(zip(term.factors, fixed.variables, strict=True))
    factors = {name for name in part.expressions if spec.variables[name] is not None}
    coded = list(zip(part.terms, full_codings(part, factors), strict=True))
    mains = {term.factors[0] for term in part.terms if len(term.factors) == 1}
    found = {}
    for inner in (name for name in part.expressions if name in factors - mains):
        by_contrasts = [
            {label[name] for name in full}
            for t, full in coded
            if inner in t.factors and inner not in full
        ] or [{label[name] for name in full - {inner}} for t, full in coded if inner in t.factors]
        smallest = [s for s in by_contrasts if not any(other < s for other in by_contrasts)]
        outer = sorted(set().union(*smallest) & set(varying))
        if outer and label[inner] in varying:
            found[label[inner]] = outer
    return found


def _closed(found: dict[str, list[str]]) -> Nesting:
    """Add what holds the holders; leave out variables that would hold themselves."""
    closed: dict[str, tuple[str, ...]] = {}
    for inner in found:
        seen: list[str] = []
        todo = list(found[inner])
        while todo:
            name = todo.pop(0)
            if name not in seen:
                seen.append(name)
                todo.extend(found.get(name, ()))
        closed[inner] = tuple(seen)
    return {inner: outer for inner, outer in closed.items() if inner not in outer}


def marginal_average(grid: Grid, nesting: Nesting, keep: Sequence[str], weights: str) -> Grid:
    """Average over all variables but ``keep``, nested ones within what holds them.

    Returns
    -------
    Grid
        Means of the combinations of ``keep`` and of what holds its nested variables (these come
        first), without the combinations that cannot occur.
    """
    nested = [name for name in keep if name in nesting]
    holders = [outer for name in nested for outer in nesting[name]]
    keep = list(dict.fromkeys([*nested, *holders, *keep]))
    while inner := [name for name in grid.names if name in nesting and name not in keep]:
        first = max(inner, key=lambda name: len(nesting[name]))
        groups = [*nesting[first], *(name for name in inner if name != first)]
        groups = [name for name in dict.fromkeys(groups) if name in grid.names]
        grid = grid.taken(_occurs(grid, [*groups, first]))
        targets = list(dict.fromkeys([*keep, *groups]))
        grid = average(grid, targets, weights, within=groups)
    means = average(grid, keep, weights)
    for name in nested:
        means = means.taken(_occurs(means, [name, *nesting[name]]))
    return means


def _occurs(grid: Grid, names: Sequence[str]) -> BoolArray:
    """Rows whose combination of some variables occurs in the data."""
    _, group = np.unique(grid.keys(names), return_inverse=True)
    occurs: BoolArray = np.bincount(group, weights=grid.counts)[group] > 0
    return occurs
