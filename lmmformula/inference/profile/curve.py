r"""The signed root of one parameter's profile deviance, followed from the estimate outwards.

:math:`\zeta(c) = \pm\{d(c) - d(\hat c)\}^{1/2}`, with d(c) the deviance minimized with the
parameter held at c. Every point is a minimum certified by the Newton method that fits models. It
also knows the slope of the profile (the derivative of the deviance in the held value) and the
tangent of the other parameters, so that the next point starts close to its minimum, and cubic
interpolation of c over :math:`\zeta` finds the ends of an interval in about three points.

References
----------
Bates and Watts (1988), Nonlinear Regression Analysis and Its Applications, chapter 6.
Bates, Maechler, Bolker and Walker (2015), J. Stat. Softw. 67(1), section 5.1.
"""

from __future__ import annotations

import math
from bisect import insort
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from lmmformula._arrays import FloatArray
from lmmformula.engine.held import Held
from lmmformula.engine.system import BlockedSystem
from lmmformula.engine.threads import limited_threads
from lmmformula.errors import NumericalError, OptionError
from lmmformula.inference.profile.points import Fit, Node, Start, centre_node, held_node
from lmmformula.inference.profile.scale import scale_for

__all__ = ["Curve", "End"]

TOLERANCE = 1e-6
"""Of zeta at the ends of an interval."""
MAX_POINTS = 50
RESOLUTION = 1e-13
AT_END = 1e-6
"""Relative deviations and angles of an estimate below this are at the end of the range."""
NEAR_END = 0.8
"""A step that goes this part of the way to the end of the range looks at the end itself first."""

FIRST_STEP = 0.5
"""From an estimate at the end of its range, where the profile's slope is not known."""


@dataclass(frozen=True, slots=True)
class End:
    """One end of an interval.

    Attributes
    ----------
    value : float
        In the user's units; infinite where the profile never reaches the level.
    zeta : float
        What the profile is there.
    is_open : bool
        The range of the parameter ends before the profile reaches the level.
    is_exact : bool
        Zeta was met at a certified minimum, or the end is open.
    """

    value: float
    zeta: float
    is_open: bool = False
    is_exact: bool = True


