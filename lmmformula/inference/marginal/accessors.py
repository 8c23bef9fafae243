"""Marginal means and slopes as methods of a result."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from lmmformula.inference.marginal.estimates import MarginalEstimates
from lmmformula.inference.marginal.interop import marginaleffects_model
from lmmformula.inference.marginal.means import marginal_means
from lmmformula.inference.marginal.slopes import marginal_slopes

__all__ = ["MarginalAccessors"]


class MarginalAccessors(ABC):
    """Means and slopes of the population, averaged over a reference grid."""

    @abstractmethod
    def approximation(self, ddf: str = ...) -> Any:
        """Covariance and degrees of freedom by a method."""

    def marginal_means(
        self,
        variables: str | Sequence[str] | None = None,
        by: str | Sequence[str] | None = None,
        at: Mapping[str, Any] | None = None,
        weights: str = "equal",
        ddf: str = "satterthwaite",
        alpha: float = 0.05,
    ) -> MarginalEstimates:
        """Estimate population means at the levels of factors (least-squares means).

        The fixed effects are evaluated in every combination of a reference grid: factors at all
        their levels, numeric variables at their mean, those with exactly two values at both. The
        means are averages over the variables that are not asked for.

        Parameters
        ----------
        variables : str or list of str
            ``"store"``, ``["f", "g"]`` or ``"f:g"``; None for the overall mean.
        by : str or list of str, optional
            More variables; contrasts are then made within each of their levels.
        at : mapping, optional
            Values of numeric variables, or levels of factors, for the grid: ``{"x": [0, 1]}``.
        weights : {"equal", "proportional", "cells", "outer", "flat"}
            What the other variables' combinations count: all the same; as often as they occur in
            the data; as often as in the cell; by the product of their margins; equally if they
            occur in the cell.
        ddf : {"satterthwaite", "kenward-roger", "kenward-roger-observed", "wald"}
            Degrees of freedom; Kenward-Roger also adjusts the covariance.
        alpha : float, default 0.05
            One less the level of the intervals.

        Returns
        -------
        MarginalEstimates
            ``to_frame()``: the variables, then ``mean, se, df, lower, upper``;
            ``contrasts(...)``, ``test()``.

        Warns
        -----
        InferenceWarning
            Means that the data do not determine; they are NaN.

        Notes
        -----
        Means are on the scale of the left side of the formula: ``log(y)`` gives means of logs.
        Averages over a factor that is nested in another are taken within the other's levels.

        References
        ----------
        .. [1] Searle, Speed and Milliken (1980), Am. Stat. 34, 216-221.
        .. [2] Lenth (2016), J. Stat. Softw. 69(1).

        Examples
        --------
        >>> import lmmformula as lf
        >>> fit = lf.lmer("score ~ Machine + (1 | Worker)", lf.load_dataset("machines"))
        >>> means = fit.marginal_means("Machine")
        >>> means.to_frame().round(3)
          Machine    mean     se     df   lower   upper
        0       A  52.356  2.229  5.833  46.863  57.849
        1       B  60.322  2.229  5.833  54.829  65.815
        2       C  66.272  2.229  5.833  60.779  71.765
        >>> means.contrasts("pairwise").to_frame().round(3)[["contrast", "estimate", "pvalue"]]
          contrast  estimate  pvalue
        0    A - B    -7.967     0.0
        1    A - C   -13.917     0.0
        2    B - C    -5.950     0.0
        """
        return marginal_means(self, variables, by=by, at=at, weights=weights, ddf=ddf, alpha=alpha)

    def marginal_slopes(
        self,
        variable: str,
        by: str | Sequence[str] | None = None,
        at: Mapping[str, Any] | None = None,
        weights: str = "equal",
        ddf: str = "satterthwaite",
        alpha: float = 0.05,
    ) -> MarginalEstimates:
        """Estimate population slopes in a numeric variable.

        Parameters
        ----------
        variable : str
            The numeric variable; transforms of it in the formula are differentiated.
        by : str or list of str, optional
            A slope for each combination of these; the others are averaged over. The variable
            itself is allowed where ``at`` gives several values of it.
        at : mapping, optional
            Values for the reference grid, as in ``marginal_means``.
        weights, ddf, alpha
            As in ``marginal_means``.

        Returns
        -------
        MarginalEstimates
            ``to_frame()``: the variables, then ``slope, se, df, lower, upper``;
            ``contrasts(...)`` compares the slopes.

        Examples
        --------
        >>> import lmmformula as lf
        >>> fit = lf.lmer("angle ~ recipe * temp + (1 | recipe:replicate)", lf.load_dataset("cake"))
        >>> fit.marginal_slopes("temp", by="recipe").to_frame().round(4)
          recipe   slope      se     df   lower   upper
        0      A  0.1537  0.0282  222.0  0.0981  0.2093
        1      B  0.1646  0.0282  222.0  0.1090  0.2202
        2      C  0.1558  0.0282  222.0  0.1002  0.2114
        """
        return marginal_slopes(self, variable, by=by, at=at, weights=weights, ddf=ddf, alpha=alpha)

    def marginaleffects(
        self, data: Any, *, ddf: str = "satterthwaite", df: float = float("inf")
    ) -> Any:
        """Wrap the fit for the functions of the ``marginaleffects`` package.

        Parameters
        ----------
        data : frame or dict
            The data that were fitted.
        ddf : str
            Whose covariance of the fixed effects is used: Kenward-Roger adjusts it.
        df : float, default infinity
            Degrees of freedom of every test; marginaleffects knows one number only.

        Returns
        -------
        marginaleffects.classes.ModelAbstract
            For ``predictions``, ``comparisons``, ``slopes``, ``hypotheses``, ``datagrid``; they are
            about the population, random effects being zero.

        Raises
        ------
        OptionError
            The package is not installed.
        """
        return marginaleffects_model(self, data, ddf=ddf, df=df)
