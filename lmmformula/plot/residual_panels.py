"""Residuals against fitted values, their spread, and residuals by group."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from lmmformula.plot.canvas import canvas
from lmmformula.plot.style import DOUBLE, FAINT, INK, MUTED, OKABE_ITO, SINGLE, name_point
from lmmformula.plot.subjects import column, count_of, fit_of, residual_kind

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from lmmformula.results import LinearMixedResults

__all__ = [
    "residuals",
    "residuals_by_group",
    "residuals_by_group_data",
    "residuals_data",
    "scale_location",
    "scale_location_data",
]

SMOOTH_SHARE = 0.6
FEWEST_TO_SMOOTH = 10
MANY = 2000
MOST_BOXES = 60


def residuals(
    fit: LinearMixedResults,
    residual: str | None = None,
    *,
    label: int = 3,
    ax: Any = None,
    figure: Any = None,
) -> Figure:
    """Residuals against fitted values, with a smooth.

    Parameters
    ----------
    fit : LinearMixedResults
        A fit with its rows.
    residual : str, optional
        Any kind of ``fit.residuals``; default: "standardized", or "normalized" where residuals
        are correlated.
    label : int, default 3
        So many of the largest are named by their row.
    ax, figure
        Axes or an empty figure to draw in.

    Returns
    -------
    Figure

    References
    ----------
    Cleveland (1979), J. Amer. Statist. Assoc. 74, 829-836 (the smooth).
    """
    frame = residuals_data(fit, residual)
    with canvas(ax, figure, width=SINGLE, height=68.0) as place:
        axes = place.panels[0]
        axes.axhline(0.0, color=MUTED, lw=0.6, ls=":", zorder=1)
        _cloud(axes, frame, "residual")
        _name_rows(axes, frame, frame["residual"].abs(), "residual", label)
        axes.set_xlabel(f"Fitted {fit.response_name}")
        axes.set_ylabel(residual_kind(fit, residual)[1])
    return place.figure


def residuals_data(fit: LinearMixedResults, residual: str | None = None) -> pd.DataFrame:
    """Return ``fitted, residual, smooth``, indexed by row."""
    fit = fit_of(fit, "residuals")
    values = fit.residuals(residual_kind(fit, residual)[0])
    return _smoothed(pd.DataFrame({"fitted": fit.fittedvalues, "residual": values}), "residual")


def scale_location(
    fit: LinearMixedResults,
    residual: str | None = None,
    *,
    label: int = 3,
    ax: Any = None,
    figure: Any = None,
) -> Figure:
    """Root of the residuals' size against fitted values: a level smooth is an even spread.

    Parameters
    ----------
    fit, residual, label, ax, figure
        As for ``residuals``.

    Returns
    -------
    Figure
    """
    frame = scale_location_data(fit, residual)
    with canvas(ax, figure, width=SINGLE, height=68.0) as place:
        axes = place.panels[0]
        _cloud(axes, frame, "root_size")
        _name_rows(axes, frame, frame["root_size"], "root_size", label)
        axes.set_ylim(bottom=0.0)
        axes.set_xlabel(f"Fitted {fit.response_name}")
        axes.set_ylabel(f"Root of |{residual_kind(fit, residual)[1].lower()}|")
    return place.figure


def scale_location_data(fit: LinearMixedResults, residual: str | None = None) -> pd.DataFrame:
    """Return ``fitted, root_size, smooth``, indexed by row."""
    fit = fit_of(fit, "scale_location")
    size = fit.residuals(residual_kind(fit, residual)[0]).abs().pow(0.5)
    return _smoothed(pd.DataFrame({"fitted": fit.fittedvalues, "root_size": size}), "root_size")


def residuals_by_group(
    fit: LinearMixedResults,
    group: str | None = None,
    residual: str | None = None,
    *,
    data: Any = None,
    ax: Any = None,
    figure: Any = None,
) -> Figure:
    """Box plots of the residuals in every group, sorted by their medians.

    Parameters
    ----------
    fit : LinearMixedResults
        A fit with its rows.
    group : str, optional
        Grouping factor, or any column of ``data``; default: the first grouping factor.
    residual : str, optional
        As for ``residuals``.
    data : frame, optional
        The data that were passed in, where ``group`` is not a grouping factor.
    ax, figure
        Axes or an empty figure to draw in.

    Returns
    -------
    Figure
        Boxes hold the middle half, whiskers reach to the last residual within 1.5 times the
        box. Of more than 60 groups, the 30 with the smallest and largest medians are drawn.
    """
    frame = residuals_by_group_data(fit, group, residual, data=data)
    name = str(frame.columns[0])
    levels = list(dict.fromkeys(frame[name]))
    if len(levels) > MOST_BOXES:
        levels = levels[: MOST_BOXES // 2] + levels[-MOST_BOXES // 2 :]
    values = [frame.loc[frame[name] == level, "residual"].to_numpy() for level in levels]
    width = SINGLE if len(levels) <= 12 else DOUBLE
    with canvas(ax, figure, width=width, height=65.0) as place:
        axes = place.panels[0]
        axes.axhline(0.0, color=FAINT, lw=0.8, zorder=0)
        _boxes(axes, values)
        texts = [str(level) for level in levels]
        is_long = sum(map(len, texts)) * 4.2 > axes.bbox.width * 72.0 / place.figure.dpi
        turned: dict[str, Any] = {"rotation": 90 if is_long else 0}
        axes.set_xticks(range(len(levels)), texts, **turned)
        axes.tick_params(axis="x", length=0)
        axes.set_xlabel(name)
        axes.set_ylabel(residual_kind(fit, residual)[1])
    return place.figure


def residuals_by_group_data(
    fit: LinearMixedResults,
    group: str | None = None,
    residual: str | None = None,
    *,
    data: Any = None,
) -> pd.DataFrame:
    """Return the group and ``residual`` of every row, groups sorted by their medians."""
    fit = fit_of(fit, "residuals_by_group")
    values = fit.residuals(residual_kind(fit, residual)[0])
    rows = fit.design.matrices.residual
    if group is None and rows is not None and not fit.ngroups:
        labels: Any = np.asarray(rows.levels, dtype=object)[rows.codes]
        by = pd.Series(labels, index=values.index, name=rows.group or "group")
    else:
        by = column(fit, group or next(iter(fit.ngroups)), data, "group")
    frame = pd.DataFrame({str(by.name): by, "residual": values})
    median = frame.groupby(str(by.name), sort=False, observed=True)["residual"].transform("median")
    return frame.assign(_=median).sort_values("_", kind="stable").drop(columns="_")


def _smoothed(frame: pd.DataFrame, y: str) -> pd.DataFrame:
    """Add a robust local regression; NaN where there are too few values to smooth."""
    from statsmodels.nonparametric.smoothers_lowess import lowess

    frame["smooth"] = np.nan
    known = frame[y].notna() & frame["fitted"].notna()
    x = frame.loc[known, "fitted"].to_numpy()
    if len(np.unique(x)) < FEWEST_TO_SMOOTH:
        return frame
    step = 0.01 * float(np.ptp(x))  # beyond a hundred points along the axis it interpolates
    found = lowess(
        frame.loc[known, y].to_numpy(), x, frac=SMOOTH_SHARE, delta=step, return_sorted=False
    )
    frame.loc[known, "smooth"] = found
    return frame


def _cloud(axes: Axes, frame: pd.DataFrame, y: str) -> None:
    size, alpha = (3.2, 0.75) if len(frame) <= MANY else (1.5, 0.25)
    face: dict[str, Any] = {"mfc": OKABE_ITO["blue"], "mec": "none", "alpha": alpha}
    axes.plot(frame["fitted"], frame[y], "o", ms=size, rasterized=len(frame) > MANY, **face)
    line = frame.sort_values("fitted", kind="stable").dropna(subset=["smooth"])
    axes.plot(line["fitted"], line["smooth"], color=OKABE_ITO["vermillion"], lw=1.3)


def _name_rows(axes: Axes, frame: pd.DataFrame, size: pd.Series, y: str, count: int) -> None:
    """Name the rows that are largest, on the side where there is room."""
    most = count_of(count, "label", 0)
    order = np.argsort(-size.fillna(-1.0).to_numpy(), kind="stable")[:most]
    middle = 0.5 * (frame["fitted"].min() + frame["fitted"].max())
    for place in order:
        row = frame.iloc[place]
        shift = 3.0 if row["fitted"] <= middle else -3.0
        point = row["fitted"], row[y]
        name_point(axes, str(frame.index[place]), point, shift, fontsize=6.0, color=MUTED)


def _boxes(axes: Axes, values: list[Any]) -> None:
    line: dict[str, Any] = {"color": INK, "lw": 0.7}
    axes.boxplot(
        values,
        positions=range(len(values)),
        widths=0.6,
        patch_artist=True,
        boxprops={"facecolor": "#DCE9F3", "edgecolor": INK, "lw": 0.7},
        medianprops={"color": OKABE_ITO["blue"], "lw": 1.4},
        whiskerprops=line,
        capprops={"lw": 0.0},
        flierprops={"marker": "o", "ms": 2.4, "mfc": "white", "mec": INK, "mew": 0.5},
    )
