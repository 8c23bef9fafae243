"""Safeguarded Newton method: average information far from the optimum, exact Hessian near it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from lmmformula._arrays import FloatArray
from lmmformula.errors import NumericalError
from lmmformula.optimize.records import (
    Callback,
    ObjectiveLike,
    Optimizer,
    OptimumStatus,
    Recorder,
    Solution,
)
from lmmformula.optimize.spectrum import Spectrum

__all__ = ["Newton"]

SAME_HESSIAN = 1e-3
"""Distance in relative standard deviations over which the Hessian changes by less than 1e-2."""
SHARP = 1e-18
"""Promised decrease above which the end point is worth one more step."""
STATIONARY = 1e-6
"""Gradient at the start (balanced data) below which the exact Hessian is asked for at once."""
LARGEST = 1e7
"""Relative standard deviations beyond it mean that the residual variance is going to zero."""
LARGE, LEVEL, BEND = 30.0, 1e-3, 1e-2
"""Relative standard deviations beyond the first, a criterion that falls by less than the second,
and a curvature below the third mean the same, and that the criterion's limit is finite."""
ESCAPE_TRIALS = 10


@dataclass(frozen=True, slots=True)
class Newton(Optimizer):
    """Safeguarded Newton method in full square covariance factors (the default).

    Attributes
    ----------
    tolerance : float
        The predicted further decrease of the criterion at which to stop.
    max_evaluations : int
        Limit on evaluations of the criterion.
    average_until : float
        Average information is used until a step lowers the criterion by less than this.
    max_step : float
        Longest first step, relative to the size of the covariance factors.
    flat : float
        An eigenvalue below this multiple of the largest has no curvature.
    snap : float
        Relative standard deviations below this are tried at exactly zero.

    Notes
    -----
    Steps use |eigenvalues| of the Hessian with the rotations projected out; a rejected step
    shortens the trust radius. At a vanishing gradient a negative eigenvalue is a direction to leave
    along. Variances that a step makes tiny, and that the gradient does not want, become exact
    zeros.
    """

    tolerance: float = 1e-12
    max_evaluations: int = 200
    average_until: float = 0.5
    max_step: float = 4.0
    flat: float = 1e-8
    snap: float = 1e-3

    def minimize(
        self, objective: ObjectiveLike, start: FloatArray, callback: Callback | None = None
    ) -> Solution:
        """Minimize from ``start``."""
        return _NewtonRun(self, objective, callback).run(start)


