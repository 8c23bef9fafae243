r"""Coordinates of a covariance factor among which one is a parameter that users know.

To profile a standard deviation or a correlation it must be held exactly while everything else
moves freely. Every chart below writes the square factor of one term, :math:`\Lambda`, so that the
held value c enters by itself and no constraint is left. With t the row that carries the working
effects to the user's, u its unit vector, and U an orthonormal basis of what is orthogonal to it:

- a standard deviation: :math:`\Lambda = \ell\,u e_1' + U R`, where
  :math:`\ell = c e^{-\eta/2}/|t|` depends on the log residual variance :math:`\eta`;
- a correlation: :math:`\Lambda = \tau_1^2 p_1e_1' + \tau_2^2 p_2(ce_1 + \sqrt{1-c^2}e_2)' + UR`,
  with :math:`(p_1, p_2)` the dual basis of the two rows (squares keep both deviations positive).

R is free; rotations of its last, square part leave the covariance alone and are projected out as
they are in any unstructured factor. At the ends of the range (c = 0; c = -1, 1) the last column
that the held effects occupy disappears.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np

from lmmformula._arrays import FloatArray
from lmmformula.covariance import Structure, Unstructured

__all__ = [
    "Chart",
    "FreeChart",
    "HeldCorrelation",
    "HeldDeviation",
    "HeldDiagonalDeviation",
]


class Chart(ABC):
    """One term's factor as a function of its own coordinates, log variance eta and value c."""

    def __init__(self, structure: Structure) -> None:
        self.structure = structure
        self.pairs, self.multiplicity = structure.pairs, structure.multiplicity

    @property
    @abstractmethod
    def n_own(self) -> int:
        """Number of its own coordinates."""

    @abstractmethod
    def factor(self, own: FloatArray, eta: float, c: float) -> FloatArray:
        """Lambda, (k, k)."""

    @abstractmethod
    def jacobian(self, own: FloatArray, eta: float, c: float) -> FloatArray:
        """Derivative of Sigma's upper triangle in (own, eta, c), (k(k+1)/2, n_own + 2)."""

    def directions(self, own: FloatArray, eta: float, c: float) -> FloatArray:
        """Matrices along which Sigma is differentiated, (t, k, k): its entries."""
        return self.structure.entry_directions()

    def speeds(self, own: FloatArray, eta: float, c: float) -> FloatArray:
        """How (own, eta, c) move Sigma along them, (t, n_own + 2)."""
        return self.jacobian(own, eta, c)

    @abstractmethod
    def curvature(self, own: FloatArray, eta: float, c: float, D: FloatArray) -> FloatArray:
        """Sum over entries of D times the second derivative of Sigma, (n_own + 2, n_own + 2)."""

    @abstractmethod
    def effective(self, own: FloatArray, eta: float, c: float) -> FloatArray:
        """Orthonormal directions in which Sigma changes, (n_own, any)."""

    @abstractmethod
    def snap(
        self, own: FloatArray, place: tuple[float, float], D: FloatArray, tolerance: float
    ) -> FloatArray:
        """Set tiny free deviations to zero unless the gradient D wants them; place is (eta, c)."""

    @abstractmethod
    def start(self, Lambda: FloatArray) -> FloatArray:
        """Coordinates of (what is free in) a given square factor."""


