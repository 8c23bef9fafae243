"""Columns of one coding of terms from those of another, without the data.

Dropping a term can change how factors in the other terms are coded: without ``f``, the ``h`` of
``0 + f + h`` gets a column per level. The new columns are combinations of the old ones, and the
combinations follow from the coding matrices: columns that multiply the same numeric variables are
functions of the factors, and functions are equal if they are on all cells.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import scipy.linalg

from lmmformula._arrays import FloatArray, IntArray
from lmmformula.design.encode import ColumnKey, Encoding, FactorLevels, Piece, Variable, fill, plan
from lmmformula.design.terms import FormulaPart, PartTerm

__all__ = ["combinations", "droppable", "encoding_of", "recoded", "without"]

INTERCEPT: ColumnKey = (1.0, ())
SPANNED = 1e-8


def droppable(part: FormulaPart) -> tuple[PartTerm, ...]:
    """Terms that no other term contains (R's ``drop.scope``)."""
    sets = [frozenset(term.factors) for term in part.terms]
    return tuple(
        term
        for term, own in zip(part.terms, sets, strict=True)
        if not any(own < other for other in sets)
    )


def without(part: FormulaPart, term: PartTerm, *, intercept: bool) -> FormulaPart:
    """Return a part less one term."""
    left = tuple(other for other in part.terms if other != term)
    return replace(part, terms=left, intercept=intercept)


def encoding_of(
    part: FormulaPart, known: Encoding, factors: Mapping[str, FactorLevels | None]
) -> Encoding:
    """Lay out the columns of a part whose variables occur in columns known already.

    Parameters
    ----------
    part : FormulaPart
        Terms.
    known : Encoding
        Columns with the same variables; columns that are among them keep their names.
    factors : mapping of str to FactorLevels or None
        Every variable; None for numeric ones.
    """
    pieces = [piece for _, key in known.keys for piece in key]
    variables = {}
    for name in part.expressions:
        count = 1 + max((p.position for p in pieces if p.name == name), default=0)
        label = part.labels.get(name, name)
        fields = tuple(f"[{j + 1}]" for j in range(count)) if count > 1 else ("",)
        levels = factors[name]
        variables[name] = Variable(label, fields=() if levels else fields, factor=levels)
    made = plan(part, variables)
    names = dict(zip(known.keys, known.names, strict=True))
    named = tuple(names.get(key, name) for key, name in zip(made.keys, made.names, strict=True))
    return replace(made, names=named)


def recoded(
    wanted: Sequence[ColumnKey],
    known: Sequence[ColumnKey],
    columns: FloatArray,
    factors: Mapping[str, FactorLevels | None],
) -> FloatArray | None:
    """Return the columns ``wanted``, given the ``known`` ones.

    Parameters
    ----------
    wanted, known : sequence of ColumnKey
        What the columns are.
    columns : ndarray, shape (n, n_known)
        Values of the known ones.
    factors : mapping of str to FactorLevels or None
        Levels by variable.

    Returns
    -------
    ndarray, shape (n, n_wanted), or None
        None where a column is no combination of the known ones.
    """
    position = {key: j for j, key in enumerate(known)}
    if all(key in position for key in wanted):
        return columns[:, [position[key] for key in wanted]]
    if list(wanted) == [INTERCEPT]:
        return np.ones((len(columns), 1))
    weights = combinations(wanted, known, factors)
    return None if weights is None else np.asfortranarray(columns @ weights)


def combinations(
    wanted: Sequence[ColumnKey],
    known: Sequence[ColumnKey],
    factors: Mapping[str, FactorLevels | None],
) -> FloatArray | None:
    """Coefficients, shape (n_known, n_wanted), that make columns from others; None if none do."""
    weights = np.zeros((len(known), len(wanted)))
    signatures = [_numeric(key, factors) for key in wanted]
    others = [_numeric(key, factors) for key in known]
    for signature in dict.fromkeys(signatures):
        targets = [j for j, own in enumerate(signatures) if own == signature]
        sources = [i for i, own in enumerate(others) if own == signature]
        keys = [_factor_part(known[i], factors) for i in sources]
        goals = [_factor_part(wanted[j], factors) for j in targets]
        found = _on_cells(keys, goals, factors)
        if found is None:
            return None
        weights[np.ix_(sources, targets)] = found
    return weights


def _numeric(key: ColumnKey, factors: Mapping[str, FactorLevels | None]) -> frozenset[Piece]:
    return frozenset(piece for piece in key[1] if factors[piece.name] is None)


def _factor_part(key: ColumnKey, factors: Mapping[str, FactorLevels | None]) -> ColumnKey:
    return key[0], tuple(piece for piece in key[1] if factors[piece.name] is not None)


def _on_cells(
    keys: Sequence[ColumnKey],
    goals: Sequence[ColumnKey],
    factors: Mapping[str, FactorLevels | None],
) -> FloatArray | None:
    """Solve on the cells of all factors involved."""
    names = list(dict.fromkeys(p.name for _, pieces in (*keys, *goals) for p in pieces))
    levels = {name: known for name in names if (known := factors[name]) is not None}
    cells = _crossed([len(levels[name].labels) for name in names])
    variables = {
        name: Variable(name, codes=cells[:, i], factor=levels[name]) for i, name in enumerate(names)
    }
    available = fill(tuple(keys), variables, len(cells))
    needed = fill(tuple(goals), variables, len(cells))
    if not keys:
        return None
    solution = scipy.linalg.lstsq(available, needed, lapack_driver="gelsy", cond=1e-12)[0]
    weights: FloatArray = np.asarray(solution, dtype=np.float64)
    if np.max(np.abs(available @ weights - needed), initial=0.0) > SPANNED:
        return None
    weights[np.abs(weights) < SPANNED] = 0.0
    return weights


def _crossed(sizes: Sequence[int]) -> IntArray:
    """Codes of all combinations of levels, one row each."""
    if not sizes:
        return np.zeros((1, 0), dtype=np.int64)
    return np.indices(sizes).reshape(len(sizes), -1).T
