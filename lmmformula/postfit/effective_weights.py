"""Variance functions as prior weights: what a fit is once their coefficients are known."""

from __future__ import annotations

from dataclasses import dataclass, replace

from lmmformula.design import Design
from lmmformula.engine import BlockedSystem, Estimates, assemble
from lmmformula.postfit.requirements import require_uncorrelated_residuals
from lmmformula.postfit.residual_structure import ResidualStructure

__all__ = ["WeightedFit", "weighted_fit"]


@dataclass(frozen=True, slots=True, eq=False)
class WeightedFit:
    """A fit whose residual variances are sigma^2 over weights.

    Attributes
    ----------
    design : Design
    estimates : Estimates
    system : BlockedSystem
    """

    design: Design
    estimates: Estimates
    system: BlockedSystem


def weighted_fit(
    design: Design,
    estimates: Estimates,
    system: BlockedSystem,
    structure: ResidualStructure | None,
    *,
    what: str,
    instead: str,
) -> WeightedFit:
    """The fit with its variance functions turned into weights, at the estimates.

    Parameters
    ----------
    design, estimates, system : Design, Estimates, BlockedSystem
        The fit, with its rows; it is what is returned where ``structure`` is None.
    structure : ResidualStructure or None
    what, instead : str
        What asks, and what to do where residuals are correlated.

    Raises
    ------
    OptionError
        Residuals are correlated, which weights cannot say.
    """
    residual = design.matrices.residual
    if structure is None or residual is None:
        return WeightedFit(design, estimates, system)
    require_uncorrelated_residuals(residual, what, instead)
    weights = (estimates.sigma / structure.sd) ** 2
    matrices = replace(design.matrices, weights=weights, residual=None)
    theta = estimates.theta[: estimates.n_theta - len(structure.kinds)]
    return WeightedFit(
        replace(design, matrices=matrices),
        replace(estimates, theta=theta, n_theta=len(theta)),
        assemble([matrices]),
    )
