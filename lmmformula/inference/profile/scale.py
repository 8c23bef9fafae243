"""Scales on which a profile is nearly straight, so that few points find its ends.

Every scale is finite at the ends of the parameter's range: zero for a standard deviation, -1 and 1
for a correlation.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from lmmformula.engine.constrained import Held, Kind
from lmmformula.engine.system import BlockedSystem

__all__ = ["Scale", "scale_for"]


@dataclass(frozen=True, slots=True)
class Scale:
    """A monotone map of the value c to x.

    Attributes
    ----------
    kind : str
        "fixed": x = c / size; "sigma": log c; "sd": log(c + size); "cor": arcsin c.
    size : float
    """

    kind: Kind
    size: float = 0.0

    @property
    def closed_ends(self) -> tuple[float | None, float | None]:
        """Values of c at the ends of the range that belong to it."""
        if self.kind == "sd":
            return 0.0, None
        return (-1.0, 1.0) if self.kind == "cor" else (None, None)

    def holds(self, c: float) -> bool:
        """Whether the range of the parameter holds a value."""
        low, high = self.closed_ends
        if not math.isfinite(c) or (self.kind == "sigma" and c <= 0.0):
            return False
        return (low is None or c >= low) and (high is None or c <= high)

    def x(self, c: float) -> float:
        """From the value."""
        if self.kind == "fixed":
            return c / self.size
        return math.asin(c) if self.kind == "cor" else math.log(c + self.size)

    def c(self, x: float) -> float:
        """Back to the value."""
        if self.kind == "fixed":
            return x * self.size
        return math.sin(x) if self.kind == "cor" else math.exp(x) - self.size

    def rate(self, x: float) -> float:
        """dc/dx."""
        if self.kind == "fixed":
            return self.size
        return math.cos(x) if self.kind == "cor" else math.exp(x)


def scale_for(system: BlockedSystem, held: Held, estimate: float, sigma: float) -> Scale:
    """The scale of a parameter, given its estimate and the residual standard deviation."""
    if held.kind == "fixed":
        return Scale(held.kind, sigma * float(np.linalg.norm(system.basis.fixed[held.column])))
    if held.kind == "sd":
        row = system.basis.random[held.term][held.effects[0]]
        return Scale(held.kind, max(estimate, 0.1 * sigma * float(np.linalg.norm(row))))
    return Scale(held.kind)
