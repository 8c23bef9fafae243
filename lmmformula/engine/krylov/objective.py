"""The optimizer's view of the Krylov engine: gradients, and the criterion's changes from them.

log|H| would cost more than all the rest and has a Monte Carlo error of its own, so no step is
judged by the criterion. The gradient at both ends of a step gives the criterion's change along it
(the trapezoidal rule), which is what ``Point.value`` holds: the criterion less its value at the
first point. It is enough to reject a step that went too far, and it is exact in the limit of short
steps.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lmmformula._arrays import FloatArray
from lmmformula.engine.evaluation import Evaluation
from lmmformula.engine.krylov.evaluation import Accuracy, KrylovEvaluation
from lmmformula.engine.krylov.system import KrylovSystem
from lmmformula.engine.objective import Objective, Point
from lmmformula.engine.start import start_from

__all__ = ["KrylovObjective", "KrylovPoint"]


class KrylovPoint(Point):
    """One point; its value is the change of the criterion since the objective's first point."""

    @property
    def krylov(self) -> KrylovEvaluation:
        """What everything here was computed from."""
        evaluation = self.evaluation
        assert isinstance(evaluation, KrylovEvaluation)
        return evaluation

    def hessian(self, *, exact: bool) -> FloatArray:
        """Average information; the exact Hessian is not to be had."""
        return super().hessian(exact=False)

    @property
    def gradient_draws(self) -> FloatArray:
        """What every probe says of the gradient, (n_probes, n_phi)."""
        forms = [self.krylov.forms(draw) for draw in self.krylov.trace_draws]
        order = self.krylov.direction_order
        rows = np.array(forms).reshape(len(forms), len(self.speeds))
        return np.asarray((rows if order is None else rows[:, order]) @ self.speeds)

    def monte_carlo_covariance(self) -> FloatArray:
        """Covariance of the gradient that the choice of the probes makes, (n_phi, n_phi)."""
        draws = self.gradient_draws
        if len(draws) < 2:
            return np.full((len(self.phi), len(self.phi)), np.inf)
        centred = draws - draws.mean(axis=0)
        return np.asarray(centred.T @ centred / (len(draws) * (len(draws) - 1)))


class KrylovObjective(Objective):
    """Counts and computes points of a Krylov system.

    Parameters
    ----------
    system : KrylovSystem
    reml : bool
    accuracy : Accuracy
    rounding : float
        Changes of the criterion below this are not told from noise.
    """

    def __init__(
        self,
        system: KrylovSystem,
        reml: bool = True,
        accuracy: Accuracy | None = None,
        rounding: float = 1e-8,
    ) -> None:
        super().__init__(system, reml)
        self.accuracy, self.rounding = accuracy or Accuracy(), rounding
        self.system_of_krylov = system
        self.last: KrylovPoint | None = None

    def computed(self, phi: FloatArray) -> Point:
        """The point at ``phi``; its gradient is computed with it."""
        point = self.unjudged(phi)
        if not np.isfinite(point.value):
            return point
        point.value = self._value(point)
        if self.last is None or point.value <= self.last.value + self.rounding:
            self.last = point
        return point

    def unjudged(self, phi: FloatArray) -> KrylovPoint:
        """The point at ``phi``, no probe used yet; its value lacks the log-determinant."""
        with self.threads():
            evaluation: Evaluation = KrylovEvaluation(
                self.system, self.factors(phi), self.reml, self.directions(phi), self.accuracy
            )
        return KrylovPoint(self, phi, evaluation)

    def _value(self, point: KrylovPoint) -> float:
        """The criterion's change since the first point, by way of the last one that was better."""
        if self.last is None:
            return 0.0
        slope = 0.5 * (self.last.gradient + point.gradient)
        return float(self.last.value + slope @ (point.phi - self.last.phi))

    def restarted(self, accuracy: Accuracy) -> None:
        """Begin anew: other probes give another criterion."""
        self.accuracy, self.last = accuracy, None

    def start(self, size: float | None = None) -> FloatArray:
        """Starting values from moments, or ``size`` times the identity for every term.

        Of several starting correlations the first is taken: there is no criterion to compare them.
        """
        system: Any = self.system
        if size is not None or not system.terms:
            return super().start(size or 1.0)
        residuals = [part[:, -1] for part in system.fixed]
        forms = [
            np.einsum("tab,ab->t", factor.moment_directions, c @ c.T)
            for factor, c in zip(system.factors, residuals, strict=True)
        ]
        terms = [(term, factor.n_levels) for factor in system.factors for term in factor.terms]
        target = np.append(np.concatenate(forms), system.xy[-1, -1])
        with self.threads():
            return start_from(terms, system.moments[int(self.reml)], target, system.n_obs)
