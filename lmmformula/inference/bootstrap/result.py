"""Bootstrap replicates of a fitted model: table, summary and intervals."""

from __future__ import annotations

from functools import cached_property
from typing import Any, Literal, Protocol

import numpy as np
import pandas as pd

from lmmformula._arrays import FloatArray
from lmmformula.design import Design
from lmmformula.engine import AnySystem, BlockedSystem, Estimates
from lmmformula.errors import OptionError
from lmmformula.inference.bootstrap.fits import Failure, Fits, ModelFitter
from lmmformula.inference.bootstrap.intervals import METHODS, bca
from lmmformula.inference.bootstrap.kinds import CaseBlocks, jackknife_levels, top_level_factor
from lmmformula.postfit.records import ModelLike
from lmmformula.postfit.requirements import EXACT, require_exact_engine, require_random_effects
from lmmformula.report.drawn import Drawn

__all__ = ["Bootstrap", "Fitted", "fitter_of"]

FEWEST = 3
"""Replicates below which no limits are given."""

JACKKNIFE_GROUPS = 200

RANGES = {
    "correlation": (-1.0, 1.0),
    "positive": (0.0, np.inf),
    "ratio": (0.0, np.inf),
    "power": (-np.inf, np.inf),
}
"""Ends of a parameter's range, by its kind."""


class Fitted(Protocol):
    """What the bootstrap asks of a result."""

    @property
    def model(self) -> ModelLike:
        """The model that was fitted."""

    @property
    def design(self) -> Design:
        """What the formula made of the data."""

    @property
    def system(self) -> BlockedSystem:
        """Cross-products."""

    @property
    def any_system(self) -> AnySystem:
        """The data in the engine that fitted the model."""

    @property
    def estimates(self) -> Estimates:
        """Estimates as arrays."""

    @property
    def varcorr(self) -> Any:
        """Variance components."""

    @property
    def residual_structure(self) -> Any:
        """Structure of the residuals."""

    @property
    def params(self) -> pd.Series:
        """Fixed effects."""

    @property
    def formula(self) -> str:
        """The formula as written."""

    @property
    def criterion(self) -> str:
        """Likelihood maximized, "REML" or "ML"."""


