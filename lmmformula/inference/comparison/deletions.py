"""Single-term deletions as methods of a result."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Literal

import pandas as pd

from lmmformula.inference.comparison.random_terms import ranova_frame
from lmmformula.inference.comparison.single_deletions import drop1_frame
from lmmformula.postfit.progress import Progress

__all__ = ["DeletionTables"]


class DeletionTables(ABC):
    """Likelihood-ratio tests of single terms: random effects and fixed effects."""

    @property
    @abstractmethod
    def model(self) -> Any:
        """The model that was fitted."""

    def ranova(
        self,
        reduce_terms: bool = True,
        boundary: Literal["chibar", "exact"] | None = None,
        seed: Any = None,
        *,
        progress: Progress = None,
    ) -> pd.DataFrame:
        """Test the random effects, each by a fit without it.

        Parameters
        ----------
        reduce_terms : bool, default True
            Take one effect out of a term that has several: ``(Days | Subject)`` becomes
            ``(1 | Subject)``. Otherwise, and where a term is an intercept, the whole term goes.
        boundary : {None, "chibar", "exact"}
            None refers the statistic to chi-square with the number of parameters, as lmerTest
            does; a variance of zero is at the edge of its range, so these p-values are too large.
            "chibar" takes the mixture of chi-squares that holds there, "exact" simulates the
            finite-sample distribution of a single variance.
        seed : int, SeedSequence or Generator, optional
            Source of randomness for "exact".
        progress : bool or callable, optional
            As for ``bootstrap``.

        Returns
        -------
        DataFrame
            The full model (``<none>``), then one row per deletion, named
            ``Days in (Days | Subject)`` or ``(1 | Subject)``; columns
            ``npar, llf, aic, lrt, df, pvalue``, by the criterion of the fit, and ``mixture`` with
            ``boundary``. ``attrs["formulas"]`` holds the formulas. Without any random term what is
            left is a linear model.

        Warns
        -----
        InferenceWarning
            What is left is no special case of the full model (``(0 + x | g)`` becomes
            ``(1 | g)``), or has no known mixture: the p-value is missing.
        ConvergenceWarning
            A smaller model did not converge or fits better.

        Examples
        --------
        >>> import lmmformula as lf
        >>> fit = lf.lmer("Reaction ~ Days + (Days | Subject)", lf.load_dataset("sleepstudy"))
        >>> print(fit.ranova()[["npar", "lrt", "df"]].round(3).to_string())
                                  npar     lrt   df
        <none>                       6     NaN  NaN
        Days in (Days | Subject)     4  42.837  2.0
        """
        self.model.require_rows("`ranova`")
        options = {"boundary": boundary, "seed": seed, "progress": progress}
        return ranova_frame(self, reduce_terms=reduce_terms, **options)

    def drop1(
        self, scope: str | Sequence[str] | None = None, *, progress: Progress = None
    ) -> pd.DataFrame:
        """Test the terms of the fixed effects, each by a fit without it.

        Parameters
        ----------
        scope : str or list of str, optional
            Terms to take out; default: every term that no other contains.
        progress : bool or callable, optional
            As for ``bootstrap``.

        Returns
        -------
        DataFrame
            The full model (``<none>``), then one row per term; columns
            ``npar, llf, aic, lrt, df, pvalue``. All fits are by maximum likelihood, since REML
            likelihoods with other fixed effects do not compare.

        Raises
        ------
        OptionError
            ``scope`` names no term, or one that others contain.

        Examples
        --------
        >>> import lmmformula as lf
        >>> fit = lf.lmer("score ~ Machine + (1 | Worker)", lf.load_dataset("machines"))
        >>> print(fit.drop1()[["npar", "lrt", "df"]].round(3).to_string())
                 npar     lrt   df
        <none>      5     NaN  NaN
        Machine     3  75.466  2.0
        """
        self.model.require_rows("`drop1`")
        return drop1_frame(self, scope, progress)
