"""One response in groups: what the one-way analyses need of the data, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from lmmformula._arrays import CodeArray, FloatArray, IntArray
from lmmformula.design.checks import check_finite, check_scale
from lmmformula.design.columns import Numbers, Value
from lmmformula.design.evaluate import Evaluator
from lmmformula.design.grouping import grouping
from lmmformula.design.inputs import named_value
from lmmformula.design.rows import choose_rows
from lmmformula.design.sources import listed, open_source
from lmmformula.errors import DataError, DesignError, OptionError

__all__ = ["Groups", "read_groups"]

CONSTANT = 1e-13
"""Within-group variation below this share of the whole is rounding."""


@dataclass(frozen=True, slots=True, eq=False)
class Groups:
    """Sizes, means and sums of squares of the groups.

    Attributes
    ----------
    response, group : str
        Names of the columns.
    levels : tuple of str, length a
        Labels of the groups.
    sizes : ndarray of int, shape (a,)
        Rows in each group.
    means : ndarray, shape (a,)
        Their means.
    ss_between, ss_within : float
        Sums of squares between and within groups.
    """

    response: str
    group: str
    levels: tuple[str, ...]
    sizes: IntArray
    means: FloatArray
    ss_between: float
    ss_within: float

    @property
    def n_groups(self) -> int:
        """Number of groups a."""
        return len(self.levels)

    @property
    def n_obs(self) -> int:
        """Number of rows N."""
        return int(self.sizes.sum())

    @property
    def is_balanced(self) -> bool:
        """Whether all groups have the same size."""
        return bool((self.sizes == self.sizes[0]).all())

    @property
    def df(self) -> tuple[int, int]:
        """Degrees of freedom between and within groups."""
        return self.n_groups - 1, self.n_obs - self.n_groups

    @property
    def mean_squares(self) -> tuple[float, float]:
        """Mean squares between and within groups."""
        between, within = self.df
        return self.ss_between / between, self.ss_within / within

    @property
    def n0(self) -> float:
        r"""Coefficient of the group variance in the expected mean square between groups.

        The common size where groups have one; else
        :math:`(N - \sum n_i^2 / N) / (a - 1)`, a little below the mean size.
        """
        if self.is_balanced:
            return float(self.sizes[0])
        n = self.n_obs
        return float((n - np.sum(self.sizes**2) / n) / (self.n_groups - 1))


def read_groups(response: str, group: str, data: Any) -> Groups:
    """Read the two columns, leave incomplete rows out, and sum up the rest.

    Parameters
    ----------
    response, group : str
        Columns, or expressions of columns (``"log(Yield)"``).
    data : frame or mapping
        Anything that ``lmm`` takes.

    Raises
    ------
    DataError
        Unknown columns, a response that is not numeric, infinite, constant, or constant within
        every group.
    DesignError
        One group only, or no group with two rows.
    """
    source = open_source(data)
    if not source.n_rows:
        raise DataError(
            "the data have no rows.",
            got=f"columns {listed(source.names)}" if source.names else "no columns either",
            suggestion="check how the data were read or filtered",
        )
    evaluator = Evaluator(source, {})
    y, g = (
        _value(name, role, evaluator) for name, role in ((response, "response"), (group, "group"))
    )
    if not isinstance(y, Numbers) or y.is_time:
        raise _not_numeric(response, y)
    if response == group:
        raise OptionError(
            "`response` and `group` are the same column.",
            got=f"`{response}`",
            suggestion="name the measurements first, the labels of the groups second",
        )
    rows = choose_rows(
        {response: y.missing_rows(), group: g.missing_rows()},
        source.n_rows,
        subset=None,
        missing="drop",
        made_missing=evaluator.made_missing(),
    )
    values = y.take(rows.used).floats()
    check_finite(response, values, rows.used, "response")
    check_scale(response, float(values.min()), float(values.max()))
    coded = grouping([group], [g.take(rows.used)], group)
    return _summed(response, group, values, coded.codes, tuple(map(str, coded.coding.levels)))


def _value(name: Any, role: str, evaluator: Evaluator) -> Value:
    if not isinstance(name, str):
        raise OptionError(
            f"`{role}` must be the name of a column.",
            got=f"an object of type `{type(name).__name__}`",
            suggestion='`lf.one_way_random("Yield", "Batch", data)`',
            argument=role,
        )
    return named_value(name, role, evaluator)


def _not_numeric(name: str, value: Value) -> DataError:
    levels: tuple[Any, ...] = tuple(getattr(value, "levels", ()))
    example = f"categories, such as {levels[0]!r}" if levels else "values that are no numbers"
    return DataError(
        f"the response `{name}` is not numeric.",
        got=example,
        suggestion="a response with one number per row; the grouping column comes second",
        column=name,
    )


def _summed(
    response: str, group: str, y: FloatArray, codes: CodeArray, levels: tuple[str, ...]
) -> Groups:
    if len(levels) < 2:
        raise DesignError(
            f"`{group}` has only one group, so nothing varies between groups.",
            got=f"level {levels[0]!r} in all {len(y)} rows",
            suggestion="group by a column with several levels",
            column=group,
            n_levels=len(levels),
        )
    sizes = np.bincount(codes, minlength=len(levels))
    if len(y) == len(levels):
        raise DesignError(
            f"every group of `{group}` has one row, so the variance between groups cannot be told "
            "from the variance within.",
            got=f"{len(levels)} groups, {len(y)} rows",
            suggestion="group by a column whose levels repeat",
            column=group,
            n_levels=len(levels),
        )
    grand = float(y.mean())
    deviations = y - grand
    means = np.bincount(codes, deviations, len(levels)) / sizes
    within = float(np.sum((deviations - means[codes]) ** 2))
    mean = float(means @ sizes / len(y))
    between = float(sizes @ (means - mean) ** 2)
    _check_varies(response, group, y, between, within)
    return Groups(response, group, levels, sizes, grand + means, between, within)


def _check_varies(response: str, group: str, y: FloatArray, between: float, within: float) -> None:
    if y.min() == y.max():
        raise DataError(
            f"the response `{response}` is constant, so there is no variance to explain.",
            got=f"{float(y[0])!r} in all {len(y)} rows",
            suggestion="check the column",
            column=response,
        )
    if within <= CONSTANT * (between + within):
        raise DataError(
            f"`{response}` does not vary within the groups of `{group}`, so there is no residual "
            "variance to compare with.",
            got=f"sum of squares {within:.3g} within and {between:.3g} between groups",
            suggestion="check the columns; the rows of a group may be copies of one measurement",
            column=response,
        )
