"""Fitted values, residuals and predictions."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np
import pandas as pd

from lmmformula._arrays import FloatArray
from lmmformula.design import Design, NewRows
from lmmformula.design.notify import notify
from lmmformula.engine import Estimates
from lmmformula.errors import DataError, DataWarning, OptionError
from lmmformula.matrices import RandomBlock
from lmmformula.postfit.kriging import with_new_places
from lmmformula.postfit.relatives import with_relatives
from lmmformula.postfit.residual_structure import ResidualStructure

__all__ = [
    "NO_FREEDOM",
    "RESIDUAL_KINDS",
    "check_new_levels",
    "linear_predictor",
    "predict",
    "predict_rows",
    "random_part",
    "residuals",
    "resolve_groups",
]

RESIDUAL_KINDS: dict[str, str] = {
    "response": "observed less fitted",
    "pearson": "response residuals times the square root of the prior weights (times sigma over "
    "the row's standard deviation)",
    "scaled": "Pearson residuals over sigma",
    "marginal": "observed less the fixed part",
    "working": "as response",
    "deviance": "as Pearson",
    "standardized": "scaled residuals over the square root of one less their leverage",
    "normalized": "made uncorrelated with variance one, by the residuals' structure",
    "studentized": "as standardized; what R's `rstudent` gives for a linear mixed model",
}

_MANY = 5
NO_FREEDOM = 1e-9
"""A row with less than this left of its residual determines its own fitted value."""


def random_part(
    blocks: Sequence[RandomBlock], modes: Sequence[FloatArray], n_rows: int
) -> FloatArray:
    """Sum of the random effects in every row; a level unknown at fitting time adds nothing."""
    total = np.zeros(n_rows)
    for block, b in zip(blocks, modes, strict=True):
        if block.n_effects == 1:
            part = block.z[:, 0] * b[block.codes, 0]
        else:
            part = np.einsum("ij,ij->i", block.z, b[block.codes])
        total += np.where(block.codes >= 0, part, 0.0) if (block.codes < 0).any() else part
    return total


def linear_predictor(design: Design, estimates: Estimates, groups: Collection[str]) -> FloatArray:
    """Sum the fixed part, the offset and the random effects of ``groups`` in the fitted rows."""
    m = design.matrices
    eta = np.asarray(m.X @ estimates.beta)
    if m.offset is not None:
        eta = eta + m.offset
    picked = [i for i, block in enumerate(m.random) if block.group in groups]
    if picked:
        eta = eta + random_part(
            [m.random[i] for i in picked], [estimates.random[i] for i in picked], m.n_obs
        )
    return eta


def residuals(
    design: Design,
    estimates: Estimates,
    kind: str,
    leverage: Callable[[], FloatArray] | None = None,
    structure: ResidualStructure | None = None,
) -> FloatArray:
    """Residuals of one of ``RESIDUAL_KINDS``.

    Parameters
    ----------
    design, estimates : Design, Estimates
        The fit.
    kind : str
        A key of ``RESIDUAL_KINDS``.
    leverage : callable, optional
        Computes the hat values, which the standardized ones need.
    structure : ResidualStructure, optional
        Covariance of the residuals, where they are not independent with equal variances.
    """
    if kind not in RESIDUAL_KINDS:
        raise OptionError(
            f"`kind={kind!r}` is not a kind of residual.",
            got=f"available: {', '.join(RESIDUAL_KINDS)}",
            suggestion='`residuals(kind="pearson")`',
            available=tuple(RESIDUAL_KINDS),
        )
    m = design.matrices
    groups = () if kind == "marginal" else {block.group for block in m.random}
    raw = m.y - linear_predictor(design, estimates, groups)
    if kind in ("response", "working", "marginal"):
        return np.asarray(raw)
    if structure is not None:
        if kind == "normalized":
            return structure.normalized(raw)
        raw = raw * (estimates.sigma / structure.sd)
    elif m.weights is not None:
        raw = raw * np.sqrt(m.weights)
    if kind in ("pearson", "deviance"):
        return np.asarray(raw)
    raw = raw / estimates.sigma
    is_done = kind in ("scaled", "normalized")
    return np.asarray(raw if is_done else _standardized(raw, leverage))


def _standardized(scaled: FloatArray, leverage: Callable[[], FloatArray] | None) -> FloatArray:
    """Unit variance for every row: Var(residual) = sigma^2 (1 - h) whatever the random effects."""
    assert leverage is not None
    left = 1.0 - leverage()
    return np.asarray(scaled / np.sqrt(np.where(left > NO_FREEDOM, left, np.nan)))


def resolve_groups(random: Any, available: Sequence[str]) -> tuple[str, ...]:
    """Read ``random=``: "all", "none" or a list of grouping factors."""
    if isinstance(random, str) and random in ("all", "none"):
        return tuple(available) if random == "all" else ()
    if random is None or isinstance(random, str) or not isinstance(random, Collection):
        raise OptionError(
            '`random` must be "all", "none" or a list of grouping factors.',
            got=f"`random={random!r}`; grouping factors: {', '.join(available) or 'none'}",
            suggestion=_groups_advice(available),
            available=tuple(available),
        )
    unknown = [name for name in random if name not in available]
    if unknown:
        raise OptionError(
            f"`{unknown[0]}` is not a grouping factor of the model.",
            got=f"grouping factors: {', '.join(available) or 'none'}",
            suggestion=_groups_advice(available),
            available=tuple(available),
        )
    return tuple(name for name in available if name in random)


def _groups_advice(available: Sequence[str]) -> str:
    return f'`random=["{available[0]}"]`' if available else '`random="none"`'


def check_new_levels(new_levels: str) -> None:
    """Raise unless ``new_levels`` is a known way to treat levels that were not fitted."""
    if new_levels not in ("raise", "zero"):
        raise OptionError(
            f"`new_levels={new_levels!r}` is not a way to treat new levels.",
            suggestion='`new_levels="raise"` or `new_levels="zero"`',
            available=("raise", "zero"),
        )


def predict(
    design: Design,
    estimates: Estimates,
    newdata: Any,
    groups: Sequence[str],
    *,
    new_levels: str = "raise",
) -> pd.Series:
    """Predict rows that were not fitted.

    Parameters
    ----------
    design : Design
        Replays the encoding of the fitted data.
    estimates : Estimates
        Fixed effects and conditional modes.
    newdata : frame or dict
        Rows to predict.
    groups : sequence of str
        Grouping factors whose random effects are added.
    new_levels : {"raise", "zero"}
        What a level that was not in the fitted data does.

    Returns
    -------
    Series
        With the index of ``newdata``; NaN where a variable is missing.
    """
    rows, eta = predict_rows(design, estimates, newdata, groups, new_levels=new_levels)
    return pd.Series(eta, index=rows.index, name="predicted")


def predict_rows(
    design: Design,
    estimates: Estimates,
    newdata: Any,
    groups: Collection[str],
    *,
    new_levels: str,
) -> tuple[NewRows, FloatArray]:
    """Encode new rows and predict them; arguments as ``predict``."""
    rows = design.spec.replay(newdata, random=groups)
    if new_levels == "raise":
        _refuse_unseen(rows.unseen)
    eta = np.asarray(rows.X @ estimates.beta)
    blocks, modes = _effects_of(design, estimates, rows)
    eta = eta + random_part(blocks, modes, len(eta))
    if rows.offset is not None:
        eta = eta + rows.offset
    if design.spec.has_array_offset:
        _warn_offset()
    eta[~rows.complete] = np.nan
    return rows, eta


def _effects_of(
    design: Design, estimates: Estimates, rows: NewRows
) -> tuple[tuple[RandomBlock, ...], list[FloatArray]]:
    """Replayed terms and their conditional modes, by grouping factor in the fitted order."""
    wanted = {block.group for block in rows.random}
    fitted = [i for i, block in enumerate(design.matrices.random) if block.group in wanted]
    blocks = with_new_places(rows, [estimates.templates[i] for i in fitted])
    modes = [estimates.random[i] for i in fitted]
    return blocks, [with_relatives(block, b) for block, b in zip(blocks, modes, strict=True)]


def _refuse_unseen(unseen: dict[str, list[str]]) -> None:
    for group, labels in unseen.items():
        if not labels:
            continue
        shown = ", ".join(f"`{label}`" for label in labels[:_MANY])
        more = f" and {len(labels) - _MANY} more" if len(labels) > _MANY else ""
        raise DataError(
            f"the new data have levels of `{group}` that the fitted data do not have.",
            got=f"{shown}{more}",
            suggestion='`new_levels="zero"`, which predicts them at the mean of the population',
            column=group,
            levels=tuple(labels),
        )


def _warn_offset() -> None:
    notify(
        DataWarning(
            "predictions for new data leave the offset out that was given as an array.",
            got="no column of the new data is known to hold it",
            suggestion='`offset="column"` when fitting, or `offset(column)` in the formula',
        )
    )
