"""Points of a profile: the deviance minimized with one parameter held, and what is known there."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from lmmformula._arrays import FloatArray
from lmmformula.engine.constrained import HeldObjective, HeldPoint
from lmmformula.engine.held import Held
from lmmformula.engine.system import BlockedSystem
from lmmformula.errors import NumericalError
from lmmformula.optimize import Newton, OptimumStatus

__all__ = ["CERTIFIED", "NEWTON", "Fit", "Node", "Start", "centre_node", "held_node"]

NEWTON = Newton(tolerance=1e-10)
"""A decrease of 1e-10 left in the deviance is 1e-10 of zeta and less."""
CERTIFIED = (OptimumStatus.CONVERGED, OptimumStatus.NOT_IDENTIFIED)
NAN = float("nan")

Start = Callable[[HeldObjective], FloatArray]


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """A maximum likelihood fit in working units.

    Attributes
    ----------
    factors : list of ndarray, shape (k, k)
        Relative covariance factor of every term.
    log_variance : float
        Log residual variance.
    beta : ndarray, shape (p,)
        Fixed effects, less those of the working response.
    deviance : float
    residual : ndarray
        Natural parameters of the residuals.
    """

    factors: list[FloatArray]
    log_variance: float
    beta: FloatArray
    deviance: float
    residual: FloatArray = field(default_factory=lambda: np.zeros(0))

    def start(self, objective: HeldObjective) -> FloatArray:
        """Its coordinates in another chart."""
        return objective.start(self.factors, self.log_variance, self.residual)

    def value_of(self, held: Held, system: BlockedSystem, tolerance: float = 0.0) -> float:
        """A parameter's value, in working units; see ``Held.estimate``."""
        point = self.factors, self.log_variance, self.beta
        return held.estimate(system, *point, tolerance, self.residual)


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """One point of a profile.

    Attributes
    ----------
    c, x : float
        Held value in working units, and on the curve's scale.
    zeta, slope : float
        Signed root of the deviance's excess, and dzeta/dx (NaN where it is not known).
    status : OptimumStatus
        What the minimizer found.
    n_evaluations : int
    fit : Fit
        All parameters there.
    phi, tangent : ndarray
        Free coordinates, and how they move with x (None at an end of the range).
    """

    c: float
    x: float
    zeta: float
    slope: float
    status: OptimumStatus
    n_evaluations: int
    fit: Fit = field(repr=False)
    phi: FloatArray = field(repr=False)
    tangent: FloatArray | None = field(repr=False)

    @property
    def is_certified(self) -> bool:
        """Whether the deviance was proved to be at a minimum."""
        return self.status in CERTIFIED


def centre_node(
    system: BlockedSystem, held: Held, place: tuple[float, float, float], fit: Fit
) -> Node:
    """The estimate as the first point of its profile; ``place`` as for ``held_node``."""
    c, x, rate = place
    objective = HeldObjective(system, held, c)
    point = objective.evaluate(fit.start(objective))
    slope, tangent = NAN, None
    if not held.closed:
        move, bend = point.along()
        slope = math.sqrt(0.5 * bend) * rate if bend > 0.0 else NAN
        tangent = move * rate
    return Node(c, x, 0.0, slope, OptimumStatus.CONVERGED, 1, _fit_at(point), point.phi, tangent)


def held_node(
    system: BlockedSystem,
    held: Held,
    place: tuple[float, float, float],
    starts: Sequence[Start],
    centre: Node,
) -> Node:
    """Minimize with the parameter held.

    Parameters
    ----------
    system : BlockedSystem
    held : Held
    place : (c, x, rate)
        The value, its place on the curve's scale, and dc/dx there.
    starts : sequence of callables
        Tried in turn until one leads to a certified minimum.
    centre : Node
        The estimate.
    """
    c, x, rate = place
    point, status, spent = _minimize(system, held, c, starts)
    excess = max(point.value - centre.fit.deviance, 0.0)
    zeta = math.copysign(math.sqrt(excess), x - centre.x)
    slope, tangent = NAN, None
    if not held.closed:
        tangent = point.along()[0] * rate
        slope = 0.5 * point.slope * rate / zeta if abs(zeta) > 1e-4 else NAN
    return Node(c, x, zeta, slope, status, spent, _fit_at(point), point.phi, tangent)


def _fit_at(point: HeldPoint) -> Fit:
    beta = point.deviance.beta
    return Fit(point.factors, point.eta, beta, point.value, point.residual)


def _minimize(
    system: BlockedSystem, held: Held, c: float, starts: Sequence[Start]
) -> tuple[HeldPoint, OptimumStatus, int]:
    """The best of the starts up to the first certified minimum; evaluations are summed."""
    best: HeldPoint | None = None
    status, spent, failure = OptimumStatus.STALLED, 0, None
    for start in starts:
        objective = HeldObjective(system, held, c)
        try:
            solution = NEWTON.minimize(objective, start(objective))
        except (NumericalError, np.linalg.LinAlgError) as error:
            failure = error
            continue
        finally:
            spent += objective.n_evaluations
        if best is None or solution.point.value < best.value:
            best, status = solution.point, solution.status
        if solution.status in CERTIFIED:
            break
    if best is None:
        raise NumericalError(
            "the profile likelihood cannot be computed this far from the estimates.",
            got=f"a {held.kind} held at {c:.4g} in working units: {failure}",
            suggestion="a larger `alpha`, or profile fewer parameters with `which=`",
        )
    return best, status, spent
