"""Fits one model to many responses: in lockstep where that pays, one by one where it does not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from lmmformula._arrays import BoolArray, FloatArray
from lmmformula.covariance import Structure
from lmmformula.engine import BlockedSystem, Estimates, Objective, replace_response
from lmmformula.engine.lockstep.newton import (
    LockstepSolution,
    minimize_lockstep,
    replicates_per_batch,
)
from lmmformula.engine.lockstep.stack import ReplicateStack, RowProducts
from lmmformula.errors import ConvergenceWarning, LMMError
from lmmformula.matrices import ModelMatrices
from lmmformula.optimize import OptimumStatus, minimize

__all__ = ["Failure", "Fits", "ModelFitter", "failure_warning"]

SINGULAR = 1e-4
LIFT = 0.1
ROWS_AT_ONCE = 4_000_000


@dataclass(frozen=True, slots=True)
class Failure:
    """A replicate that could not be fitted, and why.

    Attributes
    ----------
    replicate : int
        Its position among the replicates.
    reason : str
        What went wrong, in a sentence.
    """

    replicate: int
    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class Fits:
    """Estimates of a block of replicates.

    Attributes
    ----------
    values : ndarray, shape (R, n_parameters)
        Fixed effects, then standard deviations and correlations in the order of
        ``VarCorr.parameters``, with sigma and the natural parameters of the residuals last; NaN
        where the fit failed.
    objective : ndarray, shape (R,)
        Criterion; NaN where the fit failed.
    is_singular : ndarray of bool, shape (R,)
    failures : tuple of Failure
    """

    values: FloatArray
    objective: FloatArray
    is_singular: BoolArray
    failures: tuple[Failure, ...]

    @classmethod
    def joined(cls, parts: Sequence[Fits]) -> Fits:
        """Blocks in their order."""
        failures, start = [], 0
        for part in parts:
            failures += [Failure(start + f.replicate, f.reason) for f in part.failures]
            start += len(part.objective)
        return cls(
            np.concatenate([part.values for part in parts]),
            np.concatenate([part.objective for part in parts]),
            np.concatenate([part.is_singular for part in parts]),
            tuple(failures),
        )


class ModelFitter:
    """Fits replicates of one model; holds what they share and can be sent to other processes.

    Parameters
    ----------
    system : BlockedSystem
    matrices : ModelMatrices
    theta : ndarray, shape (n_theta,)
        Where every fit starts, lifted off the boundary: from a variance of exactly zero no
        gradient leads away.
    reml : bool
    """

    def __init__(
        self, system: BlockedSystem, matrices: ModelMatrices, theta: FloatArray, reml: bool
    ) -> None:
        self.system, self.matrices, self.reml = system, matrices, reml
        objective = Objective(system, reml)
        self.start = _lifted(system, objective.phi_from_theta(theta))
        self.theta = objective.theta(self.start)
        self.batch = replicates_per_batch(system)
        self._products: RowProducts | None = None

    @property
    def n_rows_at_once(self) -> int:
        """Replicates whose rows may be held at one time."""
        limit = max(1, ROWS_AT_ONCE // max(self.matrices.n_obs, 1))
        return min(limit, self.batch or 10)

    @property
    def products(self) -> RowProducts:
        """Cross-products with new responses, prepared once in every process."""
        if self._products is None:
            self._products = RowProducts(self.system, self.matrices)
        return self._products

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_products": None}

    def fit_responses(self, responses: FloatArray) -> Fits:
        """Fit the columns of ``responses``, (n, R)."""
        if self.batch:
            return self.fit_stack(self.products.stack(responses))
        systems = (
            replace_response(self.system, self.matrices, np.ascontiguousarray(y))
            for y in responses.T
        )
        return self.fit_systems(systems, responses.shape[1])

    def fit_systems(self, systems: Iterable[BlockedSystem | str], n: int) -> Fits:
        """Fit ``n`` systems one by one; each may also be the reason why there is none."""
        table = _Table(self, n)
        for index, system in enumerate(systems):
            table.fit(index, system)
        return table.fits()

    def fit_stack(self, stack: ReplicateStack) -> Fits:
        """Fit a stack in lockstep; what that leaves unsettled goes to the ordinary optimizer."""
        solution = minimize_lockstep(stack, self.start, self.reml)
        table = _Table(self, len(stack))
        table.fill(solution)
        for index in np.flatnonzero(~solution.settled).tolist():
            table.fit(index, stack.single(index))
        return table.fits()

    def fit_one(self, system: BlockedSystem) -> Estimates | str:
        """Estimates, or the reason of the failure."""
        try:
            optimum, estimates = minimize(system, self.reml, start=self.theta)
        except LMMError as error:
            return str(error.message)
        except (ArithmeticError, np.linalg.LinAlgError) as error:
            return f"the arithmetic broke down: {error}"
        if optimum.status is not OptimumStatus.CONVERGED:
            return optimum.status.message
        return estimates


def _lifted(system: BlockedSystem, phi: FloatArray) -> FloatArray:
    """``phi`` with the small singular values of every factor raised to a floor."""
    pieces, start = [], 0
    for term in system.terms:
        piece = phi[start : start + term.structure.n_phi]
        start += term.structure.n_phi
        left, size, right = np.linalg.svd(term.structure.factor(piece))
        if size[-1] < LIFT:
            piece = term.structure.from_template((left * np.maximum(size, LIFT)) @ right)
        pieces.append(piece)
    return np.concatenate([*pieces, phi[start:]])


class _Table:
    """Collects the estimates of one block."""

    def __init__(self, fitter: ModelFitter, n: int) -> None:
        self.fitter = fitter
        terms = fitter.system.terms
        residual = fitter.system.residual
        self.n_residual = 0 if residual is None else residual.covariance.n_phi
        width = fitter.system.p + sum(t.structure.n_theta for t in terms) + 1
        width += self.n_residual
        self.values = np.full((n, width), np.nan)
        self.objective = np.full(n, np.nan)
        self.is_singular = np.zeros(n, dtype=np.bool_)
        self.failures: list[Failure] = []

    def fits(self) -> Fits:
        return Fits(self.values, self.objective, self.is_singular, tuple(self.failures))

    def fill(self, solution: LockstepSolution) -> None:
        """Take over the settled replicates."""
        system, done = self.fitter.system, solution.settled
        if not done.any():
            return
        basis = system.basis
        sigma = np.sqrt(solution.sigma2[done]) * basis.scale
        parts = [basis.beta + basis.scale * solution.beta[done] @ basis.fixed.T]
        smallest, start = np.full(len(sigma), np.inf), 0
        for term in system.terms:
            piece = solution.phi[done, start : start + term.structure.n_phi]
            start += term.structure.n_phi
            Lambda = np.stack([term.structure.factor(row) for row in piece])
            size = np.linalg.svd(Lambda, compute_uv=False)[:, -1]
            smallest = np.minimum(smallest, size)
            factor = sigma[:, None, None] * (basis.random[term.index] @ Lambda)
            parts.append(_natural(factor, term.structure))
        parts.append(sigma[:, None])
        self.values[done] = np.concatenate(parts, axis=1)
        self.objective[done] = solution.value[done]
        self.is_singular[done] = smallest < SINGULAR

    def fit(self, index: int, system: BlockedSystem | str) -> None:
        """Fit one replicate with the ordinary optimizer."""
        if isinstance(system, str):
            self.failures.append(Failure(index, system))
            return
        found = self.fitter.fit_one(system)
        if isinstance(found, str):
            self.failures.append(Failure(index, found))
            return
        parts, smallest = [found.beta], np.inf
        for term, template in zip(system.terms, found.templates, strict=True):
            working = np.linalg.solve(system.basis.random[term.index], template)
            smallest = min(smallest, float(np.linalg.svd(working, compute_uv=False)[-1]))
            parts.append(term.structure.natural(found.sigma * template))
        own = found.theta[found.n_theta - self.n_residual :]
        self.values[index] = np.concatenate([*parts, [found.sigma], own])
        self.objective[index] = found.objective
        self.is_singular[index] = smallest < SINGULAR


def _natural(factor: FloatArray, structure: Structure) -> FloatArray:
    """Natural parameters of covariances ``factor @ factor'``, (R, m)."""
    if structure.reduced:
        return np.stack([structure.natural(one) for one in factor])
    k, correlated = structure.k, structure.name == "us"
    entries = [(i, j) for j in range(k) for i in range(j, k) if i == j or correlated]
    sd = np.linalg.norm(factor, axis=2)
    with np.errstate(invalid="ignore", divide="ignore"):
        rows = factor / sd[:, :, None]
    cor = np.clip(rows @ np.swapaxes(rows, 1, 2), -1.0, 1.0)
    columns = [sd[:, j] if i == j else cor[:, i, j] for i, j in entries]
    return np.stack(columns, axis=1)


def failure_warning(failures: Sequence[Failure], n: int) -> ConvergenceWarning:
    """Say how many replicates failed, and the most frequent reason."""
    reason, count = Counter(failure.reason for failure in failures).most_common(1)[0]
    return ConvergenceWarning(
        f"{len(failures)} of {n} bootstrap replicates could not be fitted; they are missing in the "
        "table and in the intervals.",
        got=f"{count} times: {reason}",
        suggestion="look at `failures`; many failures mean that the intervals cannot be trusted",
        n_failed=len(failures),
    )
