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
from lmmformula.engine.alternative import AnySystem
from lmmformula.engine.evaluation import Evaluation
from lmmformula.engine.hessian import average_information, exact_hessian, residual_forms
from lmmformula.engine.layout import TermLayout
from lmmformula.engine.residuals.point import ResidualPoint
from lmmformula.engine.start import moment_start
from lmmformula.engine.system import BlockedSystem
from lmmformula.engine.threads import limited_threads
from lmmformula.errors import DimensionError

__all__ = ["Objective", "Point"]

UNIT_ROUNDING = 1e-16
DIFFERENCE = 1e-4


class Point:
    """The criterion and its derivatives at one ``phi``; derivatives are computed when asked for.

    Attributes
    ----------
    phi : ndarray, shape (n_phi,)
    value : float
        Criterion; infinite where it could not be computed.
    """

    def __init__(
        self,
        objective: Objective,
        phi: FloatArray,
        evaluation: Evaluation | None,
        residuals: ResidualPoint | None = None,
    ) -> None:
        self.phi, self.objective, self.residuals = phi, objective, residuals
        self._evaluation = evaluation
        self.value = evaluation.value if evaluation is not None else np.inf

    @property
    def evaluation(self) -> Evaluation:
        """What the criterion was computed from; only where it is finite."""
        assert self._evaluation is not None
        return self._evaluation

    @property
    def jacobian(self) -> FloatArray:
        """Derivative of the terms' covariance entries in phi, (T, n_phi)."""
        return _block_diagonal(
            [term.structure.jacobian(part) for term, part in self.objective.parts(self.phi)]
        )

    @cached_property
    def speeds(self) -> FloatArray:
        """How phi moves the covariances along the evaluation's directions, (T, n_phi)."""
        return _block_diagonal(
            [term.structure.speeds(part) for term, part in self.objective.parts(self.phi)]
        )

    @cached_property
    def gradient(self) -> FloatArray:
        """df/dphi, shape (n_phi,)."""
        with self.objective.threads():
            forms = self.evaluation.forms(self.evaluation.gradients)
            order = self.evaluation.direction_order
            own = np.asarray((forms if order is None else forms[order]) @ self.speeds)
            if self.residuals is None:
                return own
            return np.append(own, self.residuals.slopes(self.evaluation))

    def hessian(self, *, exact: bool) -> FloatArray:
        """Second derivatives (exact) or the average information, (n_phi, n_phi)."""
        if exact and not self.objective.has_traces:
            return self._differences(0)
        with self.objective.threads():
            entries = (exact_hessian if exact else average_information)(self.evaluation)
        speeds = self.speeds
        curvature = _block_diagonal(
            [
                term.structure.curvature(part, block)
                for (term, part), block in zip(
                    self.objective.parts(self.phi), self.evaluation.gradients, strict=True
                )
            ]
        )
        hessian: FloatArray = speeds.T @ entries @ speeds + curvature
        hessian = 0.5 * (hessian + hessian.T)
        if self.residuals is None:
            return hessian
        return self._differenced(hessian) if exact else self._bordered(hessian, self.residuals)

    def _bordered(self, inner: FloatArray, residuals: ResidualPoint) -> FloatArray:
        """Average information, with rows of the residuals' parameters."""
        evaluation = self.evaluation
        working = residuals.working(evaluation)
        scale = evaluation.nu / evaluation.pwrss
        order = evaluation.direction_order
        forms, mixed = residual_forms(evaluation), working.mixed
        mixed = scale * mixed - (scale / evaluation.pwrss) * np.outer(forms, working.forms)
        mixed = self.speeds.T @ (mixed if order is None else mixed[order])
        own = scale * working.own
        own -= (scale / evaluation.pwrss) * np.outer(working.forms, working.forms)
        return np.block([[inner, mixed], [mixed.T, own]])

    def _differenced(self, inner: FloatArray) -> FloatArray:
        """Exact derivatives, with rows of the residuals' parameters by differences."""
        n = len(inner)
        hessian = self._differences(n)
        hessian[:n, :n] = inner
        return hessian

    def _differences(self, start: int) -> FloatArray:
        """Rows and columns from ``start`` on, by central differences of the exact gradient."""
        total = len(self.phi)
        hessian = np.zeros((total, total))
        for j, step in enumerate(DIFFERENCE * np.eye(total)[start:], start):
            ahead, behind = (self.objective.computed(self.phi + s * step) for s in (1.0, -1.0))
            ends = [point for point in (ahead, self, behind) if np.isfinite(point.value)]
            first, last = ends[0], ends[-1]  # one-sided where R is not positive definite beyond
            width = max(first.phi[j] - last.phi[j], DIFFERENCE)
            hessian[j] = (first.gradient - last.gradient) / width
        hessian[:start, start:] = hessian[start:, :start].T
        own = hessian[start:, start:]
        hessian[start:, start:] = 0.5 * (own + own.T)
        return hessian

    @cached_property
    def effective(self) -> FloatArray:
        """Orthonormal directions in which the covariances change, (n_phi, any)."""
        blocks = [term.structure.effective(part) for term, part in self.objective.parts(self.phi)]
        return _block_diagonal([*blocks, *self.objective.residual_identity])

    def snapped(self, phi: FloatArray, tolerance: float) -> FloatArray:
        """``phi`` with tiny variances set to zero where the gradient here does not want them."""
        pieces = [
            term.structure.snap(part, block, tolerance)
            for (term, part), block in zip(
                self.objective.parts(phi), self.evaluation.gradients, strict=True
            )
        ]
        return np.concatenate([np.zeros(0), *pieces, self.objective.residual_part(phi)])


