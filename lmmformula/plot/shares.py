"""Shares of the variance as bars."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from lmmformula.plot.canvas import canvas
from lmmformula.plot.style import FAINT, INK, OKABE_ITO, SINGLE
from lmmformula.plot.subjects import models_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from lmmformula.results import LinearMixedResults

    Models = LinearMixedResults | Sequence[LinearMixedResults] | Mapping[str, LinearMixedResults]

__all__ = ["variance", "variance_data"]

COLOURS = ("blue", "sky", "green", "purple", "vermillion", "yellow")
SMALLEST_WRITTEN = 0.07


def variance(models: Models, *, ax: Any = None, figure: Any = None) -> Figure:
    """Parts of the response's variance: fixed effects, every random-effects term, residual.

    Parameters
    ----------
    models : LinearMixedResults, sequence or mapping of str to LinearMixedResults
        A fit, or several, a bar each; a mapping gives them names.
    ax, figure
        Axes or an empty figure to draw in.

    Returns
    -------
    Figure

    Notes
    -----
    The parts are those of ``fit.r2()`` and ``fit.icc()``.
    """
    frame = variance_data(models)
    labels = list(dict.fromkeys(frame["model"]))
    parts = _parts(frame)
    with canvas(ax, figure, width=SINGLE, height=24.0 + 9.0 * len(labels)) as place:
        axes = place.panels[0]
        handles = _bars(axes, frame, labels, parts)
        axes.set_yticks(range(len(labels)), labels)
        axes.set_ylim(len(labels) - 0.45, -0.55)
        axes.set_xlim(0.0, 1.0)
        axes.set_xticks([0.0, 0.25, 0.5, 0.75, 1.0], ["0", "25", "50", "75", "100 %"])
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.set_xlabel("Share of the variance")
        place.legend(handles, ncols=min(len(parts), 4), handlelength=1.2, columnspacing=1.2)
    return place.figure


def variance_data(models: Models) -> pd.DataFrame:
    """Return ``model, part, variance, share``."""
    rows = []
    for name, fit in models_of(models, "variance").items():
        found = fit.r2().parts
        own = {"Fixed effects": found.fixed, **found.random, "Residual": found.residual}
        total = sum(own.values())
        for part, value in own.items():
            share = value / total if total > 0.0 else float("nan")
            rows.append((name, part, value, share))
    return pd.DataFrame(rows, columns=["model", "part", "variance", "share"])


def _parts(frame: pd.DataFrame) -> list[str]:
    """All parts of all models, the residual last."""
    names = [name for name in dict.fromkeys(frame["part"]) if name != "Residual"]
    return [*names, "Residual"]


def _bars(axes: Axes, frame: pd.DataFrame, labels: list[str], parts: list[str]) -> list[Any]:
    start = dict.fromkeys(labels, 0.0)
    handles = []
    for number, part in enumerate(parts):
        is_rest = part == "Residual"
        colour = FAINT if is_rest else OKABE_ITO[COLOURS[number % len(COLOURS)]]
        handle = None
        for row, label in enumerate(labels):
            mine = frame[(frame["model"] == label) & (frame["part"] == part)]
            if mine.empty:
                continue
            share = float(mine["share"].iloc[0])
            style: dict[str, Any] = {
                "color": colour,
                "height": 0.62,
                "edgecolor": "white",
                "lw": 0.6,
            }
            handle = axes.barh(row, share, left=start[label], **style)
            if share >= SMALLEST_WRITTEN:
                shade = "white" if colour == OKABE_ITO["blue"] else INK
                at = start[label] + share / 2.0
                text = f"{100 * share:.0f} %"
                axes.text(at, row, text, ha="center", va="center", fontsize=7.0, color=shade)
            start[label] += share
        if handle is not None:
            handle.set_label(part)
            handles.append(handle)
    return handles
