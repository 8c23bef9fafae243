"""New data in the columns of a fitted model."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lmmformula._arrays import BoolArray, CodeArray, FloatArray, LabelArray
from lmmformula.design.columns import Categories, Numbers, Value
from lmmformula.design.encode import FactorLevels, Variable, fill, numeric_variable
from lmmformula.design.evaluate import Evaluator
from lmmformula.design.grouping import labelled_codes, recoded
from lmmformula.design.inputs import (
    argument_columns,
    evaluate_groups,
    evaluate_offsets,
    evaluate_part,
    named_value,
    numeric,
)
from lmmformula.design.places import coordinates
from lmmformula.design.sources import listed, open_source
from lmmformula.errors import DataError, OptionError
from lmmformula.matrices import RandomBlock

if TYPE_CHECKING:
    from lmmformula.design.spec import DesignSpec, RandomSpec

__all__ = ["replay_effects", "replay_rows"]


def replay_rows(spec: DesignSpec, newdata: Any, random: Collection[str] | None) -> dict[str, Any]:
    """Return the fields of ``NewRows``.

    Parameters
    ----------
    spec : DesignSpec
        The fitted design.
    newdata : frame or mapping
        New rows.
    random : collection of str or None
        Grouping factors wanted; None for all.
    """
    wanted = _wanted(spec, random)
    source = open_source(newdata)
    evaluator = Evaluator(source, deepcopy(dict(spec.state)), fitted=True)
    values: dict[str, Value] = {}
    evaluate_part(spec.part, None, evaluator, values)
    groups: dict[str, Value] = {}
    for item in wanted:
        evaluate_part(item.part, item.term.text, evaluator, values)
        groups |= evaluate_groups(item.term, evaluator)
    offset = _offset(spec, evaluator)
    complete = _complete(source.n_rows, (*values.values(), *groups.values()), offset)
    rows = None if complete.all() else np.flatnonzero(complete)
    n_complete = source.n_rows if rows is None else len(rows)
    variables = {
        name: _as_fitted(value.take(rows), spec.variables[name]) for name, value in values.items()
    }
    X = fill(spec.encoding.keys, variables, n_complete)
    excess = _spread(_excess(spec, variables, X), rows, source.n_rows)
    X = _spread(X, rows, source.n_rows)
    blocks, places, unseen = _blocks(wanted, variables, groups, complete, rows)
    if offset is not None:
        offset = np.where(complete, offset, np.nan)
    return {
        "index": source.index,
        "complete": complete,
        "X": X,
        "random": blocks,
        "places": places,
        "unseen": unseen,
        "offset": offset,
        "weights": _weights(spec, evaluator),
        "excess": excess,
    }


def replay_effects(
    spec: DesignSpec, newdata: Any, position: int
) -> tuple[FloatArray, FloatArray | None]:
    """Return the columns of one random-effects term in new rows, (n, k), and coordinates."""
    item = spec.random[position]
    source = open_source(newdata)
    evaluator = Evaluator(source, deepcopy(dict(spec.state)), fitted=True)
    values: dict[str, Value] = {}
    evaluate_part(item.part, item.term.text, evaluator, values)
    complete = _complete(source.n_rows, tuple(values.values()), None)
    rows = None if complete.all() else np.flatnonzero(complete)
    variables = {
        name: _as_fitted(value.take(rows), spec.variables[name]) for name, value in values.items()
    }
    return _columns(item, variables, rows, source.n_rows)


def _wanted(spec: DesignSpec, random: Collection[str] | None) -> tuple[RandomSpec, ...]:
    if random is None:
        return spec.random
    known = {item.term.group for item in spec.random}
    for name in random:
        if name not in known:
            raise OptionError(
                f"`{name}` is not a grouping factor of the model.",
                got=f"grouping factors {listed(sorted(known))}",
                suggestion=f"`random={sorted(known)!r}`",
                option="random",
                available=tuple(sorted(known)),
            )
    return tuple(item for item in spec.random if item.term.group in random)


def _offset(spec: DesignSpec, evaluator: Evaluator) -> FloatArray | None:
    values = [value for _, value in evaluate_offsets(spec.formula, evaluator)]
    if spec.offset_name is not None:
        values.append(named_value(spec.offset_name, "offset", evaluator))
    total: FloatArray | None = None
    for value in values:
        floats = numeric(value, "offset")
        total = floats if total is None else total + floats
    return total


def _weights(spec: DesignSpec, evaluator: Evaluator) -> FloatArray | None:
    """Weights are welcome, not needed: they only matter for the spread of new observations."""
    name = spec.weights_name
    if name is None or argument_columns(name, "weights", evaluator.source.names) is None:
        return None
    return numeric(named_value(name, "weights", evaluator), "weights").copy()


def _complete(n_rows: int, values: Collection[Value], offset: FloatArray | None) -> BoolArray:
    complete = np.ones(n_rows, dtype=bool)
    for value in values:
        missing = value.missing_rows()
        if missing is not None:
            complete &= ~missing
    if offset is not None:
        complete &= ~np.isnan(offset)
    return complete


def _as_fitted(value: Value, levels: FactorLevels | None) -> Variable:
    """Give new values the kind and the levels that the fitted data had."""
    if levels is not None:
        return _known_levels(value, levels)
    if not isinstance(value, Categories):
        return numeric_variable(value, value.name)
    raise DataError(
        f"`{value.name}` was numeric in the fitted data and is not in the new data.",
        got=f"categories: {listed([str(level) for level in value.levels])}",
        suggestion="convert the column to numbers",
        column=value.name,
    )


def _known_levels(value: Value, levels: FactorLevels) -> Variable:
    """Recode categories by their labels; refuse new ones."""
    if isinstance(value, Numbers) and not value.values.size:
        return Variable(value.name, codes=np.empty(0, dtype=np.int32), factor=levels)
    codes, labels = labelled_codes(value, value.name)
    position = {label: i for i, label in enumerate(levels.labels)}
    new = [label for label in labels if label not in position]
    if new:
        raise DataError(
            f"`{value.name}` has categories that the fitted data did not have.",
            got=f"{listed(new)} (fitted: {listed(levels.labels)})",
            suggestion="only random effects can take new levels: leave these rows out",
            column=value.name,
            new=tuple(new),
            available=levels.labels,
        )
    known = np.array([position[label] for label in labels], dtype=np.int32)
    return Variable(value.name, codes=known[codes], factor=levels)


def _excess(spec: DesignSpec, variables: Mapping[str, Variable], X: FloatArray) -> FloatArray:
    """Columns left out of X, less what X makes of them."""
    if spec.aliased is None:
        return np.empty((len(X), 0))
    columns = fill(spec.aliased.keys, variables, len(X))
    excess: FloatArray = (columns - X @ spec.aliased.coefficients) / spec.aliased.sizes
    return excess


def _spread(values: FloatArray, rows: NDArray[Any] | None, n_rows: int) -> FloatArray:
    """Put complete rows back into place, NaN elsewhere."""
    if rows is None:
        return values
    out = np.full((n_rows, values.shape[1]), np.nan, order="F")
    out[rows] = values
    return out


def _columns(
    item: RandomSpec,
    variables: Mapping[str, Variable],
    rows: NDArray[Any] | None,
    n_rows: int,
) -> tuple[FloatArray, FloatArray | None]:
    """Columns of a term in all rows and, where they belong to positions, the rows' coordinates."""
    if item.places is None:
        n_complete = n_rows if rows is None else len(rows)
        return _spread(fill(item.encoding.keys, variables, n_complete), rows, n_rows), None
    found = coordinates(item.term, item.part, variables)
    z = _spread(item.places.indicator(found), rows, n_rows)
    return z, _spread(found, rows, n_rows)