class Objective:
    """Counts and computes the criterion of one system.

    Parameters
    ----------
    system : BlockedSystem or AlternativeSystem
        The criterion itself can be computed for blocks; the parameters of any model are known.
    reml : bool, default True

    Attributes
    ----------
    n_evaluations : int
        Number of times the criterion was computed, differences of gradients apart.
    has_traces : bool
        Whether the exact Hessian has a formula; a sparse tail takes differences of the gradient.
    rounding : float
        Differences of the criterion below this are rounding, at the point computed last: the
        residual sum of squares is what remains of a larger sum.
    """

    def __init__(self, system: AnySystem, reml: bool = True) -> None:
        self.system, self.reml = system, reml
        self.n_evaluations = 0
        ends = np.cumsum([term.structure.n_phi for term in system.terms], dtype=np.int64)
        self._slices = [
            slice(int(end) - term.structure.n_phi, int(end))
            for term, end in zip(system.terms, ends, strict=True)
        ]
        self.n_terms_phi = self._slices[-1].stop if self._slices else 0
        residual = system.residual
        self.n_residual = residual.covariance.n_phi if residual is not None else 0
        self.n_phi = self.n_terms_phi + self.n_residual
        self.hessian_is_cheap = system.hessian_is_cheap and not self.n_residual
        self.has_traces = not (isinstance(system, BlockedSystem) and system.tail.kind == "sparse")
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

    def directions(self, phi: FloatArray) -> list[FloatArray] | None:
        """Directions of every term's covariance for second derivatives; None for its entries."""
        if not any(term.structure.reduced for term in self.system.terms):
            return None
        return [term.structure.directions(part) for term, part in self.parts(phi)]

    def evaluate(self, phi: FloatArray) -> Point:
        """Compute the criterion (and count it)."""
        self.n_evaluations += 1
        return self.computed(phi)

    @property
    def blocks(self) -> BlockedSystem:
        """The system, whose blocks the criterion is computed from."""
        assert isinstance(self.system, BlockedSystem)
        return self.system

    def computed(self, phi: FloatArray) -> Point:
        """The criterion as a part of something else, such as a difference of gradients."""
        residuals, system = None, self.blocks
        with self.threads():
            if system.residual is not None:
                residuals = ResidualPoint.of(system, self.residual_part(phi))
                if residuals is None:
                    return Point(self, phi, None)
                system = residuals.system
            evaluation = Evaluation(system, self.factors(phi), self.reml, self.directions(phi))
        if np.isfinite(evaluation.value):
            cancelled = system.xy[-1, -1] / evaluation.pwrss
            self.rounding = UNIT_ROUNDING * (self.system.n_obs + evaluation.nu * cancelled)
        return Point(self, phi, evaluation, residuals)

    def start(self, size: float | None = None) -> FloatArray:
        """Starting values from moments, or ``size`` times the identity for every term."""
        if size is None:
            terms = moment_start(self.blocks, self.reml)
            return self._best_start(np.append(terms, self._residual_start()))
        starts = [term.structure.start(size) for term in self.system.terms]
        return np.concatenate([np.zeros(0), *starts, self._residual_start()])

    def _residual_start(self) -> FloatArray:
        residual = self.system.residual
        return residual.covariance.start() if residual is not None else np.zeros(0)

    def residual_part(self, phi: FloatArray) -> FloatArray:
        """Parameters of the residuals, the last ones."""
        return phi[self.n_terms_phi :]

    @property
    def residual_identity(self) -> list[FloatArray]:
        """Identity over the residuals' parameters, where there are any."""
        return [np.eye(self.n_residual)] if self.n_residual else []

    def _best_start(self, phi: FloatArray) -> FloatArray:
        """Of the correlations that the structures propose, those with the lowest criterion."""
        lowest = None
        proposed = [
            (piece, term.structure.candidates(part))
            for (term, part), piece in zip(self.parts(phi), self._slices, strict=True)
        ]
        if self.system.residual is not None:
            piece = slice(self.n_terms_phi, self.n_phi)
            proposed.append((piece, self.system.residual.covariance.candidates()))
        for piece, candidates in proposed:
            for values in candidates:
                if lowest is None:
                    lowest = self.evaluate(phi).value
                trial = phi.copy()
                trial[piece] = values
                value = self.evaluate(trial).value
                if value < lowest:
                    phi, lowest = trial, value
        return phi

    def phi_from_theta(self, theta: FloatArray) -> FloatArray:
        """Optimizer's parameters of the user's theta."""
        theta = np.asarray(theta, dtype=np.float64)
        if theta.shape != (self.system.n_theta,):
            raise DimensionError(
                "theta does not have one value for each covariance parameter.",
                got=f"shape {theta.shape}, expected ({self.system.n_theta},)",
                suggestion="use the order of `results.theta`",
            )
        pieces, start = [np.zeros(0)], 0
        for term in self.system.terms:
            size = term.structure.n_theta
            template = term.structure.template(theta[start : start + size])
            basis = self.system.basis.random[term.index]
            factor = np.asarray(np.linalg.solve(basis, template), dtype=np.float64)
            pieces.append(term.structure.from_template(factor))
            start += size
        if self.system.residual is not None:
            pieces.append(self.system.residual.covariance.from_natural(theta[start:]))
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
        pieces = [
            term.structure.theta(template)
            for term, template in zip(
                self.system.terms, templates or self.templates(phi), strict=True
            )
        ]
        if self.system.residual is not None:
            pieces.append(self.system.residual.covariance.natural(self.residual_part(phi)))
        return np.concatenate([np.zeros(0), *pieces])


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
