"""One fit: a system and an optimizer in, the optimum and its estimates out."""

from __future__ import annotations

import numpy as np

from lmmformula._arrays import FloatArray
from lmmformula.engine import AnySystem, Estimates, Objective, estimates_at
from lmmformula.engine.krylov import KrylovSystem
from lmmformula.engine.partitioned.system import PartitionedSystem
from lmmformula.errors import OptionError
from lmmformula.optimize.krylov import fit_krylov
from lmmformula.optimize.newton import Newton
from lmmformula.optimize.records import Callback, Optimizer, Optimum, OptimumStatus
from lmmformula.optimize.registry import resolve_optimizer
from lmmformula.optimize.unbounded import no_residual

__all__ = ["minimize"]


def minimize(
    system: AnySystem,
    reml: bool = True,
    *,
    start: FloatArray | float | None = None,
    optimizer: str | Optimizer | None = None,
    callback: Callback | None = None,
    precision: float = 0.01,
    seed: int = 0,
) -> tuple[Optimum, Estimates]:
    """Minimize the profiled criterion and compute the estimates at the end.

    Parameters
    ----------
    system : BlockedSystem or AlternativeSystem
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
    precision, seed
        For engines with random probes: the Monte Carlo error allowed in theta, in standard
        errors, and the source of the probes.

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
    if isinstance(system, KrylovSystem):
        _check_default(optimizer)
        return fit_krylov(
            system, reml, start=start, precision=precision, seed=seed, callback=callback
        )
    divided = system if isinstance(system, PartitionedSystem) else None
    objective = Objective(system, reml) if divided is None else divided.objective(reml)
    with objective.threads():
        minimizer = settings if objective.n_phi else Newton()
        solution = minimizer.minimize(objective, _first(objective, start), callback)
        if solution.status is OptimumStatus.UNBOUNDED:
            raise no_residual(system)
        estimates = estimates_at(solution.point)
        if divided is not None:
            divided.settle(estimates)
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


def _first(objective: Objective, start: FloatArray | float | None) -> FloatArray:
    """Where to start, in the optimizer's parameters."""
    if start is None or np.ndim(start) == 0:
        return objective.start(None if start is None else float(np.asarray(start)))
    return objective.phi_from_theta(np.asarray(start))


def _check_default(optimizer: str | Optimizer | None) -> None:
    """Raise where an optimizer is chosen that would have to compare values of the criterion."""
    if optimizer is not None:
        raise OptionError(
            "the Krylov engine judges its steps by the gradient, and has an optimizer of its own.",
            got=f"`optimizer={optimizer!r}`",
            suggestion='leave `optimizer` out, or `method="exact"`',
            option="optimizer",
        )
