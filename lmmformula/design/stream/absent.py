"""Levels that were allowed for and turned out to have no rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lmmformula._arrays import BoolArray, IntArray
from lmmformula.design.sources import listed
from lmmformula.design.stream.layout import Layout
from lmmformula.design.stream.tables import Tables

__all__ = ["Absent"]


@dataclass(frozen=True, slots=True, eq=False)
class Absent:
    """Which levels have rows, where not all of them do.

    Attributes
    ----------
    factors : dict of str to ndarray of bool
        By expression, levels of the variable.
    groups : dict of tuple to ndarray of bool
        By grouping factor, its levels.
    places : dict of int to ndarray of bool
        By term, its positions.
    """

    factors: dict[str, BoolArray]
    groups: dict[tuple[str, ...], BoolArray]
    places: dict[int, BoolArray]

    def restricted(self, tables: Tables, layout: Layout) -> Tables:
        """Return the tables without what has no rows."""
        factors = {}
        for name, occurs in self.factors.items():
            number = layout.renumber[name][:-1]
            factors[name] = (number >= 0) & occurs[number]
        groups = {key: occurs[layout.groups[key].codes] for key, occurs in self.groups.items()}
        return tables.restricted(factors, groups, self.places)

    def changes(self, before: Layout, after: Layout) -> bool:
        """Whether the columns differ without these levels, so that the rows are needed again.

        Levels of grouping factors can be taken out of sums, unless that changes the order of the
        terms or the levels are related to one another.
        """
        if self.factors or self.places or before.order != after.order:
            return True
        return any(term.key in self.groups and term.spec.related for term in before.terms)

    def kept_levels(self, layout: Layout) -> dict[str, IntArray]:
        """Return the positions of levels with rows, by label of the grouping factor."""
        return {
            term.spec.term.group: np.flatnonzero(self.groups[term.key])
            for term in layout.terms
            if term.key in self.groups
        }

    def described(self, layout: Layout) -> str:
        """Say what has no rows."""
        parts = []
        for name, occurs in self.factors.items():
            variable = layout.variables[name]
            assert variable.factor is not None
            gone = [variable.factor.labels[i] for i in np.flatnonzero(~occurs)]
            parts.append(f"`{variable.label}` has no complete row with level {listed(gone, 4)}")
        for key, occurs in self.groups.items():
            levels = layout.groups[key].coding.levels
            gone = [str(levels[i]) for i in np.flatnonzero(~occurs)[:5]]
            parts.append(f"`{':'.join(key)}` has no complete row with level {listed(gone, 4)}")
        if self.places:
            parts.append("some positions have no complete row")
        return "; ".join(parts)
