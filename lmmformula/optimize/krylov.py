"""A fit by the Krylov engine: Newton steps by the gradient, probes as the precision asks."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
from scipy.special import chdtri

from lmmformula._arrays import FloatArray
from lmmformula.engine import Estimates
from lmmformula.engine.krylov import Accuracy, KrylovObjective, KrylovSystem, with_likelihood
from lmmformula.errors import OptionError
from lmmformula.optimize.newton import Newton
from lmmformula.optimize.records import Callback, Optimum, OptimumStatus, Solution, Step
from lmmformula.optimize.unbounded import no_residual

__all__ = ["fit_krylov"]

FEWEST_PROBES, MOST_PROBES = 8, 1024
GROWTH, MARGIN = 8.0, 1.2
SETTLED = 0.05
"""Distance to the optimum at which to stop, in units of the precision."""
CONFIDENCE = 0.9
"""With which Monte Carlo errors are bounded: a few probes say little of their own spread, and those
that happen to agree would end the search."""
FLAT = 1e-8
DIFFERENCE = 1e-5


def fit_krylov(
    system: KrylovSystem,
    reml: bool = True,
    *,
    start: FloatArray | float | None = None,
    precision: float = 0.01,
    seed: int = 0,
    callback: Callback | None = None,
) -> tuple[Optimum, Estimates]:
    """Find the optimum by Newton steps whose traces are estimated with random probes.

    Parameters
    ----------
    system : KrylovSystem
        Not modified.
    reml : bool, default True
        Restricted likelihood.
    start : ndarray, shape (n_theta,), or float, optional
        Starting theta, or a multiple of the identity in working units; by default moments of the
        regression residuals.
    precision : float, default 0.01
        Largest Monte Carlo standard error of theta, in units of its statistical standard error;
        probes are added until it is reached.
    seed : int, default 0
        Source of the probes: the same seed gives the same numbers.
    callback : callable, optional
        Called with a ``Step`` after every evaluation.

    Returns
    -------
    Optimum
        ``min_eigenvalue`` is that of the average information, and the trace's ``objective`` is the
        criterion less its value at the first point, as far as the gradients know it.
    Estimates
        With ``monte_carlo``.

    Raises
    ------
    OptionError
        A precision that is not positive, or a seed that is not a whole number.
    DimensionError
        ``start`` has the wrong length.
    NumericalError
        The solver does not converge, or the criterion cannot be computed at the start.
    DesignError
        The random effects reproduce the response, so that the residual variance goes to zero.
    """
    _check(precision, seed)
    accuracy = Accuracy(
        n_probes=FEWEST_PROBES,
        seed=seed,
        tolerance=min(1e-4 * precision, 1e-5),
        form_tolerance=min(1e-2 * precision, 1e-3),
    )
    tolerance = (SETTLED * precision) ** 2
    objective = KrylovObjective(system, reml, accuracy, rounding=tolerance)
    settings = Newton(tolerance=tolerance)
    with objective.threads():
        phi = _start(objective, start)
        trace: tuple[Step, ...] = ()
        while True:
            solution = settings.minimize(objective, phi, callback)
            if solution.status is OptimumStatus.UNBOUNDED:
                raise no_residual(system)
            trace += solution.trace
            n_probes = objective.accuracy.n_probes
            caution = math.sqrt((n_probes - 1) / float(chdtri(n_probes - 1, CONFIDENCE)))
            worst, theta_error = _monte_carlo(objective, solution.point)
            worst, theta_error = caution * worst, caution * theta_error
            wanted = n_probes * min(MARGIN * (worst / precision) ** 2, GROWTH)
            if worst <= precision or n_probes >= MOST_PROBES:
                break
            n_probes = min(math.ceil(wanted), MOST_PROBES)
            objective.restarted(replace(objective.accuracy, n_probes=n_probes))
            phi = solution.point.phi
        estimates = _estimates(objective, solution.point, theta_error, precision)
    return _optimum(objective, solution, trace, estimates, settings), estimates


def _check(precision: float, seed: int) -> None:
    if not (np.isfinite(precision) and precision > 0.0):
        raise OptionError(
            "the precision of a Krylov fit is a positive number of standard errors.",
            got=f"precision={precision!r}",
            suggestion="precision=0.01",
        )
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise OptionError(
            "the seed of a Krylov fit is a whole number that is not negative.",
            got=f"seed={seed!r}",
            suggestion="seed=0",
        )


def _start(objective: KrylovObjective, start: FloatArray | float | None) -> FloatArray:
    if start is None or np.ndim(start) == 0:
        return objective.start(None if start is None else float(np.asarray(start)))
    return objective.phi_from_theta(np.asarray(start))


def _monte_carlo(objective: KrylovObjective, point: Any) -> tuple[float, FloatArray]:
    """Monte Carlo error in statistical standard errors: in the worst direction, and of theta."""
    directions = point.effective
    information = directions.T @ point.hessian(exact=False) @ directions
    values, vectors = np.linalg.eigh(information)
    keep = values > FLAT * max(float(values.max(initial=0.0)), 1e-300)
    moves = directions @ (vectors[:, keep] / np.sqrt(values[keep]))  # statistical variance: 2
    noise = moves.T @ point.monte_carlo_covariance() @ moves
    worst = math.sqrt(max(float(np.linalg.eigvalsh(noise).max(initial=0.0)), 0.0) / 2.0)
    slopes = _slopes(objective, point.phi) @ moves
    size = np.sqrt(2.0 * np.sum(slopes**2, axis=1))
    error = np.sqrt(np.maximum(np.einsum("ti,ij,tj->t", slopes, noise, slopes), 0.0))
    return worst, np.asarray(np.divide(error, size, out=np.zeros_like(error), where=size > 0.0))


def _slopes(objective: KrylovObjective, phi: FloatArray) -> FloatArray:
    """Derivative of the user's theta in phi, (n_theta, n_phi)."""
    steps = DIFFERENCE * np.maximum(1.0, np.abs(phi))
    columns = [
        (objective.theta(phi + h * e) - objective.theta(phi - h * e)) / (2.0 * h)
        for h, e in zip(steps, np.eye(len(phi)), strict=True)
    ]
    return np.array(columns).reshape(len(phi), -1).T


def _estimates(
    objective: KrylovObjective, point: Any, theta_error: FloatArray, precision: float
) -> Estimates:
    """Everything but theta to full accuracy, at the theta found."""
    n_probes = objective.accuracy.n_probes
    tight = Accuracy(n_probes=n_probes, seed=objective.accuracy.seed)
    final = KrylovObjective(objective.system_of_krylov, objective.reml, tight).unjudged(point.phi)
    return with_likelihood(final, theta_error, n_probes=n_probes, precision=precision)


def _optimum(
    objective: KrylovObjective,
    solution: Solution,
    trace: tuple[Step, ...],
    estimates: Estimates,
    settings: Newton,
) -> Optimum:
    return Optimum(
        theta=estimates.theta,
        objective=estimates.objective,
        status=solution.status,
        n_evaluations=objective.n_evaluations,
        gradient_norm=solution.gradient_norm,
        min_eigenvalue=solution.min_eigenvalue,
        trace=trace,
        settings=settings,
    )
