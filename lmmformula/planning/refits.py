"""Fits of one design to many simulated responses, with what tests need of each fit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from lmmformula._arrays import FloatArray
from lmmformula.engine import (
    BlockedSystem,
    Estimates,
    Objective,
    assemble,
    estimates_at,
    replace_response,
)
from lmmformula.engine.lockstep.newton import minimize_lockstep
from lmmformula.engine.lockstep.stack import ReplicateStack
from lmmformula.errors import LMMError
from lmmformula.inference.bootstrap.fits import Failure, ModelFitter
from lmmformula.matrices import ModelMatrices
from lmmformula.optimize import minimize

__all__ = ["LinearCriterion", "Refit", "criterion_of", "refits_of_responses", "refits_of_stack"]


@dataclass(frozen=True, slots=True, eq=False)
class Refit:
    """One replicate, as methods for tests see it.

    Attributes
    ----------
    system : BlockedSystem
    estimates : Estimates
    """

    system: BlockedSystem
    estimates: Estimates
    is_singular: bool = False

    @property
    def any_system(self) -> BlockedSystem:
        """The same; replicates are fitted exactly."""
        return self.system


def refits_of_stack(fitter: ModelFitter, stack: ReplicateStack) -> Iterator[Refit | str]:
    """Fit in lockstep; the reason instead of a fit where there is none."""
    solution = minimize_lockstep(stack, fitter.start, fitter.reml)
    for index in range(len(stack)):
        system = stack.single(index)
        if not solution.settled[index]:
            yield _one(fitter, system)
            continue
        objective = Objective(system, fitter.reml)
        yield Refit(system, estimates_at(objective.evaluate(solution.phi[index])))


def refits_of_responses(fitter: ModelFitter, responses: FloatArray) -> Iterator[Refit | str]:
    """Fit the columns of ``responses`` one by one."""
    for y in responses.T:
        system = replace_response(fitter.system, fitter.matrices, np.ascontiguousarray(y))
        yield _one(fitter, system)


def _one(fitter: ModelFitter, system: BlockedSystem) -> Refit | str:
    found = fitter.fit_one(system)
    return found if isinstance(found, str) else Refit(system, found)


class LinearCriterion:
    """Criterion of a model without random effects, for many responses at once.

    Parameters
    ----------
    matrices : ModelMatrices
    reml : bool
    """

    def __init__(self, matrices: ModelMatrices, reml: bool) -> None:
        weights = matrices.weights
        self.root = np.ones(matrices.n_obs) if weights is None else np.sqrt(weights)
        self.offset = np.zeros(matrices.n_obs) if matrices.offset is None else matrices.offset
        self.basis, factor = np.linalg.qr(self.root[:, None] * matrices.X)
        self.nu = matrices.n_obs - (matrices.p if reml else 0)
        self.constant = -2.0 * float(np.log(self.root).sum())
        if reml:
            self.constant += 2.0 * float(np.log(np.abs(np.diagonal(factor))).sum())

    def __call__(self, responses: FloatArray) -> tuple[FloatArray, tuple[Failure, ...]]:
        """Criterion of every column of ``responses``, (n, R)."""
        rest = self.root[:, None] * (responses - self.offset[:, None])
        rest = rest - self.basis @ (self.basis.T @ rest)
        scale = np.einsum("ij,ij->j", rest, rest) / self.nu
        return self.nu * (1.0 + np.log(2.0 * np.pi * scale)) + self.constant, ()


class MixedCriterion:
    """Criterion of a mixed model, fitted to many responses."""

    def __init__(self, fitter: ModelFitter) -> None:
        self.fitter = fitter

    def __call__(self, responses: FloatArray) -> tuple[FloatArray, tuple[Failure, ...]]:
        """Criterion of every column of ``responses``, (n, R), and the columns without a fit."""
        found = self.fitter.fit_responses(responses)
        return found.objective, found.failures

    def from_moments(self, response: FloatArray) -> float:
        """Criterion from the optimizer's own start, where the first one led astray."""
        fitter = self.fitter
        system = replace_response(fitter.system, fitter.matrices, response)
        try:
            return float(minimize(system, fitter.reml)[0].objective)
        except (LMMError, ArithmeticError):
            return np.inf


def criterion_of(matrices: ModelMatrices, reml: bool, theta: FloatArray | None) -> Any:
    """What computes the criterion of a smaller model.

    Parameters
    ----------
    matrices : ModelMatrices
        Its design.
    reml : bool
    theta : ndarray or None
        Where its fits start; None for the start from moments of the first response.
    """
    if not matrices.random and matrices.residual is None:
        return LinearCriterion(matrices, reml)
    system = assemble([matrices])
    start = minimize(system, reml)[1].theta if theta is None else theta
    return MixedCriterion(ModelFitter(system, matrices, start, reml))
