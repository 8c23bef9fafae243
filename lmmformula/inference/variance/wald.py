r"""Standard errors and Wald intervals of the natural covariance parameters.

The exact Hessian gives the covariance of the optimizer's parameters and :math:`\log\sigma^2`;
natural parameters follow by the delta method, on the scale where their range is the whole line:
the log of standard deviations, ratios and ranges, Fisher's z of correlations, over their own range
where that is shorter, and powers as they are. Intervals are symmetric there, as in R's
``nlme::intervals``.

References
----------
Pinheiro and Bates (2000), Mixed-Effects Models in S and S-PLUS, section 2.4.3.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from lmmformula._arrays import BoolArray, FloatArray
from lmmformula.covariance import parameter_names
from lmmformula.covariance.natural import POSITIVE, Limits, bounded, rate, unbounded
from lmmformula.engine import AnySystem, Estimates, Objective
from lmmformula.engine.information import VarianceInformation, variance_information

__all__ = ["Component", "NaturalEstimates", "components_of", "natural_estimates"]

STEP = 1e-6
STILL = 1e-6
AT_LIMIT = 1e-6


@dataclass(frozen=True, slots=True)
class Component:
    """One natural parameter of a fit.

    Attributes
    ----------
    name : str
    limits : (float, float)
        Its range.
    has_sigma : bool
        It is a standard deviation, so it grows with sigma.
    term : int
        Position of its random-effects term; -1 for the residuals' parameters and sigma.
    """

    name: str
    limits: Limits
    has_sigma: bool
    term: int = -1


@dataclass(frozen=True, slots=True, eq=False)
class NaturalEstimates:
    """Natural parameters with their uncertainty.

    Attributes
    ----------
    components : tuple of Component
        Those of the random effects, of the residuals, then sigma.
    values, se : ndarray, shape (m,)
        Standard errors are NaN where there are none: at the end of a range, or along directions
        that the data do not identify.
    """

    components: tuple[Component, ...]
    values: FloatArray
    se: FloatArray

    def limits(self, quantile: float) -> tuple[FloatArray, FloatArray]:
        """Ends of intervals, ``quantile`` standard errors away on the unbounded scale."""
        lower, upper = np.full_like(self.values, np.nan), np.full_like(self.values, np.nan)
        for i in np.flatnonzero(np.isfinite(self.se)):
            limits, value = self.components[i].limits, float(self.values[i])
            half = quantile * self.se[i] / rate(value, limits)
            middle = unbounded(value, limits)
            lower[i], upper[i] = bounded(middle - half, limits), bounded(middle + half, limits)
        return lower, upper


def components_of(system: AnySystem) -> tuple[Component, ...]:
    """Natural parameters of a model in the order of theta, then sigma."""
    terms = system.terms
    named = parameter_names(
        [term.structure for term in terms],
        [term.effect_names for term in terms],
        [term.group for term in terms],
    )
    found = [
        Component(name, parameter.limits, parameter.kind == "sd", term.index)
        for term, names in zip(terms, named, strict=True)
        for parameter, name in zip(
            term.structure.natural_parameters(term.effect_names), names, strict=True
        )
    ]
    if system.residual is not None:
        covariance = system.residual.covariance
        taken: list[str] = []
        for name, limits in zip(covariance.names, covariance.limits, strict=True):
            count = taken.count(name)
            taken.append(name)
            found.append(Component(f"{name}.{count}" if count else name, limits, False))
    return (*found, Component("sigma", POSITIVE, True))


def natural_estimates(
    system: AnySystem, estimates: Estimates, at_end: Collection[str] = ()
) -> NaturalEstimates:
    """Natural parameters of a fit and their standard errors.

    Parameters
    ----------
    system : BlockedSystem or AlternativeSystem
    estimates : Estimates
        At the optimum.
    at_end : collection of str
        Names of parameters that are known to be at the end of their range.
    """
    components = components_of(system)
    information = variance_information(system, estimates.theta, estimates.criterion == "REML")
    values = _values(system, information.phi)
    scaled = np.array([component.has_sigma for component in components])
    values = np.append(values, 1.0) * np.where(scaled, estimates.sigma, 1.0)
    variance = _variances(system, components, information)
    regular = np.isfinite(variance) & (variance > 0.0)
    regular &= [component.name not in at_end for component in components]
    regular &= [
        _is_inside(value, component.limits)
        for value, component in zip(values, components, strict=True)
    ]
    speed = [rate(value, c.limits) for value, c in zip(values, components, strict=True)]
    se = np.sqrt(np.where(regular, variance, np.nan)) * np.array(speed)
    return NaturalEstimates(components, values, se)


def _values(system: AnySystem, phi: FloatArray) -> FloatArray:
    """Natural parameters at ``phi``; standard deviations are relative to sigma."""
    objective = Objective(system)
    templates = objective.templates(phi)
    parts = [
        term.structure.natural(template)
        for term, template in zip(system.terms, templates, strict=True)
    ]
    if system.residual is not None:
        parts.append(system.residual.covariance.natural(objective.residual_part(phi)))
    return np.concatenate([np.zeros(0), *parts])


def _variances(
    system: AnySystem, components: tuple[Component, ...], information: VarianceInformation
) -> FloatArray:
    """Variances on the unbounded scale; NaN where directions that are not identified matter."""

    def slopes(directions: FloatArray) -> FloatArray:
        """Derivatives along directions (n_phi, d), shape (m, d)."""
        columns = [
            _place(system, components, information.phi + STEP * move)
            - _place(system, components, information.phi - STEP * move)
            for move in directions.T
        ]
        return np.array(columns).reshape(-1, len(components) - 1).T / (2.0 * STEP)

    own = slopes(information.moves)
    jacobian = np.zeros((len(components), own.shape[1] + 1))
    jacobian[:-1, :-1] = own
    jacobian[:, -1] = [0.5 * component.has_sigma for component in components]
    variance = np.einsum("ij,jk,ik->i", jacobian, information.covariance, jacobian)
    lost: BoolArray = np.append(np.any(np.abs(slopes(information.flat)) > STILL, axis=1), False)
    still = np.append(np.abs(own).max(axis=1, initial=0.0) <= STILL, False)
    return np.where(lost | still, np.nan, variance)


def _place(system: AnySystem, components: tuple[Component, ...], phi: FloatArray) -> FloatArray:
    """Unbounded parameters at ``phi``, without sigma's share."""
    pairs = zip(_values(system, phi), components[:-1], strict=True)
    return np.array([unbounded(value, component.limits) for value, component in pairs])


def _is_inside(value: float, limits: Limits) -> bool:
    low, high = limits
    if not np.isfinite(value):
        return False
    if np.isinf(low):
        return True
    if np.isinf(high):
        return bool(value > low)
    return bool(min(value - low, high - value) > AT_LIMIT * (high - low))
