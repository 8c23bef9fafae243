"""Rows of a planned study: units that cross or nest, conditions within and between them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from lmmformula._arrays import IntArray
from lmmformula.design.sources import closest_name, listed
from lmmformula.errors import OptionError
from lmmformula.inference.bootstrap.run import seed_sequence

__all__ = ["simulate_design"]

LARGEST = 10**7
Maker: TypeAlias = Callable[[np.random.Generator, int], Any]


def simulate_design(
    units: Mapping[str, int],
    *,
    nested: Mapping[str, str] | None = None,
    within: Mapping[str, Sequence[Any]] | None = None,
    between: Mapping[str, tuple[str, Sequence[Any]]] | None = None,
    covariates: Mapping[str, Any] | None = None,
    replicates: int = 1,
    seed: Any = None,
) -> pd.DataFrame:
    """Build the rows of a crossed or nested design.

    Parameters
    ----------
    units : mapping of str to int
        Grouping factors and their numbers of levels. Units that are not nested cross:
        ``{"subject": 20, "item": 10}`` has every subject with every item. For a nested unit the
        number is that in each level of its parent.
    nested : mapping of str to str, optional
        Unit -> the unit that it lies in: ``{"pupil": "class", "class": "school"}``. Levels of
        nested units have labels of their own throughout.
    within : mapping of str to sequence, optional
        Conditions that all units see, with their values; numbers stay numbers:
        ``{"condition": ["a", "b"], "day": range(10)}``.
    between : mapping of str to (str, sequence), optional
        Conditions of whole units: ``{"group": ("subject", ["control", "treated"])}``. Levels
        get the values in rotation; several factors of one unit are crossed.
    covariates : mapping, optional
        Numbers: ``{"age": ("subject", make)}`` has one for each subject, ``{"x": make}`` one for
        each row. ``make`` is an array, or a function of a ``numpy.random.Generator`` and a count.
    replicates : int, default 1
        Rows in each cell.
    seed : int, SeedSequence or Generator, optional
        Source of randomness, needed where a covariate is a function.

    Returns
    -------
    DataFrame
        A column for every unit, condition and covariate; units and conditions that are not
        numbers as categoricals in the order given. Take rows out for unbalanced designs.

    Raises
    ------
    OptionError
        A number that is no count, a name used twice, or a parent that does not exist.

    Examples
    --------
    >>> import lmmformula as lf
    >>> design = lf.simulate_design(
    ...     {"school": 4, "pupil": 25}, nested={"pupil": "school"},
    ...     between={"programme": ("school", ["old", "new"])},
    ...     covariates={"age": ("pupil", lambda rng, n: rng.uniform(6, 8, n))}, seed=1,
    ... )
    >>> design.shape, design["pupil"].nunique()
    ((100, 4), 100)
    >>> design.groupby("programme", observed=True)["school"].nunique().tolist()
    [2, 2]
    """
    parents, inner = dict(nested or {}), dict(within or {})
    outer, numbers = dict(between or {}), dict(covariates or {})
    counts = _checked_units(units, parents)
    _check_names(counts, inner, outer, numbers)
    n_rows, codes = _crossed(counts, parents, inner, _count(replicates, "replicates"))
    columns: dict[str, Any] = {}
    totals = {name: _total(name, counts, parents) for name in counts}
    for name in counts:
        columns[name] = _labels(name, totals[name], codes[name])
    for name, values in inner.items():
        columns[name] = _condition(name, values, codes[name])
    used: dict[str, int] = {}
    for name, given in outer.items():
        unit, values = _assigned(name, given, counts, "between")
        cycle = used.get(unit, 1)
        columns[name] = _condition(name, values, codes[unit] // cycle % len(list(values)))
        used[unit] = cycle * len(list(values))
    rng = None if seed is None else np.random.default_rng(seed_sequence(seed, "seed=1"))
    for name, given in numbers.items():
        columns[name] = _covariate(name, given, totals, codes, n_rows, rng)
    return pd.DataFrame(columns)


def _checked_units(units: Any, parents: Mapping[str, str]) -> dict[str, int]:
    if not isinstance(units, Mapping) or not units:
        raise OptionError(
            "`units` must name the grouping factors with their numbers of levels.",
            got=f"{units!r}",
            suggestion='`lf.simulate_design({"subject": 20, "item": 10})`',
            argument="units",
        )
    counts = {str(name): _count(count, f"units[{name!r}]") for name, count in units.items()}
    for child, parent in parents.items():
        for name in (child, parent):
            if name not in counts:
                closest = closest_name(str(name), tuple(counts))
                raise OptionError(
                    f"`nested` names `{name}`, which is none of the units.",
                    got=f"units {listed(tuple(counts))}",
                    suggestion=f"`{closest}`" if closest else f"add `{name}` to `units`",
                    argument="nested",
                    name=name,
                )
        chain: set[str] = {child}
        above: str | None = parent
        while above is not None:
            if above in chain:
                raise OptionError(
                    f"`{child}` lies within itself.",
                    got=f"`nested={dict(parents)!r}`",
                    suggestion='`nested={"pupil": "school"}`',
                    argument="nested",
                )
            chain.add(above)
            above = parents.get(above)
    return counts


def _count(value: Any, name: str) -> int:
    if isinstance(value, int | np.integer) and not isinstance(value, bool) and value >= 1:
        return int(value)
    raise OptionError(
        f"`{name}` must be a whole number, at least 1.",
        got=f"{value!r}",
        suggestion="`10`",
        argument=name,
    )


def _check_names(*groups: Mapping[str, Any]) -> None:
    names = [name for group in groups for name in group]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise OptionError(
            f"`{twice}` is used for two columns.",
            got=f"columns {listed(names)}",
            suggestion="a name of its own for each",
            name=twice,
        )


def _total(name: str, counts: Mapping[str, int], parents: Mapping[str, str]) -> int:
    """Levels of a unit in all."""
    parent = parents.get(name)
    return counts[name] * (1 if parent is None else _total(parent, counts, parents))


def _crossed(
    counts: Mapping[str, int],
    parents: Mapping[str, str],
    inner: Mapping[str, Sequence[Any]],
    replicates: int,
) -> tuple[int, dict[str, IntArray]]:
    """Codes of every unit and condition in all rows."""
    leaves = [name for name in counts if name not in parents.values()]
    conditions = {name: len(_values(name, values)) for name, values in inner.items()}
    shape = [_total(name, counts, parents) for name in leaves]
    shape += [*conditions.values(), replicates]
    if np.prod([float(size) for size in shape]) > LARGEST:
        raise OptionError(
            "the design has more rows than can be simulated.",
            got=f"{np.prod([float(size) for size in shape]):.3g} rows",
            suggestion="fewer levels, or fewer replicates",
            argument="units",
        )
    grid = np.indices(shape).reshape(len(shape), -1)
    codes = dict(zip([*leaves, *conditions], grid, strict=False))
    keep = np.ones(grid.shape[1], dtype=np.bool_)
    for leaf in leaves:
        name, code = leaf, codes[leaf]
        while name in parents:
            code, name = code // counts[name], parents[name]
            if name in codes:
                keep &= codes[name] == code
            codes.setdefault(name, code)
    return int(keep.sum()), {name: code[keep] for name, code in codes.items()}


def _values(name: str, values: Any) -> list[Any]:
    is_list = not isinstance(values, str | bytes) and hasattr(values, "__iter__")
    found = list(values) if is_list else []
    if found and len(set(found)) == len(found):
        return found
    raise OptionError(
        f"`{name}` needs a list of different values.",
        got=f"{values!r}",
        suggestion=f'`{{{name!r}: ["a", "b"]}}`',
        argument=name,
    )


def _labels(name: str, total: int, codes: IntArray) -> pd.Categorical:
    width = len(str(total))
    return _categorical(codes, [f"{name}{i + 1:0{width}}" for i in range(total)])


def _categorical(codes: IntArray, labels: list[str]) -> pd.Categorical:
    categories: Any = pd.Index(labels, dtype=object)
    made: pd.Categorical = pd.Categorical.from_codes(codes, categories=categories)
    return made


def _condition(name: str, values: Any, codes: IntArray) -> Any:
    found = _values(name, values)
    are_numbers = all(
        isinstance(v, int | float | np.number) and not isinstance(v, bool) for v in found
    )
    if are_numbers:
        return np.array(found)[codes]
    return _categorical(codes, [str(v) for v in found])


def _assigned(name: str, given: Any, counts: Mapping[str, int], argument: str) -> tuple[str, Any]:
    """Unit and values of something that belongs to whole units."""
    if isinstance(given, tuple) and len(given) == 2 and given[0] in counts:
        return given
    raise OptionError(
        f"`{argument}` must say to which unit `{name}` belongs.",
        got=f"{given!r:.80} (units {listed(tuple(counts))})",
        suggestion=f"`{argument}={{{name!r}: ({next(iter(counts))!r}, [...])}}`",
        argument=argument,
        name=name,
    )


def _covariate(
    name: str,
    given: Any,
    totals: Mapping[str, int],
    codes: Mapping[str, IntArray],
    n_rows: int,
    rng: np.random.Generator | None,
) -> Any:
    """One number for each level of a unit, or for each row."""
    unit = None
    if isinstance(given, tuple):
        unit, given = _assigned(name, given, totals, "covariates")
    count = n_rows if unit is None else totals[unit]
    if callable(given):
        if rng is None:
            raise OptionError(
                f"`{name}` is drawn at random, so `seed` is needed to repeat it.",
                got="`seed=None`",
                suggestion="`seed=1`",
                argument="seed",
            )
        given = given(rng, count)
    values = np.asarray(given)
    if values.dtype.kind == "b":
        values = values.astype(np.int64)
    if values.shape != (count,) or values.dtype.kind not in "iuf":
        raise OptionError(
            f"`{name}` must have one number for each {'row' if unit is None else unit}.",
            got=f"shape {values.shape}, type {values.dtype}; {count} are needed",
            suggestion="an array of that length, or `lambda rng, n: rng.normal(size=n)`",
            argument="covariates",
            name=name,
        )
    return values if unit is None else values[codes[unit]]
