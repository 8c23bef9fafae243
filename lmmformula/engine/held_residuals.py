"""Residuals' parameters while the deviance is minimized: those that move, and one that is held."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np

from lmmformula._arrays import FloatArray
from lmmformula.covariance.correlation import Indexed, NaturalCoordinates
from lmmformula.engine.residuals.point import ResidualPoint
from lmmformula.engine.structured_charts import Place, held_place
from lmmformula.engine.system import BlockedSystem

__all__ = ["HeldResiduals"]


class HeldResiduals:
    """The residuals' coordinates of a system of which one may be held.

    Parameters
    ----------
    system : BlockedSystem
    position : int
        The held parameter; -1 if none of the residuals' is.

    Attributes
    ----------
    system : BlockedSystem
        In natural coordinates where the held parameter is a function of several.
    """

    def __init__(self, system: BlockedSystem, position: int = -1) -> None:
        self.system, self.position = system, position
        residual = system.residual
        self.n_all = 0
        if residual is None:
            return
        family = residual.covariance.family
        if 0 <= position < family.n_parameters and isinstance(family, Indexed):
            covariance, natural = copy.copy(residual.covariance), copy.copy(residual)
            covariance.family = NaturalCoordinates(family)
            natural.covariance = covariance
            self.system = replace(system, residual=natural)
        self.n_all = residual.covariance.n_phi
        self.free = np.delete(np.arange(self.n_all), [position] if position >= 0 else [])

    @property
    def n_own(self) -> int:
        """Coordinates that move."""
        return self.n_all - (self.position >= 0)

    def place(self, c: float) -> Place:
        """Coordinate of the held parameter."""
        residual = self.system.residual
        assert residual is not None
        covariance = residual.covariance
        if self.position < covariance.n_correlations:
            return held_place(covariance.family, self.position, c)
        designs = [(design, i) for design in covariance.designs for i in range(len(design.names))]
        design, index = designs[self.position - covariance.n_correlations]
        if design.kind == "ratio":
            return Place(float(np.log(c)), (0.0, 1.0 / c), (0.0, 0.0, -1.0 / c**2))
        scale = float(design.scale[index])
        return Place(c * scale, (0.0, scale))

    def phi(self, own: FloatArray, c: float) -> FloatArray:
        """All coordinates."""
        if self.position < 0:
            return own
        return np.insert(own, self.position, self.place(c).value)

    def point(self, phi: FloatArray) -> ResidualPoint | None:
        """The system there; None where the residuals' covariance is not positive definite."""
        return ResidualPoint.of(self.system, phi)

    def start(self, values: FloatArray) -> FloatArray:
        """Coordinates of (the free ones of) natural parameters."""
        residual = self.system.residual
        if residual is None:
            return np.zeros(0)
        return residual.covariance.from_natural(values)[self.free]

    def natural(self, phi: FloatArray) -> FloatArray:
        """Natural parameters."""
        residual = self.system.residual
        return np.zeros(0) if residual is None else residual.covariance.natural(phi)

    def turn(self, c: float, start: int, width: int) -> FloatArray:
        """How coordinates (of which the last is c) move all of the residuals', (n_all, width)."""
        result = np.zeros((self.n_all, width))
        result[self.free, start + np.arange(self.n_own)] = 1.0
        if self.position >= 0:
            result[self.position, -1] = self.place(c).first[1]
        return result
