"""Profile likelihood: zeta and the densities that it stands for."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.special import ndtri

from lmmformula._arrays import FloatArray
from lmmformula.inference.profile.accessor import Profile
from lmmformula.plot.canvas import Canvas, canvas
from lmmformula.plot.style import DOUBLE, FAINT, INK, MUTED, OKABE_ITO, SINGLE
from lmmformula.plot.subjects import chosen, not_a_subject
from lmmformula.results import LinearMixedResults

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["density", "density_data", "parameter_panels", "zeta", "zeta_data"]

LEVELS = (0.5, 0.8, 0.9, 0.95, 0.99)
CURVE_POINTS = 161


def zeta(
    profile: Profile | LinearMixedResults,
    parameters: Any = None,
    *,
    ax: Any = None,
    figure: Any = None,
) -> Figure:
    """Profile zeta of every parameter, with the intervals that it gives.

    Parameters
    ----------
    profile : Profile or LinearMixedResults
        What ``fit.profile()`` returns, or a fit, which is then profiled.
    parameters : str or sequence of str, optional
        Parameters to draw, a panel each; default: all that are profiled.
    ax, figure
        Axes for every panel, or an empty figure, to draw in.

    Returns
    -------
    Figure
        Bars span intervals of 50, 80, 90, 95 (dark) and 99 %. A straight curve belongs to a
        parameter whose estimate is nearly normal.
    """
    frame = zeta_data(profile, parameters)
    names = list(dict.fromkeys(frame["parameter"]))
    with parameter_panels(names, ax, figure, "y") as place:
        for axes, name in zip(place.panels, names, strict=True):
            mine = frame[frame["parameter"] == name]
            _intervals(axes, mine)
            axes.plot(mine["value"], mine["zeta"], color=OKABE_ITO["blue"])
            axes.plot(_estimate(mine), 0.0, "o", ms=3.6, color=INK)
            axes.set_title(readable(name), fontsize=7.0)
            axes.locator_params(axis="x", nbins=5)
            axes.set_ylim(-2.9, 2.9)
        place.label(y="Profile zeta")
    return place.figure


def zeta_data(profile: Profile | LinearMixedResults, parameters: Any = None) -> pd.DataFrame:
    """Return ``parameter, value, zeta`` along smooth curves."""
    parts = []
    for name, value, height, _ in _curves(profile, parameters, "zeta"):
        parts.append(pd.DataFrame({"parameter": name, "value": value, "zeta": height}))
    return pd.concat(parts, ignore_index=True)


def density(
    profile: Profile | LinearMixedResults,
    parameters: Any = None,
    *,
    ax: Any = None,
    figure: Any = None,
) -> Figure:
    r"""Density of every parameter for which zeta would be exactly standard normal.

    Parameters
    ----------
    profile, parameters, ax, figure
        As for ``zeta``.

    Returns
    -------
    Figure
        The shaded part is the 95 % interval.

    Notes
    -----
    The density is :math:`\phi(\zeta)\,d\zeta/d\theta`. Where the range of a parameter ends
    before the likelihood falls off, a part of it is missing there.
    """
    frame = density_data(profile, parameters)
    names = list(dict.fromkeys(frame["parameter"]))
    with parameter_panels(names, ax, figure) as place:
        for axes, name in zip(place.panels, names, strict=True):
            mine = frame[frame["parameter"] == name]
            inside = mine[mine["zeta"].abs() <= ndtri(0.975) + 1e-6]
            axes.fill_between(inside["value"], inside["density"], color="#DCE9F3", lw=0.0)
            axes.plot(mine["value"], mine["density"], color=OKABE_ITO["blue"])
            top = float(np.interp(0.0, mine["zeta"], mine["density"]))
            axes.vlines(_estimate(mine), 0.0, top, color=INK, lw=0.8)
            axes.set_title(readable(name), fontsize=7.0)
            axes.locator_params(axis="x", nbins=5)
            axes.set_ylim(bottom=0.0)
            axes.set_yticks([])
            axes.spines["left"].set_visible(False)
    return place.figure


def density_data(profile: Profile | LinearMixedResults, parameters: Any = None) -> pd.DataFrame:
    """Return ``parameter, value, zeta, density`` along smooth curves."""
    parts = []
    for name, value, height, curve in _curves(profile, parameters, "density"):
        slope = 1.0 / np.maximum(curve.derivative()(height), 1e-300)
        normal = np.exp(-0.5 * height**2) / np.sqrt(2.0 * np.pi)
        columns = {"value": value, "zeta": height, "density": normal * slope}
        parts.append(pd.DataFrame({"parameter": name, **columns}))
    return pd.concat(parts, ignore_index=True)


def readable(name: str) -> str:
    """Write ``sd_Days|Subject`` as ``sd Days | Subject``."""
    return name.replace("_", " ", 1).replace("|", " | ") if "|" in name else name


def _profile_of(subject: Any, what: str) -> Profile:
    if isinstance(subject, LinearMixedResults):
        return subject.profile()
    if isinstance(subject, Profile):
        return subject
    raise not_a_subject(subject, what, "a profile likelihood", "fit.profile()")


def _curves(
    subject: Any, parameters: Any, what: str
) -> list[tuple[str, FloatArray, FloatArray, Any]]:
    """Every parameter along its curve: name, values, zeta, and value as a function of zeta."""
    profile = _profile_of(subject, what)
    names = chosen(parameters, profile.names, "parameters", "a parameter that is profiled")
    nodes = profile.to_frame(alpha=0.008)
    out = []
    for name in names:
        mine = nodes[nodes["parameter"] == name].drop_duplicates("zeta").sort_values("zeta")
        if len(mine) < 2:  # not defined, a correlation beside a variance of zero say
            continue
        # Value over zeta, which stays smooth where zeta rises without bound at an end of the range.
        height = np.linspace(mine["zeta"].iloc[0], mine["zeta"].iloc[-1], CURVE_POINTS)
        curve = _through(mine["zeta"].to_numpy(), mine["value"].to_numpy(), height)
        out.append((name, curve(height), height, curve))
    return out


def _through(zeta: FloatArray, value: FloatArray, grid: FloatArray) -> Any:
    """A spline through the points; a monotone one with kinks where the smooth one would turn."""
    from scipy.interpolate import CubicSpline, PchipInterpolator

    if len(zeta) > 3:
        smooth = CubicSpline(zeta, value)
        if np.min(smooth(grid, 1)) > 0.0:
            return smooth
    return PchipInterpolator(zeta, value)


def _estimate(frame: pd.DataFrame) -> float:
    return float(np.interp(0.0, frame["zeta"], frame["value"]))


def _intervals(axes: Axes, frame: pd.DataFrame) -> None:
    """Bars at both ends of every interval, and a line between those of 95 %."""
    axes.axhline(0.0, color=FAINT, lw=0.6, zorder=0)
    reach = frame["zeta"].iloc[0], frame["zeta"].iloc[-1]
    for level in LEVELS:
        height = float(ndtri(0.5 + level / 2.0))
        is_main = level == 0.95
        shade, size = (INK, 1.0) if is_main else (MUTED, 0.6)
        ends = []
        for sign in (-1.0, 1.0):
            if reach[0] <= sign * height <= reach[1]:
                value = float(np.interp(sign * height, frame["zeta"], frame["value"]))
                axes.vlines(value, 0.0, sign * height, color=shade, lw=size)
                ends.append(value)
        if is_main and len(ends) == 2:
            axes.hlines(0.0, ends[0], ends[1], color=shade, lw=size)


def parameter_panels(
    names: list[str], ax: Any, figure: Any, share: str = ""
) -> AbstractContextManager[Canvas]:
    """Open a panel for every parameter, three side by side."""
    columns = min(3, len(names))
    rows = -(-len(names) // columns)
    width = SINGLE if columns == 1 else DOUBLE * columns / 3.0
    height = 12.0 + 42.0 * rows
    size: dict[str, Any] = {"width": width, "height": height}
    return canvas(ax, figure, count=len(names), columns=columns, share=share, **size)
