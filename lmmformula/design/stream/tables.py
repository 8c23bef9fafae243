"""What has to be known of the data before their rows can become matrices: a few small tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from lmmformula._arrays import BoolArray, FloatArray
from lmmformula.design.columns import Value
from lmmformula.design.stream.known import KnownLevels

__all__ = ["Tables"]


@dataclass(frozen=True, slots=True, eq=False)
class Tables:
    """Levels, combinations and positions of a design.

    Attributes
    ----------
    state : dict
        What functions learned.
    columns : dict of str to KnownLevels
        Levels of categorical columns.
    made : dict of str to KnownLevels
        Levels of expressions that make categories of values.
    occurs : dict of str to ndarray of bool
        For columns and expressions whose rows were counted, levels that have any.
    groups : dict of tuple to tuple of Value
        Every combination of components of a grouping factor once.
    places : dict of int to ndarray, shape (m, d)
        Coordinates that occur, by term of the formula.
    """

    state: dict[str, Any] = field(default_factory=dict)
    columns: dict[str, KnownLevels] = field(default_factory=dict)
    made: dict[str, KnownLevels] = field(default_factory=dict)
    occurs: dict[str, BoolArray] = field(default_factory=dict)
    groups: dict[tuple[str, ...], tuple[Value, ...]] = field(default_factory=dict)
    places: dict[int, FloatArray] = field(default_factory=dict)

    def restricted(
        self,
        factors: Mapping[str, BoolArray],
        groups: Mapping[tuple[str, ...], BoolArray],
        places: Mapping[int, BoolArray],
    ) -> Tables:
        """Leave out what has no rows.

        Parameters
        ----------
        factors : mapping of str to ndarray of bool
            By expression, which of all levels have rows.
        groups : mapping of tuple to ndarray of bool
            Which combinations stay.
        places : mapping of int to ndarray of bool
            Which positions stay.
        """
        kept_groups = {
            key: tuple(value.take(groups[key]) if key in groups else value for value in values)
            for key, values in self.groups.items()
        }
        kept_places = {
            i: rows[places[i]] if i in places else rows for i, rows in self.places.items()
        }
        return replace(
            self, occurs={**self.occurs, **factors}, groups=kept_groups, places=kept_places
        )