def _blocks(
    wanted: tuple[RandomSpec, ...],
    variables: Mapping[str, Variable],
    groups: Mapping[str, Value],
    complete: BoolArray,
    rows: NDArray[Any] | None,
) -> tuple[tuple[RandomBlock, ...], tuple[FloatArray | None, ...], dict[str, list[str]]]:
    coded: dict[str, tuple[CodeArray, LabelArray, FloatArray | None]] = {}
    unseen: dict[str, list[str]] = {}
    blocks: list[RandomBlock] = []
    places: list[FloatArray | None] = []
    for item in wanted:
        group = item.term.group
        if group not in coded:
            coded[group], new = _codes(item, groups, complete)
            if new:
                unseen[group] = new
        z, found = _columns(item, variables, rows, len(complete))
        places.append(found)
        codes, levels, relationship = coded[group]
        blocks.append(
            RandomBlock(
                z=z,
                codes=codes,
                levels=levels,
                effect_names=item.encoding.names,
                group=group,
                structure=item.term.structure,
                text=item.term.text,
                positions=None if item.places is None else item.places.values,
                relationship=relationship,
            )
        )
    return tuple(blocks), tuple(places), unseen


def _codes(
    item: RandomSpec, groups: Mapping[str, Value], complete: BoolArray
) -> tuple[tuple[CodeArray, LabelArray, FloatArray | None], list[str]]:
    """Codes, levels and the factor of their relationship; and labels that nothing is known of."""
    fitted, related = item.grouping, item.related
    further = None if related is None else related.code_of
    codes, new = recoded(fitted, groups, complete, item.term.text, further)
    if related is None:
        return (codes, fitted.levels, None), new
    return related.with_members(codes, fitted.levels), new