class Bootstrap(Drawn):
    """Bootstrap replicates of a fitted model.

    Attributes
    ----------
    kind : str
        "parametric", "residual" or "case".
    n : int
        Replicates asked for, failed ones included.
    estimate : Series
        The fit's own values of the parameters.
    failures : tuple of Failure
        Replicates without a fit, with the reason. They are rows of NaN in the table.
    is_singular : ndarray of bool, shape (n,)
        Replicates at the boundary of the covariance parameters.
    objective : ndarray, shape (n,)
        Criterion of each replicate.
    """

    _picture = "bootstrap"

    def __init__(self, results: Fitted, kind: str, n: int, fits: Fits, cluster: str | None):
        self._results, self.kind, self.n, self.cluster = results, kind, n, cluster
        structure = results.residual_structure
        own = [] if structure is None else [structure.parameters()]
        self.estimate = pd.concat([results.params, results.varcorr.parameters(), *own])
        self.estimate.name = "estimate"
        self._values = fits.values
        self.objective, self.is_singular = fits.objective, fits.is_singular
        self.failures: tuple[Failure, ...] = fits.failures

    @property
    def n_failed(self) -> int:
        """Replicates that could not be fitted."""
        return len(self.failures)

    @property
    def n_singular(self) -> int:
        """Replicates with a singular fit."""
        return int(self.is_singular.sum())

    def to_frame(self) -> pd.DataFrame:
        """Return one row per replicate and one column per parameter.

        Rows of failed replicates are NaN, and so is a correlation beside a standard deviation of
        zero.
        """
        index = pd.RangeIndex(self.n, name="replicate")
        return pd.DataFrame(self._values.copy(), index=index, columns=list(self.estimate.index))

    def summary(self) -> pd.DataFrame:
        """Return estimate, bootstrap mean, bias and standard error of every parameter.

        Returns
        -------
        DataFrame
            Columns ``estimate, mean, bias, se, n``; ``n`` counts the replicates in which the
            parameter is defined.
        """
        frame = self.to_frame()
        mean = frame.mean()
        return pd.DataFrame(
            {
                "estimate": self.estimate,
                "mean": mean,
                "bias": mean - self.estimate,
                "se": frame.std(),
                "n": frame.count(),
            }
        )

    def conf_int(
        self,
        alpha: float = 0.05,
        method: Literal["percentile", "basic", "bca", "shortest", "normal"] = "percentile",
    ) -> pd.DataFrame:
        """Confidence limits of every parameter.

        Parameters
        ----------
        alpha : float, default 0.05
            One less the level.
        method : {"percentile", "basic", "bca", "shortest", "normal"}
            Quantiles of the replicates; reflected about the estimate; bias-corrected and
            accelerated, with the acceleration from leaving out clusters; the shortest interval
            that holds the share 1 - alpha; normal about the estimate less its bias.

        Returns
        -------
        DataFrame
            Columns ``lower, upper``; standard deviations end at 0, correlations at -1 and 1.
        """
        if method not in METHODS:
            raise OptionError(
                f"`method={method!r}` is not a bootstrap interval.",
                got=f"available: {', '.join(METHODS)}",
                suggestion='`method="percentile"`',
                argument="method",
                available=tuple(METHODS),
            )
        if not 0.0 < alpha < 1.0:
            raise OptionError(
                "`alpha` must lie between 0 and 1.",
                got=f"`alpha={alpha!r}`",
                suggestion="`alpha=0.05` for limits at 95%",
                argument="alpha",
            )
        if len(self._values) < FEWEST:
            raise OptionError(
                "there are too few replicates for limits.",
                got=f"{len(self._values)} replicates",
                suggestion="`bootstrap(1000, seed=1)`",
                argument="n",
            )
        limits = [self._limits(i, alpha, method) for i in range(len(self.estimate))]
        lowest, highest = self._range()
        inside = np.clip(np.array(limits), lowest[:, None], highest[:, None])
        return pd.DataFrame(inside, index=self.estimate.index, columns=["lower", "upper"])

    def _limits(self, column: int, alpha: float, method: str) -> FloatArray:
        values = self._values[:, column]
        values = values[np.isfinite(values)]
        estimate = float(self.estimate.iloc[column])
        if len(values) < 2 or not np.isfinite(estimate):
            return np.full(2, np.nan)
        if method == "bca":
            return bca(values, estimate, alpha, float(self.acceleration.iloc[column]))
        return METHODS[method](values, estimate, alpha)

    def _range(self) -> tuple[FloatArray, FloatArray]:
        """Ends of the parameters' ranges."""
        n_fixed = len(self._results.params)
        structure, ends = self._results.residual_structure, [RANGES["power"]] * n_fixed
        for term in self._results.varcorr:
            ends += [parameter.limits for parameter in term.natural_parameters]
        ends.append(RANGES["positive"])
        ends += [RANGES[kind] for kind in (() if structure is None else structure.kinds)]
        lowest, highest = zip(*ends, strict=True)
        return np.array(lowest), np.array(highest)

    @cached_property
    def acceleration(self) -> pd.Series:
        """Acceleration of the BCa intervals, from the jackknife over clusters.

        Levels of the top-level grouping factor are left out one by one (in at most 200 groups
        where there are more); with crossed factors those of the factor with fewest levels.
        """
        matrices = self._results.design.matrices
        require_random_effects(matrices, "the BCa interval", '`method="percentile"`')
        try:
            cluster = top_level_factor(matrices, self.cluster, what="the jackknife")
        except OptionError:
            cluster = min(matrices.random, key=lambda block: block.n_levels).group
        blocks = CaseBlocks(fitter_of(self._results), cluster)
        kept = jackknife_levels(blocks.block.n_levels, JACKKNIFE_GROUPS)
        step = max(1, blocks.size)
        parts = [blocks.fit_levels(kept[i : i + step]) for i in range(0, len(kept), step)]
        values = pd.DataFrame(Fits.joined(parts).values, columns=self.estimate.index)
        influence = values.mean() - values
        cubes, squares = (influence**3).sum(), (influence**2).sum()
        acceleration = cubes / (6.0 * squares.where(squares > 0.0) ** 1.5)
        return acceleration.fillna(0.0).rename("acceleration")

    def __repr__(self) -> str:
        cluster = f" of `{self.cluster}`" if self.cluster else ""
        return (
            f"Bootstrap({self.kind}{cluster}, {self.n} replicates of {self._results.formula!r} "
            f"by {self._results.criterion}: {self.n_failed} failed, {self.n_singular} singular)"
        )


def fitter_of(results: Fitted) -> ModelFitter:
    """What fits replicates of a result."""
    require_exact_engine(results.any_system, "a bootstrap", EXACT)
    estimates = results.estimates
    is_reml = estimates.criterion == "REML"
    return ModelFitter(results.system, results.design.matrices, estimates.theta, is_reml)
