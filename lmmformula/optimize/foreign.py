"""SciPy's minimizers behind the same interface, for cross-checks; their end point is certified."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from lmmformula._arrays import FloatArray
from lmmformula.optimize.newton import Newton
from lmmformula.optimize.records import (
    Callback,
    ObjectiveLike,
    Optimizer,
    OptimumStatus,
    Recorder,
    Solution,
)
from lmmformula.optimize.spectrum import Spectrum

__all__ = ["Cobyqa", "Lbfgsb"]

CERTIFIED = 1e-5
"""Predicted further decrease up to which a foreign minimizer's end point counts as reached."""
UNUSABLE = 1e300
"""Stands for a criterion that cannot be computed."""


def _scipy_minimize(*args: Any, **options: Any) -> None:
    """SciPy's front end, imported on first use."""
    from scipy.optimize import minimize

    minimize(*args, **options)


def _certified(recorder: Recorder, point: Any, limit: int) -> Solution:
    """Judge the end point of a foreign minimizer by the exact derivatives."""
    spectrum = Spectrum(point, exact=True, flat=Newton().flat)
    status = OptimumStatus.CONVERGED
    if spectrum.decrement > CERTIFIED:
        spent = len(recorder.steps) >= limit
        status = OptimumStatus.MAX_EVALUATIONS if spent else OptimumStatus.STALLED
    elif not spectrum.is_minimum:
        status = OptimumStatus.SADDLE
    elif spectrum.is_flat:
        status = OptimumStatus.NOT_IDENTIFIED
    norm = float(np.linalg.norm(point.gradient))
    return Solution(point, status, norm, spectrum.smallest, tuple(recorder.steps))


@dataclass(frozen=True, slots=True)
class Lbfgsb(Optimizer):
    """SciPy's L-BFGS-B with the analytic gradient; for cross-checks.

    Attributes
    ----------
    max_evaluations : int
        Limit on evaluations of the criterion.
    """

    max_evaluations: int = 5000

    def minimize(
        self, objective: ObjectiveLike, start: FloatArray, callback: Callback | None = None
    ) -> Solution:
        """Minimize from ``start``."""
        recorder = Recorder(objective, callback)
        best: list[Any] = []

        def value(phi: FloatArray) -> tuple[float, FloatArray]:
            point = recorder.evaluate(phi.copy(), np.nan, "lbfgsb")
            if not best or point.value < best[0].value:
                best[:] = [point]
            if not np.isfinite(point.value):
                return UNUSABLE, np.zeros_like(phi)
            return float(point.value), point.gradient

        options: Any = {
            "maxfun": self.max_evaluations,
            "ftol": 1e-15,
            "gtol": 1e-8,
            "maxiter": 10**6,
        }
        _scipy_minimize(value, start, jac=True, method="L-BFGS-B", options=options)
        return _certified(recorder, best[0], self.max_evaluations)


@dataclass(frozen=True, slots=True)
class Cobyqa(Optimizer):
    """SciPy's COBYQA, a derivative-free method of BOBYQA's family; for cross-checks.

    Attributes
    ----------
    max_evaluations : int
        Limit on evaluations of the criterion.
    final_radius : float
        Trust radius at which to stop, in working units.
    """

    max_evaluations: int = 5000
    final_radius: float = 1e-7

    def minimize(
        self, objective: ObjectiveLike, start: FloatArray, callback: Callback | None = None
    ) -> Solution:
        """Minimize from ``start``."""
        recorder = Recorder(objective, callback)
        best: list[Any] = []

        def value(phi: FloatArray) -> float:
            point = recorder.evaluate(phi.copy(), np.nan, "cobyqa", derivatives=False)
            if not best or point.value < best[0].value:
                best[:] = [point]
            return float(point.value)

        options: Any = {
            "maxfev": self.max_evaluations,
            "initial_tr_radius": 0.5,
            "final_tr_radius": self.final_radius,
        }
        _scipy_minimize(value, start, method="COBYQA", options=options)
        return _certified(recorder, best[0], self.max_evaluations)
