"""The reference grid: every combination of the variables behind the fixed effects.

Factors at all levels that occur, numeric variables at their mean, those with two values at both
(R's emmeans does so too), anything at the values that ``at`` gives. The rows go through the replay
of the fitted design, so that every transform of the formula works.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from lmmformula._arrays import FloatArray, IntArray
from lmmformula.design import DesignSpec
from lmmformula.design.columns import category_label
from lmmformula.design.notify import notify
from lmmformula.design.predictors import Predictor
from lmmformula.design.sources import closest_name, listed
from lmmformula.errors import DataError, DataWarning, OptionError
from lmmformula.inference.marginal.grid import Combinations, Grid

__all__ = ["check_computable", "grid_levels", "predictor_named", "reference_grid", "replayed"]

MOST_ROWS = 500_000


def predictor_named(spec: DesignSpec, name: Any, argument: str) -> Predictor:
    """Return the predictor of this name; an error names the closest one."""
    known = {predictor.name: predictor for predictor in spec.predictors.columns}
    if name in known:
        return known[name]
    closest = closest_name(str(name), tuple(known))
    near = f"; closest is `{closest}`" if closest else ""
    raise OptionError(
        f"`{argument}` names `{name}`, which is no variable of the fixed effects.",
        got=f"`{name}`{near} (variables: {listed(tuple(known)) or 'none'})",
        suggestion=f"`{closest}`" if closest else "a column that the fixed effects use",
        argument=argument,
        variable=name,
        closest=closest,
        available=tuple(known),
    )


def grid_levels(spec: DesignSpec, at: Mapping[str, Any] | None) -> dict[str, tuple[Any, ...]]:
    """Values of every variable of the grid."""
    given = {} if at is None else _read_at(spec, at)
    levels = {}
    for predictor in spec.predictors.columns:
        name = predictor.name
        levels[name] = given.get(name) or predictor.levels or (predictor.mean,)
    n_rows = math.prod(len(values) for values in levels.values())
    if n_rows > MOST_ROWS:
        sizes = [f"{len(values)} of {name}" for name, values in levels.items()]
        raise OptionError(
            "the reference grid has too many rows.",
            got=f"{n_rows} combinations of {listed(sizes)}",
            suggestion="`at={...}` with fewer levels of the largest factor",
            argument="at",
            n_rows=n_rows,
        )
    return levels


def _read_at(spec: DesignSpec, at: Any) -> dict[str, tuple[Any, ...]]:
    if not isinstance(at, Mapping):
        raise OptionError(
            "`at` must be a mapping of variables to values.",
            got=f"`at={at!r}`",
            suggestion='`at={"x": [0, 1]}`',
            argument="at",
        )
    given = {}
    for name, values in at.items():
        predictor = predictor_named(spec, name, "at")
        listed_values = (
            [values] if isinstance(values, str) or np.ndim(values) == 0 else list(values)
        )
        read = _factor_values if predictor.is_factor else _numeric_values
        given[name] = tuple(dict.fromkeys(read(predictor, listed_values)))
        if not given[name]:
            raise _bad_values(predictor, "no value", ())
    return given


def _factor_values(predictor: Predictor, values: list[Any]) -> list[Any]:
    known = {category_label(level): level for level in predictor.levels}
    unknown = [value for value in values if category_label(value) not in known]
    if unknown:
        raise _bad_values(predictor, listed([repr(v) for v in unknown]), tuple(known))
    return [known[category_label(value)] for value in values]


def _numeric_values(predictor: Predictor, values: list[Any]) -> list[Any]:
    if isinstance(predictor.mean, np.datetime64):
        return [np.datetime64(pd.Timestamp(value), "ns") for value in values]
    try:
        numbers = [float(value) for value in values]
    except (TypeError, ValueError):
        numbers = [math.nan]
    if not np.isfinite(numbers).all():
        raise _bad_values(predictor, f"{values!r}", ())
    return numbers


def _bad_values(predictor: Predictor, got: str, known: tuple[str, ...]) -> OptionError:
    name = predictor.name
    return OptionError(
        f"`at` gives `{name}` values that it cannot take.",
        got=f"{got} (levels: {listed(known)})" if known else got,
        suggestion=f"`at={{{name!r}: {list(known[:2])!r}}}`" if known else "finite numbers",
        argument="at",
        variable=name,
        available=known,
    )


def reference_grid(spec: DesignSpec, at: Mapping[str, Any] | None = None) -> Grid:
    """Build the reference grid of a fitted design.

    Parameters
    ----------
    spec : DesignSpec
        The fitted design.
    at : mapping of str to value or list, optional
        Values of variables that differ from the usual ones.
    """
    levels = grid_levels(spec, at)
    codes = _crossed([len(values) for values in levels.values()])
    counts = _counts(spec, levels, set(at or ()), codes)
    return Grid(levels, codes, replayed(spec, levels, codes), counts)


def check_computable(grid: Grid) -> None:
    """Raise where a transform of the formula has no finite value in the grid."""
    finite = np.isfinite(grid.rows.L).all(axis=1) & np.isfinite(grid.rows.offset)
    if finite.all():
        return
    codes = grid.codes[np.flatnonzero(~finite)[0]]
    values = {
        name: level[code] for (name, level), code in zip(grid.levels.items(), codes, strict=True)
    }
    numbers = [f"{name} = {v:g}" for name, v in values.items() if isinstance(v, float)]
    raise DataError(
        "the fixed effects cannot be computed in every row of the reference grid.",
        got=f"not finite at {', '.join(numbers)}",
        suggestion="`at={...}` with values inside the range of the data",
        values=values,
    )


def _crossed(sizes: list[int]) -> IntArray:
    """All combinations of codes, the first varying fastest."""
    total = math.prod(sizes)
    codes = np.empty((total, len(sizes)), dtype=np.int64)
    rest = np.arange(total)
    for j, size in enumerate(sizes):
        rest, codes[:, j] = np.divmod(rest, size)
    return codes


def replayed(
    spec: DesignSpec,
    levels: Mapping[str, tuple[Any, ...]],
    codes: IntArray,
    shift: tuple[str, float] | None = None,
) -> Combinations:
    """Push combinations of levels through the fitted design.

    Parameters
    ----------
    spec : DesignSpec
        The fitted design.
    levels : mapping of str to tuple
        Values by variable.
    codes : ndarray of int, shape (n, n_variables)
        Their combinations.
    shift : (str, float), optional
        A numeric variable and what is added to it.
    """
    predictors = {predictor.name: predictor for predictor in spec.predictors.columns}
    data: dict[str, Any] = {}
    for name, column in zip(levels, codes.T, strict=True):
        data[name] = predictors[name].column(levels[name], column)
        if shift is not None and shift[0] == name:
            data[name] = data[name] + shift[1]
    if not data:
        data[" "] = np.zeros(len(codes))
    rows = spec.replay(data, random=())
    offset = np.zeros(len(codes)) if rows.offset is None else rows.offset
    if spec.has_array_offset:
        _warn_offset()
    return Combinations(rows.X, rows.excess, offset)


def _warn_offset() -> None:
    notify(
        DataWarning(
            "marginal means leave the offset out, because it was given as an array.",
            got="no column is known to hold it",
            suggestion='`offset="column"` when fitting, or `offset(column)` in the formula',
        )
    )


def _counts(
    spec: DesignSpec, levels: Mapping[str, tuple[Any, ...]], given: set[str], codes: IntArray
) -> FloatArray:
    """Rows of the data in each combination of the variables that have levels."""
    known = spec.predictors
    by_name = {predictor.name: predictor for predictor in known.columns}
    used = [n for n in known.crossed if by_name[n].is_factor or n not in given]
    if known.cells is None or known.counts is None or not used:
        return np.ones(len(codes))
    table = np.zeros([len(levels[name]) for name in used])
    places = []
    for name in used:
        position = {value: i for i, value in enumerate(levels[name])}
        place = np.array([position.get(value, -1) for value in by_name[name].levels])
        places.append(place[known.cells[:, known.crossed.index(name)]])
    inside = np.all([place >= 0 for place in places], axis=0)
    np.add.at(table, tuple(place[inside] for place in places), known.counts[inside])
    names = list(levels)
    found: FloatArray = table[tuple(codes[:, names.index(name)] for name in used)]
    return found
