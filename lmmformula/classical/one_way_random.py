"""Analysis of one response in randomly chosen groups: tables, estimates, test, power, BLUPs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import special

from lmmformula.classical.one_way_data import Groups, read_groups
from lmmformula.classical.one_way_estimates import OneWayEstimates, by_likelihood, by_moments
from lmmformula.classical.one_way_icc import IntraclassInterval, icc_interval
from lmmformula.classical.one_way_power import (
    SampleSize,
    as_given,
    balanced_power,
    check_count,
    check_ratio,
    check_share,
    needed_groups,
    needed_size,
    unbalanced_power,
)
from lmmformula.classical.one_way_tables import one_way_tables
from lmmformula.errors import OptionError
from lmmformula.report.printed import Printed
from lmmformula.report.render import Medium, render_all

__all__ = ["OneWayRandom", "VarianceTest", "one_way_random"]


@dataclass(frozen=True, slots=True)
class VarianceTest:
    """F test that the variance between groups is zero.

    Attributes
    ----------
    statistic : float
        Mean square between groups over mean square within.
    num_df, den_df : int
        Degrees of freedom.
    pvalue : float
        Exact for normal data, whatever the sizes of the groups.
    """

    statistic: float
    num_df: int
    den_df: int
    pvalue: float


def one_way_random(response: str, group: str, data: Any) -> OneWayRandom:
    """Analyse one response in randomly chosen groups, in closed form.

    The model is ``response ~ 1 + (1 | group)``.

    Parameters
    ----------
    response : str
        Column of the measurements, or an expression of columns such as ``"log(Yield)"``.
    group : str
        Column with the labels of the groups.
    data : pandas, polars or pyarrow table, or dict of arrays
        One row per measurement; not modified.

    Returns
    -------
    OneWayRandom
        Prints itself; ``anova``, ``moments``, ``ml``, ``reml``, ``f_test()``, ``power()``,
        ``sample_size()``, ``icc`` and ``blups``.

    Raises
    ------
    DataError
        Unknown columns; a response that is not numeric, is constant, or is constant within groups.
    DesignError
        One group only, or one row in every group.

    Warns
    -----
    DroppedRowsWarning
        Rows were left out because a value is missing.

    References
    ----------
    Searle, Casella and McCulloch (1992), Variance Components, chapters 3 and 4.

    Examples
    --------
    >>> import lmmformula as lf
    >>> analysis = lf.one_way_random("Yield", "Batch", lf.load_dataset("dyestuff"))
    >>> round(analysis.reml.var_group, 2), round(analysis.reml.var_resid, 2)
    (1764.05, 2451.25)
    >>> round(analysis.f_test().pvalue, 6)
    0.004398
    """
    return OneWayRandom(read_groups(response, group, data))


class OneWayRandom(Printed):
    """Analysis of a one-way random model.

    Attributes
    ----------
    groups : Groups
        Sizes, means and sums of squares.
    """

    __slots__ = ("__dict__", "groups")

    def __init__(self, groups: Groups) -> None:
        self.groups = groups

    @property
    def formula(self) -> str:
        """The same model for ``lf.lmer``."""
        return f"{self.groups.response} ~ 1 + (1 | {self.groups.group})"

    @property
    def is_balanced(self) -> bool:
        """Whether all groups have the same size."""
        return self.groups.is_balanced

    @property
    def anova(self) -> pd.DataFrame:
        """Analysis of variance with expected mean squares.

        Columns ``sum_sq, df, mean_sq, F, pvalue, expected_mean_sq``; rows: the grouping column,
        ``Residual``, ``Total``.
        """
        g, test = self.groups, self.f_test()
        between, within = g.mean_squares
        n0 = f"{g.n0:.6g}"
        rows = [
            (g.ss_between, g.df[0], between, test.statistic, test.pvalue,
             f"var_resid + {n0} var_group"),
            (g.ss_within, g.df[1], within, np.nan, np.nan, "var_resid"),
            (g.ss_between + g.ss_within, sum(g.df), np.nan, np.nan, np.nan, ""),
        ]  # fmt: skip
        names = ["sum_sq", "df", "mean_sq", "F", "pvalue", "expected_mean_sq"]
        return pd.DataFrame(rows, index=pd.Index([g.group, "Residual", "Total"]), columns=names)

    @cached_property
    def moments(self) -> OneWayEstimates:
        """Estimates from mean squares; ``var_group`` is negative where F is below one."""
        return by_moments(self.groups)

    @cached_property
    def ml(self) -> OneWayEstimates:
        """Maximum likelihood estimates, variances at least zero."""
        return by_likelihood(self.groups, reml=False)

    @cached_property
    def reml(self) -> OneWayEstimates:
        """Restricted maximum likelihood estimates, variances at least zero."""
        return by_likelihood(self.groups, reml=True)

    def f_test(self) -> VarianceTest:
        """Test that the variance between groups is zero."""
        between, within = self.groups.mean_squares
        num_df, den_df = self.groups.df
        statistic = between / within
        pvalue = float(special.fdtrc(num_df, den_df, statistic))
        return VarianceTest(statistic, num_df, den_df, pvalue)

    def power(
        self,
        ratio: ArrayLike,
        alpha: float = 0.05,
        groups: int | None = None,
        size: int | None = None,
    ) -> Any:
        """Return the exact power of the F test.

        Parameters
        ----------
        ratio : float or array_like
            ``var_group / var_resid`` that the test should find.
        alpha : float, default 0.05
            Level of the test.
        groups, size : int, optional
            Another, balanced design: number of groups and rows in each. What is not given is that
            of the data (``n0``, rounded, for the size of unequal groups).

        Returns
        -------
        float or ndarray
            As ``ratio``.

        Examples
        --------
        >>> import lmmformula as lf
        >>> analysis = lf.one_way_random("Yield", "Batch", lf.load_dataset("dyestuff"))
        >>> round(analysis.power(0.5), 4), round(analysis.power(0.5, groups=12), 4)
        (0.595, 0.8434)
        """
        values, level = check_ratio(ratio), check_share(alpha, "alpha", "alpha=0.05")
        if groups is None and size is None and not self.is_balanced:
            sizes = self.groups.sizes
            found = np.array([unbalanced_power(float(r), level, sizes) for r in values.ravel()])
            return as_given(found.reshape(values.shape), ratio)
        a = self.groups.n_groups if groups is None else check_count(groups, "groups")
        return as_given(balanced_power(values, level, a, self._size(size)), ratio)

    def sample_size(
        self,
        ratio: float,
        power: float = 0.8,
        alpha: float = 0.05,
        *,
        groups: int | None = None,
        size: int | None = None,
    ) -> SampleSize:
        """Return the smallest balanced design whose F test has a given power.

        Parameters
        ----------
        ratio : float
            ``var_group / var_resid`` that the test should find, above zero.
        power : float, default 0.8
            Power wanted.
        alpha : float, default 0.05
            Level of the test.
        groups : int, optional
            Number of groups; the rows in each are sought. More rows cannot make up for few groups:
            the power with two groups grows slowly.
        size : int, optional
            Rows in each group; the number of groups is sought. Default: as in the data.

        Returns
        -------
        SampleSize
            ``groups, size, total, power``.

        Examples
        --------
        >>> import lmmformula as lf
        >>> analysis = lf.one_way_random("Yield", "Batch", lf.load_dataset("dyestuff"))
        >>> analysis.sample_size(0.5).groups
        11
        """
        wanted, level = (
            check_share(power, "power", "power=0.8"),
            check_share(alpha, "alpha", "alpha=0.05"),
        )
        value = check_ratio(ratio)
        if value.ndim or value == 0.0:
            raise OptionError(
                "`ratio` must be one number above zero: no design finds a variance of zero.",
                got=f"`ratio={ratio!r}`",
                suggestion="`sample_size(0.5)`",
                argument="ratio",
            )
        if groups is not None and size is not None:
            raise OptionError(
                "`groups` and `size` are both given, so nothing is left to look for.",
                got=f"`groups={groups!r}, size={size!r}`",
                suggestion=f"`power({float(value):g}, groups={groups}, size={size})`",
            )
        if groups is not None:
            return needed_size(float(value), wanted, level, check_count(groups, "groups"))
        return needed_groups(float(value), wanted, level, self._size(size))

    def _size(self, size: int | None) -> int:
        return max(round(self.groups.n0), 2) if size is None else check_count(size, "size")

    @property
    def icc(self) -> IntraclassInterval:
        """Intraclass correlation with its exact 95 % interval."""
        return self.icc_interval()

    def icc_interval(
        self,
        alpha: float = 0.05,
        method: Literal["exact", "thomas-hultquist", "searle"] = "exact",
    ) -> IntraclassInterval:
        """Return the intraclass correlation with confidence limits.

        Parameters
        ----------
        alpha : float, default 0.05
            One less the level.
        method : {"exact", "thomas-hultquist", "searle"}
            Wald's limits, exact for groups of any sizes, or one of the two approximations for
            unequal sizes. In balanced data all three are the same.

        Returns
        -------
        IntraclassInterval
            ``estimate, lower, upper, alpha, method, is_exact``.
        """
        level = check_share(alpha, "alpha", "alpha=0.05")
        return icc_interval(self.groups, self.moments.icc, level, method)

    @property
    def blups(self) -> pd.DataFrame:
        """Predicted effects of the groups, at the REML estimates.

        Columns ``n``; ``mean``, the group's own; ``shrinkage``, the share of its distance from the
        overall mean that is kept; ``blup``; ``sd``, its conditional standard deviation with the
        mean known (as ``ranef(condvar=True)``); ``se``, that of the prediction error with the mean
        estimated. All are zero where the variance between groups is.
        """
        g, found = self.groups, self.reml
        shrinkage = found.ratio * g.sizes / (1.0 + found.ratio * g.sizes)
        sd = np.sqrt(found.var_group * (1.0 - shrinkage))
        columns = {
            "n": g.sizes,
            "mean": g.means,
            "shrinkage": shrinkage,
            "blup": shrinkage * (g.means - found.mean) + 0.0,  # no -0.0
            "sd": sd,
            "se": np.sqrt(sd**2 + (shrinkage * found.mean_se) ** 2),
        }
        return pd.DataFrame(columns, index=pd.Index(list(g.levels), name=g.group))

    @property
    def remarks(self) -> tuple[str, ...]:
        """What must be known of estimates at the boundary."""
        if not self.moments.on_boundary:
            if not self.ml.on_boundary:
                return ()
            return ("The ML estimate of the group variance is zero: F is above one, but not by "
                    "enough.",)  # fmt: skip
        between, within = self.groups.mean_squares
        return (
            f"The mean square between groups ({between:.6g}) is below the one within "
            f"({within:.6g}): the groups differ less than their residual variation alone "
            "would make them. The moment estimate of the group variance is negative and shown as "
            "it is; likelihood estimates cannot be, and are zero where zero is best.",
        )

    def _write(self, medium: Medium) -> str:
        return render_all(one_way_tables(self), medium)
