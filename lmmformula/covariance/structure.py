"""Covariance structures: parameters phi -> relative covariance Sigma(phi) of one term's effects.

The engine hands every structure the same gradient, ``D = df/dSigma`` (k x k), and second
derivatives along symmetric directions that the structure chooses; a structure only says how Sigma
depends on its own parameters. To add one: write the class, add a row to ``registry.STRUCTURES``;
the contract tests iterate that table.

Internally the optimizer works on ``phi`` in working units (columns of Z scaled or
orthonormalised, see ``engine.basis``); ``theta``, what users and lme4 know, is derived at the end
from the lower Cholesky factor.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Literal, TypeAlias

import numpy as np

from lmmformula._arrays import BoolArray, FloatArray, IntArray
from lmmformula.covariance.natural import NaturalParameter

__all__ = ["Structure", "semidefinite_cholesky"]

Invariance: TypeAlias = Literal["linear", "diagonal", "scalar"]


def semidefinite_cholesky(sigma: FloatArray, tolerance: float = 1e-14) -> FloatArray:
    """Lower Cholesky factor of a positive semidefinite matrix, with exact zeros where singular.

    Parameters
    ----------
    sigma : ndarray, shape (k, k)
        Symmetric positive semidefinite.
    tolerance : float
        A pivot below ``tolerance`` times its diagonal element counts as zero.

    Returns
    -------
    ndarray, shape (k, k)
        Lower triangular ``L`` with ``L @ L.T == sigma`` and a non-negative diagonal.
    """
    k = sigma.shape[0]
    factor = np.zeros((k, k))
    for j in range(k):
        pivot = sigma[j, j] - factor[j, :j] @ factor[j, :j]
        if pivot <= tolerance * sigma[j, j] or pivot <= 0.0:
            continue
        root = np.sqrt(pivot)
        factor[j, j] = root
        factor[j + 1 :, j] = (sigma[j + 1 :, j] - factor[j + 1 :, :j] @ factor[j, :j]) / root
    return factor


class Structure(ABC):
    """How the relative covariance of ``k`` effects depends on parameters.

    Attributes
    ----------
    name : str
        Word used in formulas and tables.
    invariance : {"linear", "diagonal", "scalar"}
        Changes of the effects' basis under which the structure keeps its form: any invertible
        matrix, a rescaling of each column, or one common factor.
    reduced : bool
        Second derivatives are taken along ``directions(phi)``, one for each parameter, instead of
        along the entries of Sigma.
    """

    name: str
    invariance: Invariance
    reduced: ClassVar[bool] = False

    def __init__(self, k: int) -> None:
        self.k = k
        rows, columns = np.triu_indices(k)
        self.pairs: tuple[IntArray, IntArray] = (rows, columns)
        self.multiplicity: FloatArray = np.where(rows == columns, 1.0, 2.0)

    @property
    @abstractmethod
    def n_theta(self) -> int:
        """Number of covariance parameters that a user counts."""

    @property
    @abstractmethod
    def n_phi(self) -> int:
        """Number of parameters that the optimizer moves (it may be larger, see ``effective``)."""

    @property
    def free_entries(self) -> BoolArray:
        """Which entries of Sigma's upper triangle may differ from zero."""
        return np.ones(len(self.multiplicity), dtype=np.bool_)

    @abstractmethod
    def start(self, size: float = 1.0) -> FloatArray:
        """Parameters at which Sigma is ``size**2`` times the identity."""

    @abstractmethod
    def factor(self, phi: FloatArray) -> FloatArray:
        """A square factor Lambda, shape (k, k), with ``Sigma = Lambda @ Lambda.T``."""

    @abstractmethod
    def jacobian(self, phi: FloatArray) -> FloatArray:
        """Derivative of Sigma's upper triangle (``pairs``), shape (k(k+1)/2, n_phi)."""

    @abstractmethod
    def curvature(self, phi: FloatArray, gradient: FloatArray) -> FloatArray:
        """Sum over entries of ``gradient`` times the second derivative of Sigma, (n_phi, n_phi)."""

    def entry_directions(self) -> FloatArray:
        """Unit matrices of Sigma's entries, shape (k(k+1)/2, k, k)."""
        rows, columns = self.pairs
        index = np.arange(len(rows))
        units = np.zeros((len(rows), self.k, self.k))
        units[index, rows, columns] = 1.0
        units[index, columns, rows] = 1.0
        return units

    def directions(self, phi: FloatArray) -> FloatArray:
        """Symmetric matrices along which Sigma is differentiated, shape (t, k, k): its entries."""
        return self.entry_directions()

    def speeds(self, phi: FloatArray) -> FloatArray:
        """How ``phi`` moves Sigma along ``directions``, shape (t, n_phi)."""
        return self.jacobian(phi)

    def coordinates(self, phi: FloatArray) -> FloatArray:
        """Sigma as a combination of ``directions``, shape (t,)."""
        factor = self.factor(phi)
        return np.asarray((factor @ factor.T)[self.pairs])

    @property
    def free_directions(self) -> BoolArray:
        """Which of ``directions`` Sigma can move along at all, shape (t,)."""
        return self.free_entries

    def moment_directions(self) -> FloatArray:
        """Symmetric matrices whose multiples starting values are made of, shape (t, k, k)."""
        return self.entry_directions()

    def from_moments(self, sigma: FloatArray, floor: float, ceiling: float) -> FloatArray:
        """Parameters near a symmetric matrix, with standard deviations within limits."""
        values, vectors = np.linalg.eigh(sigma)
        roots = np.sqrt(np.clip(values, floor**2, ceiling**2))
        return self.from_template((vectors * roots) @ vectors.T)

    def candidates(self, phi: FloatArray) -> list[FloatArray]:
        """Other starting values worth a look, given those from moments."""
        return []

    @abstractmethod
    def effective(self, phi: FloatArray) -> FloatArray:
        """Orthonormal directions in which Sigma changes, shape (n_phi, any).

        Directions that leave Sigma alone by construction (rotations of a square factor) are not
        among them: the optimizer neither moves along them nor judges their curvature.
        """

    @abstractmethod
    def snap(self, phi: FloatArray, gradient: FloatArray, tolerance: float) -> FloatArray:
        """Set standard deviations below ``tolerance`` to zero unless ``gradient`` wants them."""

    @abstractmethod
    def from_template(self, template: FloatArray) -> FloatArray:
        """Parameters of a given factor, shape (k, k)."""

    @abstractmethod
    def theta(self, template: FloatArray) -> FloatArray:
        """User's parameters of a lower-triangular template, shape (n_theta,)."""

    @abstractmethod
    def template(self, theta: FloatArray) -> FloatArray:
        """Lower-triangular template, shape (k, k), of the user's parameters."""

    @abstractmethod
    def theta_names(self, effects: tuple[str, ...], group: str) -> tuple[str, ...]:
        """Names of ``theta``, as lme4's ``tnames`` order them."""

    @abstractmethod
    def natural_parameters(self, effects: tuple[str, ...]) -> tuple[NaturalParameter, ...]:
        """Standard deviations and correlations that users read, as many as ``n_theta``."""

    @abstractmethod
    def natural(self, template: FloatArray) -> FloatArray:
        """Their values at a template; standard deviations in its unit, shape (n_theta,)."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}(k={self.k})"