class Curve:
    """The profile of one parameter; points are added as they are needed.

    Parameters
    ----------
    system : BlockedSystem
    held : Held
    fit : Fit
        The maximum likelihood fit.
    """

    def __init__(self, system: BlockedSystem, held: Held, fit: Fit) -> None:
        self.system, self.held, self.fit = system, held, fit
        self.nodes: list[Node] = []
        c = fit.value_of(held, system, AT_END)
        self.scale = scale_for(system, held, c, math.exp(0.5 * fit.log_variance))
        self.is_defined = not math.isnan(c)
        if self.is_defined:
            x = self.scale.x(c)
            at = held.at_end() if c in self.scale.closed_ends else held
            with limited_threads():
                self.centre = centre_node(system, at, (c, x, self.scale.rate(x)), fit)
            self.nodes.append(self.centre)

    @property
    def n_evaluations(self) -> int:
        """Number of times the deviance was computed."""
        return sum(node.n_evaluations for node in self.nodes)

    def user(self, c: float) -> float:
        """Value in the user's units."""
        origin, size = self.held.units(self.system)
        return origin + size * c

    def end(self, zeta: float, tolerance: float = TOLERANCE) -> End:
        """Where the profile reaches ``zeta``."""
        side = int(np.sign(zeta))
        limit = self.scale.closed_ends[side > 0]
        if not self.is_defined:
            return End(side * np.inf if limit is None else self.user(limit), 0.0, is_open=True)
        with limited_threads():
            node = self._reach(zeta, tolerance)
        if node is None:
            return End(side * np.inf, self._side(side)[-1].zeta, is_exact=False)
        if node.c == limit and abs(node.zeta) < abs(zeta):
            return End(self.user(node.c), node.zeta, is_open=True, is_exact=node.is_certified)
        met = node.is_certified and abs(node.zeta - zeta) <= max(tolerance, 10 * TOLERANCE)
        return End(self.user(node.c), node.zeta, is_exact=met)

    def at(self, value: float) -> Node:
        """The point at one value, in the user's units.

        Raises
        ------
        OptionError
            The value is outside the parameter's range, or the parameter is not defined.
        """
        origin, size = self.held.units(self.system)
        c = (float(value) - origin) / size
        low, high = self.scale.closed_ends
        inside = self.is_defined and self.scale.holds(c)
        if not inside:
            raise OptionError(
                "the profile has no point at this value.",
                got=f"{value!r}" + ("" if self.is_defined else "; the parameter is not defined"),
                suggestion="a value inside the parameter's range",
                value=value,
            )
        for node in self.nodes:
            if node.c == c:
                return node
        x, centre = self.scale.x(c), self.centre.x
        nodes = self._side(1 if x > centre else -1)
        inner = [node for node in nodes if abs(node.x - centre) <= abs(x - centre)][-1]
        with limited_threads():
            return self._add(x, inner, None, c if c in (low, high) else None)

    def within(self, zeta: float) -> list[Node]:
        """Points at which the curve is between -zeta and zeta."""
        return [node for node in self.nodes if abs(node.zeta) <= zeta + 10.0 * TOLERANCE]

    # -- finding a level -------------------------------------------------------------------------

    def _side(self, side: int) -> list[Node]:
        """The estimate and what lies to one side of it, outwards."""
        position = self.nodes.index(self.centre)
        return self.nodes[position:] if side > 0 else self.nodes[position::-1]

    def _reach(self, zeta: float, tolerance: float) -> Node | None:
        """A point at the level, or the closed end before it; None if there is neither."""
        side = 1 if zeta > 0 else -1
        limit = self.scale.closed_ends[side > 0]
        for trial in range(MAX_POINTS):
            inner, outer = self._bracket(zeta)
            for node in (inner, outer):
                if node is not None and abs(node.zeta - zeta) <= tolerance:
                    return node
            if outer is None and limit is not None and inner.c == limit:
                return inner
            if outer is None:
                x = self._extrapolate(zeta, inner, limit)
            elif abs(outer.x - inner.x) > RESOLUTION * (1.0 + abs(inner.x)):
                halve = trial % 5 == 4  # never needed on a smooth curve
                x = 0.5 * (inner.x + outer.x) if halve else _interpolate(zeta, inner, outer)
            else:
                return outer
            try:
                self._add(x, inner, outer, limit)
            except NumericalError:
                return None
        return outer

    def _bracket(self, zeta: float) -> tuple[Node, Node | None]:
        """The first point beyond the level, and the one before it."""
        nodes = self._side(1 if zeta > 0 else -1)
        for inner, outer in pairwise(nodes):
            if abs(outer.zeta) >= abs(zeta):
                return inner, outer
        return nodes[-1], None

    def _extrapolate(self, zeta: float, inner: Node, limit: float | None) -> float:
        """A step beyond all points so far; the end of the range if that is not far beyond."""
        side = 1.0 if zeta > 0 else -1.0
        distance = abs(inner.x - self.centre.x)
        if inner is self.centre:
            step = abs(zeta) / inner.slope if inner.slope > 0.0 else FIRST_STEP
        else:
            step = (abs(zeta) - abs(inner.zeta)) / inner.slope if inner.slope > 0.0 else np.inf
            step = min(1.02 * step, 1.5 * distance)
        if limit is None:
            return inner.x + side * step
        room = abs(self.scale.x(limit) - inner.x)
        return self.scale.x(limit) if step > NEAR_END * room else inner.x + side * step

    def _add(self, x: float, inner: Node, outer: Node | None, limit: float | None) -> Node:
        """Minimize at x, starting from the points beside it."""
        is_end = limit is not None and x == self.scale.x(limit)
        held = self.held.at_end() if is_end else self.held
        c = limit if is_end and limit is not None else self.scale.c(x)
        starts: list[Start] = [inner.fit.start, self.fit.start]
        beside = [node for node in (inner, outer) if node is not None and node.tangent is not None]
        if beside and not is_end:
            starts.insert(0, lambda _: _predict(x, beside))
        node = held_node(self.system, held, (c, x, self.scale.rate(x)), starts, self.centre)
        insort(self.nodes, node, key=lambda item: item.x)
        return node


def _predict(x: float, beside: list[Node]) -> FloatArray:
    """Free coordinates at x from one point beside it (Taylor) or two (cubic Hermite)."""
    nearest = min(beside, key=lambda node: abs(node.x - x))
    tangents = [node.tangent for node in beside if node.tangent is not None]
    if len(beside) == 1:
        return nearest.phi + tangents[0] * (x - nearest.x)
    one, other = beside
    path = _hermite(x, one.x, other.x, (one.phi, other.phi), (tangents[0], tangents[1]))
    return np.asarray(path)


def _interpolate(zeta: float, inner: Node, outer: Node) -> float:
    """Where the level should be: cubic Hermite interpolation of x over zeta, in the bracket."""
    width, gap = outer.x - inner.x, outer.zeta - inner.zeta
    linear = inner.x + width * (zeta - inner.zeta) / gap
    rates = [1.0 / node.slope if node.slope > 0.0 else np.nan for node in (inner, outer)]
    mean = width / gap
    if np.isnan(rates[0]) and np.isnan(rates[1]):
        x = linear
    else:  # an unknown slope is the one that makes the interpolant quadratic
        known = [2.0 * mean - rates[1 - i] if np.isnan(rates[i]) else rates[i] for i in (0, 1)]
        x = float(_hermite(zeta, inner.zeta, outer.zeta, (inner.x, outer.x), known))
    share = (x - inner.x) / width
    if not 0.0 < share < 1.0:
        share = 0.5
    return inner.x + width * min(max(share, 1e-3), 1.0 - 1e-3)


def _hermite(
    t: float,
    t0: float,
    t1: float,
    values: Sequence[FloatArray | float],
    slopes: Sequence[FloatArray | float],
) -> FloatArray | float:
    """Cubic through two values with two slopes."""
    h = t1 - t0
    s = (t - t0) / h
    return (
        (1.0 + 2.0 * s) * (1.0 - s) ** 2 * values[0]
        + s * (1.0 - s) ** 2 * h * slopes[0]
        + s**2 * (3.0 - 2.0 * s) * values[1]
        + s**2 * (s - 1.0) * h * slopes[1]
    )
