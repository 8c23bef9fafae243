"""The deviance with one parameter held at a value: what profiles are minimized over.

``HeldObjective`` looks to an optimizer like the criterion of a fit. The held value c is a
coordinate as well, only not a free one; so a minimum also knows the slope of its profile and the
direction in which the other parameters move along it.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import cached_property

import numpy as np

from lmmformula._arrays import FloatArray, IntArray
from lmmformula.covariance import Correlated
from lmmformula.engine.charts import (
    Chart,
    FreeChart,
    HeldCorrelation,
    HeldDeviation,
    HeldDiagonalDeviation,
)
from lmmformula.engine.deviance import Deviance, HeldCoefficient
from lmmformula.engine.held import Held
from lmmformula.engine.held_residuals import HeldResiduals
from lmmformula.engine.layout import TermLayout
from lmmformula.engine.residuals.point import ResidualPoint
from lmmformula.engine.structured_charts import HeldStructured
from lmmformula.engine.system import BlockedSystem
from lmmformula.engine.threads import limited_threads
from lmmformula.errors import NumericalError

__all__ = ["Held", "HeldObjective", "HeldPoint"]

FLAT = 1e-8
STEP = 1e-4
SMALLEST_STEP = 1e-9


class HeldPoint:
    """The deviance and its derivatives at free coordinates ``phi`` and a held value.

    Attributes
    ----------
    phi : ndarray, shape (n_phi,)
    value : float
    factors : list of ndarray
        Relative covariance factor of every term, working units.
    residual_phi : ndarray
        All coordinates of the residuals.
    """

    def __init__(
        self, objective: HeldObjective, phi: FloatArray, residual_phi: FloatArray | None = None
    ) -> None:
        self.phi, self.objective = phi, objective
        self.eta, held = objective.place(phi)
        c = objective.c
        self.factors = [chart.factor(own, self.eta, c) for chart, own in objective.parts(phi)]
        if residual_phi is None:
            residual_phi = objective.residual_phi(phi)
        self.residual_phi = residual_phi
        self._deviance: Deviance | None = None
        self._residuals: ResidualPoint | None = None
        self.value = np.inf
        self._hessians: dict[bool, FloatArray] = {}
        with objective.threads():
            system = objective.system
            if system.residual is not None:
                self._residuals = objective.residuals.point(residual_phi)
                if self._residuals is None:
                    return
                system = self._residuals.system
            directions = objective.directions(phi, self.eta)
            self._deviance = Deviance(system, self.factors, self.eta, held, directions)
        self.value = self._deviance.value

    @property
    def deviance(self) -> Deviance:
        """What the value was computed from; only where it is finite."""
        if self._deviance is None:
            raise NumericalError(
                "the residuals' covariance is not positive definite here.",
                suggestion="a larger `alpha`, or profile fewer parameters with `which=`",
            )
        return self._deviance

    @property
    def residual(self) -> FloatArray:
        """Natural parameters of the residuals."""
        return self.objective.residuals.natural(self.residual_phi)

    @cached_property
    def _jacobian(self) -> FloatArray:
        """Of (covariance directions, eta, delta) in (phi, c)."""
        objective, c = self.objective, self.objective.c
        width = objective.n_phi + 1
        blocks = []
        for (chart, own), columns in zip(objective.parts(self.phi), objective.columns, strict=True):
            speeds = chart.speeds(own, self.eta, c)
            block = np.zeros((len(speeds), width))
            block[:, columns] = speeds[:, : len(columns)]
            blocks.append(block)
        last = np.zeros((2, width))
        if objective.held.kind == "sigma":
            last[0, -1] = 2.0 / c
        else:
            last[0, -2] = 1.0
        if objective.held.kind == "fixed":
            last[1, -1] = 1.0
        return np.concatenate([*blocks, last])

    @cached_property
    def full_gradient(self) -> FloatArray:
        """Derivatives in (phi, c)."""
        if self._residuals is None:
            return self._direct
        return self._direct + self.residual_slopes @ self.objective.residual_turn

    @cached_property
    def _direct(self) -> FloatArray:
        """What does not go through the residuals' coordinates."""
        with self.objective.threads():
            return self.deviance.gradient @ self._jacobian

    @cached_property
    def residual_slopes(self) -> FloatArray:
        """Derivatives in the residuals' coordinates, held or not."""
        deviance = self.deviance
        assert self._residuals is not None
        with self.objective.threads():
            return self._residuals.slopes(deviance)

    @property
    def gradient(self) -> FloatArray:
        """Derivatives in phi."""
        return self.full_gradient[:-1]

    @property
    def slope(self) -> float:
        """Derivative in the held value; at a minimum that of the profile."""
        return float(self.full_gradient[-1])

    def full_hessian(self, *, exact: bool) -> FloatArray:
        """Second derivatives (or average information) in (phi, c)."""
        if exact not in self._hessians:
            self._hessians[exact] = self._full_hessian(exact)
        return self._hessians[exact]

    def _differenced(self) -> FloatArray:
        """Central differences of the exact gradient, for a sparse tail."""
        objective, rows = self.objective, []
        for unit in STEP * np.eye(len(self.phi)):
            ahead, behind = (HeldPoint(objective, self.phi + s * unit) for s in (1.0, -1.0))
            rows.append((ahead.full_gradient - behind.full_gradient) / (2.0 * STEP))
        ahead, behind = (objective.at(objective.c + s * STEP, self.phi) for s in (1.0, -1.0))
        rows.append((ahead.full_gradient - behind.full_gradient) / (2.0 * STEP))
        hessian = np.array(rows)
        return 0.5 * (hessian + hessian.T)

    def _full_hessian(self, exact: bool) -> FloatArray:
        if exact and self.objective.system.tail.kind == "sparse":
            return self._differenced()
        objective, c = self.objective, self.objective.c
        with objective.threads():
            inner = self.deviance.hessian(exact=exact)
        result: FloatArray = self._jacobian.T @ inner @ self._jacobian
        for (chart, own), columns, D in zip(
            objective.parts(self.phi), objective.columns, self.deviance.gradients, strict=True
        ):
            bend = chart.curvature(own, self.eta, c, D)[: len(columns), : len(columns)]
            result[columns[:, None], columns] += bend
        if objective.held.kind == "sigma":
            result[-1, -1] -= 2.0 * self.deviance.slope_log_variance / c**2
        if self._residuals is not None:
            result += self._residual_hessian()
        return 0.5 * (result + result.T)

    def _residual_hessian(self) -> FloatArray:
        """What the residuals' coordinates add: central differences of the exact gradient."""
        objective = self.objective
        mixed, inner = [], []
        for unit in np.eye(len(self.residual_phi)):
            ahead, behind, width = self._beside(unit)
            mixed.append((ahead._direct - behind._direct) / width)
            inner.append((ahead.residual_slopes - behind.residual_slopes) / width)
        turn = objective.residual_turn
        crossing = turn.T @ np.array(mixed)
        result: FloatArray = crossing + crossing.T + turn.T @ np.array(inner) @ turn
        position = objective.residuals.position
        if position >= 0:
            bend = objective.residuals.place(objective.c).second[2]
            result[-1, -1] += self.residual_slopes[position] * bend
        return result

    def _beside(self, unit: FloatArray) -> tuple[HeldPoint, HeldPoint, float]:
        """Points on both sides in one of the residuals' coordinates, and how far apart."""
        step = STEP
        while True:
            ahead, behind = (
                HeldPoint(self.objective, self.phi, self.residual_phi + sign * step * unit)
                for sign in (1.0, -1.0)
            )
            if np.isfinite(ahead.value + behind.value) or step < SMALLEST_STEP:
                return ahead, behind, 2.0 * step
            step *= 0.1  # the edge of the covariance matrices is near

    def hessian(self, *, exact: bool) -> FloatArray:
        """Second derivatives in phi; average information only where the exact ones are dear."""
        exact = exact or self.objective.hessian_is_cheap
        return self.full_hessian(exact=exact)[:-1, :-1]

    @cached_property
    def effective(self) -> FloatArray:
        """Orthonormal directions beside the rotations, (n_phi, any)."""
        objective = self.objective
        blocks = [
            chart.effective(own, self.eta, objective.c) for chart, own in objective.parts(self.phi)
        ]
        if objective.residuals.n_own:
            blocks.append(np.eye(objective.residuals.n_own))
        width = sum(block.shape[1] for block in blocks) + objective.has_eta
        result, row, column = np.zeros((objective.n_phi, width)), 0, 0
        for block in blocks:
            result[row : row + block.shape[0], column : column + block.shape[1]] = block
            row, column = row + block.shape[0], column + block.shape[1]
        if objective.has_eta:
            result[-1, -1] = 1.0
        return result

    def snapped(self, phi: FloatArray, tolerance: float) -> FloatArray:
        """``phi`` with unwanted tiny variances set to zero."""
        objective = self.objective
        place = objective.place(phi)[0], objective.c
        pieces = [
            chart.snap(own, place, D, tolerance)
            for (chart, own), D in zip(objective.parts(phi), self.deviance.gradients, strict=True)
        ]
        return np.concatenate([*pieces, phi[objective.n_terms_phi :]])

    def along(self) -> tuple[FloatArray, float]:
        """How the minimum moves with the held value, and the second derivative of the profile.

        Directions without curvature stay where they are.
        """
        hessian, V = self.full_hessian(exact=True), self.effective
        values, vectors = np.linalg.eigh(V.T @ hessian[:-1, :-1] @ V)
        keep = values > FLAT * max(float(values.max(initial=0.0)), 1e-300)
        cross = (V @ vectors[:, keep]).T @ hessian[:-1, -1]
        move = -(V @ vectors[:, keep]) @ (cross / values[keep])
        return move, float(hessian[-1, -1] - np.sum(cross**2 / values[keep]))


