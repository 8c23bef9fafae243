"""Estimates at an evaluated point, carried back to the user's columns and units."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import singledispatch

import numpy as np

from lmmformula._arrays import FloatArray
from lmmformula.engine.alternative import AlternativeSystem, AnySystem
from lmmformula.engine.evaluation import Evaluation
from lmmformula.engine.kernels import block_product
from lmmformula.engine.monte_carlo import MonteCarlo
from lmmformula.engine.objective import Objective, Point
from lmmformula.engine.tail_rows import TailRows
from lmmformula.errors import NumericalError

__all__ = [
    "Estimates",
    "conditional_covariances",
    "estimate",
    "estimates_at",
    "modes",
    "modes_in_columns",
    "relative_covariances",
]


@dataclass(frozen=True, slots=True, eq=False)
class Estimates:
    """Estimates of a linear mixed model at one theta.

    Attributes
    ----------
    theta : ndarray, shape (n_theta,)
        Relative covariance parameters, in units of the residual standard deviation: for each term
        the lower triangle of its template by columns.
    templates : tuple of ndarray, shape (k, k)
        Lower-triangular relative covariance factor T of each term: Var(b) = sigma^2 T T'.
    beta : ndarray, shape (p,)
        Fixed effects.
    vcov_beta : ndarray, shape (p, p)
        Their covariance, sigma^2 included.
    sigma : float
        Residual standard deviation (of a row with weight one).
    random : tuple of ndarray, shape (J, k)
        Conditional modes b of each term.
    objective : float
        Minus twice the log-likelihood, or the REML criterion.
    criterion : str
        "REML" or "ML".
    pwrss : float
        Penalised weighted residual sum of squares.
    logdet_L : float
        log |Lambda'Z'WZ Lambda + I|.
    logdet_RX : float
        log |X'H^-1X|.
    n_obs, p, n_theta : int
        Counts.
    monte_carlo : MonteCarlo or None
        Error of an engine with random probes; None for an exact one.
    """

    theta: FloatArray
    templates: tuple[FloatArray, ...]
    beta: FloatArray
    vcov_beta: FloatArray
    sigma: float
    random: tuple[FloatArray, ...]
    objective: float
    criterion: str
    pwrss: float
    logdet_L: float
    logdet_RX: float
    n_obs: int
    p: int
    n_theta: int
    monte_carlo: MonteCarlo | None = None

    def __repr__(self) -> str:
        return (
            f"Estimates(criterion={self.criterion!r}, objective={self.objective:.6g}, p={self.p}, "
            f"n_theta={self.n_theta})"
        )


def estimate(system: AnySystem, theta: FloatArray, reml: bool = True) -> Estimates:
    """Estimates at a given theta; nothing is optimized.

    Parameters
    ----------
    system : BlockedSystem or AlternativeSystem
    theta : ndarray, shape (n_theta,)
        In the order of ``Estimates.theta``.
    reml : bool, default True

    Raises
    ------
    DimensionError
        ``theta`` has the wrong length.
    NumericalError
        The criterion cannot be computed there.
    """
    if isinstance(system, AlternativeSystem):
        return system.estimate(theta, reml)
    objective = Objective(system, reml)
    return estimates_at(objective.evaluate(objective.phi_from_theta(theta)))


def estimates_at(point: Point) -> Estimates:
    """Estimates at an evaluated point; the criterion is not computed again."""
    objective = point.objective
    if not np.isfinite(point.value):
        raise NumericalError(
            "the likelihood cannot be computed at these covariance parameters.",
            got=f"theta = {np.array2string(objective.theta(point.phi), precision=4)}",
            suggestion="use smaller values, or rescale the columns of the random effects",
        )
    evaluation = point.evaluation
    system, basis = evaluation.system, evaluation.system.basis
    sigma2 = evaluation.pwrss / evaluation.nu * basis.scale**2
    templates = objective.templates(point.phi)
    return Estimates(
        theta=objective.theta(point.phi, templates),
        templates=tuple(templates),
        beta=basis.beta + basis.scale * (basis.fixed @ evaluation.beta),
        vcov_beta=sigma2 * (basis.fixed @ evaluation.Phi @ basis.fixed.T),
        sigma=float(np.sqrt(sigma2)),
        random=modes(evaluation),
        objective=float(point.value),
        criterion="REML" if evaluation.reml else "ML",
        pwrss=evaluation.pwrss * basis.scale**2,
        logdet_L=evaluation.logdet_H,
        logdet_RX=evaluation.logdet_X - 2.0 * basis.logdet_fixed,
        n_obs=system.n_obs,
        p=system.p,
        n_theta=system.n_theta,
    )


@singledispatch
def modes(evaluation: Evaluation) -> tuple[FloatArray, ...]:
    """Conditional modes of every term, (J, k), in the user's columns."""
    system = evaluation.system
    per_factor = [evaluation.first_modes.T]
    if evaluation.tail is not None:
        tail = evaluation.tail_modes
        if system.relations is not None:
            tail = system.relations.forward(tail[:, None])[:, 0]
        per_factor += [evaluation.of_factor(tail, f) for f in range(len(system.tail.factors))]
    return modes_in_columns(system, per_factor)


