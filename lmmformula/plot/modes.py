"""Conditional modes with their intervals, sorted: the caterpillar."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.special import ndtri

from lmmformula.inference.effects.wald import check_alpha
from lmmformula.plot.canvas import canvas
from lmmformula.plot.style import DOUBLE, FAINT, OKABE_ITO, SINGLE
from lmmformula.plot.subjects import chosen, fit_of, term_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from lmmformula.results import LinearMixedResults

__all__ = ["caterpillar", "caterpillar_data"]

MOST_LABELS = 60
"""With more levels than this their labels are left out."""


def caterpillar(
    fit: LinearMixedResults,
    term: str | None = None,
    *,
    effects: Any = None,
    sort: str | None = "",
    alpha: float = 0.05,
    ax: Any = None,
    figure: Any = None,
) -> Figure:
    """Conditional modes of the random effects with their intervals, sorted.

    Parameters
    ----------
    fit : LinearMixedResults
        A fit with a random-effects term.
    term : str, optional
        Label of the term in ``varcorr``; default: the first.
    effects : str or sequence of str, optional
        Effects to draw, a panel each; default: all of the term.
    sort : str or None
        Effect by which the levels are sorted in all panels; default: the first drawn. None keeps
        the model's order.
    alpha : float, default 0.05
        One less the level of the intervals.
    ax, figure
        Axes for every panel, or an empty figure, to draw in.

    Returns
    -------
    Figure
        Filled marks have intervals without zero.

    Notes
    -----
    Intervals are normal, with the conditional standard deviations given theta and sigma, as in
    lme4's ``dotplot(ranef(m))``.

    Examples
    --------
    >>> import lmmformula as lf
    >>> fit = lf.lmer("Reaction ~ Days + (Days | Subject)", lf.load_dataset("sleepstudy"))
    >>> frame = lf.plot.data("caterpillar", fit)
    >>> frame.loc[frame["effect"] == "Days", ["level", "value"]].round(1).values.tolist()[-1]
    ['337', 8.6]
    """
    frame = caterpillar_data(fit, term, effects=effects, sort=sort, alpha=alpha)
    names = list(dict.fromkeys(frame["effect"]))
    n = int((frame["effect"] == names[0]).sum())
    size: dict[str, Any] = {
        "width": SINGLE if len(names) == 1 else DOUBLE,
        "height": min(220.0, 18.0 + 3.3 * n),
    }
    if n > MOST_LABELS:
        size["height"] = 100.0
    factor = str(frame["grp"].iloc[0])
    with canvas(ax, figure, count=len(names), columns=len(names), share="y", **size) as place:
        for number, (axes, name) in enumerate(zip(place.panels, names, strict=True)):
            _panel(axes, frame[frame["effect"] == name], labels=number == 0 or place.is_given)
            axes.set_xlabel(f"Conditional mode: {name}")
        place.panels[0].set_ylabel(factor)
    return place.figure


def caterpillar_data(
    fit: LinearMixedResults,
    term: str | None = None,
    *,
    effects: Any = None,
    sort: str | None = "",
    alpha: float = 0.05,
) -> pd.DataFrame:
    """Return ``grp, level, effect, value, sd, lower, upper``, levels in the order drawn."""
    fit = fit_of(fit, "caterpillar")
    one = term_of(fit, term, "caterpillar")
    names = chosen(effects, one.effects, "effects", f"an effect of `{one.label}`")
    frame = modes(fit, one.label, alpha)
    if sort is not None:
        key = chosen(sort or names[0], one.effects, "sort", f"an effect of `{one.label}`")[0]
        order = frame[frame["effect"] == key].sort_values("value", kind="stable")["level"]
    else:
        order = frame["level"].drop_duplicates()
    rank = {level: place for place, level in enumerate(order)}
    frame = frame[frame["effect"].isin(names)]
    frame = frame.assign(
        _effect=frame["effect"].map({name: i for i, name in enumerate(names)}),
        _rank=frame["level"].map(rank),
    ).sort_values(["_effect", "_rank"], kind="stable")
    return frame.drop(columns=["_effect", "_rank"]).reset_index(drop=True)


def modes(fit: LinearMixedResults, label: str, alpha: float = 0.05) -> pd.DataFrame:
    """Conditional modes of one term: ``grp, level, effect, value, sd, lower, upper``."""
    groups = [term.label for term in fit.varcorr]
    position = groups.index(label)
    frame = fit.ranef(condvar=True)
    blocks = fit.design.matrices.random
    # `ranef` goes through grouping factors, and through the terms of each; terms may share effects.
    factors = dict.fromkeys(block.group for block in blocks)
    order = [i for group in factors for i, block in enumerate(blocks) if block.group == group]
    sizes = [blocks[i].n_levels * blocks[i].n_effects for i in order]
    start = int(np.sum(sizes[: order.index(position)], dtype=int))
    block = blocks[position]
    frame = frame.iloc[start : start + block.n_levels * block.n_effects].reset_index(drop=True)
    half = float(ndtri(1.0 - check_alpha(alpha) / 2.0)) * frame["sd"]
    return frame.assign(lower=frame["value"] - half, upper=frame["value"] + half)


def _panel(axes: Axes, frame: pd.DataFrame, *, labels: bool) -> None:
    place = np.arange(len(frame))
    value, colour = frame["value"].to_numpy(), OKABE_ITO["blue"]
    clear = ((frame["lower"] > 0.0) | (frame["upper"] < 0.0)).to_numpy()
    is_crowded = len(frame) > MOST_LABELS
    axes.axvline(0.0, color=FAINT, lw=0.8, zorder=0)
    line: dict[str, Any] = (
        {"color": "#9CC7E3", "lw": 0.3} if is_crowded else {"color": colour, "lw": 0.9}
    )
    axes.hlines(place, frame["lower"], frame["upper"], **line)
    size = 1.2 if is_crowded else 3.4
    axes.plot(value[clear], place[clear], "o", color=colour, ms=size, mew=0.8)
    faces: dict[str, Any] = {"mfc": "white", "mec": colour, "mew": 0.4 if is_crowded else 0.8}
    axes.plot(value[~clear], place[~clear], "o", ms=size, **faces)
    axes.set_ylim(-0.8, len(frame) - 0.2)
    if is_crowded:
        axes.set_yticks([])
    elif labels:
        axes.set_yticks(place, [str(level) for level in frame["level"]])
    axes.tick_params(axis="y", length=0)
