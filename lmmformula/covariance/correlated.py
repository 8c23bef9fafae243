r"""Standard deviations times a correlation function: :math:`\Sigma = S R S`.

One class for all structured random effects: what differs is the family of R and whether the
standard deviations are equal. They enter with either sign, so that zero is an ordinary stationary
point, as in ``Diagonal``.
"""

from __future__ import annotations

import numpy as np

from lmmformula._arrays import BoolArray, FloatArray
from lmmformula.covariance.correlation import EffectsCorrelation
from lmmformula.covariance.natural import POSITIVE, NaturalParameter
from lmmformula.covariance.structure import Structure, semidefinite_cholesky

__all__ = ["Correlated"]

CURVATURE_STEP = 2e-3
NUDGE = 0.3
INERT = 1e-13


class Correlated(Structure):
    """Effects with standard deviations and a parametric correlation.

    Parameters
    ----------
    name : str
    family : EffectsCorrelation
    places : ndarray, shape (k, d)
        Position of every effect.
    homogeneous : bool
        All standard deviations are equal.
    """

    reduced = True

    def __init__(
        self, name: str, family: EffectsCorrelation, places: FloatArray, *, homogeneous: bool
    ) -> None:
        super().__init__(len(places))
        self.name, self.family, self.places = name, family, places
        self.homogeneous = homogeneous
        self.invariance = "scalar" if homogeneous else "diagonal"
        self.n_sd = 1 if homogeneous else self.k
        self._left, self._right = places[:, None], places[None]

    @property
    def n_theta(self) -> int:
        """Standard deviations and correlation parameters."""
        return self.n_sd + self.family.n_parameters

    @property
    def n_phi(self) -> int:
        """As many as users count."""
        return self.n_theta

    def start(self, size: float = 1.0) -> FloatArray:
        """``size`` for every effect, and little correlation."""
        return np.concatenate([np.full(self.n_sd, size), self.family.start()])

    def correlation(self, phi: FloatArray) -> FloatArray:
        """R, (k, k)."""
        return self.family.values(phi[self.n_sd :], self._left, self._right)

    def _sd(self, phi: FloatArray) -> FloatArray:
        return np.broadcast_to(phi[: self.n_sd], (self.k,))

    def factor(self, phi: FloatArray) -> FloatArray:
        """S times the Cholesky factor of R."""
        R = self.correlation(phi)
        try:
            root = np.linalg.cholesky(R)
        except np.linalg.LinAlgError:
            root = semidefinite_cholesky(R)
        return self._sd(phi)[:, None] * root

    def directions(self, phi: FloatArray) -> FloatArray:
        """dSigma/dphi."""
        sd, R = self._sd(phi), self.correlation(phi)
        moved = np.zeros((self.n_phi, self.k, self.k))
        scaled = R * sd
        for a in range(self.k):
            number = 0 if self.homogeneous else a
            moved[number, a] += scaled[a]
            moved[number, :, a] += scaled[a]
        slopes = self.family.slopes(phi[self.n_sd :], self._left, self._right)
        moved[self.n_sd :] = slopes * np.outer(sd, sd)
        return moved

    def jacobian(self, phi: FloatArray) -> FloatArray:
        """Entries of ``directions``."""
        rows, columns = self.pairs
        return self.directions(phi)[:, rows, columns].T

    def speeds(self, phi: FloatArray) -> FloatArray:
        """One direction for each parameter."""
        return np.eye(self.n_phi)

    def coordinates(self, phi: FloatArray) -> FloatArray:
        """Sigma is of the second degree in the standard deviations."""
        return np.append(0.5 * phi[: self.n_sd], np.zeros(self.family.n_parameters))

    @property
    def free_directions(self) -> BoolArray:
        """All of them."""
        return np.ones(self.n_phi, dtype=np.bool_)

    @property
    def free_entries(self) -> BoolArray:
        """Variances, and covariances where there is a correlation."""
        if self.family.n_parameters:
            return super().free_entries
        return np.asarray(self.multiplicity == 1.0)

    def curvature(self, phi: FloatArray, gradient: FloatArray) -> FloatArray:
        """Differences of fourth order of the exact first derivatives."""
        bend = np.empty((self.n_phi, self.n_phi))
        for j, step in enumerate(CURVATURE_STEP * np.eye(self.n_phi)):
            near = self.directions(phi + step) - self.directions(phi - step)
            far = self.directions(phi + 2.0 * step) - self.directions(phi - 2.0 * step)
            change = (8.0 * near - far) / (12.0 * CURVATURE_STEP)
            bend[j] = np.einsum("tab,ab->t", change, gradient)
        return 0.5 * (bend + bend.T)

    def effective(self, phi: FloatArray) -> FloatArray:
        """All but correlations between effects that do not vary."""
        sd = self._sd(phi)
        size, R = np.outer(sd, sd), self.correlation(phi)
        keep = list(range(self.n_sd))
        for j in range(self.n_sd, self.n_phi):
            moved = phi.copy()
            moved[j] += NUDGE
            change = np.abs((self.correlation(moved) - R) * size).max()
            if change > INERT * max(float(size.max()), 1e-300):
                keep.append(j)
        return np.eye(self.n_phi)[:, keep]

    def snap(self, phi: FloatArray, gradient: FloatArray, tolerance: float) -> FloatArray:
        """Set small standard deviations to zero."""
        sd = phi[: self.n_sd]
        if self.homogeneous:
            wanted = np.array([np.sum(gradient * self.correlation(phi)) <= 0.0])
        else:
            wanted = np.diag(gradient) <= 0.0
        keep = (np.abs(sd) > tolerance) | wanted
        return phi if keep.all() else np.append(np.where(keep, sd, 0.0), phi[self.n_sd :])

    # -- starting values -------------------------------------------------------------------------

    def moment_directions(self) -> FloatArray:
        """Variances, and one common covariance."""
        units = np.zeros((self.k, self.k, self.k))
        units[np.arange(self.k), np.arange(self.k), np.arange(self.k)] = 1.0
        variances = units.sum(axis=0, keepdims=True) if self.homogeneous else units
        if not self.family.n_parameters:
            return variances
        return np.concatenate([variances, (1.0 - np.eye(self.k))[None]])

    def from_moments(self, sigma: FloatArray, floor: float, ceiling: float) -> FloatArray:
        """Clipped standard deviations and the first correlation worth trying."""
        sd = np.sqrt(np.clip(np.diag(sigma), floor**2, ceiling**2))
        if self.homogeneous:
            sd = np.sqrt(np.mean(sd**2, keepdims=True))
        tried = [*self._starts(self._average(sigma, floor)), self.family.start()]
        return np.append(sd, tried[0])

    def candidates(self, phi: FloatArray) -> list[FloatArray]:
        """The same standard deviations with other correlations."""
        return [np.append(phi[: self.n_sd], values) for values in self._starts(0.5)]

    def _starts(self, average: float) -> list[FloatArray]:
        return self.family.starts(average) if self.family.n_parameters else []

    def _average(self, sigma: FloatArray, floor: float) -> float:
        if self.k == 1:
            return 0.0
        off = ~np.eye(self.k, dtype=bool)
        return float(sigma[off].mean() / max(float(np.diag(sigma).mean()), floor**2))

    # -- the user's parameters -------------------------------------------------------------------

    def from_template(self, template: FloatArray) -> FloatArray:
        """Standard deviations and correlations of a factor."""
        return self._pack(template, natural=False)

    def theta(self, template: FloatArray) -> FloatArray:
        """Relative standard deviations, then the natural correlation parameters."""
        return self._pack(template, natural=True)

    def _pack(self, template: FloatArray, *, natural: bool) -> FloatArray:
        sd = np.sqrt(np.sum(template**2, axis=1))
        rows = np.full(template.shape, np.nan)
        np.divide(template, sd[:, None], out=rows, where=sd[:, None] > 0.0)
        values = self.family.estimate(rows @ rows.T, self.places)
        if not natural:
            values = self.family.from_natural(values)
        if self.homogeneous:
            sd = np.sqrt(np.mean(sd**2, keepdims=True))
        return np.concatenate([sd, values])

    def template(self, theta: FloatArray) -> FloatArray:
        """Lower-triangular factor of the user's parameters."""
        values = self.family.from_natural(theta[self.n_sd :])
        return self.factor(np.append(theta[: self.n_sd], values))

    def theta_names(self, effects: tuple[str, ...], group: str) -> tuple[str, ...]:
        """``Subject.x0``, ... (or ``Subject.sd``), ``Subject.rho``."""
        sd = ("sd",) if self.homogeneous else effects
        return tuple(f"{group}.{name}" for name in (*sd, *self.family.names))

    def natural_parameters(self, effects: tuple[str, ...]) -> tuple[NaturalParameter, ...]:
        """``sd`` or one for each effect, then those of the correlation."""
        found = [NaturalParameter("sd", "sd", POSITIVE)]
        if not self.homogeneous:
            found = [
                NaturalParameter(f"sd_{name}", "sd", POSITIVE, (j,))
                for j, name in enumerate(effects)
            ]
        family = self.family
        found += [NaturalParameter(name, family.link, family.limits) for name in family.names]
        return tuple(found)

    def natural(self, template: FloatArray) -> FloatArray:
        """What ``theta`` is."""
        return self.theta(template)

    # -- positions -------------------------------------------------------------------------------

    def kriging(self, phi: FloatArray, places: FloatArray) -> tuple[FloatArray, FloatArray]:
        r"""Best prediction at other places from the effects, equal standard deviations.

        Parameters
        ----------
        phi : ndarray, shape (n_phi,)
        places : ndarray, shape (m, d)

        Returns
        -------
        weights : ndarray, shape (m, k)
            :math:`\Sigma_{*}\Sigma^{-1}`.
        variance : ndarray, shape (m,)
            What remains, relative to sigma^2.
        """
        own = phi[self.n_sd :]
        across = self.family.values(own, places[:, None], self._right)
        solved = np.linalg.lstsq(self.correlation(phi), across.T, rcond=1e-12)[0]
        weights = np.asarray(solved.T, dtype=np.float64)
        remains = 1.0 - np.sum(weights * across, axis=1)
        return weights, np.asarray(float(phi[0]) ** 2 * np.maximum(remains, 0.0))

    def __repr__(self) -> str:
        return f"Correlated({self.name!r}, k={self.k})"
