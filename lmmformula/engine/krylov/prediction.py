r"""Variances of prediction errors by solves, one for each different row of random effects.

With z a row's random-effects columns, :math:`t = (I + AG)^{-1}z` (:math:`A = Z'WZ`, G the relative
covariance) and a what the random effects leave of its fixed part, the weights of the predictor
leave :math:`\tau = t - Z'H^{-1}X\Phi a` of the effects. Their variance is smallest among
unbiased predictors, so that its derivative in a direction D of the covariance is :math:`\tau'D\tau`
(``engine.error_variance``): the solve that gives the variance gives its derivatives as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from lmmformula._arrays import BoolArray, FloatArray, IntArray
from lmmformula.engine.error_variance import ErrorVariance, error_variance, independent_moves
from lmmformula.engine.hessian import residual_forms
from lmmformula.engine.information import entry_moves
from lmmformula.engine.krylov.blocks import column_products, times
from lmmformula.engine.krylov.evaluation import Accuracy, KrylovEvaluation
from lmmformula.engine.krylov.objective import KrylovObjective
from lmmformula.engine.krylov.solve import conjugate_gradients
from lmmformula.engine.krylov.system import KrylovSystem
from lmmformula.engine.prediction import ErrorForms, TargetRows, error_forms
from lmmformula.errors import OptionError

__all__ = ["RowErrors"]

BATCH = 32
FORM_TOLERANCE = 1e-6
"""Relative residual where only quadratic forms are used: these are wrong by its square."""
TOLERANCE = 1e-10

_Known = list[tuple[FloatArray, IntArray] | None]


@error_forms.register
def _(system: KrylovSystem, theta: FloatArray, reml: bool, rows: TargetRows) -> ErrorForms:
    """Exact up to the solver's tolerance."""
    objective = KrylovObjective(system, reml, Accuracy(n_probes=0))
    with objective.threads():
        evaluation = objective.unjudged(objective.phi_from_theta(theta)).krylov
        return RowErrors(evaluation, rows).forms


@error_variance.register
def _(
    system: KrylovSystem,
    theta: FloatArray,
    reml: bool,
    rows: TargetRows,
    residual: FloatArray,
    *,
    residual_slopes: FloatArray | None = None,
    corrected: bool = False,
) -> ErrorVariance:
    """Exact derivatives of the variances; the parameters' covariance is the average information's.

    There is no correction.
    """
    assert residual_slopes is None
    assert not corrected
    objective = KrylovObjective(system, reml)
    with objective.threads():
        point = objective.unjudged(objective.phi_from_theta(theta))
        evaluation = point.krylov
        moves, sizes = independent_moves(point)
        errors = RowErrors(evaluation, rows, with_slopes=True)
        order, own = evaluation.direction_order, residual_forms(evaluation)
        speeds = point.speeds @ moves.T
        log_scale = -((own if order is None else own[order]) @ speeds) / evaluation.pwrss
        slopes = errors.slopes @ speeds
    variance = errors.forms.total + residual
    spread = 2.0 / evaluation.nu * variance**2
    spread += (slopes + variance[:, None] * log_scale) ** 2 @ sizes
    with np.errstate(invalid="ignore"):
        return ErrorVariance(variance, np.zeros(len(variance)), 2.0 * variance**2 / spread)


@dataclass(frozen=True, slots=True, eq=False)
class _Solved:
    """What one solve says of rows that have the same random-effects columns, m of them.

    Attributes
    ----------
    random : ndarray, shape (m,)
        z' Lambda M^-1 Lambda' z.
    squares : ndarray, shape (m, T)
        t'D t for every direction, by factor.
    crossed : ndarray, shape (m, T, p)
        t'D Z'H^-1X.
    """

    random: FloatArray
    squares: FloatArray
    crossed: FloatArray


