"""The rows of a fit: fitted values, residuals, draws, and all of it beside the data."""

from __future__ import annotations

import os
from abc import abstractmethod
from typing import Any, Literal

import pandas as pd

from lmmformula._arrays import FloatArray
from lmmformula.engine import BlockedSystem
from lmmformula.postfit.errors_of_rows import hat_values
from lmmformula.postfit.predict import linear_predictor, residuals
from lmmformula.postfit.progress import Progress
from lmmformula.postfit.records import ModelLike
from lmmformula.postfit.requirements import exact_system
from lmmformula.postfit.residual_structure import ResidualStructure
from lmmformula.postfit.simulate import simulate
from lmmformula.postfit.statistics import FitStatistics
from lmmformula.postfit.streamed_rows import augment_rows

__all__ = ["RowAccessors"]


class RowAccessors(FitStatistics):
    """What a result says of the rows that were used."""

    _model: ModelLike

    @property
    @abstractmethod
    def system(self) -> BlockedSystem:
        """Cross-products arranged for exact elimination."""

    @property
    @abstractmethod
    def residual_structure(self) -> ResidualStructure | None:
        """Correlation and variance functions of the residuals."""

    @property
    def fittedvalues(self) -> pd.Series:
        """Fitted values with all random effects and the offset."""
        self._model.require_rows("`fittedvalues`")
        return self._rows(linear_predictor(self.design, self.estimates, self.ngroups), "fitted")

    @property
    def resid(self) -> pd.Series:
        """Observed less fitted."""
        return self.residuals()

    def residuals(self, kind: str = "response") -> pd.Series:
        """Residuals in the rows used.

        Parameters
        ----------
        kind : str
            "response": observed less fitted; "pearson": times the root of the weights; "scaled":
            that over sigma; "standardized": that over the root of one less the leverage;
            "marginal": observed less the fixed part. "working", "deviance" and "studentized"
            (``rstudent``) are R's names for the first, the second and the standardized ones.

            With variance functions the row's standard deviation takes the place of sigma over the
            root of the weight. "normalized": scaled ones made uncorrelated within the groups of
            ``residual=`` as well, as in R's nlme; without a structure the same as "scaled".
        """
        self._model.require_rows("`resid`")
        parts = (self.design, self.estimates)
        structure = self.residual_structure
        what = f"`residuals({kind!r})`"

        def leverages() -> FloatArray:
            system = exact_system(self._model.any_system, what)
            return hat_values(*parts, system, structure, what=what)

        return self._rows(residuals(*parts, kind, leverages, structure), "resid")

    def simulate(
        self,
        n: int,
        seed: Any,
        random: Literal["new", "fitted"] = "new",
        *,
        progress: Progress = None,
        executor: Any = None,
    ) -> pd.DataFrame:
        """Draw responses at the estimates.

        Parameters
        ----------
        n : int
            Number of responses.
        seed : int, SeedSequence or Generator
            Source of randomness.
        random : {"new", "fitted"}
            New random effects, or the conditional modes.
        progress, executor : optional
            As for ``bootstrap``.

        Returns
        -------
        DataFrame
            Columns ``sim_1`` to ``sim_n``, one row per row used.
        """
        self._model.require_rows("`simulate`")
        structure = self.residual_structure
        parts = (self.design, self.estimates, n, seed)
        options = {"progress": progress, "executor": executor}
        return simulate(*parts, random=random, structure=structure, **options)

    def augment(
        self,
        data: Any = None,
        to: str | os.PathLike[str] | None = None,
        *,
        progress: Progress = None,
    ) -> Any:
        """Return the used rows (of ``data`` if given) with fitted values and residuals.

        Parameters
        ----------
        data : frame, dict, or data in pieces, optional
            The data that the model was fitted to; default: what is kept of them, or the pieces
            that they came in, chunk by chunk.
        to : str or path, optional
            For rows in pieces: a Parquet file to write, whole or not at all.
        progress : bool or callable, optional
            For rows in pieces, as for ``lf.lmm``.

        Returns
        -------
        DataFrame; for rows in pieces an iterator of them, or the path that was written
            ``.hat`` and ``.cooksd`` only where the exact engine fitted the model.
        """
        return augment_rows(self, data, to, progress)
