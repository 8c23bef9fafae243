r"""Charts of terms with a parametric correlation: one parameter of theirs is held.

A structure has one coordinate for each parameter, so the held one is taken out: a standard
deviation c is the coordinate :math:`c e^{-\eta/2}/|t|`, a correlation parameter is that to which
the family takes it. Where natural parameters are entries of the matrix, each of which depends on
several coordinates, the term is written in the entries themselves; then not every point is a
covariance matrix, and the criterion is infinite at those that are none.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lmmformula._arrays import FloatArray
from lmmformula.covariance import Correlated
from lmmformula.covariance.correlation import Correlation, Indexed, NaturalEffects
from lmmformula.engine.charts import Chart

__all__ = ["HeldStructured", "Place", "held_place", "in_natural_coordinates"]

STEP = 1e-4


@dataclass(frozen=True, slots=True)
class Place:
    """A coordinate as a function of (eta, c): its value, first and second derivatives."""

    value: float
    first: tuple[float, float] = (0.0, 0.0)
    second: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """In (eta, eta), (eta, c), (c, c)."""


def held_place(family: Correlation, position: int, c: float, *, closed: bool = False) -> Place:
    """Coordinate of a natural correlation parameter; derivatives by differences."""

    def natural(x: float) -> float:
        return float(family.natural(np.full(family.n_parameters, x))[position])

    value = float(family.from_natural(np.full(family.n_parameters, c))[position])
    if closed:
        return Place(value)
    ahead, here, behind = natural(value + STEP), natural(value), natural(value - STEP)
    slope, bend = (ahead - behind) / (2.0 * STEP), (ahead - 2.0 * here + behind) / STEP**2
    return Place(value, (0.0, 1.0 / slope), (0.0, 0.0, -bend / slope**3))


def in_natural_coordinates(structure: Correlated) -> Correlated:
    """The same structure, with entries of the correlation matrix as coordinates."""
    family = structure.family
    if not isinstance(family, Indexed):
        return structure
    return Correlated(
        structure.name,
        NaturalEffects(family, family.estimate),
        structure.places,
        homogeneous=structure.homogeneous,
    )


class HeldStructured(Chart):
    """A standard deviation or a correlation parameter of a structured term is held.

    Parameters
    ----------
    structure : Correlated
    position : int
        Which of its coordinates.
    length : float
        Of a standard deviation: size of the user's effect in units of the working one.
    closed : bool
        The value is an end of the parameter's range.
    """

    def __init__(
        self, structure: Correlated, position: int, length: float, *, closed: bool = False
    ) -> None:
        self.held_sd = position < structure.n_sd
        made = structure if self.held_sd else in_natural_coordinates(structure)
        super().__init__(made)
        self.correlated, self.position, self.length, self.closed = made, position, length, closed
        self.others = np.delete(np.arange(made.n_phi), position)

    @property
    def n_own(self) -> int:
        """All but the held one."""
        return len(self.others)

    def place(self, eta: float, c: float) -> Place:
        """The held coordinate."""
        if not self.held_sd:
            family = self.correlated.family
            position = self.position - self.correlated.n_sd
            return held_place(family, position, c, closed=self.closed)
        per_c = float(np.exp(-0.5 * eta)) / self.length
        value = c * per_c
        return Place(value, (-0.5 * value, per_c), (0.25 * value, -0.5 * per_c, 0.0))

    def phi(self, own: FloatArray, eta: float, c: float) -> FloatArray:
        """All coordinates of the structure."""
        return np.insert(own, self.position, self.place(eta, c).value)

    def factor(self, own: FloatArray, eta: float, c: float) -> FloatArray:
        """The structure's; NaN where there is no such matrix."""
        phi = self.phi(own, eta, c)
        if isinstance(self.correlated.family, NaturalEffects):
            smallest = np.linalg.eigvalsh(self.correlated.correlation(phi))[0]
            if smallest <= 0.0:
                return np.full((self.correlated.k, self.correlated.k), np.nan)
        return self.correlated.factor(phi)

    def directions(self, own: FloatArray, eta: float, c: float) -> FloatArray:
        """The structure's."""
        return self.correlated.directions(self.phi(own, eta, c))

    def speeds(self, own: FloatArray, eta: float, c: float) -> FloatArray:
        """One each, and how the held one moves with eta and c."""
        result = np.zeros((self.correlated.n_phi, self.n_own + 2))
        result[self.others, np.arange(self.n_own)] = 1.0
        result[self.position, -2:] = self.place(eta, c).first
        return result

    def jacobian(self, own: FloatArray, eta: float, c: float) -> FloatArray:
        """Chain rule."""
        inner = self.correlated.jacobian(self.phi(own, eta, c))
        return np.asarray(inner @ self.speeds(own, eta, c))

    def curvature(self, own: FloatArray, eta: float, c: float, D: FloatArray) -> FloatArray:
        """The structure's, and the bend of the held coordinate."""
        phi, place = self.phi(own, eta, c), self.place(eta, c)
        speeds = self.speeds(own, eta, c)
        result = np.asarray(speeds.T @ self.correlated.curvature(phi, D) @ speeds)
        slope = float(np.sum(D * self.correlated.directions(phi)[self.position]))
        twice_eta, mixed, twice_c = place.second
        result[-2:, -2:] += slope * np.array([[twice_eta, mixed], [mixed, twice_c]])
        return result

    def effective(self, own: FloatArray, eta: float, c: float) -> FloatArray:
        """All but correlations between effects that do not vary."""
        kept = self.correlated.effective(self.phi(own, eta, c))
        mine = kept[self.position] != 0.0
        return kept[np.ix_(self.others, np.flatnonzero(~mine))]

    def snap(
        self, own: FloatArray, place: tuple[float, float], D: FloatArray, tolerance: float
    ) -> FloatArray:
        """The structure's, of the free ones."""
        return self.correlated.snap(self.phi(own, *place), D, tolerance)[self.others]

    def start(self, Lambda: FloatArray) -> FloatArray:
        """Of the others."""
        return self.correlated.from_template(Lambda)[self.others]
