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
from lmmformula.engine import BlockedSystem, Estimates
from lmmformula.engine.prediction import ErrorForms, TargetRows, joint_covariance, target_rows
from lmmformula.errors import DataError, DataWarning
from lmmformula.matrices import RandomBlock
from lmmformula.postfit.predict import NO_FREEDOM, linear_predictor, predict_rows

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
    """

    index: pd.Index[Any]
    predicted: FloatArray
    rows: TargetRows
    residual: FloatArray


def fitted_forms(design: Design, estimates: Estimates, system: BlockedSystem) -> ErrorForms:
    """Errors of the fitted values, in units of sigma^2."""
    m = design.matrices
    joint = joint_covariance(system, estimates.theta, estimates.criterion == "REML")
    return joint.forms(target_rows(system, m.X, dict(enumerate(m.random))))


def hat_values(design: Design, estimates: Estimates, system: BlockedSystem) -> FloatArray:
    """Diagonal of the matrix that takes the response to the fitted values, as lme4's."""
    total = fitted_forms(design, estimates, system).total
    weights = design.matrices.weights
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
    system: BlockedSystem,
    groups: Collection[str],
    *,
    observation: bool,
) -> Target:
    """The fitted rows as targets."""
    m = design.matrices
    blocks = {}
    for index, block in enumerate(m.random):
        if block.group in groups:
            blocks[index] = block
        elif observation:
            blocks[index] = _unknown(block, block.z)
    return Target(
        design.spec.index,
        linear_predictor(design, estimates, groups),
        target_rows(system, m.X, blocks),
        _residual(m.weights, np.ones(m.n_obs, dtype=bool), observation),
    )


def new_target(
    design: Design,
    estimates: Estimates,
    system: BlockedSystem,
    newdata: Any,
    groups: Collection[str],
    *,
    new_levels: str,
    observation: bool,
) -> Target:
    """Rows of new data as targets.

    Notes
    -----
    An observation has the random effects that its prediction leaves out: they are those of a level
    drawn anew, and only their columns are needed, not their grouping factor.
    """
    rows, predicted = predict_rows(design, estimates, newdata, groups, new_levels=new_levels)
    replayed = iter(rows.random)
    blocks = {}
    for index, block in enumerate(design.matrices.random):
        if block.group in groups:
            blocks[index] = next(replayed)
        elif observation:
            item = design.spec.random[index]
            # The term's effects, encoded as if they were the fixed ones: no levels are asked for.
            part = replace(design.spec, part=item.part, encoding=item.encoding)
            blocks[index] = _unknown(block, part.replay(newdata, random=()).X)
    if observation and rows.weights is None and design.matrices.weights is not None:
        _warn_weights(design.spec.weights_name)
    return Target(
        rows.index,
        predicted,
        target_rows(system, rows.X, blocks),
        _residual(rows.weights, rows.complete, observation),
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