class FreeChart(Chart):
    """A term without a held parameter: the coordinates of its structure."""

    @property
    def n_own(self) -> int:
        """As many as the optimizer of a fit moves."""
        return self.structure.n_phi

    def factor(self, own: FloatArray, eta: float, c: float) -> FloatArray:
        """The structure's factor."""
        return self.structure.factor(own)

    def jacobian(self, own: FloatArray, eta: float, c: float) -> FloatArray:
        """The structure's, and two columns of zeros."""
        result = np.zeros((len(self.multiplicity), self.n_own + 2))
        result[:, :-2] = self.structure.jacobian(own)
        return result

    def directions(self, own: FloatArray, eta: float, c: float) -> FloatArray:
        """The structure's."""
        return self.structure.directions(own)

    def speeds(self, own: FloatArray, eta: float, c: float) -> FloatArray:
        """The structure's, and two columns of zeros."""
        inner = self.structure.speeds(own)
        return np.hstack([inner, np.zeros((len(inner), 2))])

    def curvature(self, own: FloatArray, eta: float, c: float, D: FloatArray) -> FloatArray:
        """The structure's, bordered by zeros."""
        result = np.zeros((self.n_own + 2, self.n_own + 2))
        result[:-2, :-2] = self.structure.curvature(own, D)
        return result

    def effective(self, own: FloatArray, eta: float, c: float) -> FloatArray:
        """The structure's."""
        return self.structure.effective(own)

    def snap(
        self, own: FloatArray, place: tuple[float, float], D: FloatArray, tolerance: float
    ) -> FloatArray:
        """The structure's."""
        return self.structure.snap(own, D, tolerance)

    def start(self, Lambda: FloatArray) -> FloatArray:
        """The factor itself."""
        return self.structure.from_template(Lambda)


@dataclass(frozen=True, slots=True, eq=False)
class _Lead:
    """The columns that the held effects occupy, and their derivatives in (inner, eta, c)."""

    value: FloatArray
    first: FloatArray
    second: tuple[tuple[int, int, FloatArray], ...] = ()


class _HeldChart(Chart):
    """What charts with derivatives of Lambda share."""

    @abstractmethod
    def derivatives(
        self, own: FloatArray, eta: float, c: float
    ) -> tuple[FloatArray, tuple[tuple[int, int, FloatArray], ...]]:
        """First derivatives (n_own + 2, k, k), and the second ones that are not zero."""

    def jacobian(self, own: FloatArray, eta: float, c: float) -> FloatArray:
        """DSigma = dLambda Lambda' + Lambda dLambda'."""
        half = self.derivatives(own, eta, c)[0] @ self.factor(own, eta, c).T
        rows, columns = self.pairs
        return (half + half.transpose(0, 2, 1))[:, rows, columns].T

    def curvature(self, own: FloatArray, eta: float, c: float, D: FloatArray) -> FloatArray:
        """2 tr(D dLambda_i dLambda_j') + 2 tr(D Lambda d2Lambda_ij')."""
        first, second = self.derivatives(own, eta, c)
        flat = first.reshape(len(first), -1)
        result = 2.0 * (D @ first).reshape(len(first), -1) @ flat.T
        DL = D @ self.factor(own, eta, c)
        for i, j, matrix in second:
            extra = 2.0 * float(np.sum(DL * matrix))
            result[i, j] += extra
            if i != j:
                result[j, i] += extra
        return result


