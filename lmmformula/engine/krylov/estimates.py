"""Estimates of the Krylov engine, with the likelihood's Monte Carlo error."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from lmmformula._arrays import FloatArray
from lmmformula.engine.estimates import Estimates, estimates_at, modes, modes_in_columns
from lmmformula.engine.information import VarianceInformation, information_at
from lmmformula.engine.krylov.evaluation import Accuracy, KrylovEvaluation
from lmmformula.engine.krylov.lanczos import LogDeterminant
from lmmformula.engine.krylov.objective import KrylovObjective
from lmmformula.engine.krylov.system import KrylovSystem
from lmmformula.engine.monte_carlo import MonteCarlo
from lmmformula.engine.objective import Point

__all__ = ["estimates_of", "information_of", "with_likelihood"]

FEWEST, MOST = 16, 256
OBJECTIVE_ERROR = 0.02
"""Monte Carlo standard error of the criterion at which no more probes are drawn."""


def estimates_of(
    system: KrylovSystem, theta: FloatArray, reml: bool = True, seed: int = 0
) -> Estimates:
    """Estimates at a given theta; nothing is optimized.

    Parameters
    ----------
    system : KrylovSystem
    theta : ndarray, shape (n_theta,)
    reml : bool, default True
    seed : int, default 0
        Source of the probes of the log-determinant.

    Raises
    ------
    DimensionError
        ``theta`` has the wrong length.
    NumericalError
        The criterion cannot be computed there.
    """
    objective = KrylovObjective(system, reml, Accuracy(n_probes=0, seed=seed))
    with objective.threads():
        point = objective.unjudged(objective.phi_from_theta(theta))
        return with_likelihood(point, np.zeros(system.n_theta), n_probes=0, precision=0.0)


def with_likelihood(
    point: Point, theta_error: FloatArray, *, n_probes: int, precision: float
) -> Estimates:
    """Estimates at a point, the log-determinant computed with as many probes as it takes.

    Parameters
    ----------
    point : Point
        Its value becomes the criterion.
    theta_error : ndarray, shape (n_theta,)
    n_probes : int
    precision : float
        What is to be recorded of the fit.
    """
    evaluation: Any = point.evaluation
    draws = np.zeros(0)
    if np.isfinite(point.value):
        seed = evaluation.accuracy.seed
        logdet = LogDeterminant(evaluation.operator, seed)
        draws = logdet.draws(range(FEWEST))
        while len(draws) < MOST and _error(draws) > OBJECTIVE_ERROR:
            wanted = len(draws) * (_error(draws) / OBJECTIVE_ERROR) ** 2
            n = int(min(np.ceil(min(wanted, 4.0 * len(draws))), MOST))
            draws = np.concatenate([draws, logdet.draws(range(len(draws), n))])
        evaluation.with_logdet(logdet.exact + float(np.mean(draws)))
        point.value = evaluation.value
    estimates = estimates_at(point)
    record = MonteCarlo(
        draws=draws,
        theta_error=theta_error,
        n_probes=n_probes,
        precision=precision,
        seed=evaluation.accuracy.seed,
    )
    return replace(estimates, monte_carlo=record)


def _error(draws: FloatArray) -> float:
    return float(np.std(draws, ddof=1) / np.sqrt(len(draws)))


def information_of(
    system: KrylovSystem, theta: FloatArray, reml: bool = True
) -> VarianceInformation:
    """Joint uncertainty of the variance parameters from the average information."""
    objective = KrylovObjective(system, reml)
    return information_at(objective.evaluate(objective.phi_from_theta(theta)))


@modes.register
def _(evaluation: KrylovEvaluation) -> tuple[FloatArray, ...]:
    return modes_in_columns(evaluation.system, evaluation.modes_by_factor)
