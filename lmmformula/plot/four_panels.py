"""Four panels that say at a glance whether a fit can be trusted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from lmmformula.plot.canvas import canvas
from lmmformula.plot.modes import caterpillar, caterpillar_data
from lmmformula.plot.quantiles import qq, qq_data
from lmmformula.plot.residual_panels import (
    residuals,
    residuals_by_group,
    residuals_by_group_data,
    residuals_data,
    scale_location,
    scale_location_data,
)
from lmmformula.plot.style import DOUBLE
from lmmformula.plot.subjects import fit_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from lmmformula.results import LinearMixedResults

__all__ = ["overview", "overview_data"]

MOST_LEVELS = 25
"""Levels of the random effects whose labels have room in a panel."""


def overview(fit: LinearMixedResults, *, ax: Any = None, figure: Any = None) -> Figure:
    """Residuals, their quantiles and spread, and random effects, in four panels.

    Parameters
    ----------
    fit : LinearMixedResults
        A fit with its rows.
    ax, figure
        Four axes, or an empty figure, to draw in.

    Returns
    -------
    Figure
        (a) residuals against fitted values; (b) their normal quantiles; (c) their spread; (d) the
        first random effect with its intervals, or residuals by group where there is none.

    Examples
    --------
    >>> import lmmformula as lf
    >>> fit = lf.lmer("Reaction ~ Days + (Days | Subject)", lf.load_dataset("sleepstudy"))
    >>> figure = fit.plot()
    >>> len(figure.axes)
    4
    """
    fit = fit_of(fit, "overview")
    with canvas(ax, figure, count=4, columns=2, width=DOUBLE, height=130.0) as place:
        first, second, third, fourth = place.panels
        residuals(fit, ax=first)
        qq(fit, ax=second)
        scale_location(fit, ax=third)
        if fit.ngroups:
            caterpillar(fit, effects=_first_effect(fit), ax=fourth)
            if len(fourth.get_yticks()) > MOST_LEVELS:
                fourth.set_yticks([])
            fourth.tick_params(axis="y", labelsize=5.5)
        else:
            residuals_by_group(fit, ax=fourth)
        for axes, letter in zip(place.panels, "abcd", strict=True):
            axes.set_title(f"({letter})", fontweight="bold")
    return place.figure


def overview_data(fit: LinearMixedResults) -> pd.DataFrame:
    """Return the data of the four panels, long; ``panel`` names the plot that has each row."""
    fit = fit_of(fit, "overview")
    parts = {
        "residuals": residuals_data(fit),
        "qq": qq_data(fit),
        "scale_location": scale_location_data(fit),
    }
    if fit.ngroups:
        parts["caterpillar"] = caterpillar_data(fit, effects=_first_effect(fit))
    else:
        parts["residuals_by_group"] = residuals_by_group_data(fit)
    named = [
        frame.reset_index(names="row").assign(panel=name)[["panel", "row", *frame.columns]]
        for name, frame in parts.items()
    ]
    return pd.concat(named, ignore_index=True)


def _first_effect(fit: LinearMixedResults) -> str:
    return str(next(iter(fit.varcorr)).effects[0])
