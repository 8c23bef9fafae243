"""Correlation and covariance matrices of random-effects terms and residuals as heat maps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from lmmformula.errors import OptionError
from lmmformula.plot.canvas import canvas
from lmmformula.plot.style import INK, SINGLE
from lmmformula.plot.subjects import fit_of, one_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from lmmformula.results import LinearMixedResults

__all__ = ["correlation", "correlation_data"]

MOST_NUMBERS = 10
"""Larger matrices show colours only."""
MOST_NAMES = 24
SCALES = ("correlation", "covariance")


def correlation(
    fit: LinearMixedResults,
    term: str | None = None,
    *,
    scale: str = "correlation",
    ax: Any = None,
    figure: Any = None,
) -> Figure:
    """Heat map of the correlation (or covariance) of effects, or of residuals in a group.

    Parameters
    ----------
    fit : LinearMixedResults
        A fit.
    term : str, optional
        Label of a term in ``varcorr``, or "residual" for the structure of the residuals; default:
        the residuals' structure if there is one, else the first term with two effects.
    scale : {"correlation", "covariance"}
        Covariances are in squared units of the response; residuals have correlations only.
    ax, figure
        Axes or an empty figure to draw in.

    Returns
    -------
    Figure
        Blue is positive, orange negative, white zero.
    """
    frame = correlation_data(fit, term, scale=scale)
    values = frame.to_numpy(dtype=np.float64)
    known = values[np.isfinite(values)]
    limit = 1.0 if scale == "correlation" else float(np.max(np.abs(known), initial=1e-300))
    height = 78.0 if len(frame) > 4 else 62.0
    with canvas(ax, figure, width=SINGLE, height=height) as place:
        axes = place.panels[0]
        colours = _colours()
        image = axes.imshow(values, cmap=colours, vmin=-limit, vmax=limit)
        names = [str(name) for name in frame.columns]
        _name_cells(axes, names)
        if len(names) <= MOST_NUMBERS:
            _write(axes, values, limit)
        axes.set_title(_title(fit, term), fontsize=7.0)
        place.compress()
        beside = axes.inset_axes((1.04, 0.0, 0.05, 1.0))
        bar = place.figure.colorbar(image, cax=beside)
        bar.set_label(scale.capitalize())
        beside.spines[:].set_visible(False)
        beside.tick_params(length=2.0, width=0.5)
    return place.figure


def correlation_data(
    fit: LinearMixedResults, term: str | None = None, *, scale: str = "correlation"
) -> pd.DataFrame:
    """Return the matrix, effect by effect or position by position."""
    fit = fit_of(fit, "correlation")
    one_of(scale, SCALES, "scale", "one of a matrix")
    wide = [item.label for item in fit.varcorr if len(item.effects) > 1]
    known = [*(["residual"] if _has_positions(fit) else []), *wide]
    if not known:
        raise OptionError(
            "`correlation` needs a term with two or more effects, or correlated residuals.",
            got=f"`{fit.formula}`",
            suggestion='`fit.plot("variance")`',
            plot="correlation",
        )
    label = known[0] if term is None else term
    if label == "residual" and label in known:
        if scale == "covariance":
            raise OptionError(
                "residuals have a correlation here, and variances may differ between rows.",
                got='`term="residual", scale="covariance"`',
                suggestion="`fit.marginal_covariance(group, level)`",
                argument="scale",
            )
        structure = fit.residual_structure
        assert structure is not None
        return structure.correlation()
    one_of(label, known, "term", "a term with a matrix to draw")
    found = fit.varcorr[label]
    matrix: pd.DataFrame = found.corr if scale == "correlation" else found.cov
    return matrix


def _has_positions(fit: LinearMixedResults) -> bool:
    """Whether residuals are correlated between whole-number positions."""
    residual = fit.design.matrices.residual
    return residual is not None and residual.correlation is not None and len(residual.labels) > 0


def _title(fit: LinearMixedResults, term: str | None) -> str:
    """What the matrix belongs to, as the formula has it."""
    residual = fit.design.matrices.residual
    if residual is not None and _has_positions(fit) and term in (None, "residual"):
        return residual.text
    wide = [item for item in fit.varcorr if len(item.effects) > 1]
    label = wide[0].label if term is None else term
    position = [item.label for item in fit.varcorr].index(label)
    return fit.design.matrices.random[position].text


def _colours() -> Any:
    from matplotlib.colors import LinearSegmentedColormap

    ends = ["#B35900", "#E69F00", "#F7DFB0", "#FFFFFF", "#BBD9EC", "#4F9BCB", "#005A8E"]
    return LinearSegmentedColormap.from_list("lmmformula", ends).with_extremes(bad="#E8E8E8")


def _name_cells(axes: Axes, names: list[str]) -> None:
    places = np.arange(len(names))
    if len(names) > MOST_NAMES:
        places = places[:: -(-len(names) // MOST_NAMES)]
    shown = [names[i] for i in places]
    is_long = max(map(len, shown), default=0) * len(shown) > 34
    axes.set_yticks(places, shown)
    style: dict[str, Any] = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"}
    axes.set_xticks(places, shown, **(style if is_long else {}))
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


def _write(axes: Axes, values: Any, limit: float) -> None:
    for (row, column), value in np.ndenumerate(values):
        if not np.isfinite(value):
            continue
        dark = abs(value) > 0.72 * limit
        text = (f"{value:.2f}" if limit <= 1.0 else f"{value:.3g}").replace("-", "\N{MINUS SIGN}")
        colour = "white" if dark else INK
        axes.text(column, row, text, ha="center", va="center", fontsize=6.5, color=colour)
