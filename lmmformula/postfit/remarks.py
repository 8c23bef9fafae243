"""Sentences that a summary adds to its numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lmmformula.design import DesignSpec
from lmmformula.errors import ConvergenceWarning
from lmmformula.optimize import Optimum, OptimumStatus
from lmmformula.postfit.singular import Singularity

if TYPE_CHECKING:
    from lmmformula.matrices import ModelMatrices

__all__ = ["convergence_warning", "data_remarks", "fit_remarks", "status_text"]


_ADVICE = {
    OptimumStatus.MAX_EVALUATIONS: "`optimizer=lmmformula.optimize.Newton(max_evaluations=1000)`; "
    "look at `results.optimum.trace`",
    OptimumStatus.NOT_IDENTIFIED: "leave out a random-effects term or an effect that repeats "
    "another; coefficients and predictions are valid, single variances are not",
    OptimumStatus.SADDLE: "`start=0.1` and `start=3.0`, and compare the criteria",
    OptimumStatus.NO_RESIDUAL: "say so in the model: the same structure among the residuals, such "
    'as `residual="ar1(visit | Subject)"`, has no second residual variance to estimate',
    OptimumStatus.STALLED: "centre predictors that are far from zero beside their spread; "
    '`start=1.0`, or `optimizer="lbfgsb"` for a second opinion; look at `results.optimum.trace`',
}


def status_text(status: OptimumStatus, is_singular: bool) -> str:
    """Describe the state of the fit in a few words."""
    text = "at a given theta" if status is OptimumStatus.FIXED else status.value.replace("_", " ")
    return f"{text}, singular fit" if is_singular else text


def fit_remarks(status: OptimumStatus, found: Sequence[Singularity]) -> tuple[str, ...]:
    """Say what must be known before any number is read."""
    remarks = []
    if status not in (OptimumStatus.CONVERGED, OptimumStatus.FIXED):
        remarks.append(f"Not converged: {status.message}.")
    if found:
        remarks.append(f"Singular fit: {'; '.join(item.sentence for item in found)}.")
    return tuple(remarks)


def data_remarks(spec: DesignSpec, matrices: ModelMatrices) -> tuple[str, ...]:
    """Say what was left out of the data, and what was weighted or offset."""
    remarks = []
    count = len(spec.dropped_rows)
    if count:
        rows = "1 row" if count == 1 else f"{count} rows"
        remarks.append(f"Left out {rows} with missing values.")
    if spec.dropped_columns:
        names = ", ".join(spec.dropped_columns)
        remarks.append(f"Dropped because other columns determine them: {names}.")
    if matrices.weights is not None:
        remarks.append(f"Prior weights: {spec.weights_name or 'given as an array'}.")
    if matrices.offset is not None:
        parts = [*spec.formula.offsets, *([spec.offset_name] if spec.offset_name else [])]
        if spec.has_array_offset:
            parts.append("given as an array")
        remarks.append(f"Offset: {', '.join(parts)}.")
    return tuple(remarks)


def convergence_warning(optimum: Optimum) -> ConvergenceWarning:
    """Put the outcome of the optimizer into the house's form."""
    return ConvergenceWarning(
        "the optimizer did not prove a minimum; the estimates may not be optimal.",
        got=f"status {optimum.status.value} ({optimum.status.message}) after "
        f"{optimum.n_evaluations} evaluations; gradient {optimum.gradient_norm:.1e}, smallest "
        f"eigenvalue {optimum.min_eigenvalue:.1e}",
        suggestion=_ADVICE.get(optimum.status, _ADVICE[OptimumStatus.STALLED]),
        status=optimum.status,
    )
