r"""What inference needs of the variance parameters at a fit, all in cross-product space.

For Satterthwaite's degrees of freedom: the covariance of the variance parameters (twice the inverse
of the exact Hessian of :math:`-2\ell`) and the derivatives of the covariance of the fixed effects.
For Kenward and Roger's: the pieces of their adjustment in the variances and covariances
:math:`\psi`, where :math:`V = \sum_i \psi_i V_i`, :math:`V_i = Z(I \otimes D_i)Z'` and
:math:`V_0 = I`. Anything with :math:`V_0` follows from :math:`I = H - \sum_i \sigma_i H_i`, so no
n x n matrix is ever formed.

References
----------
Kenward and Roger (1997), Biometrics 53, 983-997.
Halekoh and Hojsgaard (2014), J. Stat. Softw. 59(9).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import singledispatch

import numpy as np

from lmmformula._arrays import FloatArray, IntArray
from lmmformula.engine.alternative import AlternativeSystem, AnySystem
from lmmformula.engine.evaluation import Evaluation
from lmmformula.engine.hessian import in_model_order, residual_forms, traces
from lmmformula.engine.objective import Objective, Point
from lmmformula.engine.sparse.requirements import require_dense_tail
from lmmformula.engine.system import BlockedSystem

__all__ = [
    "KenwardRogerPieces",
    "VarianceInformation",
    "entry_moves",
    "entry_products",
    "information_at",
    "kenward_roger_pieces",
    "pieces_at",
    "variance_information",
]

FLAT = 1e-8


@dataclass(frozen=True, slots=True, eq=False)
class VarianceInformation:
    """Joint uncertainty of the variance parameters and how the fixed effects' covariance moves.

    The parameters are m directions in which the relative covariances change, and log sigma^2.

    Attributes
    ----------
    vcov : ndarray, shape (p, p)
        Covariance of the fixed effects.
    derivatives : ndarray, shape (m + 1, p, p)
        Derivative of ``vcov`` in each parameter.
    covariance : ndarray, shape (m + 1, m + 1)
        Asymptotic covariance of the parameters; directions without curvature are left out.
    n_flat : int
        Number of directions left out because the data do not identify them.
    n_boundary : int
        Number of directions in which a zero variance would grow; they do not move ``vcov``.
    phi : ndarray, shape (n_phi,)
        The optimizer's parameters there.
    moves, flat : ndarray, shapes (n_phi, m) and (n_phi, n_flat)
        The directions in ``phi``, and those left out.
    """

    vcov: FloatArray
    derivatives: FloatArray
    covariance: FloatArray
    n_flat: int
    n_boundary: int
    phi: FloatArray
    moves: FloatArray
    flat: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class KenwardRogerPieces:
    """Kenward and Roger's matrices in the variances and covariances (the last one is sigma^2).

    Attributes
    ----------
    Phi : ndarray, shape (p, p)
        Covariance of the fixed effects, in the working basis.
    P : ndarray, shape (t, p, p)
        dX'V^-1X / dpsi_i = -X'V^-1 V_i V^-1 X, working basis.
    Q : ndarray, shape (t, t, p, p)
        X'V^-1 V_i V^-1 V_j V^-1 X, working basis.
    expected, observed : ndarray, shape (t, t)
        Twice the information about psi: W = 2 * inverse.
    to_user : ndarray, shape (p, p)
        ``beta = to_user @ beta_working``: covariances transform as ``to_user @ C @ to_user.T``,
        contrasts as ``L @ to_user``.
    """

    Phi: FloatArray
    P: FloatArray
    Q: FloatArray
    expected: FloatArray
    observed: FloatArray
    to_user: FloatArray


def variance_information(
    system: AnySystem, theta: FloatArray, reml: bool = True
) -> VarianceInformation:
    """Pieces of Satterthwaite's approximation at a fit, from exact derivatives.

    Parameters
    ----------
    system : BlockedSystem or AlternativeSystem
    theta : ndarray, shape (n_theta,)
        The optimum.
    reml : bool
        Criterion of the fit.
    """
    if isinstance(system, AlternativeSystem):
        return system.variance_information(theta, reml)
    objective = Objective(system, reml)
    return information_at(objective.evaluate(objective.phi_from_theta(theta)))


def information_at(point: Point) -> VarianceInformation:
    """As ``variance_information``, at a point where the criterion is known."""
    objective, evaluation = point.objective, point.evaluation
    system = objective.system
    with objective.threads():
        directions = point.effective
        values, vectors = np.linalg.eigh(directions.T @ point.hessian(exact=True) @ directions)
        keep = values > FLAT * max(float(values.max(initial=0.0)), 1e-300)
        moves = directions @ vectors[:, keep]
        entries, forms, moved = _moves(point, moves)
    to_user = system.basis.fixed
    sigma2 = evaluation.pwrss / evaluation.nu * system.basis.scale**2
    vcov = sigma2 * (to_user @ evaluation.Phi @ to_user.T)
    turned = to_user @ evaluation.Phi
    per_entry = sigma2 * np.einsum("pr,trs,qs->tpq", turned, moved, turned, optimize=True)
    derivatives = np.einsum("tm,tpq->mpq", entries, per_entry)
    slope = (evaluation.nu / evaluation.pwrss) * (forms @ entries)
    inverse = 2.0 / values[keep]
    covariance = np.zeros((len(inverse) + 1, len(inverse) + 1))
    covariance[:-1, :-1] = np.diag(inverse)
    covariance[:-1, -1] = covariance[-1, :-1] = -inverse * slope / evaluation.nu
    covariance[-1, -1] = 2.0 / evaluation.nu + (inverse * slope) @ slope / evaluation.nu**2
    still = np.abs(entries).max(axis=0, initial=0.0) <= FLAT
    return VarianceInformation(
        vcov=vcov,
        derivatives=np.concatenate([derivatives, vcov[None]]),
        covariance=covariance,
        n_flat=int(np.sum(~keep)),
        n_boundary=int(np.sum(still)),
        phi=point.phi,
        moves=moves,
        flat=directions @ vectors[:, ~keep],
    )


def _moves(point: Point, moves: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """(covariance directions along ``moves``, r'H_i r, X'H^-1 H_i H^-1 X), residuals' ones last."""
    evaluation, n = point.evaluation, point.speeds.shape[1]
    entries = point.speeds @ moves[:n]
    forms = in_model_order(evaluation, np.diag(residual_forms(evaluation))).diagonal()
    moved = entry_moves(evaluation)
    if point.residuals is None:
        return entries, forms, moved
    own, turned = point.residuals.forms(evaluation)
    return (
        np.concatenate([entries, moves[n:]]),
        np.append(forms, own),
        np.concatenate([moved.reshape(-1, *turned.shape[1:]), turned]),
    )