def modes_in_columns(system: AnySystem, per_factor: list[FloatArray]) -> tuple[FloatArray, ...]:
    """Modes of every term, (J, k), in the user's columns, from each factor's working ones."""
    basis = system.basis
    found = {
        term.index: basis.scale * (values[:, term.columns] @ basis.random[term.index].T)
        for factor, values in zip(system.factors, per_factor, strict=True)
        for term in factor.terms
    }
    return tuple(found[index] for index in range(len(found)))


def conditional_covariances(
    system: AnySystem,
    estimates: Estimates,
    relationships: Mapping[str, FloatArray | None] | None = None,
) -> tuple[FloatArray, ...]:
    """Covariance of each level's effects given the data, theta and sigma (lme4's ``condVar``).

    Parameters
    ----------
    system : BlockedSystem or AlternativeSystem
        The system that was fitted.
    estimates : Estimates
        Its estimates; theta and sigma are used.
    relationships : mapping of str to ndarray (J + m, J + m) or None, optional
        By grouping factor, the factor L of a relationship with m levels beyond the fitted ones.

    Returns
    -------
    tuple of ndarray, shape (J + m, k, k)
        For every term, in the model's order; uncertainty of the fixed effects is not included.
    """
    if isinstance(system, AlternativeSystem):
        return system.conditional_covariances(estimates)
    objective = Objective(system, estimates.criterion == "REML")
    evaluation = objective.evaluate(objective.phi_from_theta(estimates.theta)).evaluation
    sigma2 = estimates.sigma**2
    return tuple(sigma2 * part for part in relative_covariances(evaluation, relationships))


def relative_covariances(
    evaluation: Evaluation, relationships: Mapping[str, FloatArray | None] | None = None
) -> list[FloatArray]:
    """As ``conditional_covariances`` at an evaluation, over sigma^2."""
    system, N = evaluation.system, evaluation.N
    per_factor = [N]
    if evaluation.tail is not None:
        coupled = system.cross.adjoint(evaluation.tail.flat_N)
        per_factor = [N + block_product(block_product(N, coupled), N)]
        per_factor += _tail_covariances(evaluation, relationships or {})
    covariances = {}
    for factor, blocks in zip(system.factors, per_factor, strict=True):
        for term in factor.terms:
            transform = system.basis.random[term.index]
            part = blocks[term.columns, term.columns].transpose(2, 0, 1)
            covariances[term.index] = transform @ part @ transform.T
    return [covariances[index] for index in range(len(covariances))]


def _tail_covariances(
    evaluation: Evaluation, relationships: Mapping[str, FloatArray | None]
) -> list[FloatArray]:
    """Blocks of every level of every tail factor, (k, k, J + m) each."""
    system, tail = evaluation.system, evaluation.tail
    assert tail is not None
    factors, relations, extra = system.tail.factors, system.relations, []
    for factor in factors:
        L = relationships.get(factor.group)
        extra.append(None if L is None else L[factor.n_levels :])
    if relations is not None:
        known = zip(extra, factors, strict=True)
        relations = relations.extended([L if L is None else L[:, : f.n_levels] for L, f in known])
    rows = TailRows(evaluation, relations)
    covariances = []
    for f, (factor, L) in enumerate(zip(factors, extra, strict=True)):
        n_extra = 0 if L is None else len(L)
        column = rows.column(f, np.arange(factor.n_levels + n_extra))
        effects = range(factor.k)
        blocks = np.array(
            [[rows.entries(column + a, column + b) for b in effects] for a in effects]
        )
        if L is not None:
            Sigma = tail.Lambdas[f] @ tail.Lambdas[f].T
            own = np.sum(L[:, factor.n_levels :] ** 2, axis=1)
            blocks[:, :, factor.n_levels :] += Sigma[:, :, None] * own
        covariances.append(blocks)
    return covariances
