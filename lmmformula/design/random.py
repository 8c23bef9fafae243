"""Random-effects terms as blocks, sharing memory with X and with one another where they can."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmmformula._arrays import FloatArray, frozen
from lmmformula.covariance import STRUCTURES
from lmmformula.design.encode import ColumnKey, Encoding, Variable, fill, plan
from lmmformula.design.fixed import FixedPart, check_columns
from lmmformula.design.grouping import Grouping, grouping
from lmmformula.design.inputs import Inputs
from lmmformula.design.notify import notify
from lmmformula.design.places import Places, learn_places
from lmmformula.design.relationship import Relationships
from lmmformula.design.sequences import check_structure
from lmmformula.design.spec import RandomSpec
from lmmformula.design.terms import FormulaPart
from lmmformula.errors import DesignError, FormulaWarning
from lmmformula.formula.terms import RandomTerm
from lmmformula.matrices import RandomBlock

__all__ = ["check_effects", "evenly_spaced", "lme4_order", "random_part"]


def random_part(
    terms: Sequence[RandomTerm],
    inputs: Inputs,
    variables: Mapping[str, Variable],
    fixed: FixedPart,
    used: NDArray[Any] | None,
    relationship: Any = None,
) -> tuple[tuple[RandomBlock, ...], tuple[RandomSpec, ...]]:
    """Build the blocks in lme4's order, and what replays them.

    Parameters
    ----------
    terms : sequence of RandomTerm
        Terms of the formula.
    inputs : Inputs
        Values on all rows.
    variables : mapping of str to Variable
        Variables in the rows used.
    fixed : FixedPart
        X, whose memory serves effects that are columns of it.
    used : ndarray of int or None
        Positions of the rows used; None for all.
    relationship : mapping of str to object, optional
        Known relationships between levels, by grouping factor.
    """
    related = Relationships(relationship, list(dict.fromkeys(term.group for term in terms)))
    columns: dict[tuple[ColumnKey, ...], FloatArray] = {fixed.encoding.keys: fixed.X}
    groupings: dict[tuple[str, ...], Grouping] = {}
    blocks: list[RandomBlock] = []
    specs: list[RandomSpec] = []
    for term, part in zip(terms, inputs.random, strict=True):
        encoding, z, places = _effects(term, part, inputs, variables, fixed, used, columns)
        if term.grouping not in groupings:
            values = [inputs.groups[name].take(used) for name in term.grouping]
            groupings[term.grouping] = grouping(term.grouping, values, term.text)
        shared = groupings[term.grouping]
        between = related.of(term.group, shared.coding.levels)
        blocks.append(
            RandomBlock(
                z=z,
                codes=shared.codes,
                levels=shared.coding.levels,
                effect_names=encoding.names,
                group=term.group,
                structure=term.structure,
                text=term.text,
                positions=None if places is None else places.values,
                relationship=None if between is None else between.factor,
            )
        )
        specs.append(RandomSpec(term, part, encoding, shared.coding, places, between))
    order = lme4_order([block.n_levels for block in blocks])
    return tuple(blocks[i] for i in order), tuple(specs[i] for i in order)


def _effects(
    term: RandomTerm,
    part: FormulaPart,
    inputs: Inputs,
    variables: Mapping[str, Variable],
    fixed: FixedPart,
    used: NDArray[Any] | None,
    columns: dict[tuple[ColumnKey, ...], FloatArray],
) -> tuple[Encoding, FloatArray, Places | None]:
    """Return a term's effects: columns of the formula, or one for each distinct position."""
    if STRUCTURES[term.structure].over == "positions":
        places, z = learn_places(term, part, variables, used)
        return Encoding(places.names, (), ()), z, places
    encoding = plan(part, variables)
    check_effects(term, encoding, variables)
    check_structure(term, part, encoding, inputs.values, variables)
    if encoding.keys not in columns:
        columns[encoding.keys] = _columns(encoding, variables, fixed, used)
    return encoding, columns[encoding.keys], None


def lme4_order(n_levels: list[int]) -> list[int]:
    """Terms by decreasing number of levels, where the order must change at all."""
    if all(a >= b for a, b in pairwise(n_levels)):
        return list(range(len(n_levels)))
    return [int(i) for i in np.argsort(n_levels, kind="stable")[::-1]]


def _columns(
    encoding: Encoding,
    variables: Mapping[str, Variable],
    fixed: FixedPart,
    used: NDArray[Any] | None,
) -> FloatArray:
    """Return effects as columns of X where possible, otherwise as a new array."""
    shared = _shared_columns(encoding, fixed)
    if shared is not None:
        return shared
    z = fill(encoding.keys, variables, len(fixed.X))
    with np.errstate(all="ignore"):
        squares = np.einsum("ij,ij->j", z, z)
    check_columns(z, squares, encoding, variables, used)
    return frozen(z)


def _shared_columns(encoding: Encoding, fixed: FixedPart) -> FloatArray | None:
    """Return evenly spaced columns of X, if these are the effects' columns."""
    where = evenly_spaced(encoding.keys, fixed.encoding.keys)
    return None if where is None else fixed.X[:, where]


def evenly_spaced(wanted: Sequence[ColumnKey], keys: Sequence[ColumnKey]) -> slice | None:
    """Return where columns stand among others, if they are there at equal distances."""
    at = {key: j for j, key in enumerate(keys)}
    positions = [at.get(key, -1) for key in wanted]
    if min(positions, default=-1) < 0:
        return None
    steps = set(np.diff(positions).tolist()) or {1}
    step = steps.pop()
    if steps or step < 1:
        return None
    return slice(positions[0], positions[-1] + 1, step)


def check_effects(term: RandomTerm, encoding: Encoding, variables: Mapping[str, Variable]) -> None:
    """Refuse a term without effects; warn of ``||`` that leaves levels of a factor correlated."""
    if not encoding.names:
        raise DesignError(
            f"`{term.text}` has no effect at all.",
            got=f"effects `{term.effects}`",
            suggestion=f"`(1 | {term.group})`",
            term=term.text,
        )
    if not term.from_double_bar:
        return
    factors = {
        piece.name
        for _, pieces in encoding.keys
        for piece in pieces
        if variables[piece.name].factor is not None
    }
    if factors:
        name = min(factors)
        notify(
            FormulaWarning(
                f"`||` keeps the levels of the factor `{name}` correlated: it means "
                f"`(1 | {term.group}) + {term.text}`, as in lme4.",
                got=f"{len(encoding.names)} effects of `{name}` in `{term.text}`",
                suggestion=f"`diag({name} | {term.group})` for uncorrelated ones",
                term=term.text,
                variable=name,
            )
        )
