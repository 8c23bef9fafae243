"""The criterion as a function of the optimizer's parameters: packing, chain rule, counting.

``phi`` concatenates the parameters of every term's covariance structure, in working units. The
engine supplies derivatives in the entries of Sigma; structures supply dSigma/dphi.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import cached_property
from typing import Any

import numpy as np

from lmmformula._arrays import FloatArray
from lmmformula.covariance import semidefinite_cholesky
from lmmformula.engine.evaluation import Evaluation
from lmmformula.engine.hessian import average_information, exact_hessian
from lmmformula.engine.layout import TermLayout
from lmmformula.engine.start import moment_start
from lmmformula.engine.system import BlockedSystem
from lmmformula.engine.threads import limited_threads
from lmmformula.errors import DimensionError

__all__ = ["Objective", "Point"]

UNIT_ROUNDING = 1e-16


class Point:
    """The criterion and its derivatives at one ``phi``; derivatives are computed when asked for.

    Attributes
    ----------
    phi : ndarray, shape (n_phi,)
    value : float
        Criterion; infinite where it could not be computed.
    """

    def __init__(self, objective: Objective, phi: FloatArray, evaluation: Evaluation) -> None:
        self.phi, self.evaluation, self.objective = phi, evaluation, objective
        self.value = evaluation.value

    @cached_property
    def _jacobian(self) -> list[FloatArray]:
        return [term.structure.jacobian(part) for term, part in self.objective.parts(self.phi)]

    @property
    def jacobian(self) -> FloatArray:
        """Derivative of the terms' covariance entries in phi, (T, n_phi)."""
        return _block_diagonal(self._jacobian)

    @cached_property
    def gradient(self) -> FloatArray:
        """df/dphi, shape (n_phi,)."""
        with self.objective.threads():
            blocks = self.evaluation.gradients
        pieces = []
        for (term, _), jacobian, block in zip(
            self.objective.parts(self.phi), self._jacobian, blocks, strict=True
        ):
            rows, columns = term.structure.pairs
            pieces.append((term.structure.multiplicity * block[rows, columns]) @ jacobian)
        return np.concatenate(pieces)

    def hessian(self, *, exact: bool) -> FloatArray:
        """Second derivatives (exact) or the average information, (n_phi, n_phi)."""
        with self.objective.threads():
            entries = (exact_hessian if exact else average_information)(self.evaluation)
        jacobian = self.jacobian
        curvature = _block_diagonal(
            [
                term.structure.curvature(part, block)
                for (term, part), block in zip(
                    self.objective.parts(self.phi), self.evaluation.gradients, strict=True
                )
            ]
        )
        hessian: FloatArray = jacobian.T @ entries @ jacobian + curvature
        return 0.5 * (hessian + hessian.T)

    @cached_property
    def effective(self) -> FloatArray:
        """Orthonormal directions in which the covariances change, (n_phi, any)."""
        return _block_diagonal(
            [term.structure.effective(part) for term, part in self.objective.parts(self.phi)]
        )

    def snapped(self, phi: FloatArray, tolerance: float) -> FloatArray:
        """``phi`` with tiny variances set to zero where the gradient here does not want them."""
        pieces = [
            term.structure.snap(part, block, tolerance)
            for (term, part), block in zip(
                self.objective.parts(phi), self.evaluation.gradients, strict=True
            )
        ]
        return np.concatenate(pieces)