@singledispatch
def kenward_roger_pieces(system: AnySystem, theta: FloatArray) -> KenwardRogerPieces:
    """Pieces of the Kenward-Roger adjustment at a REML fit.

    Parameters
    ----------
    system : BlockedSystem or PartitionedSystem
    theta : ndarray, shape (n_theta,)
        The REML optimum.

    Notes
    -----
    Cost: a few products per pair of variance parameters; O(J k^3) for one grouping factor.
    """
    assert isinstance(system, BlockedSystem)
    instead = '`ddf="satterthwaite"`, or `fit(method="dense")` if the dense block fits in memory'
    require_dense_tail(system, "Kenward and Roger's approximation", instead)
    objective = Objective(system, reml=True)
    phi = objective.phi_from_theta(theta)
    factors, directions = objective.factors(phi), objective.directions(phi)
    with objective.threads():
        restricted, full = (Evaluation(system, factors, kind, directions) for kind in (True, False))
    return pieces_at(objective, phi, restricted, full)


def pieces_at(
    objective: Objective, phi: FloatArray, restricted: Evaluation, full: Evaluation
) -> KenwardRogerPieces:
    """As ``kenward_roger_pieces``, from evaluations by REML and by ML at the same ``phi``."""
    system = objective.system
    with objective.threads():
        map_ = _ParameterMap(objective, phi, restricted)
        Phi, sigma2 = restricted.Phi, restricted.pwrss / restricted.nu
        k_full = map_.squared(system.n_obs, _entry_traces(full), traces(full))
        k_restricted = map_.squared(restricted.nu, _entry_traces(restricted), traces(restricted))
        forms = in_model_order(restricted, np.diag(residual_forms(restricted))).diagonal()
        quadratic = map_.squared(restricted.pwrss, forms, restricted.working_products)
        p_forms, q_forms = map_.fixed_forms(restricted)
    turned = np.matmul(Phi, p_forms)
    expected = (
        k_full
        - 2.0 * np.einsum("pq,ijqp->ij", Phi, q_forms)
        + np.einsum("ipq,jqp->ij", turned, turned)
    )
    observed = -k_restricted + 2.0 * quadratic / sigma2
    unit = sigma2 * system.basis.scale**2
    return KenwardRogerPieces(
        Phi=unit * Phi,
        P=-p_forms / unit**2,
        Q=q_forms / unit**3,
        expected=expected / unit**2,
        observed=observed / unit**2,
        to_user=system.basis.fixed,
    )


