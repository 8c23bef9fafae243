"""The optimizer's way to the minimum."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from lmmformula.errors import OptionError
from lmmformula.optimize import Optimum
from lmmformula.plot.canvas import canvas
from lmmformula.plot.style import DOUBLE, OKABE_ITO
from lmmformula.plot.subjects import not_a_subject
from lmmformula.results import LinearMixedResults

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["trace", "trace_data"]

FLOOR = 1e-14
"""Excess of the criterion that counts as none, relative to its size."""


def trace(optimum: Optimum | LinearMixedResults, *, ax: Any = None, figure: Any = None) -> Figure:
    """Excess of the criterion over the minimum, and norm of its gradient, by evaluation.

    Parameters
    ----------
    optimum : Optimum or LinearMixedResults
        ``fit.optimum``, or a fit.
    ax, figure
        Two axes, or an empty figure, to draw in.

    Returns
    -------
    Figure
        Open marks are rejected steps. Evaluations at the minimum itself are
        triangles at the foot.
    """
    frame = trace_data(optimum)
    columns = {"excess": "Criterion above minimum", "gradient_norm": "Norm of gradient"}
    with canvas(ax, figure, count=2, columns=2, width=DOUBLE, height=60.0) as place:
        for axes, (name, label) in zip(place.panels, columns.items(), strict=True):
            _panel(axes, frame, name)
            axes.set_ylabel(label)
            axes.set_xlabel("Evaluation")
    return place.figure


def trace_data(optimum: Optimum | LinearMixedResults) -> pd.DataFrame:
    """Return ``evaluation, objective, excess, gradient_norm, step, kind, accepted``."""
    found: Any = optimum.optimum if isinstance(optimum, LinearMixedResults) else optimum
    if not isinstance(found, Optimum):
        raise not_a_subject(optimum, "trace", "an optimum", "fit.optimum")
    if not found.trace:
        raise OptionError(
            "there is no trace: nothing was optimized.",
            got=f"status {found.status}",
            suggestion="`model.fit()` in place of `model.at(theta)`",
            status=str(found.status),
        )
    steps = found.trace
    value = np.array([step.objective for step in steps])
    excess = value - np.nanmin(np.where(np.isfinite(value), value, np.nan))
    excess[np.abs(excess) <= FLOOR * np.abs(value)] = 0.0
    return pd.DataFrame(
        {
            "evaluation": [step.evaluation for step in steps],
            "objective": value,
            "excess": excess,
            "gradient_norm": [step.gradient_norm for step in steps],
            "step": [step.step for step in steps],
            "kind": [step.kind for step in steps],
            "accepted": [not step.kind.endswith("rejected") for step in steps],
        }
    )


def _panel(axes: Axes, frame: pd.DataFrame, name: str) -> None:
    known = frame[np.isfinite(frame[name])]
    positive = known.loc[known[name] > 0.0, name]
    low = 10.0 ** (np.floor(np.log10(positive.min())) - 1.0) if len(positive) else 1e-8
    high = 10.0 ** np.ceil(np.log10(positive.max()) + 0.1) if len(positive) else 1.0
    shown = known.assign(at=known[name].clip(lower=low), least=known[name] <= 0.0)
    colour = OKABE_ITO["blue"]
    way = shown[shown["accepted"]]
    axes.plot(way["evaluation"], way["at"], "-", color=colour, lw=0.9)
    for accepted, face in ((True, colour), (False, "white")):
        mine = shown[shown["accepted"] == accepted]
        style: dict[str, Any] = {"mfc": face, "mec": colour, "mew": 0.8, "ms": 4.0}
        for least, marker in ((False, "o"), (True, "v")):
            part = mine[mine["least"] == least]
            axes.plot(part["evaluation"], part["at"], marker, **style)
    axes.set_yscale("log")
    axes.set_ylim(low / 2.0, high)
    axes.minorticks_off()
    axes.set_xlim(frame["evaluation"].min() - 0.5, frame["evaluation"].max() + 0.5)
    axes.locator_params(axis="x", integer=True, nbins=8)
