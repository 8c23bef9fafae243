"""Marginal slopes: derivatives of the linear predictor in a numeric variable, averaged."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from lmmformula.design import DesignSpec
from lmmformula.design.predictors import Predictor
from lmmformula.errors import DataError, OptionError
from lmmformula.inference.marginal.estimates import MarginalEstimates
from lmmformula.inference.marginal.grid import Combinations, Grid
from lmmformula.inference.marginal.means import averaged, check_weights, read_names
from lmmformula.inference.marginal.reference_grid import (
    predictor_named,
    reference_grid,
    replayed,
)

__all__ = ["marginal_slopes"]

STEPS = (1e-3, 1e-7)
"""Steps of the central difference, in units of the variable's extent; the second one where the
first leaves the domain of a transform."""


def marginal_slopes(
    results: Any,
    variable: Any,
    *,
    by: Any,
    at: Mapping[str, Any] | None,
    weights: str,
    ddf: str,
    alpha: float,
) -> MarginalEstimates:
    """Estimate marginal slopes; see ``LinearMixedResults.marginal_slopes``."""
    spec = results.design.spec
    check_weights(weights)
    predictor = predictor_named(spec, variable, "variable")
    _check_numeric(predictor)
    grid = reference_grid(spec, at)
    rows = _derivative(spec, grid, predictor)
    grid = Grid(grid.levels, grid.codes, rows, grid.counts)
    chosen = read_names(spec, by, "by")
    slopes, _, notes = averaged(spec, grid, chosen, (), weights)
    return MarginalEstimates(
        "slope",
        slopes,
        (),
        results.approximation(ddf),
        ddf=ddf,
        alpha=alpha,
        title=f"Marginal slopes of {spec.response_name} in {predictor.name}",
        notes=notes,
    )


def _check_numeric(predictor: Predictor) -> None:
    if not predictor.is_factor and not isinstance(predictor.mean, np.datetime64):
        return
    raise OptionError(
        f"`{predictor.name}` is not numeric, so it has no slope.",
        got=f"levels {', '.join(map(str, predictor.levels[:6]))}"
        if predictor.is_factor
        else "datetimes",
        suggestion=f'`marginal_means("{predictor.name}").contrasts("pairwise")`',
        argument="variable",
        variable=predictor.name,
    )


def _derivative(spec: DesignSpec, grid: Grid, predictor: Predictor) -> Combinations:
    """Central differences of the replayed rows, extrapolated: exact up to fourth powers."""
    extent = predictor.extent or 1.0
    for step in STEPS:
        wide = _difference(spec, grid, predictor.name, step * extent)
        if np.isfinite(wide.L).all():
            near = _difference(spec, grid, predictor.name, step * extent / 2)
            L, excess, offset = (
                (4.0 * fine - coarse) / 3.0
                for fine, coarse in (
                    (near.L, wide.L),
                    (near.excess, wide.excess),
                    (near.offset, wide.offset),
                )
            )
            return Combinations(L, excess * extent, offset)
    raise DataError(
        f"the fixed effects have no derivative in `{predictor.name}` at these values.",
        got=f"values {', '.join(f'{v:g}' for v in grid.levels[predictor.name][:6])}",
        suggestion=f'`at={{"{predictor.name}": [...]}}` with values inside its range',
        column=predictor.name,
    )


def _difference(spec: DesignSpec, grid: Grid, name: str, h: float) -> Combinations:
    up = replayed(spec, grid.levels, grid.codes, shift=(name, h))
    down = replayed(spec, grid.levels, grid.codes, shift=(name, -h))
    return Combinations(
        (up.L - down.L) / (2 * h),
        (up.excess - down.excess) / (2 * h),
        (up.offset - down.offset) / (2 * h),
    )
