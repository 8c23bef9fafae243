"""Effects over positions: one for each distinct time or place of a random-effects term."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmmformula._arrays import FloatArray, IntArray, frozen
from lmmformula.design.checks import check_finite
from lmmformula.design.encode import Variable
from lmmformula.design.sources import listed
from lmmformula.design.terms import FormulaPart
from lmmformula.errors import DesignError
from lmmformula.formula.terms import RandomTerm

__all__ = ["MOST_PLACES", "Places", "coordinates", "learn_places"]

MOST_PLACES = 500
"""Effects per level of the grouping factor beyond which dense matrices of them are hopeless."""


@dataclass(frozen=True, slots=True, eq=False)
class Places:
    """The distinct positions of a term, in increasing order (by the first coordinate first).

    Attributes
    ----------
    labels : tuple of str, length d
        What the coordinates are called.
    values : ndarray, shape (k, d)
        The positions.
    """

    labels: tuple[str, ...]
    values: FloatArray

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the effects, ``time=1.5`` or ``x=1,y=2``, with all digits where needed."""
        rows = self.values.tolist()
        short = self._named(rows, "{:.6g}".format)
        return short if len(set(short)) == len(short) else self._named(rows, repr)

    def _named(self, rows: list[list[float]], shown: Callable[[float], str]) -> tuple[str, ...]:
        return tuple(
            ",".join(f"{label}={shown(x)}" for label, x in zip(self.labels, row, strict=True))
            for row in rows
        )

    def indicator(self, found: FloatArray) -> FloatArray:
        """Return a row's one in the column of its position, zeros for positions not known.

        Parameters
        ----------
        found : ndarray, shape (n, d)
            Coordinates of rows, without NaN.

        Returns
        -------
        ndarray, shape (n, k)
        """
        k = len(self.values)
        both = np.vstack([self.values, found + 0.0])
        _, label = np.unique(both, axis=0, return_inverse=True)
        label = label.reshape(-1)
        column = np.full(label.max() + 1, -1, dtype=np.int64)
        column[label[:k]] = np.arange(k)
        return _one_hot(column[label[k:]], k)


def _one_hot(columns: IntArray, k: int) -> FloatArray:
    out = np.zeros((len(columns), k), order="F")
    rows = np.flatnonzero(columns >= 0)
    out[rows, columns[rows]] = 1.0
    return out


def coordinates(
    term: RandomTerm, part: FormulaPart, variables: Mapping[str, Variable]
) -> FloatArray:
    """Return the coordinates of rows, shape (n, d).

    Parameters
    ----------
    term : RandomTerm
        The term.
    part : FormulaPart
        Its effects, one variable in each.
    variables : mapping of str to Variable
        Their values.

    Raises
    ------
    DesignError
        One of them is categorical.
    """
    columns: list[FloatArray] = []
    for name in part.expressions:
        variable = variables[name]
        if variable.factor is not None:
            raise _categorical(term, variable, variable.factor.labels)
        columns.extend(variable.columns)
    return np.column_stack(columns).astype(np.float64, copy=False)


def _categorical(term: RandomTerm, variable: Variable, levels: tuple[str, ...]) -> DesignError:
    return DesignError(
        f"`{term.text}` is over numeric times or places, and `{variable.label}` is categorical.",
        got=f"levels {listed(levels, 8)}",
        suggestion=f"`ar1(0 + {variable.label} | {term.group_spelling})` for equally spaced "
        "levels, or a numeric column",
        column=variable.label,
        term=term.text,
    )


def learn_places(
    term: RandomTerm,
    part: FormulaPart,
    variables: Mapping[str, Variable],
    used: NDArray[Any] | None,
) -> tuple[Places, FloatArray]:
    """Find the distinct positions of a term in the rows used.

    Parameters
    ----------
    term : RandomTerm
        The term.
    part : FormulaPart
        Its effects: the coordinates.
    variables : mapping of str to Variable
        Values in the rows used.
    used : ndarray of int or None
        Positions of these rows in the data, for messages.

    Returns
    -------
    places : Places
    z : ndarray, shape (n, k)
        A one where the row's position is the column's.
    """
    found = coordinates(term, part, variables)
    labels = tuple(
        f"{variables[name].label}{field}"
        for name in part.expressions
        for field in variables[name].fields
    )
    for column, label in zip(found.T, labels, strict=True):
        check_finite(label, column, used, "time" if len(labels) == 1 else "coordinate")
    values, index = np.unique(found + 0.0, axis=0, return_inverse=True)
    if len(values) > MOST_PLACES:
        raise _too_many(term, labels, len(values))
    if len(values) < 2:
        raise DesignError(
            f"`{term.text}` has one position only, so nothing is correlated.",
            got=f"{labels[0]} = {values[0, 0]:g} in every row",
            suggestion=f"`(1 | {term.group_spelling})`",
            term=term.text,
        )
    z = _one_hot(index.reshape(-1).astype(np.int64), len(values))
    return Places(labels, frozen(values)), frozen(z)


def _too_many(term: RandomTerm, labels: tuple[str, ...], count: int) -> DesignError:
    if len(labels) == 1:
        advice = (
            f'`residual="car1({labels[0]} | {term.group_spelling})"`, which takes any number of '
            "times; or rounded times"
        )
    else:
        advice = "rounded coordinates, so that rows share places"
    return DesignError(
        f"`{term.text}` has a random effect for every distinct position, and there are too many.",
        got=f"{count} positions; the limit is {MOST_PLACES}",
        suggestion=advice,
        term=term.text,
        n_positions=count,
        limit=MOST_PLACES,
    )