class _LedChart(_HeldChart):
    """Lambda = [lead columns, 0] + U R with R = [R1, R2], R2 square and free to rotate."""

    def __init__(
        self, structure: Structure, rows: FloatArray, n_lead: int, n_inner: int = 0
    ) -> None:
        super().__init__(structure)
        self.k, self.n_lead, self.n_inner = structure.k, n_lead, n_inner
        self.size = size = self.k - len(rows)
        self.U = np.linalg.qr(rows.T, mode="complete")[0][:, len(rows) :]
        self.square = Unstructured(size) if size else None
        self.n_coupled = size * n_lead
        self.rotate = rows
        units = np.zeros((size * (n_lead + size), self.k, self.k))
        for position, (i, j) in enumerate(
            [(i, j) for i in range(size) for j in range(n_lead)]
            + [(i, n_lead + j) for i in range(size) for j in range(size)]
        ):
            units[position, :, j] = self.U[:, i]
        self.units = units

    @property
    def n_own(self) -> int:
        """Inner coordinates of the lead, R1 and R2."""
        return self.n_inner + len(self.units)

    @abstractmethod
    def lead(self, inner: FloatArray, eta: float, c: float) -> _Lead:
        """Columns of the held effects, (k, n_lead)."""

    @abstractmethod
    def inner_start(self, sizes: FloatArray) -> FloatArray:
        """Inner coordinates from the lengths of the held rows."""

    def factor(self, own: FloatArray, eta: float, c: float) -> FloatArray:
        """Lambda, (k, k)."""
        Lambda = np.tensordot(own[self.n_inner :], self.units, 1)
        Lambda[:, : self.n_lead] += self.lead(own[: self.n_inner], eta, c).value
        return Lambda

    def derivatives(
        self, own: FloatArray, eta: float, c: float
    ) -> tuple[FloatArray, tuple[tuple[int, int, FloatArray], ...]]:
        """R enters linearly; the rest is the lead's."""
        lead = self.lead(own[: self.n_inner], eta, c)
        n = self.n_own
        first = np.zeros((n + 2, self.k, self.k))
        first[self.n_inner : n] = self.units
        index = [*range(self.n_inner), n, n + 1]
        first[index, :, : self.n_lead] = lead.first
        second = []
        for i, j, block in lead.second:
            matrix = np.zeros((self.k, self.k))
            matrix[:, : self.n_lead] = block
            second.append((index[i], index[j], matrix))
        return first, tuple(second)

    def effective(self, own: FloatArray, eta: float, c: float) -> FloatArray:
        """All but the rotations of R2."""
        start = self.n_inner + self.n_coupled
        if self.square is None:
            return np.eye(start)
        inner = self.square.effective(own[start:])
        result = np.zeros((len(own), start + inner.shape[1]))
        result[:start, :start] = np.eye(start)
        result[start:, start:] = inner
        return result

    def snap(
        self, own: FloatArray, place: tuple[float, float], D: FloatArray, tolerance: float
    ) -> FloatArray:
        """Small singular values of R2."""
        if self.square is None:
            return own
        start = self.n_inner + self.n_coupled
        kept = self.square.snap(own[start:], self.U.T @ D @ self.U, tolerance)
        return np.concatenate([own[:start], kept])

    def start(self, Lambda: FloatArray) -> FloatArray:
        """Rotate the held rows into the leading columns; the rest is R."""
        held = Lambda.T @ self.rotate.T
        Q, triangle = np.linalg.qr(held, mode="complete")
        n_held = len(self.rotate)
        Q[:, :n_held] *= np.where(np.diag(triangle) < 0.0, -1.0, 1.0)
        R = self.U.T @ Lambda @ Q
        coupled, rest = R[:, : self.n_lead], R[:, self.n_lead :]
        if rest.shape[1] > self.size:  # a closed end: one column fewer holds the same covariance
            left, sizes, _ = np.linalg.svd(rest, full_matrices=False)
            rest = left * sizes
        inner = self.inner_start(np.sqrt(np.sum(held**2, axis=0)))
        return np.concatenate([inner, coupled.ravel(), rest.ravel()])


class HeldDeviation(_LedChart):
    """A standard deviation of an unstructured term is held.

    Parameters
    ----------
    structure : Structure
    row : ndarray, shape (k,)
        The user's effect in working effects.
    closed : bool
        The deviation is zero.
    """

    def __init__(self, structure: Structure, row: FloatArray, *, closed: bool = False) -> None:
        self.length = float(np.linalg.norm(row))
        self.unit = row / self.length
        super().__init__(structure, self.unit[None], 0 if closed else 1)

    def lead(self, inner: FloatArray, eta: float, c: float) -> _Lead:
        """The length l along the unit vector."""
        per_c, column = np.exp(-0.5 * eta) / self.length, self.unit[:, None]
        if self.n_lead == 0:
            return _Lead(column[:, :0], np.zeros((2, self.k, 0)))
        size = c * per_c
        first = np.stack([-0.5 * size * column, per_c * column])
        second = ((0, 0, 0.25 * size * column), (0, 1, -0.5 * per_c * column))
        return _Lead(size * column, first, second)

    def inner_start(self, sizes: FloatArray) -> FloatArray:
        """None: the length is not free."""
        return np.zeros(0)


