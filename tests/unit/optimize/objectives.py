"""Small criteria with known derivatives behind the interface that minimizers see."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Triple = tuple[float, Array, Array]


@dataclass
class ToyPoint:
    """The criterion at one point; ``flat`` directions are declared constant by construction."""

    phi: Array
    value: float
    gradient: Array
    second: Array
    effective: Array
    average: Array | None = None
    asked: list[bool] = field(default_factory=list)

    def hessian(self, *, exact: bool) -> Array:
        self.asked.append(exact)
        return self.second if exact or self.average is None else self.average

    def snapped(self, phi: Array, tolerance: float) -> Array:
        return np.where((np.abs(phi) < tolerance) & (self.gradient * phi >= 0.0), 0.0, phi)


@dataclass
class Toy:
    """Value, gradient and Hessian from one function, counted."""

    function: Callable[[Array], Triple]
    effective: Array | None = None
    average: Callable[[Array], Array] | None = None
    rounding: float = 0.0
    hessian_is_cheap: bool = True
    n_evaluations: int = 0
    points: list[ToyPoint] = field(default_factory=list)

    def evaluate(self, phi: Array) -> ToyPoint:
        self.n_evaluations += 1
        value, gradient, second = self.function(phi)
        basis = np.eye(len(phi)) if self.effective is None else self.effective
        average = None if self.average is None else self.average(phi)
        point = ToyPoint(phi, value, np.asarray(gradient), np.asarray(second), basis, average)
        self.points.append(point)
        return point


def quadratic(phi: Array, *curvatures: float) -> Triple:
    c = np.asarray(curvatures)
    return 0.5 * float(c @ phi**2), c * phi, np.diag(c)


def bowl(phi: Array) -> Triple:
    return quadratic(phi - 1.0, 1.0, 10.0)


def double_well(phi: Array) -> Triple:
    """A saddle at the origin, minima at (0, 1) and (0, -1)."""
    x, y = phi
    value = x**2 + (y**2 - 1.0) ** 2
    gradient = [2.0 * x, 4.0 * y * (y**2 - 1.0)]
    return value, np.array(gradient), np.diag([2.0, 12.0 * y**2 - 4.0])


def rosenbrock(phi: Array) -> Triple:
    x, y = phi
    value = (1.0 - x) ** 2 + 100.0 * (y - x**2) ** 2
    gradient = [-2.0 * (1.0 - x) - 400.0 * x * (y - x**2), 200.0 * (y - x**2)]
    second = [[2.0 - 400.0 * (y - 3.0 * x**2), -400.0 * x], [-400.0 * x, 200.0]]
    return value, np.array(gradient), np.array(second)


def gutter(phi: Array) -> Triple:
    """Flat along the second parameter."""
    return quadratic(phi - [1.0, 0.0], 1.0, 0.0)


def slide(phi: Array) -> Triple:
    """Falls without end."""
    x = phi[0]
    return (
        -np.log1p(x**2),
        np.array([-2 * x / (1 + x**2)]),
        np.array([[-2 * (1 - x**2)]]) / (1 + x**2) ** 2,
    )


def barrier(phi: Array) -> Triple:
    """Defined for positive values only; minimum at 1."""
    x = phi[0]
    if x <= 0.0:
        return np.inf, np.array([np.nan]), np.array([[np.nan]])
    return x - np.log(x), np.array([1.0 - 1.0 / x]), np.array([[1.0 / x**2]])
