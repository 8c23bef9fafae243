"""Results of a fitted linear mixed model: named properties, computed when asked for."""

from __future__ import annotations

import os
from collections.abc import Collection
from functools import cached_property
from typing import Any

import pandas as pd
from numpy.typing import ArrayLike

from lmmformula.design import Design
from lmmformula.engine import AnySystem, BlockedSystem, Estimates, conditional_covariances
from lmmformula.inference.bootstrap.accessor import BootstrapAccessors
from lmmformula.inference.comparison.deletions import DeletionTables
from lmmformula.inference.diagnostics.accessor import DiagnosticAccessors
from lmmformula.inference.diagnostics.influence import InfluenceAccessors
from lmmformula.inference.diagnostics.prediction import PredictionAccessors
from lmmformula.inference.effects.df import DEFAULT_METHOD, check_method
from lmmformula.inference.effects.fixed import FixedEffectTests
from lmmformula.inference.equations.accessor import EquationAccessors
from lmmformula.inference.marginal import MarginalAccessors
from lmmformula.inference.profile.accessor import ProfileAccessors
from lmmformula.inference.variance.accessor import CovarianceAccessors
from lmmformula.optimize import Optimum, OptimumStatus
from lmmformula.postfit import effects, persist, remarks
from lmmformula.postfit.broom import glance, tidy
from lmmformula.postfit.fingerprint import Fingerprint
from lmmformula.postfit.hooks import JsonAccessors, ReportAccessors
from lmmformula.postfit.records import Dropped, ModelLike
from lmmformula.postfit.relatives import RelativeAccessors
from lmmformula.postfit.residual_structure import ResidualStructure, residual_structure
from lmmformula.postfit.row_accessors import RowAccessors
from lmmformula.postfit.singular import Singularity, effect_scales, find_singularities
from lmmformula.report import Summary, TableOptions, VarCorr, summarize
from lmmformula.report.drawn import Drawn

__all__ = ["LinearMixedResults"]