class _ParameterMap:
    """From forms in (H, H_i) to forms in (H_i, I), for the free covariance entries.

    Attributes
    ----------
    free : ndarray
        Positions of the free covariance entries, model order.
    combine : ndarray, shape (t + 1, t + 1)
        Rows: parameters (covariance entries, then the residual); columns: H, H_1, ..., H_t.
    """

    def __init__(self, objective: Objective, phi: FloatArray, evaluation: Evaluation) -> None:
        self.evaluation = evaluation
        parts = objective.parts(phi)
        free = [term.structure.free_directions for term, _ in parts]
        entries = [term.structure.coordinates(part) for term, part in parts]
        sizes = np.concatenate([np.zeros(0), *entries])
        self.free: IntArray = np.nonzero(np.concatenate([np.zeros(0, dtype=bool), *free]))[0]
        t = len(self.free)
        self.combine = np.zeros((t + 1, t + 1))
        self.combine[:t, 1:] = np.eye(t)
        self.combine[t, 0], self.combine[t, 1:] = 1.0, -sizes[self.free]

    def squared(self, corner: float, edge: FloatArray, entries: FloatArray) -> FloatArray:
        """Forms in pairs of parameters from the (H, H), (H, H_i) and (H_i, H_j) ones."""
        inner = in_model_order(self.evaluation, entries)[np.ix_(self.free, self.free)]
        border = edge[self.free]
        matrix = np.block([[np.full((1, 1), corner), border[None]], [border[:, None], inner]])
        return self.combine @ matrix @ self.combine.T

    def fixed_forms(self, evaluation: Evaluation) -> tuple[FloatArray, FloatArray]:
        """X'H^-1 V_i H^-1 X and X'H^-1 V_i H^-1 V_j H^-1 X in relative units."""
        p = evaluation.system.p
        moves = entry_moves(evaluation)[self.free]
        first = np.concatenate([np.linalg.inv(evaluation.Phi)[None], moves])
        second = np.zeros((len(first), len(first), p, p))
        second[0] = first
        second[:, 0] = first
        second[1:, 1:] = entry_products(evaluation)[np.ix_(self.free, self.free)]
        combine = self.combine
        return (
            np.einsum("it,tpq->ipq", combine, first),
            np.einsum("it,ju,tupq->ijpq", combine, combine, second, optimize=True),
        )


def _entry_traces(evaluation: Evaluation) -> FloatArray:
    """tr(PH_i) (ML: tr(H^-1 H_i)) for every covariance entry, model order."""
    forms, order = evaluation.forms(evaluation.trace_blocks), evaluation.direction_order
    return forms if order is None else forms[order]


@singledispatch
def entry_moves(evaluation: Evaluation) -> FloatArray:
    """X'H^-1 H_i H^-1 X for every covariance entry, (T, p, p), model order, working basis."""
    system, p = evaluation.system, evaluation.system.p
    parts = []
    for f, layout in enumerate(system.factors):
        F = evaluation.first_X if f == 0 else None
        if F is None:
            F = evaluation.of_factor(evaluation.tail_X, f - 1).transpose(1, 2, 0)
        k = layout.k
        flat = F.reshape(k * p, layout.n_levels)
        grams = (flat @ flat.T).reshape(k, p, k, p).transpose(0, 2, 1, 3).reshape(k * k, p * p)
        directions = evaluation.directions[f]
        n = len(directions)
        parts.append((directions.reshape(n, k * k) @ grams).reshape(n, p, p))
    moves = np.concatenate(parts)
    order = evaluation.direction_order
    return moves if order is None else moves[order]


@singledispatch
def entry_products(evaluation: Evaluation) -> FloatArray:
    """X'H^-1 H_i H^-1 H_j H^-1 X, (T, T, p, p), model order, working basis."""
    system, p = evaluation.system, evaluation.system.p
    directions = evaluation.directions[0]
    first = np.einsum("tab,brj->atrj", directions, evaluation.first_X)
    first = first.reshape(system.first.k, len(directions) * p, system.first.n_levels)
    tail = None
    if evaluation.tail is not None:
        tail = system.tail.side_by_side(
            [
                np.einsum(
                    "tab,jbr->jatr",
                    evaluation.directions[f + 1],
                    evaluation.of_factor(evaluation.tail_X, f),
                ).reshape(layout.n_levels, layout.k, -1)
                for f, layout in enumerate(system.tail.factors)
            ]
        )
    products, _ = evaluation.quadratic(first, tail)
    t = len(products) // max(p, 1)
    products = products.reshape(t, p, t, p).transpose(0, 2, 1, 3)
    order = evaluation.direction_order
    return products if order is None else products[np.ix_(order, order)]
