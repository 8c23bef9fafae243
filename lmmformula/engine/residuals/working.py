r"""Average information in the residuals' parameters.

A derivative :math:`\dot R` of the residuals' covariance acts on the residual :math:`r = H^{-1}(y -
X\hat\beta)` as a working response :math:`u = \dot Rr`, and the average information is a quadratic
form of such responses, :math:`u_i'Pu_j`. In whitened rows u is the turned vector of conditional
residuals; its sums with Z and X go through the same elimination as those of y.

References
----------
Gilmour, Thompson and Cullis (1995), Biometrics 51, 1440-1450.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lmmformula._arrays import FloatArray
from lmmformula.engine.crossproducts import sums_by_level
from lmmformula.engine.evaluation import Evaluation
from lmmformula.engine.kernels import block_product
from lmmformula.engine.residuals.model import ResidualModel, Whitened

__all__ = ["WorkingResponses"]


@dataclass(frozen=True, slots=True, eq=False)
class WorkingResponses:
    """Quadratic forms of the working responses.

    Attributes
    ----------
    forms : ndarray, shape (m,)
        r'R_j r.
    own : ndarray, shape (m, m)
        u_i'P u_j.
    mixed : ndarray, shape (T, m)
        w_i'P u_j with those of the covariance directions, elimination order.
    """

    forms: FloatArray
    own: FloatArray
    mixed: FloatArray

    @classmethod
    def of(cls, residual: ResidualModel, at: Whitened, evaluation: Evaluation) -> WorkingResponses:
        """Forms at an evaluated point of whitened rows."""
        z, codes, X = residual.split(at.white)
        modes = _modes(evaluation)
        e = -(X @ evaluation.gamma)
        for effects, level, values in zip(z, codes, modes, strict=True):
            if len(level):
                e -= np.einsum("na,an->n", effects, values[:, level])
        U = residual.turned(at, e)
        sums = [
            sums_by_level(effects, level, U, values.shape[1])
            if len(level)
            else np.zeros((values.shape[0], U.shape[1], 0))
            for effects, level, values in zip(z, codes, modes, strict=True)
        ]
        own, mixed = _eliminated(evaluation, sums, X[:, :-1].T @ U, U.T @ U)
        return cls(U.T @ e, own, mixed)


def _modes(evaluation: Evaluation) -> list[FloatArray]:
    """Conditional modes of every factor, (k, J), as the effects of rows."""
    modes, system = [evaluation.first_modes], evaluation.system
    if evaluation.tail is not None:
        tail = evaluation.tail_modes
        if system.relations is not None:
            tail = system.relations.forward(tail[:, None])[:, 0]
        modes += [evaluation.of_factor(tail, f).T for f in range(len(system.tail.factors))]
    return modes


def _eliminated(
    evaluation: Evaluation, sums: list[FloatArray], XU: FloatArray, UU: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """U'P U and the products with the covariance directions' working vectors."""
    system, p = evaluation.system, evaluation.system.p
    NF = block_product(evaluation.N, sums[0])
    XU = XU - np.einsum("apj,amj->pm", system.first_xy[:, :p], NF)
    UU = UU - np.einsum("amj,anj->mn", sums[0], NF)
    inner, tail_side = sums[0], None
    if evaluation.tail is not None:
        tail = evaluation.tail
        T = np.concatenate([part.transpose(2, 0, 1).reshape(-1, UU.shape[0]) for part in sums[1:]])
        if system.relations is not None:
            T = system.relations.backward(T)
        T = T - system.cross.transpose_times(NF)
        NT = tail.N_times(T)
        XU = XU - evaluation.tail_xy[:, :p].T @ NT
        UU = UU - T.T @ NT
        inner = inner - system.cross.times(NT)
        tail_side = T - tail.A_times(NT)
    own = UU - XU.T @ evaluation.Phi @ XU
    first_side = block_product(evaluation.E, inner)
    first, columns = evaluation.working_columns
    mixed = np.einsum("atj,amj->tm", first, first_side)
    if columns is not None and tail_side is not None:
        mixed = np.concatenate([mixed, columns.T @ tail_side])
    _, V_x = evaluation.quadratic(first, columns)
    return own, mixed - V_x.T @ evaluation.Phi @ XU
