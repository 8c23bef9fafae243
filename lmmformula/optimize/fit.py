"""One fit: a system and an optimizer in, the optimum and its estimates out."""

from __future__ import annotations

import numpy as np

from lmmformula._arrays import FloatArray
from lmmformula.engine import BlockedSystem, Estimates, Objective, estimates_at
from lmmformula.errors import DesignError
from lmmformula.optimize.newton import Newton
from lmmformula.optimize.records import Callback, Optimizer, Optimum, OptimumStatus
from lmmformula.optimize.registry import resolve_optimizer

__all__ = ["minimize"]


def minimize(
    system: BlockedSystem,
    reml: bool = True,
    *,
    start: FloatArray | float | None = None,
    optimizer: str | Optimizer | None = None,
    callback: Callback | None = None,
) -> tuple[Optimum, Estimates]:
    """Minimize the profiled criterion and compute the estimates at the end.

    Parameters
    ----------
    system : BlockedSystem
        Not modified.
    reml : bool, default True
        Restricted likelihood.
    start : ndarray, shape (n_theta,), or float, optional
        Starting theta, or a multiple of the identity in working units; by default moments of the
        regression residuals.
    optimizer : str or Optimizer, optional
        A name of ``optimize.OPTIMIZERS`` or its settings.
    callback : callable, optional
        Called with a ``Step`` after every evaluation.

    Raises
    ------
    OptionError
        An unknown optimizer.
    DimensionError
        ``start`` has the wrong length.
    NumericalError
        The criterion cannot be computed at the start.
    DesignError
        The random effects reproduce the response, so that the residual variance goes to zero.
    """
    settings = resolve_optimizer(optimizer)
    objective = Objective(system, reml)
    with objective.threads():
        if start is None or np.ndim(start) == 0:
            phi = objective.start(None if start is None else float(np.asarray(start)))
        else:
            phi = objective.phi_from_theta(np.asarray(start))
        minimizer = settings if objective.n_phi else Newton()
        solution = minimizer.minimize(objective, phi, callback)
        if solution.status is OptimumStatus.UNBOUNDED:
            raise _no_residual(system)
        estimates = estimates_at(solution.point)
    optimum = Optimum(
        theta=estimates.theta,
        objective=estimates.objective,
        status=solution.status,
        n_evaluations=objective.n_evaluations,
        gradient_norm=solution.gradient_norm,
        min_eigenvalue=solution.min_eigenvalue,
        trace=solution.trace,
        settings=settings,
    )
    return optimum, estimates


def _no_residual(system: BlockedSystem) -> DesignError:
    """The criterion is unbounded below."""
    terms = " + ".join(term.text for term in system.terms)
    return DesignError(
        f"the fixed effects and {terms} reproduce the response exactly, so no residual variance is "
        "left to estimate.",
        got="a likelihood that grows without end as the residual variance goes to zero",
        suggestion="check for rows that repeat one measurement, or drop a random-effects term",
    )
