"""The Monte Carlo error of estimates that were computed with random probes."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from lmmformula._arrays import FloatArray

__all__ = ["MonteCarlo", "difference_error"]


@dataclass(frozen=True, slots=True, eq=False)
class MonteCarlo:
    """Error of a computation with random probes, and what it was made with.

    Attributes
    ----------
    draws : ndarray, shape (m,)
        Contributions of the probes to the objective: it is their mean, up to what is exact.
        Probe i is the same vector in every model with the same factors and ``seed``.
    theta_error : ndarray, shape (n_theta,)
        Monte Carlo standard error of theta, in units of its statistical standard error.
    n_probes : int
        Probes for every grouping factor.
    precision : float
        What was asked for, in statistical standard errors.
    seed : int
        Source of the probes.
    """

    draws: FloatArray = field(repr=False)
    theta_error: FloatArray
    n_probes: int
    precision: float
    seed: int

    @property
    def objective_error(self) -> float:
        """Monte Carlo standard error of the objective."""
        return _standard_error(self.draws)


def difference_error(first: MonteCarlo | None, second: MonteCarlo | None) -> float:
    """Monte Carlo standard error of a difference of two objectives.

    Probes that both have in common cancel as far as they agree; those of different computations
    do not. An objective without Monte Carlo error is None.
    """
    errors = [part for part in (first, second) if part is not None]
    if len(errors) == 2 and errors[0].seed == errors[1].seed:
        few, many = sorted((part.draws for part in errors), key=len)
        shared, further = len(few), len(many) - len(few)
        share = shared / max(len(many), 1)
        own = (1.0 - share) * _deviation(many) / np.sqrt(further) if further else 0.0
        return float(np.hypot(_standard_error(few - share * many[:shared]), own))
    return float(np.sqrt(sum(part.objective_error**2 for part in errors)))


def _standard_error(draws: FloatArray) -> float:
    """Standard error of a mean."""
    return float(_deviation(draws) / np.sqrt(max(len(draws), 1)))


def _deviation(draws: FloatArray) -> float:
    """Standard deviation; NaN of fewer than two."""
    return float(np.std(draws, ddof=1)) if len(draws) > 1 else float("nan")
