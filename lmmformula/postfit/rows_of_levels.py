"""Which rows belong to a level of a grouping factor, by the names that the user knows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from lmmformula._arrays import BoolArray, CodeArray, IntArray, LabelArray
from lmmformula.design import Design
from lmmformula.design.columns import category_label
from lmmformula.design.grouping import GroupCoding
from lmmformula.errors import OptionError

__all__ = ["Groups", "grouping_factors", "rows_of_levels"]

Factors: TypeAlias = dict[str, tuple[CodeArray, LabelArray]]
"""Codes of the fitted rows and labels, by the name of a factor."""

_MANY = 6


class Groups(NamedTuple):
    """What groups the rows: factors of the model, and variables whose interaction is one."""

    factors: Factors
    components: Factors


def grouping_factors(design: Design) -> Groups:
    """Everything that groups the fitted rows, in random effects or residuals."""
    m = design.matrices
    found: Factors = {block.group: (block.codes, block.levels) for block in m.random}
    if m.residual is not None and m.residual.correlation is not None:
        found.setdefault(m.residual.group, (m.residual.codes, m.residual.levels))
    components: Factors = {}
    for block, item in zip(m.random, design.spec.random, strict=True):
        for name, part in _components(item.grouping, block.codes).items():
            components.setdefault(name, part)
    return Groups(found, components)


def _components(coding: GroupCoding, codes: CodeArray) -> Factors:
    """Take an interaction apart: codes were made component by component."""
    parts: Factors = {}
    for i in range(len(coding.components) - 1, 0, -1):
        key = coding.combinations[i - 1][codes]
        size = len(coding.labels[i])
        codes, own = (key // size).astype(np.int32), (key % size).astype(np.int32)
        parts[coding.components[i]] = (own, np.array(coding.labels[i], dtype=object))
    parts[coding.components[0]] = (codes, np.array(coding.labels[0], dtype=object))
    return parts


def rows_of_levels(
    groups: Groups, group: Any, level: Any, named: Mapping[str, Any], n_rows: int
) -> IntArray:
    """Positions of the rows asked for.

    Parameters
    ----------
    groups : Groups
        What groups the rows.
    group : str, number or None
        Name of a factor if ``level`` is given; otherwise a level that only one factor has.
    level : str, number or None
        Level of ``group``.
    named : mapping of str to level
        Further levels by factor; a row must belong to all of them.
    n_rows : int
        Number of fitted rows; all are returned if nothing is asked for.

    Raises
    ------
    OptionError
        A factor or level does not exist, is ambiguous, or no row has all the levels.
    """
    wanted = [(name, value) for name, value in named.items()]
    if group is not None and level is not None:
        wanted.insert(0, (str(group), level))
    elif group is not None:
        wanted.insert(0, (_factor_with(groups.factors, group), group))
    elif level is not None:
        wanted.insert(0, (_factor_with(groups.factors, level), level))
    chosen: BoolArray = np.ones(n_rows, dtype=np.bool_)
    for name, value in wanted:
        codes, labels = _factor({**groups.components, **groups.factors}, name)
        chosen &= codes == _position(name, labels, value)
    if not chosen.any():
        raise OptionError(
            "no row belongs to all of these levels.",
            got=", ".join(f"{name} = {category_label(value)}" for name, value in wanted),
            suggestion="levels that occur together, or one of them",
            levels=tuple(wanted),
        )
    return np.flatnonzero(chosen)


def _factor(factors: Factors, name: str) -> tuple[CodeArray, LabelArray]:
    if name in factors:
        return factors[name]
    first = next(iter(factors), None)
    raise OptionError(
        f"`{name}` is not a grouping factor of the model.",
        got=f"grouping factors: {', '.join(factors) or 'none'}",
        suggestion=_call(first, factors[first][1][0]) if first else "`marginal_covariance()`",
        argument=name,
        available=tuple(factors),
    )


def _factor_with(factors: Factors, level: Any) -> str:
    """Return the one factor that has a level."""
    label = category_label(level)
    holders = [name for name, (_, labels) in factors.items() if label in labels]
    if len(holders) == 1:
        return holders[0]
    if holders:
        raise OptionError(
            f"`{label}` is a level of several grouping factors.",
            got=", ".join(holders),
            suggestion=_call(holders[0], label),
            argument="group",
            available=tuple(holders),
        )
    if label in factors:
        raise OptionError(
            f"`{label}` is a grouping factor: which of its levels?",
            got=_listed(factors[label][1]),
            suggestion=_call(label, factors[label][1][0]),
            argument="level",
            available=tuple(factors[label][1]),
        )
    shown = "; ".join(f"{name}: {_listed(labels)}" for name, (_, labels) in factors.items())
    raise OptionError(
        f"`{label}` is not a level of any grouping factor.",
        got=shown or "a model without grouping factors",
        suggestion="one of these levels, or `marginal_covariance()` for all rows",
        argument="group",
        available={name: tuple(labels) for name, (_, labels) in factors.items()},
    )


def _position(name: str, labels: LabelArray, level: Any) -> int:
    label = category_label(level)
    at = np.flatnonzero(labels == label)
    if len(at):
        return int(at[0])
    raise OptionError(
        f"`{label}` is not a level of `{name}`.",
        got=_listed(labels),
        suggestion=_call(name, labels[0]),
        argument=name,
        available=tuple(labels),
    )


def _call(name: str, label: str) -> str:
    """Write the call that asks for a level."""
    asked = f'{name}="{label}"' if name.isidentifier() else f'"{name}", "{label}"'
    return f"`marginal_covariance({asked})`"


def _listed(labels: LabelArray) -> str:
    more = f" and {len(labels) - _MANY} more" if len(labels) > _MANY else ""
    return ", ".join(str(label) for label in labels[:_MANY]) + more