class HeldObjective:
    """Counts and computes the deviance with one parameter held.

    Parameters
    ----------
    system : BlockedSystem
    held : Held
    c : float
        Value of the held parameter, in working units.
    """

    def __init__(self, system: BlockedSystem, held: Held, c: float) -> None:
        self.system, self.held, self.c = system, held, c
        self.charts = [_chart(system, term, held) for term in system.terms]
        ends = np.cumsum([chart.n_own for chart in self.charts], dtype=np.int64)
        self._slices = [
            slice(int(end) - chart.n_own, int(end))
            for chart, end in zip(self.charts, ends, strict=True)
        ]
        self.has_eta = held.kind != "sigma"
        is_residual = held.kind == "residual"
        self.residuals = HeldResiduals(system, held.position if is_residual else -1)
        self.system = self.residuals.system
        self.n_terms_phi = self._slices[-1].stop if self._slices else 0
        self.n_phi = self.n_terms_phi + self.residuals.n_own + self.has_eta
        self.is_reduced = any(chart.structure.reduced for chart in self.charts)
        extra = [self.n_phi - 1, self.n_phi] if self.has_eta else []
        self.columns: list[IntArray] = [
            np.array([*range(part.start, part.stop), *extra], dtype=np.int64)
            for part in self._slices
        ]
        self.n_evaluations = 0
        self.hessian_is_cheap = system.hessian_is_cheap
        self.rounding = 2e-16 * system.n_obs

    def threads(self) -> AbstractContextManager[None]:
        """Context that keeps BLAS pools from fighting over the cores."""
        return limited_threads()

    def parts(self, phi: FloatArray) -> list[tuple[Chart, FloatArray]]:
        """(chart, its coordinates) for every term."""
        return [(chart, phi[part]) for chart, part in zip(self.charts, self._slices, strict=True)]

    def directions(self, phi: FloatArray, eta: float) -> list[FloatArray] | None:
        """Directions of every term's covariance; None for its entries."""
        if not self.is_reduced:
            return None
        return [chart.directions(own, eta, self.c) for chart, own in self.parts(phi)]

    def residual_phi(self, phi: FloatArray) -> FloatArray:
        """All coordinates of the residuals."""
        stop = self.n_terms_phi + self.residuals.n_own
        return self.residuals.phi(phi[self.n_terms_phi : stop], self.c)

    @cached_property
    def residual_turn(self) -> FloatArray:
        """How (phi, c) move them."""
        return self.residuals.turn(self.c, self.n_terms_phi, self.n_phi + 1)

    def place(self, phi: FloatArray) -> tuple[float, HeldCoefficient | None]:
        """Log residual variance and held coefficient."""
        if self.held.kind == "sigma":
            return 2.0 * float(np.log(self.c)), None
        held = None
        if self.held.kind == "fixed":
            held = HeldCoefficient(self.system.basis.fixed[self.held.column], self.c)
        return float(phi[-1]), held

    def evaluate(self, phi: FloatArray) -> HeldPoint:
        """Compute the deviance (and count it)."""
        self.n_evaluations += 1
        return HeldPoint(self, phi)

    def at(self, c: float, phi: FloatArray) -> HeldPoint:
        """The deviance with another held value."""
        return HeldPoint(HeldObjective(self.system, self.held, c), phi)

    def start(
        self, factors: list[FloatArray], log_variance: float, residual: FloatArray | None = None
    ) -> FloatArray:
        """Coordinates of (what is free at) another point; ``residual`` in natural parameters."""
        pieces = [chart.start(Lambda) for chart, Lambda in zip(self.charts, factors, strict=True)]
        if residual is not None:
            pieces.append(self.residuals.start(residual))
        return np.concatenate([*pieces, [log_variance] if self.has_eta else []])


def _chart(system: BlockedSystem, term: TermLayout, held: Held) -> Chart:
    """Coordinates of one term, given what is held."""
    if held.term != term.index:
        return FreeChart(term.structure)
    rows = system.basis.random[term.index][list(held.effects)]
    if isinstance(term.structure, Correlated):
        if held.kind == "rho":
            return HeldStructured(term.structure, held.position, 1.0, closed=held.closed)
        effect = held.effects[0]
        position = 0 if term.structure.n_sd == 1 else effect
        return HeldStructured(term.structure, position, float(abs(rows[0, effect])))
    if held.kind == "cor":
        return HeldCorrelation(term.structure, rows, closed=held.closed)
    if term.structure.name == "diag":
        effect = held.effects[0]
        return HeldDiagonalDeviation(term.structure, effect, float(abs(rows[0, effect])))
    return HeldDeviation(term.structure, rows[0], closed=held.closed)