class _NewtonRun:
    """State of one minimization."""

    def __init__(
        self, settings: Newton, objective: ObjectiveLike, callback: Callback | None
    ) -> None:
        self.settings, self.objective = settings, objective
        self.recorder = Recorder(objective, callback)
        self.radius, self.snap = settings.max_step, settings.snap
        self.polished, self.fall = False, np.inf
        self.dear: tuple[FloatArray, FloatArray] | None = None

    def run(self, start: FloatArray) -> Solution:
        point = self._first(start)
        exact = self.objective.hessian_is_cheap and math.hypot(*point.gradient) < STATIONARY
        while True:
            spectrum = self._spectrum(point, exact=exact)
            tolerance = max(self.settings.tolerance, self.objective.rounding)
            if spectrum.decrement <= tolerance or self._nearly_there(spectrum):
                spectrum = spectrum if spectrum.exact else self._spectrum(point, exact=True)
                if spectrum.decrement <= tolerance and not self._doubtful(spectrum):
                    point, solution = self._finish(point, spectrum)
                    if solution is not None:
                        return solution
                    exact = False
                    continue
            stop = self._limit(point) or self._levelled(point, spectrum)
            if stop is not None:
                return self._solution(point, spectrum, stop)
            moved, rejected = self._step(point, spectrum)
            if moved is not None:
                self.fall = point.value - moved.value
                settled = exact or rejected
                settled |= point.value - moved.value < self.settings.average_until
                point, exact = moved, settled and self.objective.hessian_is_cheap
            elif self._limit(point) is not None:
                continue
            elif not spectrum.exact:
                exact, self.radius = True, self.settings.max_step
            else:
                point, solution = self._finish(point, spectrum)
                if solution is not None:
                    return solution
                exact = False

    def _first(self, start: FloatArray) -> Any:
        point = self.recorder.evaluate(start, 0.0, "start")
        if not np.isfinite(point.value):
            raise NumericalError(
                "the criterion cannot be computed at the starting values.",
                got=f"{point.value}",
                suggestion="leave `start` out, or rescale the largest columns",
            )
        return point

    def _limit(self, point: Any) -> OptimumStatus | None:
        """Reason to stop that has nothing to do with the curvature."""
        largest = np.abs(point.phi).max(initial=0.0)
        if largest > LARGEST:
            return OptimumStatus.UNBOUNDED
        if self.objective.n_evaluations >= self.settings.max_evaluations:
            return OptimumStatus.MAX_EVALUATIONS
        return None

    def _levelled(self, point: Any, spectrum: Spectrum) -> OptimumStatus | None:
        """Whether the criterion has come to the end of a slope that leads to infinity."""
        far = np.abs(point.phi).max(initial=0.0) > LARGE
        if far and self.fall < LEVEL and abs(spectrum.smallest) < BEND:
            return OptimumStatus.NO_RESIDUAL
        return None

    def _finish(self, point: Any, spectrum: Spectrum) -> tuple[Any, Solution | None]:
        """Judge a point from which no step leads down: a solution, or the point beyond a saddle."""
        if not spectrum.is_minimum:
            moved = self._escape(point, spectrum)
            if moved is not None:
                return moved, None
            return point, self._solution(point, spectrum, OptimumStatus.SADDLE)
        noise = max(self.settings.tolerance, _noise(point.value), self.objective.rounding)
        if spectrum.decrement > noise:
            status = self._levelled(point, spectrum) or OptimumStatus.STALLED
            return point, self._solution(point, spectrum, status)
        return point, self._solution(self._sharpened(point, spectrum), spectrum)

    def _sharpened(self, point: Any, spectrum: Spectrum) -> Any:
        """Take a last step that the criterion's rounding cannot judge any more; the gradient can.

        The end point's error falls from the root of the tolerance to its first power.
        """
        worthwhile = spectrum.decrement > SHARP and self.objective.hessian_is_cheap
        if not worthwhile or spectrum.is_flat or self._limit(point) is not None:
            return point
        step, length, _ = spectrum.step(self.radius)
        trial = point.snapped(point.phi + step, 0.0)
        moved = self.recorder.evaluate(trial, length, "exact", point.value)
        return moved if math.hypot(*moved.gradient) < math.hypot(*point.gradient) else point

    def _spectrum(self, point: Any, *, exact: bool) -> Spectrum:
        """Curvature at a point; a dear exact Hessian serves for points very close by as well."""
        flat = self.settings.flat
        if self.dear is not None and math.dist(point.phi, self.dear[0]) <= SAME_HESSIAN:
            return Spectrum(point, exact=True, flat=flat, hessian=self.dear[1])
        spectrum = Spectrum(point, exact=exact, flat=flat)
        if exact and not self.objective.hessian_is_cheap:
            self.dear = (point.phi, spectrum.hessian)
        return spectrum

    def _doubtful(self, spectrum: Spectrum) -> bool:
        """A curvature so small that one more step should tell a flat direction from a steep one."""
        if self.polished or not spectrum.has_small_curvature:
            return False
        self.polished = True
        return spectrum.decrement > 0.0

    def _nearly_there(self, spectrum: Spectrum) -> bool:
        """Average information has done its work where the exact Hessian is dear."""
        return not spectrum.exact and spectrum.decrement <= 1e-3 * self.settings.average_until

    def _step(self, point: Any, spectrum: Spectrum) -> tuple[Any | None, bool]:
        """Take a step that lowers the criterion; (point or None, whether one was rejected)."""
        noise = max(_noise(point.value), self.objective.rounding)
        rejected = False
        while self.objective.n_evaluations < self.settings.max_evaluations:
            step, length, promised = spectrum.step(self.radius)
            trial = point.snapped(point.phi + step, self.snap)
            if math.dist(trial, point.phi) <= 1e-14 * (1.0 + math.hypot(*point.phi)):
                return None, rejected
            kind = "exact" if spectrum.exact else "average"
            moved = self.recorder.evaluate(trial, length, kind, point.value + noise)
            decrease = point.value - moved.value
            if np.isfinite(moved.value) and decrease >= -noise:
                if decrease > max(0.5 * promised, noise) and length > 0.8 * self.radius:
                    self.radius *= 3.0
                return moved, rejected
            rejected = True
            self.radius = 0.3 * length
            if promised <= noise:
                return None, rejected
        return None, rejected

    def _escape(self, point: Any, spectrum: Spectrum) -> Any | None:
        """Leave a saddle along its most negative curvature, either way.

        Variances are not set to zero any more: the saddle may be one that doing so made.
        """
        direction, length = spectrum.vectors[:, 0], 1.0
        self.radius, self.snap = self.settings.max_step, 0.0
        for _ in range(ESCAPE_TRIALS):
            for sign in (1.0, -1.0):
                if self._limit(point) is not None:
                    return None
                trial = point.phi + sign * length * direction
                moved = self.recorder.evaluate(trial, length, "escape", point.value)
                if moved.value < point.value - 0.05 * abs(spectrum.smallest) * length**2:
                    return moved
            length *= 0.4
        return None

    def _solution(
        self, point: Any, spectrum: Spectrum, status: OptimumStatus | None = None
    ) -> Solution:
        if status is None:
            flat = spectrum.is_flat
            status = OptimumStatus.NOT_IDENTIFIED if flat else OptimumStatus.CONVERGED
        norm = math.hypot(*point.gradient)
        return Solution(point, status, norm, spectrum.smallest, tuple(self.recorder.steps))


def _noise(value: float) -> float:
    """Differences of the criterion that its own rounding can make."""
    return 1e-12 * (1.0 + abs(value))
