"""The deviance with one parameter held at a value: what profiles are minimized over.

``HeldObjective`` looks to an optimizer like the criterion of a fit. The held value c is a
coordinate as well, only not a free one; so a minimum also knows the slope of its profile and the
direction in which the other parameters move along it.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, TypeAlias

import numpy as np

from lmmformula._arrays import FloatArray, IntArray
from lmmformula.engine.charts import (
    Chart,
    FreeChart,
    HeldCorrelation,
    HeldDeviation,
    HeldDiagonalDeviation,
)
from lmmformula.engine.deviance import Deviance, HeldCoefficient
from lmmformula.engine.layout import TermLayout
from lmmformula.engine.system import BlockedSystem
from lmmformula.engine.threads import limited_threads

__all__ = ["Held", "HeldObjective", "HeldPoint"]

FLAT = 1e-8

Kind: TypeAlias = Literal["sd", "cor", "sigma", "fixed"]


@dataclass(frozen=True, slots=True)
class Held:
    """Which parameter is held.

    Attributes
    ----------
    kind : {"sd", "cor", "sigma", "fixed"}
    term : int
        Position of the random-effects term ("sd", "cor").
    effects : tuple of int
        Its effect ("sd") or two of them ("cor").
    column : int
        Fixed effect ("fixed").
    closed : bool
        The value is an end of its range: a standard deviation of 0, a correlation of -1 or 1.
    """

    kind: Kind
    term: int = -1
    effects: tuple[int, ...] = ()
    column: int = -1
    closed: bool = False

    def at_end(self) -> Held:
        """The same parameter at the end of its range."""
        return replace(self, closed=True)

    def units(self, system: BlockedSystem) -> tuple[float, float]:
        """(origin, size): the user's value is ``origin + size * c``."""
        if self.kind == "cor":
            return 0.0, 1.0
        origin = system.basis.beta[self.column] if self.kind == "fixed" else 0.0
        return float(origin), system.basis.scale

    def estimate(
        self,
        system: BlockedSystem,
        factors: list[FloatArray],
        log_variance: float,
        beta: FloatArray,
        tolerance: float = 0.0,
    ) -> float:
        """Value of the parameter at a point, in working units.

        Relative deviations below ``tolerance`` count as zero, and so do angles: a correlation is
        then -1 or 1. NaN for a correlation with an effect that does not vary.
        """
        if self.kind == "fixed":
            return float(system.basis.fixed[self.column] @ beta)
        sigma = float(np.exp(0.5 * log_variance))
        if self.kind == "sigma":
            return sigma
        rows = system.basis.random[self.term][list(self.effects)]
        effects = rows @ factors[self.term]
        sizes = np.linalg.norm(effects, axis=1)
        is_zero = sizes <= tolerance * np.linalg.norm(rows, axis=1)
        if self.kind == "sd":
            return 0.0 if is_zero[0] else sigma * float(sizes[0])
        if is_zero.any():
            return float("nan")
        c = float(np.clip(effects[0] @ effects[1] / (sizes[0] * sizes[1]), -1.0, 1.0))
        return c if 1.0 - abs(c) > 0.5 * tolerance**2 else float(np.sign(c))


class HeldPoint:
    """The deviance and its derivatives at free coordinates ``phi`` and a held value.

    Attributes
    ----------
    phi : ndarray, shape (n_phi,)
    value : float
    factors : list of ndarray
        Relative covariance factor of every term, working units.
    deviance : Deviance
    """

    def __init__(self, objective: HeldObjective, phi: FloatArray) -> None:
        self.phi, self.objective = phi, objective
        self.eta, held = objective.place(phi)
        c = objective.c
        self.factors = [chart.factor(own, self.eta, c) for chart, own in objective.parts(phi)]
        with objective.threads():
            self.deviance = Deviance(objective.system, self.factors, self.eta, held)
        self.value = self.deviance.value
        self._hessians: dict[bool, FloatArray] = {}

    @cached_property
    def _jacobian(self) -> FloatArray:
        """Of (covariance entries, eta, delta) in (phi, c)."""
        objective, c = self.objective, self.objective.c
        width = objective.n_phi + 1
        blocks = []
        for (chart, own), columns in zip(objective.parts(self.phi), objective.columns, strict=True):
            block = np.zeros((len(chart.multiplicity), width))
            block[:, columns] = chart.jacobian(own, self.eta, c)[:, : len(columns)]
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
        with self.objective.threads():
            return self.deviance.gradient @ self._jacobian

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

    def _full_hessian(self, exact: bool) -> FloatArray:
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
        return 0.5 * (result + result.T)

    def hessian(self, *, exact: bool) -> FloatArray:
        """Second derivatives in phi; average information only where the exact ones are dear."""
        exact = exact or self.objective.hessian_is_cheap
        return self.full_hessian(exact=exact)[:-1, :-1]

    @cached_property
    def effective(self) -> FloatArray:
        """Orthonormal directions beside the rotations, (n_phi, any)."""
        objective = self.objective
        blocks = [chart.effective(own) for chart, own in objective.parts(self.phi)]
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
        pieces = [
            chart.snap(own, D, tolerance)
            for (chart, own), D in zip(
                self.objective.parts(phi), self.deviance.gradients, strict=True
            )
        ]
        return np.concatenate([*pieces, phi[-1:] if self.objective.has_eta else phi[:0]])

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
        ends = np.cumsum([chart.n_own for chart in self.charts])
        self._slices = [
            slice(int(end) - chart.n_own, int(end))
            for chart, end in zip(self.charts, ends, strict=True)
        ]
        self.has_eta = held.kind != "sigma"
        self.n_phi = int(ends[-1]) + self.has_eta
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

    def start(self, factors: list[FloatArray], log_variance: float) -> FloatArray:
        """Coordinates of (what is free at) another point."""
        pieces = [chart.start(Lambda) for chart, Lambda in zip(self.charts, factors, strict=True)]
        return np.concatenate([*pieces, [log_variance] if self.has_eta else []])


def _chart(system: BlockedSystem, term: TermLayout, held: Held) -> Chart:
    """Coordinates of one term, given what is held."""
    if held.term != term.index:
        return FreeChart(term.structure)
    rows = system.basis.random[term.index][list(held.effects)]
    if held.kind == "cor":
        return HeldCorrelation(term.structure, rows, closed=held.closed)
    if term.structure.name == "diag":
        effect = held.effects[0]
        return HeldDiagonalDeviation(term.structure, effect, float(abs(rows[0, effect])))
    return HeldDeviation(term.structure, rows[0], closed=held.closed)
