"""The columns of a streamed design, and how the values of a chunk find their place in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmmformula._arrays import CodeArray, FloatArray, IntArray
from lmmformula.covariance import STRUCTURES
from lmmformula.design.columns import Categories, Numbers, Value
from lmmformula.design.encode import Encoding, Variable, plan, prepare
from lmmformula.design.grouping import GroupCoding, grouping
from lmmformula.design.inputs import Inputs
from lmmformula.design.places import learn_places
from lmmformula.design.random import check_effects, evenly_spaced, lme4_order
from lmmformula.design.relationship import RelatedLevels, Relationships
from lmmformula.design.sequences import check_structure
from lmmformula.design.spec import RandomSpec
from lmmformula.design.stream.keys import KeyMap, keys_of
from lmmformula.design.stream.tables import Tables
from lmmformula.errors import DataError
from lmmformula.formula.terms import MixedFormula

__all__ = ["GroupLayout", "Layout", "TermLayout", "lay_out"]

SHOWN_ROWS = 1000
"""Rows of the first chunk that stand for numeric variables where a message shows values."""


@dataclass(frozen=True, slots=True, eq=False)
class GroupLayout:
    """A grouping factor.

    Attributes
    ----------
    coding : GroupCoding
        Its levels.
    codes : ndarray of int32
        The level of every combination in the tables.
    text : str
        A term with it, for messages.
    steps : tuple of KeyMap
        From the keys of each component to numbers.
    joins : tuple of (int, KeyMap)
        After each further component: its count of numbers, and the numbers of both together.
    """

    coding: GroupCoding
    codes: CodeArray
    text: str
    steps: tuple[KeyMap, ...]
    joins: tuple[tuple[int, KeyMap], ...]

    def __call__(self, values: Sequence[Value]) -> CodeArray:
        """Return the levels of rows in which no component is missing."""
        codes = self.steps[0](keys_of(values[0], self.text))
        for value, step, (count, join) in zip(values[1:], self.steps[1:], self.joins, strict=True):
            more = step(keys_of(value, self.text))
            both = codes.astype(np.int64) * count + more
            codes = join(np.where((codes < 0) | (more < 0), -1, both))
        if codes.size and int(codes.min()) < 0:
            raise DataError(
                f"`{':'.join(self.coding.components)}` has levels that were not there when the "
                "levels were learned.",
                got=f"{int((codes < 0).sum())} rows in `{self.text}`",
                suggestion="see that nothing writes to the data while the model is built; where "
                "levels were declared, declare all of them",
                column=self.coding.components[0],
                term=self.text,
            )
        return codes


@dataclass(frozen=True, slots=True, eq=False)
class TermLayout:
    """A random-effects term.

    Attributes
    ----------
    number : int
        Its place in the formula.
    spec : RandomSpec
        As the design will have it.
    key : tuple of str
        Its grouping factor.
    where : slice or None
        Its effects among the columns of X, if they are there.
    """

    number: int
    spec: RandomSpec
    key: tuple[str, ...]
    where: slice | None


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """Columns and terms.

    Attributes
    ----------
    inputs : Inputs
        Expressions of the model on the first chunk.
    variables : dict of str to Variable
        Labels, levels and codings; their values do not matter.
    renumber : dict of str to ndarray of int32
        For factors: the code of every level of the tables, and -1 for missing ones.
    encoding : Encoding
        All columns of X, aliased ones included.
    groups : dict of tuple to GroupLayout
    terms : tuple of TermLayout
        In lme4's order.
    """

    inputs: Inputs
    variables: dict[str, Variable]
    renumber: dict[str, CodeArray]
    encoding: Encoding
    groups: dict[tuple[str, ...], GroupLayout]
    terms: tuple[TermLayout, ...]

    @property
    def order(self) -> list[int]:
        """Numbers of the terms."""
        return [term.number for term in self.terms]


def lay_out(
    formula: MixedFormula,
    inputs: Inputs,
    tables: Tables,
    contrasts: Mapping[str, Any],
    relationship: Any,
) -> Layout:
    """Lay out a design whose levels are known.

    Parameters
    ----------
    formula : MixedFormula
    inputs : Inputs
        Values in the first chunk.
    tables : Tables
        What was learned.
    contrasts : mapping of str to contrast object
    relationship : mapping of str to object, optional
    """
    small = {name: _small(name, value, tables) for name, value in inputs.values.items()}
    variables = {
        name: prepare(value, contrasts, inputs.label(name)) for name, value in small.items()
    }
    renumber = {
        name: _renumbering(value) for name, value in small.items() if isinstance(value, Categories)
    }
    encoding = plan(inputs.fixed, variables)
    texts: dict[tuple[str, ...], str] = {}
    for term in formula.random:
        texts.setdefault(term.grouping, term.text)
    groups = {key: _group(key, tables.groups[key], text) for key, text in texts.items()}
    related = Relationships(relationship, list(dict.fromkeys(t.group for t in formula.random)))
    terms = []
    for number, (term, part) in enumerate(zip(formula.random, inputs.random, strict=True)):
        places = None
        if STRUCTURES[term.structure].over == "positions":
            standing = _standing(part.expressions, variables, tables.places[number])
            places, _ = learn_places(term, part, standing, None)
            effects = Encoding(places.names, (), ())
        else:
            effects = plan(part, variables)
            check_effects(term, effects, variables)
            check_structure(term, part, effects, small, variables)
        coding = groups[term.grouping].coding
        between: RelatedLevels | None = related.of(term.group, coding.levels)
        spec = RandomSpec(term, part, effects, coding, places, between)
        where = None if places is not None else evenly_spaced(effects.keys, encoding.keys)
        terms.append(TermLayout(number, spec, term.grouping, where))
    order = lme4_order([len(term.spec.grouping.levels) for term in terms])
    return Layout(inputs, variables, renumber, encoding, groups, tuple(terms[i] for i in order))


def _small(name: str, value: Value, tables: Tables) -> Value:
    """A factor's levels that occur, one row each; a few complete rows of anything else."""
    if isinstance(value, Categories):
        known = tables.made.get(name)
        levels = value.levels if known is None else known.levels
        occurs = tables.occurs.get(name)
        codes = np.arange(len(levels)) if occurs is None else np.flatnonzero(occurs)
        return replace(value, codes=codes.astype(np.int32), levels=levels)
    gone = value.missing_rows()
    n = len(value.values)
    rows = np.arange(min(n, SHOWN_ROWS)) if gone is None else np.flatnonzero(~gone)[:SHOWN_ROWS]
    if rows.size:
        return value.take(rows)
    if isinstance(value, Numbers):
        return Numbers(name, np.zeros(1))
    return replace(value, values=np.zeros((1, value.values.shape[1])))


