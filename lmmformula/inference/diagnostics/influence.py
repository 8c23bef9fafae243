r"""What single rows, or all rows of a level, do to the fixed effects.

Definitions are those of R's lme4, so that figures can be compared:

- ``dfbeta`` is :math:`\hat\beta_{(u)} - \hat\beta` (without the unit, less with it);
- ``dfbetas`` divides it by the standard errors without the unit;
- Cook's distance of rows at fixed theta is :math:`r^2 h / \{\hat\sigma^2 p (1-h)^2\}`, r the
  Pearson residual and h the hat value (``cooks.distance(m)``);
- Cook's distance of deletions is :math:`\frac{m-p}{m\,p}\,
  (\hat\beta_{(u)}-\hat\beta)'\hat V^{-1}(\hat\beta_{(u)}-\hat\beta)` for m units
  (``cooks.distance(influence(m))``); the factor (m - p) / m is left out where m <= p.

References
----------
Cook (1977), Technometrics 19, 15-18.
Christensen, Pearson and Johnson (1992), Technometrics 34, 38-45.
Demidenko and Stukel (2005), Stat. Med. 24, 893-909.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from lmmformula._arrays import BoolArray, FloatArray, IntArray, LabelArray
from lmmformula.design import Design
from lmmformula.engine import BlockedSystem, Estimates, Objective, assemble
from lmmformula.engine.deletion import (
    Deletions,
    Downdater,
    delete_groups,
    delete_rows,
    taken,
)
from lmmformula.errors import (
    DimensionError,
    LMMError,
    OptionError,
)
from lmmformula.inference.diagnostics.deletion_warnings import warn_lost, warn_unsure
from lmmformula.inference.diagnostics.leverage import Leverage
from lmmformula.matrices import ModelMatrices
from lmmformula.optimize import Optimum, OptimumStatus, minimize
from lmmformula.postfit.effective_weights import WeightedFit, weighted_fit
from lmmformula.postfit.errors_of_rows import cooks_distance, fitted_forms
from lmmformula.postfit.predict import residuals
from lmmformula.postfit.progress import Progress, watched
from lmmformula.postfit.records import ModelLike
from lmmformula.postfit.requirements import EXACT, require_exact_engine
from lmmformula.postfit.residual_structure import ResidualStructure
from lmmformula.postfit.statistics import FitStatistics
from lmmformula.report.drawn import Drawn

__all__ = ["Influence", "InfluenceAccessors"]


@dataclass(frozen=True, eq=False)
class Influence(Drawn):
    """Fixed effects with and without each unit.

    Attributes
    ----------
    by : str or None
        Grouping factor whose levels are the units; None for single rows.
    exact : bool
        Covariance parameters were estimated again without each unit; else theta is the fit's.
    dfbeta : DataFrame
        Change of the fixed effects when the unit is left out, unit by coefficient.
    dfbetas : DataFrame
        The same over the standard errors without the unit.
    cooks_distance : Series
        Cook's distance.
    leverage : Series
        Hat values; of a level, the sum over its rows.
    sigma : Series
        Residual standard deviation without the unit.
    converged : Series
        Whether the deletion's estimates are sure: False where they cannot be had (NaN), or a refit
        did not prove a minimum.
    """

    _picture = "influence"

    by: str | None
    exact: bool
    dfbeta: pd.DataFrame
    dfbetas: pd.DataFrame
    cooks_distance: pd.Series
    leverage: pd.Series
    sigma: pd.Series
    converged: pd.Series

    def to_frame(self) -> pd.DataFrame:
        """Columns ``leverage, cooks_distance, sigma`` and ``dfbetas_<coefficient>``."""
        frame = pd.DataFrame(
            {
                "leverage": self.leverage,
                "cooks_distance": self.cooks_distance,
                "sigma": self.sigma,
            }
        )
        return pd.concat([frame, self.dfbetas.add_prefix("dfbetas_")], axis=1)

    def __len__(self) -> int:
        return len(self.cooks_distance)

    def __repr__(self) -> str:
        units = "rows" if self.by is None else f"levels of {self.by}"
        how = "refitted" if self.exact else "theta fixed"
        return f"Influence({len(self)} {units}, {how})"


class InfluenceAccessors(FitStatistics):
    """Diagnostics of rows and levels."""

    _model: ModelLike
    _optimum: Optimum

    @property
    @abstractmethod
    def residual_structure(self) -> ResidualStructure | None:
        """Correlation and variance functions of the residuals."""

    def leverage(self) -> Leverage:
        """Hat values of the rows used, at the estimated covariance parameters.

        Returns
        -------
        Leverage
            With ``hat`` (lme4's ``hatvalues``), its parts ``fixed`` and ``random``, their sum
            ``effective_parameters``, and ``to_frame()``.

        Examples
        --------
        >>> import lmmformula as lf
        >>> fit = lf.lmer("Reaction ~ Days + (Days | Subject)", lf.load_dataset("sleepstudy"))
        >>> fit.leverage()
        Leverage(n_obs=180, effective_parameters=29.02, largest=0.2932)
        """
        self._model.require_rows("`leverage`")
        fit = self._weighted("`leverage()`", '`residuals("normalized")`')
        forms = fitted_forms(fit.design, fit.estimates, fit.system)
        w = fit.design.matrices.weights
        parts = [part if w is None else part * w for part in (forms.random, forms.fixed)]
        return Leverage(self._rows(parts[0], "random"), self._rows(parts[1], "fixed"))

    def _weighted(self, what: str, instead: str) -> WeightedFit:
        require_exact_engine(self._model.any_system, what, EXACT)
        parts = (self.design, self.estimates, self._model.system, self.residual_structure)
        return weighted_fit(*parts, what=what, instead=instead)

    def influence(
        self, by: Any = None, exact: bool | None = None, *, progress: Progress = None
    ) -> Influence:
        """Leave every row, or every level of a factor, out in turn.

        Parameters
        ----------
        by : str or array_like, optional
            A grouping factor of the model, or one label per row used (rows with the same label are
            left out together); default: single rows.
        exact : bool, optional
            Estimate the covariance parameters again without each unit, starting at the fit's, or
            keep them. Default: keep them for rows (as R's ``cooks.distance(m)``), estimate them
            for levels (as R's ``influence(m, groups)``).
        progress : bool or callable, optional
            As for ``bootstrap``.

        Returns
        -------
        Influence
            With ``cooks_distance``, ``dfbetas``, ``dfbeta``, ``leverage``, ``sigma`` and
            ``to_frame()``.

        Warns
        -----
        RankWarning
            Fixed effects cannot be estimated without some units; these have NaN.
        ConvergenceWarning
            Some refits did not prove a minimum.

        Notes
        -----
        Nothing passes over the data again: rows follow from their hat values; a level's
        cross-products are taken off the fit's. ``exact`` costs one warm-started fit for each unit.
        Variance functions are kept with theta, and estimated again with it.

        Examples
        --------
        >>> import lmmformula as lf
        >>> fit = lf.lmer("Reaction ~ Days + (Days | Subject)", lf.load_dataset("sleepstudy"))
        >>> influence = fit.influence("Subject")
        >>> influence
        Influence(18 levels of Subject, refitted)
        >>> influence.cooks_distance.idxmax()
        '309'
        """
        self._model.require_rows("`influence`")
        units, labels, name = _units(self.design, by)
        is_exact = by is not None if exact is None else bool(exact)
        fit = self._weighted("`influence()`", "a fit without the rows, `lmm(..., subset=...)`")
        study = _Study(fit.design, fit.estimates, fit.system, units, labels)
        single = by is None
        if is_exact:
            whole = Whole(self.design.matrices, self._model.system, self.estimates.theta)
            deleted, converged = study.refitted(whole, self._optimum.settings, progress)
        else:
            deleted = study.fixed(single)
            converged = ~np.isnan(deleted.sigma)
        return study.summed_up(deleted, converged, name, is_exact, single)


def _units(design: Design, by: Any) -> tuple[IntArray, pd.Index, str | None]:
    """Unit of every row, labels of the units, and what they are levels of."""
    n = design.matrices.n_obs
    if by is None:
        return np.arange(n), design.spec.index, None
    if isinstance(by, str):
        for block in design.matrices.random:
            if block.group == by:
                return block.codes.astype(np.int64), pd.Index(block.levels, name=by), by
        available = tuple(dict.fromkeys(block.group for block in design.matrices.random))
        raise OptionError(
            f"`{by}` is not a grouping factor of the model.",
            got=f"grouping factors: {', '.join(available) or 'none'}",
            suggestion=(f'`influence(by="{available[0]}")`, or ' if available else "")
            + f'`by=data["{by}"]` with one label per row used',
            argument="by",
            available=available,
        )
    values: LabelArray = np.asarray(by, dtype=object)
    if values.shape == (design.spec.n_rows_data,) != (n,):
        values = values[design.matrices.rows]
    if values.shape != (n,) or pd.isna(values).any():
        raise DimensionError(
            "`by` must name a grouping factor or hold one label for each row used.",
            got=f"shape {values.shape}, {n} rows used"
            if values.shape != (n,)
            else f"{int(pd.isna(values).sum())} labels are missing",
            suggestion='`influence(by="group")`, or a column of the fitted data',
            n_obs=n,
        )
    codes, levels = pd.factorize(values, sort=False)
    name = getattr(by, "name", None) or "by"
    return codes.astype(np.int64), pd.Index(levels, name=name), str(name)


@dataclass(frozen=True, slots=True, eq=False)
class Whole:
    """The model that is fitted again: rows, their cross-products, and where fits start."""

    matrices: ModelMatrices
    system: BlockedSystem
    theta: FloatArray

    def without(self) -> Callable[[IntArray], BlockedSystem]:
        """What makes the system without some rows; structured residuals need the other rows."""
        if self.matrices.residual is None:
            return Downdater(self.system, self.matrices).without
        everything = np.arange(self.matrices.n_obs)

        def left(rows: IntArray) -> BlockedSystem:
            return assemble([taken(self.matrices, np.setdiff1d(everything, rows))])

        return left


class _Study:
    """One set of deletions."""

    def __init__(
        self,
        design: Design,
        estimates: Estimates,
        system: BlockedSystem,
        units: IntArray,
        labels: pd.Index,
    ) -> None:
        self.design, self.estimates, self.system = design, estimates, system
        self.units, self.labels = units, labels
        self.reml = estimates.criterion == "REML"
        weights = design.matrices.weights
        self.root = np.ones(len(units)) if weights is None else np.sqrt(weights)
        self.forms = fitted_forms(design, estimates, system)
        self.hat: FloatArray = self.root**2 * self.forms.total

    def fixed(self, single: bool) -> Deletions:
        """Theta stays."""
        objective = Objective(self.system, self.reml)
        point = objective.evaluate(objective.phi_from_theta(self.estimates.theta))
        if not single:
            return delete_groups(point, self.design.matrices, self.units, len(self.labels))
        pearson = residuals(self.design, self.estimates, "pearson")
        return delete_rows(
            point.evaluation, self.root[:, None] * self.forms.gaps, pearson, self.hat
        )

    def refitted(
        self, whole: Whole, optimizer: Any, progress: Progress
    ) -> tuple[Deletions, BoolArray]:
        """Theta is estimated again without every unit; whether each refit converged."""
        m, p = len(self.labels), self.estimates.p
        beta, se, sigma = np.full((m, p), np.nan), np.full((m, p), np.nan), np.full(m, np.nan)
        estimable = ~np.isnan(self.fixed(single=False).sigma)
        converged = np.zeros(m, dtype=bool)
        left = whole.without()
        order = np.argsort(self.units, kind="stable")
        ends = np.cumsum(np.bincount(self.units, minlength=m))[:-1]
        units = watched(np.split(order, ends), progress, "influence", "refits")
        for unit, rows in enumerate(units):
            if not estimable[unit]:
                continue
            try:
                optimum, e = minimize(left(rows), self.reml, start=whole.theta, optimizer=optimizer)
            except LMMError:  # no residual variance left, say; told below with the others
                continue
            beta[unit], sigma[unit] = e.beta, e.sigma
            se[unit] = np.sqrt(np.diagonal(e.vcov_beta))
            converged[unit] = optimum.status is OptimumStatus.CONVERGED
        if not estimable.all():
            warn_lost(self.labels[~estimable])
        if not converged[estimable].all():
            warn_unsure(self.labels[estimable & ~converged])
        return Deletions(beta, se, sigma), converged

    def summed_up(
        self,
        deleted: Deletions,
        converged: BoolArray,
        name: str | None,
        exact: bool,
        single: bool,
    ) -> Influence:
        """Put deletions under their names."""
        e, names = self.estimates, list(self.design.matrices.fixed_names)
        if not exact and not converged.all():
            warn_lost(self.labels[~converged])
        change = deleted.beta - e.beta
        with np.errstate(divide="ignore", invalid="ignore"):
            scaled = change / deleted.se
        if single and not exact:
            pearson = residuals(self.design, e, "pearson")
            distance = cooks_distance(pearson, self.hat, e.sigma, e.p)
        else:
            distance = _deletion_distance(change, e.vcov_beta)
        leverage = np.bincount(self.units, self.hat, len(self.labels))
        return Influence(
            name,
            exact,
            pd.DataFrame(change, self.labels, names),
            pd.DataFrame(scaled, self.labels, names),
            pd.Series(distance, self.labels, name="cooks_distance"),
            pd.Series(leverage, self.labels, name="leverage"),
            pd.Series(deleted.sigma, self.labels, name="sigma"),
            pd.Series(converged, self.labels, name="converged"),
        )


def _deletion_distance(change: FloatArray, vcov: FloatArray) -> FloatArray:
    """Cook's distance of deletions, with lme4's factor."""
    m, p = change.shape
    if p == 0:
        return np.full(m, np.nan)
    factor = (m - p) / m if m > p else 1.0
    solved = np.linalg.solve(vcov, change.T).T
    return np.asarray(factor / p * np.einsum("up,up->u", change, solved))
