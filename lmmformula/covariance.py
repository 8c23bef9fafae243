"""Covariance structures: parameters phi -> relative covariance Sigma(phi) of one term's effects.

The engine hands every structure the same gradient, ``D = df/dSigma`` (k x k), and the same Hessian
in the entries of Sigma; a structure only says how Sigma depends on its own parameters. To add one:
write the class, add a row to ``STRUCTURES``; the contract tests iterate that table.

Internally the optimizer works on ``phi`` in working units (columns of Z scaled or
orthonormalised, see ``engine.basis``); ``theta``, the lower Cholesky factor that users and lme4
know, is derived at the end.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Literal, TypeAlias

import numpy as np

from lmmformula._arrays import BoolArray, FloatArray, IntArray

__all__ = ["STRUCTURES", "Diagonal", "Structure", "Unstructured", "semidefinite_cholesky"]

Invariance: TypeAlias = Literal["linear", "diagonal", "scalar"]

GAUGE_TOLERANCE = 1e-7


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
    """

    name: ClassVar[str]
    invariance: ClassVar[Invariance]

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

    def __repr__(self) -> str:
        return f"{type(self).__name__}(k={self.k})"


class Unstructured(Structure):
    """Any positive semidefinite matrix; the optimizer moves a full square factor (k^2 entries).

    A lower-triangular factor makes narrow curved valleys near singular fits, where the pivot order
    fights the rotation of the null space. A full factor is flat along the rotations
    ``Lambda -> Lambda Q`` instead, and those are left out (``effective``).
    """

    name = "us"
    invariance = "linear"

    def __init__(self, k: int) -> None:
        super().__init__(k)
        self._skew = np.triu_indices(k, 1)

    @property
    def n_theta(self) -> int:
        """k(k+1)/2."""
        return self.k * (self.k + 1) // 2

    @property
    def n_phi(self) -> int:
        """k^2."""
        return self.k * self.k

    def start(self, size: float = 1.0) -> FloatArray:
        """``size`` times the identity, by rows."""
        return (size * np.eye(self.k)).ravel()

    def factor(self, phi: FloatArray) -> FloatArray:
        """``phi`` by rows."""
        return phi.reshape(self.k, self.k)

    def jacobian(self, phi: FloatArray) -> FloatArray:
        """dSigma/dLambda[a, b] = e_a Lambda[:, b]' + Lambda[:, b] e_a'."""
        k, (rows, columns) = self.k, self.pairs
        factor = self.factor(phi)
        derivative = np.zeros((len(rows), k, k))
        index = np.arange(len(rows))
        derivative[index, rows] += factor[columns]
        derivative[index, columns] += factor[rows]
        return derivative.reshape(len(rows), k * k)

    def curvature(self, phi: FloatArray, gradient: FloatArray) -> FloatArray:
        """2 D[a, a'] for entries of one column, zero between columns."""
        k = self.k
        outer: FloatArray = (2.0 * gradient)[:, None, :, None] * np.eye(k)[None, :, None, :]
        return outer.reshape(k * k, k * k)

    def effective(self, phi: FloatArray) -> FloatArray:
        """Complement of the rotations' tangents, Lambda A for skew A."""
        k = self.k
        if k == 1:
            return np.ones((1, 1))
        factor = self.factor(phi)
        rows, columns = self._skew
        index = np.arange(len(rows))
        tangents = np.zeros((len(rows), k, k))
        tangents[index, :, columns] = factor[:, rows].T
        tangents[index, :, rows] = -factor[:, columns].T
        _, size, right = np.linalg.svd(tangents.reshape(len(rows), k * k), full_matrices=True)
        n_rotations = int(np.sum(size > GAUGE_TOLERANCE * max(size[0], 1e-300)))
        return right[n_rotations:].T

    def snap(self, phi: FloatArray, gradient: FloatArray, tolerance: float) -> FloatArray:
        """Drop the small singular values whose direction the criterion does not want."""
        factor = self.factor(phi)
        if abs(np.linalg.det(factor)) > tolerance * float(phi @ phi) ** ((self.k - 1) / 2.0):
            return phi  # the smallest singular value is above det / |Lambda|^(k-1)
        left, size, right = np.linalg.svd(factor)
        wanted = np.einsum("ai,ab,bi->i", left, gradient, left) <= 0.0
        keep = (size > tolerance) | wanted
        if keep.all():
            return phi
        return ((left[:, keep] * size[keep]) @ right[keep]).ravel()

    def from_template(self, template: FloatArray) -> FloatArray:
        """The template itself is one of the square factors."""
        return template.ravel().copy()

    def theta(self, template: FloatArray) -> FloatArray:
        """Lower triangle by columns."""
        rows, columns = self.pairs
        return template[columns, rows]

    def template(self, theta: FloatArray) -> FloatArray:
        """Inverse of ``theta``."""
        rows, columns = self.pairs
        template = np.zeros((self.k, self.k))
        template[columns, rows] = theta
        return template

    def theta_names(self, effects: tuple[str, ...], group: str) -> tuple[str, ...]:
        """``Subject.Intercept``, ``Subject.Days.Intercept``, ``Subject.Days``."""
        rows, columns = self.pairs
        return tuple(
            f"{group}.{effects[j]}" if i == j else f"{group}.{effects[j]}.{effects[i]}"
            for i, j in zip(rows.tolist(), columns.tolist(), strict=True)
        )


class Diagonal(Structure):
    """Uncorrelated effects, a standard deviation for each."""

    name = "diag"
    invariance = "diagonal"

    @property
    def free_entries(self) -> BoolArray:
        """Variances only."""
        return np.asarray(self.multiplicity == 1.0)

    @property
    def n_theta(self) -> int:
        """One standard deviation for each of the k effects."""
        return self.k

    @property
    def n_phi(self) -> int:
        """One standard deviation for each of the k effects."""
        return self.k

    def start(self, size: float = 1.0) -> FloatArray:
        """``size`` for every effect."""
        return np.full(self.k, size)

    def factor(self, phi: FloatArray) -> FloatArray:
        """diag(phi)."""
        return np.diag(phi)

    def jacobian(self, phi: FloatArray) -> FloatArray:
        """2 phi on the variances."""
        rows, columns = self.pairs
        derivative = np.zeros((len(rows), self.k))
        derivative[rows == columns, :] = np.diag(2.0 * phi)
        return derivative

    def curvature(self, phi: FloatArray, gradient: FloatArray) -> FloatArray:
        """2 D on the diagonal."""
        return np.diag(2.0 * np.diag(gradient))

    def effective(self, phi: FloatArray) -> FloatArray:
        """All of them."""
        return np.eye(self.k)

    def snap(self, phi: FloatArray, gradient: FloatArray, tolerance: float) -> FloatArray:
        """Set the small ones to zero."""
        keep = (np.abs(phi) > tolerance) | (np.diag(gradient) <= 0.0)
        return np.where(keep, phi, 0.0)

    def from_template(self, template: FloatArray) -> FloatArray:
        """Diagonal of the template."""
        return np.diag(template).copy()

    def theta(self, template: FloatArray) -> FloatArray:
        """Diagonal of the template."""
        return np.diag(template).copy()

    def template(self, theta: FloatArray) -> FloatArray:
        """diag(theta)."""
        return np.diag(theta)

    def theta_names(self, effects: tuple[str, ...], group: str) -> tuple[str, ...]:
        """``Subject.Intercept``, ``Subject.Days``."""
        return tuple(f"{group}.{effect}" for effect in effects)


STRUCTURES: dict[str, type[Structure]] = {"us": Unstructured, "diag": Diagonal}
