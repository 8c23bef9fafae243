"""Random-effects terms whose structure asks something of their effects."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from lmmformula.covariance import STRUCTURES
from lmmformula.design.columns import Categories, Value, category_label
from lmmformula.design.encode import Encoding, Variable
from lmmformula.design.sources import listed
from lmmformula.design.terms import FormulaPart
from lmmformula.design.times import check_order
from lmmformula.errors import DesignError
from lmmformula.formula.terms import RandomTerm

__all__ = ["check_structure"]

WITHOUT_CORRELATION = frozenset({"us", "diag"})
"""Families that are meaningful for a single effect."""


def check_structure(
    term: RandomTerm,
    part: FormulaPart,
    encoding: Encoding,
    values: Mapping[str, Value],
    variables: Mapping[str, Variable],
) -> None:
    """Refuse effects that a structure over columns cannot have.

    Parameters
    ----------
    term : RandomTerm
        The term.
    part : FormulaPart
        Its effects, read.
    encoding : Encoding
        Its effects.
    values : mapping of str to Value
        Expressions on all rows, with levels that do not occur.
    variables : mapping of str to Variable
        The same in the rows used.
    """
    kind = STRUCTURES[term.structure]
    if kind.ordered:
        _check_factor(term, part.expressions[0], values, variables)
    if kind.family not in WITHOUT_CORRELATION and len(encoding.names) < 2:
        raise DesignError(
            f"`{term.text}` has one effect, so there is nothing that it could be correlated with.",
            got=f"effect `{encoding.names[0]}`",
            suggestion=f"`{_bare(term)}`, or a factor whose levels are the effects",
            term=term.text,
        )


def _bare(term: RandomTerm) -> str:
    """The term without its structure."""
    effects = term.text.partition("(")[2].rpartition("|")[0].strip()
    return f"({effects} | {term.group_spelling})"


def _check_factor(
    term: RandomTerm, name: str, values: Mapping[str, Value], variables: Mapping[str, Variable]
) -> None:
    """Effects in the order of time are the levels of one factor, without gaps."""
    label = variables[name].label
    value = values[name]
    word = term.text.partition("(")[0]
    unequal = f"`ou(0 + {label} | {term.group_spelling})`"
    if not isinstance(value, Categories):
        column = variables[name].columns[0]
        whole = bool(np.all(column == np.rint(column)))
        levels = f"`{word}(0 + factor({label}) | {term.group_spelling})`"
        raise DesignError(
            f"the effects of `{term.text}` are the levels of a factor in the order of time, and "
            f"`{label}` is numeric.",
            got=f"values from {column.min():g} to {column.max():g}",
            suggestion=f"{levels} for equally spaced times, {unequal} for any"
            if whole
            else f"{unequal}, which takes any times",
            term=term.text,
            column=label,
        )
    occurring = variables[name].factor
    assert occurring is not None
    _check_gap(term, label, value, occurring.labels, unequal)
    check_order(occurring.labels, label, term.text, unequal)


def _check_gap(
    term: RandomTerm, label: str, value: Categories, labels: tuple[str, ...], unequal: str
) -> None:
    """Levels without rows between others would be passed over as if they were no time at all."""
    declared = [category_label(level) for level in value.levels]
    places = [declared.index(text) for text in labels]
    between = [text for text in declared[min(places) : max(places) + 1] if text not in set(labels)]
    if not between:
        return
    raise DesignError(
        f"`{term.text}` goes from one level of `{label}` to the next, and no row has "
        f"{'some' if len(between) > 1 else 'one'} of those between.",
        got=f"without rows: {listed(between, 8)}; levels {listed(declared, 8)}",
        suggestion=f"{unequal} with numeric times; or, if the times on both sides are neighbours, "
        "a categorical column without the unused levels (`.cat.remove_unused_categories()`)",
        term=term.text,
        column=label,
        unused=tuple(between),
    )