class Objective:
    """Counts and computes the criterion of one system.

    Parameters
    ----------
    system : BlockedSystem
    reml : bool, default True

    Attributes
    ----------
    n_evaluations : int
        Number of times the criterion was computed, whatever for.
    rounding : float
        Differences of the criterion below this are rounding, at the point computed last: the
        residual sum of squares is what remains of a larger sum.
    """

    def __init__(self, system: BlockedSystem, reml: bool = True) -> None:
        self.system, self.reml = system, reml
        self.n_evaluations = 0
        ends = np.cumsum([term.structure.n_phi for term in system.terms])
        self._slices = [
            slice(int(end) - term.structure.n_phi, int(end))
            for term, end in zip(system.terms, ends, strict=True)
        ]
        self.n_phi = int(ends[-1])
        self.hessian_is_cheap = system.hessian_is_cheap
        self.rounding = UNIT_ROUNDING * system.n_obs

    def threads(self) -> AbstractContextManager[Any]:
        """Context that keeps BLAS pools from fighting over the cores."""
        return limited_threads()

    def parts(self, phi: FloatArray) -> list[tuple[TermLayout, FloatArray]]:
        """(term, its parameters) for every term."""
        return [
            (term, phi[piece]) for term, piece in zip(self.system.terms, self._slices, strict=True)
        ]

    def factors(self, phi: FloatArray) -> list[FloatArray]:
        """Lambda of every term, working units."""
        return [term.structure.factor(part) for term, part in self.parts(phi)]

    def evaluate(self, phi: FloatArray) -> Point:
        """Compute the criterion (and count it)."""
        self.n_evaluations += 1
        with self.threads():
            evaluation = Evaluation(self.system, self.factors(phi), self.reml)
        if np.isfinite(evaluation.value):
            cancelled = self.system.xy[-1, -1] / evaluation.pwrss
            self.rounding = UNIT_ROUNDING * (self.system.n_obs + evaluation.nu * cancelled)
        return Point(self, phi, evaluation)

    def start(self, size: float | None = None) -> FloatArray:
        """Starting values from moments, or ``size`` times the identity for every term."""
        if size is None:
            return moment_start(self.system, self.reml)
        return np.concatenate([term.structure.start(size) for term in self.system.terms])

    def phi_from_theta(self, theta: FloatArray) -> FloatArray:
        """Optimizer's parameters of the user's theta."""
        theta = np.asarray(theta, dtype=np.float64)
        if theta.shape != (self.system.n_theta,):
            raise DimensionError(
                "theta does not have one value for each covariance parameter.",
                got=f"shape {theta.shape}, expected ({self.system.n_theta},)",
                suggestion="use the order of `results.theta`",
            )
        pieces, start = [], 0
        for term in self.system.terms:
            size = term.structure.n_theta
            template = term.structure.template(theta[start : start + size])
            basis = self.system.basis.random[term.index]
            factor = np.asarray(np.linalg.solve(basis, template), dtype=np.float64)
            pieces.append(term.structure.from_template(factor))
            start += size
        return np.concatenate(pieces)

    def templates(self, phi: FloatArray) -> list[FloatArray]:
        """Lower-triangular template of every term, in the user's columns."""
        result = []
        for basis, factor in zip(self.system.basis.random, self.factors(phi), strict=True):
            unit = np.abs(basis).max(axis=1) * np.abs(factor).max()
            result.append(lower_template(basis @ factor, unit))
        return result

    def theta(self, phi: FloatArray, templates: list[FloatArray] | None = None) -> FloatArray:
        """The user's theta (from its templates, where these are at hand)."""
        return np.concatenate(
            [
                term.structure.theta(template)
                for term, template in zip(
                    self.system.terms, templates or self.templates(phi), strict=True
                )
            ]
        )


def lower_template(factor: FloatArray, unit: FloatArray) -> FloatArray:
    """Lower Cholesky factor of ``factor @ factor.T`` with exact zeros for singular directions.

    A row far below the ``unit`` of its effect, (k,), is a zero variance.
    """
    if factor.shape[0] == 1:
        return np.abs(factor)
    largest = max(float(np.abs(factor).max()), 1e-300)
    size = largest * np.sqrt(np.sum((factor / largest) ** 2, axis=1))
    positive = size > 1e-13 * unit
    scaled = np.where(positive[:, None], factor / np.where(positive, size, 1.0)[:, None], 0.0)
    return size[:, None] * semidefinite_cholesky(scaled @ scaled.T)


def _block_diagonal(blocks: list[FloatArray]) -> FloatArray:
    """Block-diagonal matrix of rectangular blocks."""
    if len(blocks) == 1:
        return blocks[0]
    shape = sum(block.shape[0] for block in blocks), sum(block.shape[1] for block in blocks)
    matrix, row, column = np.zeros(shape), 0, 0
    for block in blocks:
        matrix[row : row + block.shape[0], column : column + block.shape[1]] = block
        row, column = row + block.shape[0], column + block.shape[1]
    return matrix
