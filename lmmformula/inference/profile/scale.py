"""Scales on which a profile is nearly straight, so that few points find its ends.

Every scale is finite at the ends of the parameter's range: zero for a standard deviation, -1 and 1
for a correlation.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from lmmformula.covariance.natural import Limits, bounded, rate, unbounded
from lmmformula.engine.held import Held, Kind
from lmmformula.engine.system import BlockedSystem

__all__ = ["Scale", "scale_for"]


@dataclass(frozen=True, slots=True)
class Scale:
    """A monotone map of the value c to x.

    Attributes
    ----------
    kind : str
        "fixed": x = c / size; "sigma": log c; "sd": log(c + size); "cor": arcsin c; "rho" and
        "residual": arcsin over the range if its ends belong to it, otherwise ``unbounded``.
    size : float
    limits : (float, float)
        Range of a correlation or another parameter.
    has_ends : bool
    """

    kind: Kind
    size: float = 0.0
    limits: Limits = (-1.0, 1.0)
    has_ends: bool = False

    @property
    def closed_ends(self) -> tuple[float | None, float | None]:
        """Values of c at the ends of the range that belong to it."""
        if self.kind == "sd":
            return 0.0, None
        return self.limits if self.has_ends else (None, None)

    def holds(self, c: float) -> bool:
        """Whether the range of the parameter holds a value."""
        if not math.isfinite(c) or (self.kind == "sigma" and c <= 0.0):
            return False
        if self.kind in ("rho", "residual") and not self.has_ends:
            return self.limits[0] < c < self.limits[1]
        low, high = self.closed_ends
        return (low is None or c >= low) and (high is None or c <= high)

    @property
    def _middle(self) -> tuple[float, float]:
        low, high = self.limits
        return 0.5 * (low + high), 0.5 * (high - low)

    def x(self, c: float) -> float:
        """From the value."""
        if self.kind == "fixed":
            return c / self.size
        if self.has_ends:
            middle, half = self._middle
            return math.asin(min(max((c - middle) / half, -1.0), 1.0))
        if self.kind in ("rho", "residual"):
            return unbounded(c, self.limits)
        return math.log(c + self.size)

    def c(self, x: float) -> float:
        """Back to the value."""
        if self.kind == "fixed":
            return x * self.size
        if self.has_ends:
            middle, half = self._middle
            return middle + half * math.sin(x)
        if self.kind in ("rho", "residual"):
            return bounded(x, self.limits)
        return math.exp(x) - self.size

    def rate(self, x: float) -> float:
        """dc/dx."""
        if self.kind == "fixed":
            return self.size
        if self.has_ends:
            return self._middle[1] * math.cos(x)
        if self.kind in ("rho", "residual"):
            return rate(self.c(x), self.limits)
        return math.exp(x)


def scale_for(system: BlockedSystem, held: Held, estimate: float, sigma: float) -> Scale:
    """The scale of a parameter, given its estimate and the residual standard deviation."""
    if held.kind == "fixed":
        return Scale(held.kind, sigma * float(np.linalg.norm(system.basis.fixed[held.column])))
    if held.kind == "sd":
        row = system.basis.random[held.term][held.effects[0]]
        return Scale(held.kind, max(estimate, 0.1 * sigma * float(np.linalg.norm(row))))
    has_ends = held.kind == "cor" or held.has_ends
    return Scale(held.kind, limits=held.limits, has_ends=has_ends)