class LinearMixedResults(
    RowAccessors,
    FixedEffectTests,
    MarginalAccessors,
    DiagnosticAccessors,
    PredictionAccessors,
    InfluenceAccessors,
    ProfileAccessors,
    BootstrapAccessors,
    CovarianceAccessors,
    DeletionTables,
    RelativeAccessors,
    EquationAccessors,
    JsonAccessors,
    ReportAccessors,
    Drawn,
):
    """A fitted linear mixed model.

    Nothing is computed when a result is made; every property computes itself when it is read.
    Results never change, and fits of one model do not influence each other.

    Parameters
    ----------
    model : LinearMixedModel
        The model; the result keeps what it needs of its data.
    estimates : Estimates
        Estimates at the optimum.
    optimum : Optimum
        What the optimizer found; its status is ``fixed`` where theta was given.
    """

    def __init__(self, model: ModelLike, estimates: Estimates, optimum: Optimum) -> None:
        self._model = model
        self._estimates = estimates
        self._optimum = optimum

    # -- what the result is made of --------------------------------------------------------------

    @property
    def model(self) -> Any:
        """The model that was fitted."""
        return self._model

    @property
    def design(self) -> Design:
        """What the formula made of the data."""
        return self._model.design

    @property
    def system(self) -> BlockedSystem:
        """Cross-products arranged for exact elimination; refused where another engine fitted."""
        return self._model.system

    @property
    def any_system(self) -> AnySystem:
        """The data in the engine that fitted the model."""
        return self._model.any_system

    @property
    def estimates(self) -> Estimates:
        """Estimates as arrays."""
        return self._estimates

    @property
    def optimum(self) -> Optimum:
        """Evaluations, gradient, eigenvalue, status and trace of the optimizer."""
        return self._optimum

    @property
    def fingerprint(self) -> Fingerprint:
        """Digests of rows, response and weights, for comparisons."""
        return self._model.fingerprint

    @property
    def dropped(self) -> Dropped:
        """Aliased columns and incomplete rows that were left out."""
        return Dropped(self.design.spec.dropped_columns, self.design.spec.dropped_rows)

    # -- state of the fit ------------------------------------------------------------------------

    @property
    def converged(self) -> bool:
        """Whether a local minimum was proved; never where theta was given."""
        return self._optimum.status is OptimumStatus.CONVERGED

    @cached_property
    def singularities(self) -> tuple[Singularity, ...]:
        """Variances of zero and correlations of one, by name."""
        blocks = self.design.matrices.random
        return find_singularities(blocks, self.estimates.templates, effect_scales(self.any_system))

    @property
    def is_singular(self) -> bool:
        """Whether the covariance of the random effects is on the boundary."""
        return len(self.singularities) > 0

    @property
    def status(self) -> str:
        """The state of the fit in a few words."""
        return remarks.status_text(self._optimum.status, self.is_singular)

    @property
    def remarks(self) -> tuple[str, ...]:
        """What must be known before any number is read."""
        engine = remarks.engine_remarks(self.estimates.monte_carlo)
        return (*remarks.fit_remarks(self._optimum.status, self.singularities), *engine)

    @property
    def data_remarks(self) -> tuple[str, ...]:
        """What was left out of the data, weighted or offset."""
        return remarks.data_remarks(self.design.spec, self.design.matrices)

    # -- random effects --------------------------------------------------------------------------

    @cached_property
    def varcorr(self) -> VarCorr:
        """Variances and correlations of the random effects; prints as in R."""
        e = self.estimates
        return VarCorr.from_estimates(self.design.matrices.random, e.templates, self.sigma)

    @cached_property
    def residual_structure(self) -> ResidualStructure | None:
        """Correlation and variance functions of the residuals; None where there are none."""
        return residual_structure(self.any_system, self.estimates, self.design.matrices.weights)

    @property
    def random_effects(self) -> dict[str, pd.DataFrame]:
        """Conditional modes by grouping factor, level by effect."""
        return effects.random_effects(self.design.matrices.random, self.estimates.random)

    def ranef(self, condvar: bool = False) -> pd.DataFrame:
        """Conditional modes in long form.

        Parameters
        ----------
        condvar : bool, default False
            Add ``sd``, the conditional standard deviation given theta and sigma, as in lme4.

        Returns
        -------
        DataFrame
            Columns ``grp, level, effect, value[, sd]``.
        """
        spread = conditional_covariances(self.any_system, self.estimates) if condvar else None
        return effects.ranef_frame(self.design.matrices.random, self.estimates.random, spread)

    def coef(self) -> dict[str, pd.DataFrame]:
        """Add fixed effects and conditional modes of every level, by grouping factor."""
        return effects.level_coefficients(self.params, self.random_effects)

    # -- other fits ------------------------------------------------------------------------------

    def refit(self, y: ArrayLike) -> LinearMixedResults:
        """Fit the same model to another response, only products with it are recomputed.

        Parameters
        ----------
        y : array_like
            One value per row used, or per row of the data that were passed in.
        """
        model = self._model.with_response(y)
        fitted: LinearMixedResults = model.fit(self.criterion == "REML", **self._settings)
        return fitted

    def refit_ml(self) -> LinearMixedResults:
        """Return the maximum likelihood fit of the same model (at the same theta if given)."""
        return self._refit(reml=False)

    def refit_reml(self) -> LinearMixedResults:
        """Return the REML fit of the same model (at the same theta if given)."""
        return self._refit(reml=True)

    def _refit(self, *, reml: bool) -> LinearMixedResults:
        if self.criterion == ("REML" if reml else "ML"):
            return self
        is_given = self._optimum.status is OptimumStatus.FIXED
        fitted: LinearMixedResults = (
            self._model.at(self.theta, reml)
            if is_given
            else self._model.fit(reml, **self._settings)
        )
        return fitted

    @property
    def _settings(self) -> dict[str, Any]:
        """How the model was fitted."""
        made = self.estimates.monte_carlo
        if made is not None:
            return {"precision": made.precision, "seed": made.seed}
        return {"optimizer": self._optimum.settings}

    # -- output ----------------------------------------------------------------------------------

    def summary(
        self,
        ddf: str = DEFAULT_METHOD,
        alpha: float = 0.05,
        *,
        robust: str | None = None,
        cluster: Any = None,
    ) -> Summary:
        """Tables of the fit, for a terminal, a notebook or a paper.

        Parameters
        ----------
        ddf : {"satterthwaite", "kenward-roger", "kenward-roger-observed", "wald"}
            Degrees of freedom of the tests and limits. Kenward-Roger takes the expected
            information, as pbkrtest, or the observed one, as SAS and JMP, and needs REML: a
            maximum likelihood fit is refitted. "wald" refers to the normal distribution.
        alpha : float, default 0.05
            One less the level of the intervals.
        robust, cluster
            Cluster-robust covariance, as for ``cov_params``; with "satterthwaite" or "wald".

        Returns
        -------
        Summary
            With ``as_text()``, ``as_html()``, ``as_latex()``, ``tables`` and ``frame``.
        """
        check_method(ddf)
        self.approximation(ddf, robust, cluster)
        return summarize(self, TableOptions(ddf, alpha, robust, cluster))

    def tidy(
        self,
        effects: Collection[str] = ("fixed", "ran_pars"),
        conf_int: bool = False,
        alpha: float = 0.05,
        ddf: str = DEFAULT_METHOD,
    ) -> pd.DataFrame:
        """Return one row per parameter, in broom.mixed's columns; "ran_vals" adds the modes."""
        return tidy(self, effects, conf_int=conf_int, alpha=alpha, ddf=ddf)

    def glance(self) -> pd.DataFrame:
        """Return one row about the fit, in broom.mixed's columns."""
        return glance(self)

    def without_data(self) -> LinearMixedResults:
        """Return the same result without arrays as long as the data."""
        return LinearMixedResults(self._model.without_rows(), self._estimates, self._optimum)

    def save(self, path: str | os.PathLike[str], keep_data: bool = True) -> None:
        """Write the result to a file that ``lf.load`` reads.

        Parameters
        ----------
        path : str or path
            The file; overwritten if it exists.
        keep_data : bool, default True
            Write the rows as well; without them residuals and fitted values are gone.
        """
        persist.dump(self if keep_data else self.without_data(), path)

    def __getstate__(self) -> dict[str, Any]:
        kept = ("_model", "_estimates", "_optimum")
        return {name: self.__dict__[name] for name in kept}

    def __str__(self) -> str:
        return self.summary().as_text()

    def __repr__(self) -> str:
        return (
            f"LinearMixedResults({self.formula!r}, criterion={self.criterion!r}, "
            f"objective={self.objective:.6g})"
        )

    def _repr_html_(self) -> str:
        return self.summary().as_html()
