"""Sentences that a summary adds to its numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from lmmformula.design import DesignSpec
from lmmformula.engine import MonteCarlo
from lmmformula.engine.method import Plan
from lmmformula.errors import ConvergenceWarning, DesignWarning
from lmmformula.optimize import Optimum, OptimumStatus
from lmmformula.postfit.singular import Singularity

if TYPE_CHECKING:
    from lmmformula.matrices import ModelMatrices

__all__ = [
    "convergence_warning",
    "data_remarks",
    "engine_remarks",
    "engine_warning",
    "fit_remarks",
    "status_text",
]


NO_ERROR = 1e-9

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


def engine_remarks(monte_carlo: MonteCarlo | None) -> tuple[str, ...]:
    """Say how exact the numbers are where an engine used random probes."""
    if monte_carlo is None:
        return ()
    largest = float(np.max(monte_carlo.theta_error, initial=0.0))
    if max(largest, monte_carlo.objective_error) < NO_ERROR:
        return ("Krylov engine; levels are so few that nothing rests on random probes.",)
    probes = f"{monte_carlo.n_probes} probes per grouping factor, seed {monte_carlo.seed}"
    return (
        f"Krylov engine ({probes}). Monte Carlo standard errors: criterion "
        f"{monte_carlo.objective_error:.2g}, covariance parameters at most {largest:.1g} of their "
        "standard errors; coefficients have none of their own.",
    )


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


def engine_warning(plan: Plan) -> DesignWarning:
    """Say that a model is too large for the exact engine, and what fits it instead."""
    return DesignWarning(
        "the grouping factors cross so widely that the exact engine would not do; the model is "
        'fitted by Krylov methods with random probes (`method="krylov"`).',
        got=" ".join(plan.reasons),
        suggestion='`fit(method="krylov")` says so itself; `model.explain()` has the sizes',
        method=plan.method,
    )


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