def _renumbering(value: Categories) -> CodeArray:
    out = np.full(len(value.levels) + 1, -1, dtype=np.int32)
    out[value.codes] = np.arange(len(value.codes), dtype=np.int32)
    return out


def _standing(
    names: Sequence[str], variables: Mapping[str, Variable], rows: FloatArray
) -> dict[str, Variable]:
    """Variables with the positions of a term as their values."""
    out = {}
    start = 0
    for name in names:
        variable = variables[name]
        if variable.factor is None:
            width = len(variable.columns)
            columns = tuple(rows[:, start + j] for j in range(width))
            variable = replace(variable, columns=columns)
            start += width
        out[name] = variable
    return out


def _group(key: tuple[str, ...], values: tuple[Value, ...], text: str) -> GroupLayout:
    """Levels in order, and maps that lead to them."""
    if not len(keys_of(values[0], text)):
        raise DataError(
            f"no row that the model could use has a value for `{':'.join(key)}`.",
            got="no level at all",
            suggestion="check the condition `subset`, and columns with missing values",
            column=key[0],
            term=text,
        )
    made = grouping(key, values, text)
    keys = [keys_of(value, text) for value in values]
    if len(keys) == 1:
        return GroupLayout(made.coding, made.codes, text, (KeyMap(keys[0], made.codes),), ())
    steps, parts, counts = [], [], []
    for one in keys:
        distinct, number = np.unique(one, return_inverse=True)
        steps.append(KeyMap(distinct, np.arange(len(distinct))))
        parts.append(number.reshape(-1).astype(np.int64))
        counts.append(len(distinct))
    joins: list[tuple[int, KeyMap]] = []
    so_far: IntArray = parts[0]
    for i, (part, count) in enumerate(zip(parts[1:], counts[1:], strict=True), 1):
        both = so_far * count + part
        distinct, first, number = np.unique(both, return_index=True, return_inverse=True)
        last = i == len(parts) - 1
        codes: NDArray[Any] = made.codes[first] if last else np.arange(len(distinct))
        joins.append((count, KeyMap(distinct, codes)))
        so_far = number.reshape(-1).astype(np.int64)
    return GroupLayout(made.coding, made.codes, text, tuple(steps), tuple(joins))
