"""Panels of groups: observations, the population's line and the group's own."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from lmmformula.design.evaluate import column_names
from lmmformula.design.sources import closest_name, listed
from lmmformula.errors import OptionError
from lmmformula.plot.canvas import canvas
from lmmformula.plot.style import DOUBLE, INK, OKABE_ITO
from lmmformula.plot.subjects import chosen, column, count_of, fit_of, grouping

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from lmmformula.results import LinearMixedResults

__all__ = ["panels", "panels_data"]

MOST_PANELS = 36
WIDEST = 9
CURVE_POINTS = 41


def panels(
    fit: LinearMixedResults,
    x: str | None = None,
    group: str | None = None,
    *,
    data: Any = None,
    order: str | Sequence[Any] = "levels",
    n_groups: int = MOST_PANELS,
    columns: int | None = None,
    ax: Any = None,
    figure: Any = None,
) -> Figure:
    """Observations of every group with the population's line (dotted) and its own (solid).

    Parameters
    ----------
    fit : LinearMixedResults
        A fit with its rows.
    x : str, optional
        Numeric column along the axis; default: the first numeric predictor.
    group : str, optional
        Grouping factor, of random effects or of correlated residuals (which have no lines of their
        own); default: the first.
    data : frame, optional
        The data that were passed in, where ``x`` is not a column of the model itself.
    order : str or sequence
        Panels by row: "levels" (the model's order), the name of an effect (by the group's own
        coefficient, smallest first) or a list of levels.
    n_groups : int, default 36
        Most panels drawn; of more levels, some at even distances in the order are taken.
    columns : int, optional
        Panels side by side; default: two rows for up to eighteen groups.
    ax, figure
        Axes for every panel, or an empty figure, to draw in.

    Returns
    -------
    Figure

    Notes
    -----
    Lines are curves through many points where the model depends on ``x`` and the group alone;
    otherwise they join the (mean) predictions at the observed values. The group's line has the
    random effects of all grouping factors.

    Examples
    --------
    >>> import lmmformula as lf
    >>> fit = lf.lmer("Reaction ~ Days + (Days | Subject)", lf.load_dataset("sleepstudy"))
    >>> figure = lf.plot.panels(fit, order="Intercept")
    >>> len(figure.axes)
    18
    """
    options: dict[str, Any] = {"data": data, "order": order, "n_groups": n_groups}
    frame = panels_data(fit, x, group, **options)
    name, factor = frame.columns[2], frame.columns[0]
    levels = list(dict.fromkeys(frame[factor]))
    across = min(WIDEST, max(1, ceil(len(levels) / 2)), len(levels))
    across = across if columns is None else count_of(columns, "columns", 1)
    rows = ceil(len(levels) / across)
    size: dict[str, Any] = {
        "width": min(DOUBLE, 25.0 + 32.0 * across),
        "height": 18.0 + max(38.0, 27.0) * rows,
    }
    with canvas(ax, figure, count=len(levels), columns=across, share="xy", **size) as place:
        for axes, level in zip(place.panels, levels, strict=True):
            _panel(axes, frame[frame[factor] == level], name, str(level))
        place.label(x=name, y=fit.response_name)
        place.legend(_handles(factor if factor in fit.ngroups else None))
    return place.figure


def panels_data(
    fit: LinearMixedResults,
    x: str | None = None,
    group: str | None = None,
    *,
    data: Any = None,
    order: str | Sequence[Any] = "levels",
    n_groups: int = MOST_PANELS,
) -> pd.DataFrame:
    """Return the group, ``kind``, x, ``observed``, ``population`` and ``group_line``.

    Rows of kind "observed" are observations, those of kind "line" points of the lines.
    """
    fit = fit_of(fit, "panels")
    fit.model.require_rows("`panels`")
    factor, label, levels = grouping(fit, group, "panels")
    name = x or _default_x(fit)
    values = pd.to_numeric(column(fit, name, data, "x"), errors="coerce")
    if values.isna().any():
        raise OptionError(
            f"`x` must be a numeric column, and `{name}` is not.",
            got=f"{int(values.isna().sum())} values that are no numbers",
            suggestion='`x="..."` with a numeric predictor; `fit.plot("interaction", ...)` for '
            "factors",
            argument="x",
            column=name,
        )
    rows = pd.DataFrame(
        {
            factor: label,
            "kind": "observed",
            name: values.to_numpy(dtype=np.float64),
            "observed": fit.design.matrices.y,
            "population": fit.predict(random="none").to_numpy(),
            "group_line": fit.fittedvalues.to_numpy() if factor in fit.ngroups else np.nan,
        }
    )
    most = count_of(n_groups, "n_groups", 1)
    shown = _spread(_ordered(fit, factor, levels, order), most)
    rows = rows[rows[factor].isin(shown)]
    every = pd.concat([rows, _lines(fit, rows, name, factor)], ignore_index=True)
    every[factor] = pd.Categorical(every[factor], categories=shown, ordered=True)
    sorted_rows = every.sort_values([factor, "kind", name], ascending=[True, False, True])
    return sorted_rows.reset_index(drop=True).astype({factor: object})


def _default_x(fit: LinearMixedResults) -> str:
    """First numeric predictor, one with a random slope before others."""
    numeric = [item.name for item in fit.design.spec.predictors.columns if not item.is_factor]
    slopes = {name for block in fit.design.matrices.random for name in block.effect_names}
    wanted = [name for name in numeric if name in slopes] + numeric
    if wanted:
        return wanted[0]
    raise OptionError(
        "`panels` needs a numeric column along the axis, and the model has none.",
        got=f"`{fit.formula}`",
        suggestion='`fit.plot("panels", x="column", data=data)`',
        argument="x",
    )


def _ordered(fit: LinearMixedResults, factor: str, levels: list[Any], order: Any) -> list[Any]:
    coefficients = fit.coef().get(factor, pd.DataFrame(index=levels))
    if not isinstance(order, str):
        return chosen([str(item) for item in order], levels, "order", f"a level of `{factor}`")
    if order == "levels":
        return levels
    if order in coefficients.columns:
        return list(coefficients[order].sort_values(kind="stable").index)
    known = ["levels", *map(str, coefficients.columns)]
    raise OptionError(
        f"`order={order!r}` is not an order of the groups.",
        got=f"available: {listed(known)}, or a list of levels",
        suggestion=f"`order={closest_name(order, known) or 'levels'!r}`",
        argument="order",
        available=tuple(known),
    )


def _spread(levels: list[Any], most: int) -> list[Any]:
    """At most so many of the levels, at even distances."""
    if len(levels) <= most:
        return levels
    places = np.unique(np.linspace(0, len(levels) - 1, most).round().astype(int))
    return [levels[i] for i in places]


def _lines(fit: LinearMixedResults, rows: pd.DataFrame, x: str, factor: str) -> pd.DataFrame:
    """Points of both lines of every group."""
    if not _only(fit, x, factor):
        lines = rows.groupby([factor, x], sort=False)[["population", "group_line"]].mean()
        return lines.reset_index().assign(kind="line", observed=np.nan)
    # All panels share the axis, so that every line runs over all of it.
    grid = np.linspace(rows[x].min(), rows[x].max(), CURVE_POINTS)
    levels = rows[factor].unique()
    lines = pd.DataFrame({factor: np.repeat(levels, len(grid)), x: np.tile(grid, len(levels))})
    lines["kind"], lines["observed"] = "line", np.nan
    lines["population"] = fit.predict(lines, random="none").to_numpy()
    lines["group_line"] = fit.predict(lines).to_numpy()
    return lines


def _only(fit: LinearMixedResults, x: str, factor: str) -> bool:
    """Whether predictions need x and the grouping factor alone."""
    spec = fit.design.spec
    needed = {item.name for item in spec.predictors.columns}
    for random in spec.random:
        for expression in random.part.expressions:
            needed |= column_names(expression)
    if list(fit.ngroups) != [factor]:
        return False
    plain = spec.offset_name is None and not spec.has_array_offset
    return plain and factor.isidentifier() and needed == {x}


def _panel(axes: Axes, frame: pd.DataFrame, x: str, title: str) -> None:
    seen, line = frame[frame["kind"] == "observed"], frame[frame["kind"] == "line"]
    axes.plot(line[x], line["population"], ":", color=INK, lw=1.0)
    axes.plot(line[x], line["group_line"], "-", color=OKABE_ITO["blue"], lw=1.2)
    axes.plot(seen[x], seen["observed"], "o", ms=2.6, mfc="white", mec=INK, mew=0.6)
    axes.set_title(title, fontsize=7.0, pad=2.0)
    axes.locator_params(axis="x", nbins=3, steps=[1, 2, 4, 5, 10])
    axes.locator_params(axis="y", nbins=4)


def _handles(factor: str | None) -> list[Any]:
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], color=INK, ls=":", lw=1.0, label="Population")]
    if factor is not None:
        handles.append(Line2D([], [], color=OKABE_ITO["blue"], lw=1.2, label=factor))
    return handles
