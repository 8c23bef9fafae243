"""Random-effects terms as blocks, sharing memory with X and with one another where they can."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmmformula._arrays import FloatArray, frozen
from lmmformula.design.encode import ColumnKey, Encoding, Variable, fill, plan
from lmmformula.design.fixed import FixedPart, check_columns
from lmmformula.design.grouping import GroupCoding, Grouping, grouping
from lmmformula.design.inputs import Inputs
from lmmformula.design.notify import notify
from lmmformula.errors import DesignError, FormulaWarning
from lmmformula.formula.terms import RandomTerm
from lmmformula.matrices import RandomBlock

__all__ = ["random_blocks"]


def random_blocks(
    terms: Sequence[RandomTerm],
    inputs: Inputs,
    variables: Mapping[str, Variable],
    fixed: FixedPart,
    used: NDArray[Any] | None,
    n_rows: int,
) -> tuple[tuple[RandomBlock, ...], list[Encoding], list[GroupCoding]]:
    """Build the blocks in the order of the formula.

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
    n_rows : int
        Number of rows used.
    """
    made: dict[tuple[ColumnKey, ...], FloatArray] = {}
    groupings: dict[tuple[str, ...], Grouping] = {}
    encodings: list[Encoding] = []
    blocks: list[RandomBlock] = []
    for term, part in zip(terms, inputs.random, strict=True):
        encoding = plan(part, variables)
        _check_effects(term, encoding, variables)
        if term.grouping not in groupings:
            values = [inputs.groups[name].take(used) for name in term.grouping]
            groupings[term.grouping] = grouping(term.grouping, values, term.text)
        shared = groupings[term.grouping]
        z = made.get(encoding.keys)
        if z is None:
            z = _shared_columns(encoding, fixed)
        if z is None:
            z = frozen(fill(encoding.keys, variables, n_rows))
            with np.errstate(all="ignore"):
                squares = np.einsum("ij,ij->j", z, z)
            check_columns(z, squares, encoding, variables, used)
        made[encoding.keys] = z
        blocks.append(
            RandomBlock(
                z=z,
                codes=shared.codes,
                levels=shared.coding.levels,
                effect_names=encoding.names,
                group=term.group,
                structure=term.structure,
                text=term.text,
            )
        )
        encodings.append(encoding)
    return tuple(blocks), encodings, [groupings[term.grouping].coding for term in terms]


def _shared_columns(encoding: Encoding, fixed: FixedPart) -> FloatArray | None:
    """Return X itself or evenly spaced columns of it, if these are the effects' columns."""
    if encoding.keys == fixed.encoding.keys:
        return fixed.X
    at = {key: j for j, key in enumerate(fixed.encoding.keys)}
    positions = [at.get(key, -1) for key in encoding.keys]
    if min(positions, default=-1) < 0:
        return None
    steps = set(np.diff(positions).tolist()) or {1}
    step = steps.pop()
    if steps or step < 1:
        return None
    return fixed.X[:, positions[0] : positions[-1] + 1 : step]


def _check_effects(term: RandomTerm, encoding: Encoding, variables: Mapping[str, Variable]) -> None:
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
