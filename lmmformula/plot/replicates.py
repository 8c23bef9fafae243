"""Histograms of bootstrap replicates, and power as a curve."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from lmmformula.errors import OptionError
from lmmformula.inference.bootstrap.result import Bootstrap
from lmmformula.plot.canvas import canvas
from lmmformula.plot.profile import parameter_panels, readable
from lmmformula.plot.style import FAINT, INK, OKABE_ITO, SINGLE
from lmmformula.plot.subjects import chosen, not_a_subject

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["bootstrap", "bootstrap_data", "power", "power_data"]


def bootstrap(
    bootstrap: Bootstrap,
    parameters: Any = None,
    *,
    alpha: float = 0.05,
    method: str = "percentile",
    ax: Any = None,
    figure: Any = None,
) -> Figure:
    """Histogram of every parameter's replicates, with the estimate and the interval.

    Parameters
    ----------
    bootstrap : Bootstrap
        What ``fit.bootstrap(n, seed)`` returns.
    parameters : str or sequence of str, optional
        Parameters to draw, a panel each; default: all.
    alpha : float, default 0.05
        One less the level of the interval.
    method : str
        Its method, as in ``Bootstrap.conf_int``.
    ax, figure
        Axes for every panel, or an empty figure, to draw in.

    Returns
    -------
    Figure
        The line is the estimate; the bar below spans the interval.
    """
    frame = bootstrap_data(bootstrap, parameters)
    limits = bootstrap.conf_int(alpha=alpha, method=method)  # type: ignore[arg-type]
    names = list(dict.fromkeys(frame["parameter"]))
    with parameter_panels(names, ax, figure) as place:
        for axes, name in zip(place.panels, names, strict=True):
            values = frame.loc[frame["parameter"] == name, "value"].to_numpy()
            edges = np.histogram_bin_edges(values, bins=_bins(len(values)))
            style: dict[str, Any] = {"color": "#9CC7E3", "edgecolor": "white", "lw": 0.4}
            counts, _, _ = axes.hist(values, bins=list(edges), **style)
            top = 1.06 * float(np.max(counts))
            axes.vlines(float(bootstrap.estimate[name]), 0.0, top, color=INK, lw=1.0)
            ends = limits.loc[name].to_numpy()
            axes.hlines(-0.05 * top, *ends, color=OKABE_ITO["vermillion"], lw=2.2)
            axes.set_ylim(-0.1 * top, top)
            axes.set_title(readable(name), fontsize=7.0)
            axes.set_yticks([])
            axes.spines["left"].set_visible(False)
            axes.locator_params(axis="x", nbins=5)
    return place.figure


def bootstrap_data(bootstrap: Bootstrap, parameters: Any = None) -> pd.DataFrame:
    """Return ``parameter, replicate, value``; failed replicates are left out."""
    given: Any = bootstrap
    if not isinstance(given, Bootstrap):
        call = "fit.bootstrap(1000, seed=1)"
        raise not_a_subject(bootstrap, "bootstrap", "bootstrap replicates", call)
    known = list(bootstrap.estimate.index)
    names = chosen(parameters, known, "parameters", "a parameter of the bootstrap")
    wide = bootstrap.to_frame()[names]
    long = wide.reset_index().melt("replicate", var_name="parameter", value_name="value")
    kept = long.dropna(subset=["value"]).reset_index(drop=True)
    if kept.empty:
        raise OptionError(
            "there is no replicate to draw.",
            got=f"{bootstrap.n} replicates, {bootstrap.n_failed} failed",
            suggestion="`fit.bootstrap(1000, seed=1)`",
        )
    return kept[["parameter", "replicate", "value"]]


def _bins(count: int) -> int:
    """About as many as the cube root asks for, within what a small panel shows."""
    return int(np.clip(np.ceil(2.0 * count ** (1.0 / 3.0)), 8, 40))


def power(curve: Any, *, target: float | None = 0.8, ax: Any = None, figure: Any = None) -> Figure:
    """Power at several sizes of a study, with the limits of the simulation.

    Parameters
    ----------
    curve : PowerCurve
        What ``lf.power_curve(...)`` returns.
    target : float or None, default 0.8
        Power that is wanted: a dashed line.
    ax, figure
        Axes or an empty figure to draw in.

    Returns
    -------
    Figure
    """
    frame = power_data(curve)
    name = str(frame.columns[0])
    x: Any = frame[name].to_numpy()
    is_number = pd.api.types.is_numeric_dtype(frame[name])
    at = x if is_number else np.arange(len(x))
    with canvas(ax, figure, width=SINGLE, height=62.0) as place:
        axes, colour = place.panels[0], OKABE_ITO["blue"]
        if target is not None:
            axes.axhline(target, color=FAINT, lw=1.0, ls="--", zorder=0)
        axes.vlines(at, frame["lower"], frame["upper"], color=colour, lw=1.0)
        axes.plot(at, frame["power"], "o-", color=colour, ms=4.0, mec="white", mew=0.5)
        axes.set_ylim(0.0, 1.03)
        axes.set_yticks([0.0, 0.2, 0.4, 0.6, 0.8, 1.0])
        if not is_number:
            axes.set_xticks(at, [str(value) for value in x])
        elif len(at) <= 8:
            axes.set_xticks(at)
        one = curve.results[0]
        is_size = name in one.ngroups
        axes.set_xlabel(f"Levels of {name}" if is_size else name)
        axes.set_ylabel(f"Power ({one.term}, \N{GREEK SMALL LETTER ALPHA} = {one.alpha:g})")
    return place.figure


def power_data(curve: Any) -> pd.DataFrame:
    """Return what varies, then ``nobs, power, lower, upper, n_failed``."""
    # By its columns: planning is a neighbour of this package, which imports neither.
    frame = curve.to_frame() if hasattr(curve, "to_frame") else None
    needed = {"power", "lower", "upper"}
    if not isinstance(frame, pd.DataFrame) or not needed <= set(frame) or len(frame.columns) < 4:
        call = 'lf.power_curve(fit, "x", 1000, seed=1, levels={"g": [20, 40]})'
        raise not_a_subject(curve, "power", "a power curve", call)
    return frame
