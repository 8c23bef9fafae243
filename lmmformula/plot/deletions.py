"""What leaving out groups, or rows, does to the fixed effects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from lmmformula.inference.diagnostics.influence import Influence
from lmmformula.plot.canvas import canvas
from lmmformula.plot.style import DOUBLE, FAINT, MUTED, OKABE_ITO, SINGLE
from lmmformula.plot.subjects import chosen, count_of, not_a_subject
from lmmformula.results import LinearMixedResults

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["influence", "influence_data"]

MOST_UNITS = 40
REFITS = 300
"""With more levels than this a fit's influence keeps theta by default."""


def influence(
    influence: Influence | LinearMixedResults,
    by: Any = None,
    *,
    exact: bool | None = None,
    coefficients: Any = None,
    n: int = MOST_UNITS,
    ax: Any = None,
    figure: Any = None,
) -> Figure:
    """Cook's distance and changes of the coefficients when each group is left out.

    Parameters
    ----------
    influence : Influence or LinearMixedResults
        What ``fit.influence(...)`` returns, or a fit.
    by : str, optional
        Of a fit: the grouping factor; default: the first.
    exact : bool, optional
        Of a fit: estimate the covariance parameters again without each group; default: with up to
        300 groups.
    coefficients : str or sequence of str, optional
        Coefficients with a panel of their own; default: the first three.
    n : int, default 40
        So many groups (or rows) with the largest distances are drawn.
    ax, figure
        Axes for every panel, or an empty figure, to draw in.

    Returns
    -------
    Figure
        Changes are in standard errors; dotted lines are at 2 / sqrt(number of groups).
    """
    found = _influence_of(influence, by, exact)
    every = influence_data(found)
    frame = every.head(count_of(n, "n", 1)).iloc[::-1]
    names = chosen(coefficients, found.dfbetas.columns, "coefficients", "a coefficient")
    names = names[:3] if coefficients is None else names
    columns = ["cooks_distance", *(f"dfbetas_{name}" for name in names)]
    width = SINGLE if len(columns) == 1 else DOUBLE
    size: dict[str, Any] = {"width": width, "height": min(220.0, 18.0 + 3.3 * len(frame))}
    limit = 2.0 / np.sqrt(max(len(every), 1))
    with canvas(ax, figure, count=len(columns), columns=len(columns), share="y", **size) as place:
        for number, (axes, name) in enumerate(zip(place.panels, columns, strict=True)):
            _panel(axes, frame[name], limit if number else None)
            label = f"Change of {name.removeprefix('dfbetas_')}" if number else "Cook's distance"
            axes.set_xlabel(f"{label} (SE)" if number else label)
            if number == 0 or place.is_given:
                axes.set_yticks(range(len(frame)), [str(unit) for unit in frame.index])
        place.panels[0].set_ylabel(found.by or "Row")
    return place.figure


def influence_data(
    influence: Influence | LinearMixedResults, by: Any = None, *, exact: bool | None = None
) -> pd.DataFrame:
    """Return ``leverage, cooks_distance, sigma, dfbetas_...`` by unit, largest distance first."""
    frame = _influence_of(influence, by, exact).to_frame()
    return frame.sort_values("cooks_distance", ascending=False, kind="stable", na_position="last")


def _influence_of(subject: Any, by: Any, exact: bool | None) -> Influence:
    if isinstance(subject, Influence):
        return subject
    if not isinstance(subject, LinearMixedResults):
        raise not_a_subject(subject, "influence", "an influence", 'fit.influence("group")')
    factor = next(iter(subject.ngroups), None) if by is None else by
    if exact is None and isinstance(factor, str):
        exact = subject.ngroups.get(factor, 0) <= REFITS
    return subject.influence(factor, exact)


def _panel(axes: Axes, values: pd.Series, limit: float | None) -> None:
    at, colour = np.arange(len(values)), OKABE_ITO["blue"]
    axes.axvline(0.0, color=FAINT, lw=0.8, zorder=0)
    if limit is not None:
        axes.axvline(limit, color=MUTED, lw=0.7, ls=":", zorder=0)
        axes.axvline(-limit, color=MUTED, lw=0.7, ls=":", zorder=0)
    axes.hlines(at, 0.0, values, color=colour, lw=0.9)
    axes.plot(values, at, "o", color=colour, ms=3.4)
    axes.set_ylim(-0.8, len(values) - 0.2)
    axes.tick_params(axis="y", length=0)
    axes.locator_params(axis="x", nbins=5)
    if limit is None:
        axes.set_xlim(left=0.0)
        axes.spines["left"].set_visible(True)
