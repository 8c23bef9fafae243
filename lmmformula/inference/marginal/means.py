"""Marginal means: averages of the linear predictor over a reference grid."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from lmmformula.design import DesignSpec
from lmmformula.design.sources import closest_name, listed
from lmmformula.errors import OptionError
from lmmformula.inference.marginal.estimates import MarginalEstimates
from lmmformula.inference.marginal.grid import WEIGHTS, Grid
from lmmformula.inference.marginal.nesting import Nesting, find_nesting, marginal_average
from lmmformula.inference.marginal.reference_grid import (
    check_computable,
    predictor_named,
    reference_grid,
)

__all__ = ["averaged", "check_weights", "grid_notes", "marginal_means", "read_names"]


def marginal_means(
    results: Any,
    variables: Any,
    *,
    by: Any,
    at: Mapping[str, Any] | None,
    weights: str,
    ddf: str,
    alpha: float,
) -> MarginalEstimates:
    """Estimate marginal means; see ``LinearMixedResults.marginal_means``."""
    spec = results.design.spec
    check_weights(weights)
    grid = reference_grid(spec, at)
    check_computable(grid)
    chosen = read_names(spec, variables, "variables")
    families = read_names(spec, by, "by")
    means, families, notes = averaged(spec, grid, chosen, families, weights)
    return MarginalEstimates(
        "mean",
        means,
        families,
        results.approximation(ddf),
        ddf=ddf,
        alpha=alpha,
        title=f"Marginal means of {spec.response_name}",
        notes=(*_response_note(spec), *notes),
    )


def averaged(
    spec: DesignSpec, grid: Grid, chosen: Sequence[str], by: Sequence[str], weights: str
) -> tuple[Grid, tuple[str, ...], tuple[str, ...]]:
    """Average a grid over what was not chosen.

    Returns
    -------
    means : Grid
        Combinations of the chosen variables, of ``by`` and of what holds nested ones.
    by : tuple of str
        ``by``, with what holds its nested variables.
    notes : tuple of str
        What was averaged, held or found nested.
    """
    keep = list(dict.fromkeys([*chosen, *by]))
    for name in keep:
        _check_levels(grid, name)
    nesting = find_nesting(grid, spec)
    means = marginal_average(grid, nesting, keep, weights)
    holders = [outer for name in by for outer in nesting.get(name, ())]
    families = tuple(dict.fromkeys([*by, *holders]))
    return means, families, grid_notes(spec, grid, means, nesting, weights)


def read_names(spec: DesignSpec, variables: Any, argument: str) -> tuple[str, ...]:
    """Read ``"f"``, ``["f", "g"]`` or ``"f:g"``; None is no variable at all."""
    if variables is None:
        return ()
    known = {predictor.name for predictor in spec.predictors.columns}
    is_one = isinstance(variables, str) or not isinstance(variables, Iterable)
    given = [variables] if is_one else list(variables)
    names: list[str] = []
    for name in given:
        is_product = isinstance(name, str) and ":" in name and name not in known
        names.extend(part.strip() for part in name.split(":")) if is_product else names.append(name)
    for name in names:
        predictor_named(spec, name, argument)
    return tuple(dict.fromkeys(names))


def _check_levels(grid: Grid, name: str) -> None:
    """Refuse a numeric variable held at its mean: it has no levels to average at."""
    level = grid.levels[name][0]
    if len(grid.levels[name]) > 1 or not isinstance(level, float):
        return
    raise OptionError(
        f"`{name}` is numeric and held at one value, so it has no levels to compare.",
        got=f"`{name}` at {level:g}",
        suggestion=f'`at={{"{name}": [...]}}` with the values wanted, or '
        f'`marginal_slopes("{name}")`',
        argument="variables",
        variable=name,
    )


def check_weights(weights: str) -> None:
    """Raise unless ``weights`` is a way to average."""
    if isinstance(weights, str) and weights in WEIGHTS:
        return
    closest = closest_name(str(weights), tuple(WEIGHTS))
    raise OptionError(
        f"`weights={weights!r}` is not a way to average.",
        got=f"available: {', '.join(WEIGHTS)}",
        suggestion=f'`weights="{closest or "equal"}"`',
        argument="weights",
        value=weights,
        closest=closest,
        available=tuple(WEIGHTS),
    )


def _response_note(spec: DesignSpec) -> tuple[str, ...]:
    atom = spec.formula.response_atom
    if atom is None or atom.method == "lookup":
        return ()
    return (f"Means of {spec.response_name}: they are not transformed back.",)


def grid_notes(
    spec: DesignSpec, grid: Grid, means: Grid, nesting: Nesting, weights: str
) -> tuple[str, ...]:
    """Say what was averaged over, held fixed, or nested."""
    averaged_over = [n for n in grid.names if n not in means.names and len(grid.levels[n]) > 1]
    held = [n for n in grid.names if n not in means.names and len(grid.levels[n]) == 1]
    notes = []
    if averaged_over:
        notes.append(f"Averaged over {listed(averaged_over)} (weights: {weights}).")
    if held:
        values = [f"{name} = {_short(grid.levels[name][0])}" for name in held]
        notes.append(f"Held at {listed(values)}.")
    notes += [f"{inner} is nested in {listed(outer)}." for inner, outer in nesting.items()]
    shown = set(means.names)
    for term in spec.fixed_terms:
        columns = set(term.variables)
        if columns & shown and columns & set(averaged_over) - set(nesting):
            notes.append(f"{term.label} is in the model: the averages hide how its effects differ.")
    return tuple(notes)


def _short(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