class HeldCorrelation(_LedChart):
    """A correlation of an unstructured term is held.

    Parameters
    ----------
    structure : Structure
    rows : ndarray, shape (2, k)
        The user's two effects in working effects.
    closed : bool
        The correlation is -1 or 1.
    """

    def __init__(self, structure: Structure, rows: FloatArray, *, closed: bool = False) -> None:
        units = rows / np.linalg.norm(rows, axis=1)[:, None]
        self.dual = np.linalg.pinv(units)
        super().__init__(structure, units, 1 if closed else 2, 2)

    def lead(self, inner: FloatArray, eta: float, c: float) -> _Lead:
        """Two vectors at the angle whose cosine is c."""
        one, other = self.dual[:, :1], self.dual[:, 1:]
        toward, turn, bend = np.array([[c]]), np.ones((1, 1)), np.zeros((1, 1))
        along = np.ones((1, 1))
        if self.n_lead == 2:
            s = np.sqrt(1.0 - c * c)
            along = np.array([[1.0, 0.0]])
            toward, turn = np.array([[c, s]]), np.array([[1.0, -c / s]])
            bend = np.array([[0.0, -1.0 / s**3]])
        t1, t2 = inner
        first = np.stack(
            [
                2.0 * t1 * one @ along,
                2.0 * t2 * other @ toward,
                np.zeros((self.k, self.n_lead)),
                t2**2 * other @ turn,
            ]
        )
        second = (
            (0, 0, 2.0 * one @ along),
            (1, 1, 2.0 * other @ toward),
            (1, 3, 2.0 * t2 * other @ turn),
            (3, 3, t2**2 * other @ bend),
        )
        return _Lead(t1**2 * one @ along + t2**2 * other @ toward, first, second)

    def inner_start(self, sizes: FloatArray) -> FloatArray:
        """Roots of the two deviations."""
        return np.sqrt(sizes)


class HeldDiagonalDeviation(_HeldChart):
    """A standard deviation of a term with uncorrelated effects is held.

    Parameters
    ----------
    structure : Structure
    effect : int
        Which of its effects.
    length : float
        Size of the user's effect in units of the working one.
    """

    def __init__(self, structure: Structure, effect: int, length: float) -> None:
        super().__init__(structure)
        self.effect, self.length = effect, length
        self.others = np.delete(np.arange(structure.k), effect)

    @property
    def n_own(self) -> int:
        """The other deviations."""
        return len(self.others)

    def factor(self, own: FloatArray, eta: float, c: float) -> FloatArray:
        """Diagonal."""
        diagonal = np.empty(self.structure.k)
        diagonal[self.others] = own
        diagonal[self.effect] = c * np.exp(-0.5 * eta) / self.length
        return np.diag(diagonal)

    def derivatives(
        self, own: FloatArray, eta: float, c: float
    ) -> tuple[FloatArray, tuple[tuple[int, int, FloatArray], ...]]:
        """Unit matrices, and those of the held length."""
        n, a = self.n_own, self.effect
        first = np.zeros((n + 2, self.structure.k, self.structure.k))
        first[np.arange(n), self.others, self.others] = 1.0
        per_c = np.exp(-0.5 * eta) / self.length
        first[n, a, a], first[n + 1, a, a] = -0.5 * c * per_c, per_c
        unit = np.zeros(first.shape[1:])
        unit[a, a] = 1.0
        return first, ((n, n, 0.25 * c * per_c * unit), (n, n + 1, -0.5 * per_c * unit))

    def effective(self, own: FloatArray, eta: float, c: float) -> FloatArray:
        """All of them."""
        return np.eye(self.n_own)

    def snap(
        self, own: FloatArray, place: tuple[float, float], D: FloatArray, tolerance: float
    ) -> FloatArray:
        """Set the small ones to zero."""
        keep = (np.abs(own) > tolerance) | (np.diag(D)[self.others] <= 0.0)
        return np.where(keep, own, 0.0)

    def start(self, Lambda: FloatArray) -> FloatArray:
        """Lengths of the other rows."""
        return np.sqrt(np.sum(Lambda**2, axis=1))[self.others]
