"""The criterion over partitions as a function of the optimizer's parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lmmformula._arrays import FloatArray
from lmmformula.engine.objective import UNIT_ROUNDING, Objective, Point
from lmmformula.engine.partitioned.moments import moment_start
from lmmformula.engine.partitioned.reduced import ReducedEvaluation

if TYPE_CHECKING:
    from lmmformula.engine.partitioned.system import PartitionedSystem

__all__ = ["PartitionedObjective"]


class PartitionedObjective(Objective):
    """Counts and computes the criterion of one partitioned system, one map-reduce at a time.

    Parameters
    ----------
    system : PartitionedSystem
    reml : bool, default True
    """

    def __init__(self, system: PartitionedSystem, reml: bool = True) -> None:
        self.partitioned = system
        super().__init__(system, reml)

    def directions(self, phi: FloatArray) -> list[FloatArray]:
        """Directions of every term's covariance for second derivatives."""
        return [term.structure.directions(part) for term, part in self.parts(phi)]

    def computed(self, phi: FloatArray) -> Point:
        """The criterion with all that its derivatives need."""
        return Point(self, phi, self.evaluation(phi, self.reml))

    def evaluation(self, phi: FloatArray, reml: bool) -> ReducedEvaluation:
        """Sums over partitions, seen by one criterion."""
        system, factors, directions = self.partitioned, self.factors(phi), self.directions(phi)
        terms = system.terms_at(factors, directions)
        found = ReducedEvaluation(system, terms, factors, reml, directions)
        if np.isfinite(found.value):
            cancelled = system.xy[-1, -1] / found.pwrss
            self.rounding = UNIT_ROUNDING * (system.n_obs + found.nu * cancelled)
        return found

    def start(self, size: float | None = None) -> FloatArray:
        """Starting values from moments, or ``size`` times the identity for every term."""
        if size is not None:
            return super().start(size)
        system = self.partitioned
        phi = moment_start(system.terms, system.n_levels, system.moments, system.xy, reml=self.reml)
        return self._best_start(phi)
