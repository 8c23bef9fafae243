"""A model whose data are divided over partitions by its groups."""

from __future__ import annotations

from collections import OrderedDict
from typing import ClassVar

import numpy as np

from lmmformula._arrays import FloatArray
from lmmformula.engine.alternative import AlternativeSystem
from lmmformula.engine.basis import WorkingBasis
from lmmformula.engine.estimates import Estimates, estimates_at, modes
from lmmformula.engine.information import (
    KenwardRogerPieces,
    VarianceInformation,
    information_at,
    kenward_roger_pieces,
    pieces_at,
)
from lmmformula.engine.layout import FactorLayout
from lmmformula.engine.partitioned.gathered import CovariancesAt, ModesAt
from lmmformula.engine.partitioned.local import EvaluateAt, LocalTerms
from lmmformula.engine.partitioned.mapping import Mapper
from lmmformula.engine.partitioned.moments import LocalMoments
from lmmformula.engine.partitioned.objective import PartitionedObjective
from lmmformula.engine.partitioned.reduced import ReducedEvaluation

__all__ = ["PartitionedSystem"]

KEPT = 8
"""Evaluations whose sums are kept: they are small, and inference asks for the last again."""


class PartitionedSystem(AlternativeSystem):
    """What is known of the whole model, and how to ask the partitions.

    Parameters
    ----------
    mapper : Mapper
        Reaches the partitions.
    factors : tuple of FactorLayout
        Over all levels.
    basis : WorkingBasis
        The partitions' too.
    xy, n_obs, log_weights
        Sums over all rows, as in ``BlockedSystem``.
    moments : LocalMoments
        Added over all partitions.
    """

    method: ClassVar[str] = "partitioned"
    hessian_is_cheap = True

    def __init__(
        self,
        mapper: Mapper,
        factors: tuple[FactorLayout, ...],
        basis: WorkingBasis,
        xy: FloatArray,
        n_obs: int,
        log_weights: float,
        moments: LocalMoments,
    ) -> None:
        self.mapper, self.factors, self.basis = mapper, factors, basis
        self.xy, self.n_obs, self.log_weights = xy, n_obs, log_weights
        self.moments = moments
        self._kept: OrderedDict[bytes, LocalTerms] = OrderedDict()

    @property
    def n_levels(self) -> dict[str, int]:
        """Levels by grouping factor."""
        return {factor.group: factor.n_levels for factor in self.factors}

    @property
    def levels_of_terms(self) -> list[int]:
        """Levels of every term's grouping factor, model order."""
        n_levels = self.n_levels
        return [n_levels[term.group] for term in self.terms]

    def __repr__(self) -> str:
        return f"PartitionedSystem(n_obs={self.n_obs}, p={self.p}, q={self.q})"

    def objective(self, reml: bool = True) -> PartitionedObjective:
        """The criterion, for a minimizer."""
        return PartitionedObjective(self, reml)

    def terms_at(self, factors: list[FloatArray], directions: list[FloatArray]) -> LocalTerms:
        """Sums over all partitions at given covariance factors; one map-reduce unless kept."""
        key = b"".join(part.tobytes() for part in (*factors, *directions))
        if key in self._kept:
            self._kept.move_to_end(key)
        else:
            self._kept[key] = self.mapper(EvaluateAt(factors, directions, self.p))
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return self._kept[key]

    def settle(self, estimates: Estimates) -> None:
        """Keep the sums at the estimates, as tests ask for them when the partitions may be gone."""
        objective = self.objective(estimates.criterion == "REML")
        phi = objective.phi_from_theta(estimates.theta)
        self.terms_at(objective.factors(phi), objective.directions(phi))

    def estimate(self, theta: FloatArray, reml: bool = True) -> Estimates:
        """Estimates at a given theta: two map-reduces, one for the modes."""
        objective = self.objective(reml)
        return estimates_at(objective.evaluate(objective.phi_from_theta(theta)))

    def variance_information(self, theta: FloatArray, reml: bool = True) -> VarianceInformation:
        """Pieces of Satterthwaite's approximation, from exact derivatives."""
        objective = self.objective(reml)
        return information_at(objective.evaluate(objective.phi_from_theta(theta)))

    def kenward_roger_pieces(self, theta: FloatArray) -> KenwardRogerPieces:
        """Pieces of the Kenward-Roger adjustment at a REML fit."""
        objective = self.objective()
        phi = objective.phi_from_theta(theta)
        both = (objective.evaluation(phi, reml) for reml in (True, False))
        return pieces_at(objective, phi, *both)

    def conditional_covariances(self, estimates: Estimates) -> tuple[FloatArray, ...]:
        """Covariance of each level's effects given the data, theta and sigma, (J, k, k) by term."""
        objective = self.objective(estimates.criterion == "REML")
        factors = objective.factors(objective.phi_from_theta(estimates.theta))
        found = self.mapper(CovariancesAt(factors)).ordered(self.levels_of_terms)
        return tuple(estimates.sigma**2 * part for part in found)


@kenward_roger_pieces.register
def _(system: PartitionedSystem, theta: FloatArray) -> KenwardRogerPieces:
    return system.kenward_roger_pieces(theta)


@modes.register
def _(evaluation: ReducedEvaluation) -> tuple[FloatArray, ...]:
    system: PartitionedSystem = evaluation.system
    found = system.mapper(ModesAt(evaluation.factors, np.asarray(evaluation.gamma)))
    return found.ordered(system.levels_of_terms)
