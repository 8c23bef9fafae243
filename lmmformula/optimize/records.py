"""What a minimizer may ask, what it records, and what it returns."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

import numpy as np

from lmmformula._arrays import FloatArray

__all__ = [
    "Callback",
    "ObjectiveLike",
    "Optimizer",
    "Optimum",
    "OptimumStatus",
    "PointLike",
    "Recorder",
    "Solution",
    "Step",
]


class OptimumStatus(StrEnum):
    """What the optimizer found; the texts are for people."""

    CONVERGED = "converged"
    NOT_IDENTIFIED = "not_identified"
    SADDLE = "saddle"
    STALLED = "stalled"
    UNBOUNDED = "unbounded"
    NO_RESIDUAL = "no_residual"
    MAX_EVALUATIONS = "max_evaluations"
    FIXED = "fixed"

    @property
    def message(self) -> str:
        """One sentence."""
        return _MESSAGES[self]


_MESSAGES = {
    OptimumStatus.CONVERGED: "a proven local minimum: the gradient vanishes and every curvature "
    "beside the rotations is positive",
    OptimumStatus.NOT_IDENTIFIED: "a minimum along which the criterion is flat: the data do not "
    "identify every covariance parameter",
    OptimumStatus.SADDLE: "a stationary point from which the criterion still falls in some "
    "direction",
    OptimumStatus.STALLED: "no step lowers the criterion any more, yet its gradient has not "
    "vanished",
    OptimumStatus.UNBOUNDED: "the residual variance goes to zero beside the random effects, "
    "and the criterion falls without end",
    OptimumStatus.NO_RESIDUAL: "the residual variance goes to zero: the random effects take all "
    "of it, and the criterion levels off",
    OptimumStatus.MAX_EVALUATIONS: "the limit of evaluations was reached first",
    OptimumStatus.FIXED: "theta was given; nothing was optimized",
}


class PointLike(Protocol):
    """The criterion at one point."""

    phi: FloatArray
    value: float

    @property
    def gradient(self) -> FloatArray:
        """First derivatives."""

    @property
    def effective(self) -> FloatArray:
        """Orthonormal directions beside those along which the criterion is constant."""

    def hessian(self, *, exact: bool) -> FloatArray:
        """Second derivatives, or the average information."""

    def snapped(self, phi: FloatArray, tolerance: float) -> FloatArray:
        """``phi`` with unwanted tiny variances set to zero."""


class ObjectiveLike(Protocol):
    """What a minimizer may ask of the criterion."""

    n_evaluations: int
    hessian_is_cheap: bool
    rounding: float

    def evaluate(self, phi: FloatArray) -> Any:
        """Compute the criterion (and count it); returns a ``PointLike``."""


@dataclass(frozen=True, slots=True)
class Step:
    """One evaluation of the criterion, for the trace.

    Attributes
    ----------
    evaluation : int
        Running number.
    objective : float
        Criterion there.
    gradient_norm : float
        Norm of its gradient in working units; NaN where it was not computed.
    step : float
        Length of the step that led there.
    kind : str
        ``start``, ``average``, ``exact``, ``escape``; a rejected step ends in ``, rejected``.
    """

    evaluation: int
    objective: float
    gradient_norm: float
    step: float
    kind: str


@dataclass(frozen=True, slots=True, eq=False)
class Solution:
    """Where a minimizer stopped, and why (in its own parameters)."""

    point: Any
    status: OptimumStatus
    gradient_norm: float
    min_eigenvalue: float
    trace: tuple[Step, ...] = field(repr=False)


Callback = Callable[[Step], None]


class Optimizer(ABC):
    """Settings of a minimizer."""

    @abstractmethod
    def minimize(
        self, objective: ObjectiveLike, start: FloatArray, callback: Callback | None = None
    ) -> Solution:
        """Minimize from ``start``."""


@dataclass(frozen=True, slots=True, eq=False)
class Optimum:
    """What the optimizer found, and how it knows.

    Attributes
    ----------
    theta : ndarray, shape (n_theta,)
        Relative covariance parameters at the end.
    objective : float
        Criterion there.
    status : OptimumStatus
        ``converged`` is a proven local minimum; ``status.message`` says it in words.
    n_evaluations : int
        Number of times the criterion was computed, rejected steps included.
    gradient_norm : float
        Norm of the gradient in the optimizer's parameters (working units).
    min_eigenvalue : float
        Smallest eigenvalue of the exact Hessian beside the rotations, same units.
    trace : tuple of Step
        Every evaluation.
    settings : Optimizer or None
        What ran; None where theta was given.
    """

    theta: FloatArray
    objective: float
    status: OptimumStatus
    n_evaluations: int
    gradient_norm: float
    min_eigenvalue: float
    trace: tuple[Step, ...] = field(repr=False)
    settings: Optimizer | None = None

    @property
    def converged(self) -> bool:
        """Whether this is a proven local minimum."""
        return self.status is OptimumStatus.CONVERGED


class Recorder:
    """Collects the trace and tells the callback."""

    def __init__(self, objective: ObjectiveLike, callback: Callback | None) -> None:
        self.objective, self.callback = objective, callback
        self.steps: list[Step] = []

    def evaluate(
        self,
        phi: FloatArray,
        length: float,
        kind: str,
        below: float = np.inf,
        *,
        derivatives: bool = True,
    ) -> Any:
        """Compute the criterion; a value above ``below`` is recorded as rejected."""
        point = self.objective.evaluate(phi)
        accepted = np.isfinite(point.value) and point.value <= below
        norm = np.nan
        if accepted and derivatives:
            norm = math.sqrt(point.gradient @ point.gradient)
        if not accepted:
            kind += ", rejected"
        step = Step(self.objective.n_evaluations, float(point.value), norm, length, kind)
        self.steps.append(step)
        if self.callback is not None:
            self.callback(step)
        return point