class RowErrors:
    """Errors of the predictions of rows at one point, in units of sigma^2.

    Parameters
    ----------
    evaluation : KrylovEvaluation
    rows : TargetRows
        As for the exact engine (``engine.prediction.target_rows``), without new places.
    with_slopes : bool, default False
        Whether derivatives will be asked for: solves are then carried further.

    Raises
    ------
    OptionError
        Rows at times or places that were not fitted.

    Notes
    -----
    Cost: a solve for every different combination of levels and effects, 32 at a time, so that the
    memory is 32 columns of the length of all levels whatever the number of rows.
    """

    def __init__(
        self, evaluation: KrylovEvaluation, rows: TargetRows, *, with_slopes: bool = False
    ) -> None:
        if rows.places:
            raise _needs_fitted_places(len(rows.places[0].rows))
        self.evaluation, self.rows, self.with_slopes = evaluation, rows, with_slopes
        self.new, self.gaps = np.zeros(len(rows.X)), rows.X.copy()
        self.known: _Known = []
        self._read_factors()

    def _read_factors(self) -> None:
        """Variance of unknown levels, what of X the random effects leave, and the known levels."""
        evaluation, Lambdas = self.evaluation, self.evaluation.operator.Lambdas
        for f, part in enumerate(self.rows.effects):
            if part is None:
                self.known.append(None)
                continue
            z, codes = part
            seen = codes >= 0
            self.new += np.where(seen, 0.0, np.sum((z @ Lambdas[f]) ** 2, axis=1))
            z, codes = np.where(seen[:, None], z, 0.0), np.where(seen, codes, 0)
            F = self._fixed(f).transpose(2, 0, 1)
            G = Lambdas[f] @ Lambdas[f].T
            self.gaps -= np.einsum("ia,ab,ibp->ip", z, G, F[codes], optimize=True)
            self.known.append((z, codes.astype(np.int64)))
        self.Phi = evaluation.Phi

    def _fixed(self, factor: int) -> FloatArray:
        """Z'H^-1X of one factor, (k, p, J)."""
        if factor == 0:
            return self.evaluation.first_X
        return self.evaluation.of_factor(self.evaluation.tail_X, factor - 1).transpose(1, 2, 0)

    @cached_property
    def forms(self) -> ErrorForms:
        """The variances by source; NaN in a row with missing values."""
        complete, which, solved = self._solved
        random = np.full(len(complete), np.nan)
        random[complete] = solved.random[which]
        fixed = np.einsum("ip,pq,iq->i", self.gaps, self.Phi, self.gaps, optimize=True)
        return ErrorForms(random, fixed, self.new, self.gaps)

    @cached_property
    def slopes(self) -> FloatArray:
        """Derivatives of the total in every direction of the covariances, (n, T), model order."""
        complete, which, solved = self._solved
        order = self.evaluation.direction_order
        at = slice(None) if order is None else order
        slopes = np.full((len(complete), solved.squares.shape[1]), np.nan)
        left = self.gaps[complete] @ self.Phi
        squares, crossed = solved.squares[:, at], solved.crossed[:, at]
        own = squares[which] - 2.0 * np.einsum("itp,ip->it", crossed[which], left)
        moved = entry_moves(self.evaluation)
        slopes[complete] = own + np.einsum("ip,tpq,iq->it", left, moved, left, optimize=True)
        return slopes + self._new_slopes()[:, at]

    def _new_slopes(self) -> FloatArray:
        """Z'D z of rows with unknown levels, by factor."""
        parts = []
        for part, directions in zip(self.rows.effects, self.evaluation.directions, strict=True):
            if part is None:
                parts.append(np.zeros((len(self.gaps), len(directions))))
                continue
            z = np.where((part[1] < 0)[:, None], part[0], 0.0)
            parts.append(np.einsum("ia,tab,ib->it", z, directions, z, optimize=True))
        return np.hstack(parts)

    @cached_property
    def _solved(self) -> tuple[BoolArray, IntArray, _Solved]:
        """Complete rows, the number of the different one that each is, and what is known of it."""
        parts = [np.column_stack(part) for part in self.known if part is not None]
        table = np.column_stack([np.zeros(len(self.gaps)), *parts])
        complete = np.asarray(np.isfinite(table).all(axis=1))
        _, first, which = np.unique(table[complete], axis=0, return_index=True, return_inverse=True)
        rows = np.nonzero(complete)[0][first]
        starts = range(0, max(len(rows), 1), BATCH)
        found = [self._some(rows[start : start + BATCH]) for start in starts]
        names = "random", "squares", "crossed"
        joined = (np.concatenate([getattr(part, name) for part in found]) for name in names)
        return complete, which.ravel().astype(np.int64), _Solved(*joined)

    def _some(self, rows: IntArray) -> _Solved:
        """Solve for some rows."""
        if not len(rows):
            n, p = sum(map(len, self.evaluation.directions)), self.rows.X.shape[1]
            return _Solved(np.zeros(0), np.zeros((0, n)), np.zeros((0, n, p)))
        operator, factors = self.evaluation.operator, self.evaluation.system.factors
        columns = []
        for factor, part in zip(factors, self.known, strict=True):
            own = np.zeros((factor.k, factor.n_levels, len(rows)))
            if part is not None:
                own[:, part[1][rows], np.arange(len(rows))] = part[0][rows].T
            columns.append(own)
        moved = times(operator.first.N, columns[0])
        random = column_products(columns[0], moved)
        tail = np.concatenate(
            [np.zeros((0, len(rows))), *(own.reshape(-1, len(rows)) for own in columns[1:])]
        )
        x = tail
        if len(tail):
            tail = tail - operator.from_first(moved)
            right = operator.scaled_back(tail)
            tolerance = TOLERANCE if self.with_slopes else FORM_TOLERANCE
            solved = conjugate_gradients(
                operator.apply, operator.precondition, right.copy(), tolerance
            )
            x = solved.x
            random += column_products(right, x) + column_products(x, solved.residual)
        if not self.with_slopes:
            return _Solved(random, np.zeros((len(rows), 0)), np.zeros((len(rows), 0, 0)))
        return _Solved(random, *self._derivatives(columns[0], tail, x))

    def _derivatives(
        self, first: FloatArray, tail: FloatArray, x: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """``squares`` and ``crossed`` from a solution."""
        operator, system = self.evaluation.operator, self.evaluation.system
        left = [first]
        if len(tail):
            left = [first - operator.to_first(system.tail_parts(operator.scaled(x)))]
            left += system.tail_parts(operator.unscaled(x, tail))
        left[0] = times(operator.first.E, left[0])
        squares, crossed = [], []
        for f, (t, directions) in enumerate(zip(left, self.evaluation.directions, strict=True)):
            grams = np.einsum("ajm,bjm->mab", t, t, optimize=True)
            mixed = np.einsum("ajm,bpj->mabp", t, self._fixed(f), optimize=True)
            squares.append(np.einsum("tab,mab->mt", directions, grams))
            crossed.append(np.einsum("tab,mabp->mtp", directions, mixed))
        return np.concatenate(squares, axis=1), np.concatenate(crossed, axis=1)


def _needs_fitted_places(n_rows: int) -> OptionError:
    return OptionError(
        "intervals at times or places that were not fitted need the exact engine.",
        got=f'{n_rows} such rows, `method="krylov"`',
        suggestion='`predict(...)` without `interval`, or `fit(method="exact")`',
        needs="intervals at new places",
        method="krylov",
    )
