"""Errors of predictions row by row: the rows, what they were told, and their hat values."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from lmmformula._arrays import BoolArray, FloatArray
from lmmformula.design import Design
from lmmformula.design.notify import notify
from lmmformula.engine import AnySystem, BlockedSystem, Estimates
from lmmformula.engine.prediction import ErrorForms, TargetRows, joint_covariance, target_rows
from lmmformula.errors import DataError, DataWarning
from lmmformula.matrices import RandomBlock
from lmmformula.postfit.effective_weights import weighted_fit
from lmmformula.postfit.predict import NO_FREEDOM, linear_predictor, predict_rows
from lmmformula.postfit.residual_structure import ResidualStructure

__all__ = ["Target", "cooks_distance", "fitted_forms", "fitted_target", "hat_values", "new_target"]


@dataclass(frozen=True, slots=True, eq=False)
class Target:
    """What an interval is for.

    Attributes
    ----------
    index : pandas.Index
    predicted : ndarray, shape (n,)
        Point predictions; NaN where a variable is missing.
    rows : TargetRows
        The rows, in the working basis.
    residual : ndarray, shape (n,)
        Residual variance in units of sigma^2: zero for a mean, 1 / weight for an observation.
    residual_slopes : ndarray, shape (n, m), or None
        Its derivatives in the parameters of structured residuals.
    """

    index: pd.Index[Any]
    predicted: FloatArray
    rows: TargetRows
    residual: FloatArray
    residual_slopes: FloatArray | None = None


def fitted_forms(design: Design, estimates: Estimates, system: BlockedSystem) -> ErrorForms:
    """Errors of the fitted values, in units of sigma^2."""
    m = design.matrices
    joint = joint_covariance(system, estimates.theta, estimates.criterion == "REML")
    return joint.forms(target_rows(system, m.X, dict(enumerate(m.random))))


def hat_values(
    design: Design,
    estimates: Estimates,
    system: BlockedSystem,
    structure: ResidualStructure | None = None,
    *,
    what: str = "the hat values",
) -> FloatArray:
    """Diagonal of the matrix that takes the response to the fitted values, as lme4's.

    Variance functions count at their estimates.

    Raises
    ------
    OptionError
        Residuals are correlated.
    """
    instead = '`residuals("normalized")`, which are uncorrelated with variance one'
    fit = weighted_fit(design, estimates, system, structure, what=what, instead=instead)
    total = fitted_forms(fit.design, fit.estimates, fit.system).total
    weights = fit.design.matrices.weights
    return total if weights is None else total * weights


def cooks_distance(pearson: FloatArray, hat: FloatArray, sigma: float, rank: int) -> FloatArray:
    """Cook's distance of single rows from Pearson residuals and hat values, as in lme4.

    NaN where a row determines its own fitted value, or there are no fixed effects.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        left = np.where(1.0 - hat > NO_FREEDOM, 1.0 - hat, np.nan)
        distance = (pearson / left / sigma) ** 2 * hat / rank
    return np.asarray(np.where(np.isfinite(distance), distance, np.nan))


def fitted_target(
    design: Design,
    estimates: Estimates,
    system: AnySystem,
    groups: Collection[str],
    *,
    observation: bool,
    structure: ResidualStructure | None = None,
) -> Target:
    """The fitted rows as targets."""
    m = design.matrices
    blocks = {}
    for index, block in enumerate(m.random):
        if block.group in groups:
            blocks[index] = block
        elif observation:
            blocks[index] = _unknown(block, block.z)
    residual, slopes = _residual(m.weights, np.ones(m.n_obs, dtype=bool), observation), None
    if structure is not None and observation:
        residual, slopes = structure.variance_slopes()
    return Target(
        design.spec.index,
        linear_predictor(design, estimates, groups),
        target_rows(system, m.X, blocks),
        residual,
        slopes,
    )


def new_target(
    design: Design,
    estimates: Estimates,
    system: AnySystem,
    newdata: Any,
    groups: Collection[str],
    *,
    new_levels: str,
    observation: bool,
    structure: ResidualStructure | None = None,
) -> Target:
    """Rows of new data as targets.

    Notes
    -----
    An observation has the random effects that its prediction leaves out: they are those of a level
    drawn anew, and only their columns are needed, not their grouping factor.
    """
    rows, predicted = predict_rows(design, estimates, newdata, groups, new_levels=new_levels)
    replayed = iter(zip(rows.random, rows.places, strict=True))
    blocks: dict[int, RandomBlock] = {}
    places: dict[int, FloatArray | None] = {}
    for index, block in enumerate(design.matrices.random):
        if block.group in groups:
            blocks[index], places[index] = next(replayed)
        elif observation:
            z, places[index] = design.spec.replay_effects(newdata, index)
            blocks[index] = _unknown(block, z)
    if observation and rows.weights is None and design.matrices.weights is not None:
        _warn_weights(design.spec.weights_name)
    residual, slopes = _residual(rows.weights, rows.complete, observation), None
    if structure is not None and observation:
        variances, slopes = structure.variance_slopes(design.spec.replay_residual(newdata))
        residual, slopes = residual * variances, residual[:, None] * slopes
    return Target(
        rows.index, predicted, target_rows(system, rows.X, blocks, places), residual, slopes
    )


def _unknown(block: RandomBlock, z: FloatArray) -> RandomBlock:
    """The term in rows of a level that was not fitted."""
    return replace(block, z=z, codes=np.full(len(z), -1, dtype=np.int32))


def _residual(weights: FloatArray | None, complete: BoolArray, observation: bool) -> FloatArray:
    if not observation:
        return np.zeros(len(complete))
    if weights is None:
        return np.ones(len(complete))
    bad = complete & (weights <= 0)
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise DataError(
            "weights of new observations must be positive.",
            got=f"{weights[row]:g} in row {row}",
            suggestion="the weight that the observation will have; 1 has the residual variance",
            row=row,
        )
    return 1.0 / weights


def _warn_weights(name: str | None) -> None:
    where = "they were given as an array" if name is None else f"there is no column `{name}`"
    notify(
        DataWarning(
            "new observations get a weight of one, because the new data do not have theirs.",
            got=where,
            suggestion='`weights="column"` when fitting, and that column in the new data',
        )
    )
