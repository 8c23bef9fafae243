"""Which parameter of a model is held, in the units of the engine."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy as np

from lmmformula._arrays import FloatArray
from lmmformula.covariance.natural import Limits
from lmmformula.engine.system import BlockedSystem

__all__ = ["Held", "Kind"]

Kind: TypeAlias = Literal["sd", "cor", "rho", "residual", "sigma", "fixed"]


@dataclass(frozen=True, slots=True)
class Held:
    """Which parameter is held.

    Attributes
    ----------
    kind : {"sd", "cor", "rho", "residual", "sigma", "fixed"}
        "cor" is the correlation of two effects of an unstructured term, "rho" a parameter of a
        correlation function.
    term : int
        Position of the random-effects term ("sd", "cor", "rho").
    effects : tuple of int
        Its effect ("sd"; the first where all share one) or two of them ("cor").
    column : int
        Fixed effect ("fixed").
    closed : bool
        The value is an end of its range: a standard deviation of 0, a correlation of -1 or 1.
    position : int
        Among the natural parameters of the term ("rho") or of the residuals ("residual").
    limits : (float, float)
        Range of a "rho" or "residual".
    has_ends : bool
        The ends of that range belong to it.
    """

    kind: Kind
    term: int = -1
    effects: tuple[int, ...] = ()
    column: int = -1
    closed: bool = False
    position: int = -1
    limits: Limits = (-1.0, 1.0)
    has_ends: bool = False

    def at_end(self) -> Held:
        """The same parameter at the end of its range."""
        return replace(self, closed=True)

    def units(self, system: BlockedSystem) -> tuple[float, float]:
        """(origin, size): the user's value is ``origin + size * c``."""
        if self.kind in ("cor", "rho", "residual"):
            return 0.0, 1.0
        origin = system.basis.beta[self.column] if self.kind == "fixed" else 0.0
        return float(origin), system.basis.scale

    def estimate(
        self,
        system: BlockedSystem,
        factors: list[FloatArray],
        log_variance: float,
        beta: FloatArray,
        tolerance: float = 0.0,
        residual: FloatArray | None = None,
    ) -> float:
        """Value of the parameter at a point, in working units.

        Relative deviations below ``tolerance`` count as zero, and so do angles: a correlation is
        then -1 or 1. NaN for a correlation with an effect that does not vary. ``residual`` are the
        natural parameters of the residuals.
        """
        if self.kind == "residual":
            assert residual is not None
            return float(residual[self.position])
        if self.kind == "rho":
            return self._correlation(system, factors[self.term], tolerance)
        if self.kind == "fixed":
            return float(system.basis.fixed[self.column] @ beta)
        sigma = float(np.exp(0.5 * log_variance))
        if self.kind == "sigma":
            return sigma
        rows = system.basis.random[self.term][list(self.effects)]
        effects = rows @ factors[self.term]
        sizes = np.linalg.norm(effects, axis=1)
        is_zero = sizes <= tolerance * np.linalg.norm(rows, axis=1)
        if self.kind == "sd":
            return 0.0 if is_zero[0] else sigma * float(sizes[0])
        if is_zero.any():
            return float("nan")
        c = float(np.clip(effects[0] @ effects[1] / (sizes[0] * sizes[1]), -1.0, 1.0))
        return c if 1.0 - abs(c) > 0.5 * tolerance**2 else float(np.sign(c))

    def _correlation(self, system: BlockedSystem, factor: FloatArray, tolerance: float) -> float:
        """Parameter of a correlation function; NaN where no two effects vary."""
        rows = system.basis.random[self.term]
        template = rows @ factor
        sizes, units = np.linalg.norm(template, axis=1), np.linalg.norm(rows, axis=1)
        if np.sum(sizes > tolerance * units) < 2:
            return float("nan")
        c = float(system.terms[self.term].structure.natural(template)[self.position])
        if self.has_ends:
            low, high = self.limits
            reach = 0.25 * tolerance**2 * (high - low)
            c = low if c - low <= reach else high if high - c <= reach else c
        return c
