"""Covariance of random effects as ellipses behind their conditional modes."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from lmmformula._arrays import FloatArray
from lmmformula.errors import OptionError
from lmmformula.plot.canvas import canvas
from lmmformula.plot.modes import modes
from lmmformula.plot.style import FAINT, INK, OKABE_ITO, SINGLE
from lmmformula.plot.subjects import chosen, fit_of, term_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from lmmformula.results import LinearMixedResults

__all__ = ["ellipse", "ellipse_data", "outline"]

LEVELS = (0.5, 0.95)


def ellipse(
    fit: LinearMixedResults,
    term: str | None = None,
    *,
    effects: Any = None,
    ax: Any = None,
    figure: Any = None,
) -> Figure:
    """Pairs of random effects: modes, and ellipses that hold 50 % and 95 % of the population.

    Parameters
    ----------
    fit : LinearMixedResults
        A fit with a term of two or more effects.
    term : str, optional
        Label of the term in ``varcorr``; default: the first with two effects.
    effects : sequence of str, optional
        Effects to pair; default: the first four of the term.
    ax, figure
        Axes for every pair, or an empty figure, to draw in.

    Returns
    -------
    Figure
    """
    frame = ellipse_data(fit, term, effects=effects)
    pairs = list(dict.fromkeys(zip(frame["effect_x"], frame["effect_y"], strict=True)))
    columns = min(len(pairs), 3)
    width = SINGLE if columns == 1 else 57.0 * columns
    height = 68.0 if columns == 1 else 55.0 * -(-len(pairs) // columns)
    with canvas(ax, figure, count=len(pairs), columns=columns, width=width, height=height) as place:
        for axes, (one, other) in zip(place.panels, pairs, strict=True):
            mine = frame[(frame["effect_x"] == one) & (frame["effect_y"] == other)]
            axes.axhline(0.0, color=FAINT, lw=0.6, zorder=0)
            axes.axvline(0.0, color=FAINT, lw=0.6, zorder=0)
            for level, style in zip(LEVELS, ("-", "--"), strict=True):
                part = mine[mine["share"] == level]
                label = f"{100 * level:g} % ellipse"
                axes.plot(part["x"], part["y"], style, color=OKABE_ITO["blue"], label=label)
            dots = mine[mine["kind"] == "mode"]
            axes.plot(dots["x"], dots["y"], "o", mfc="white", mec=INK, mew=0.7, label="Mode")
            axes.set_xlabel(one)
            axes.set_ylabel(other)
        place.legend(place.panels[0].get_lines()[2:], ncols=3)
    return place.figure


def ellipse_data(
    fit: LinearMixedResults, term: str | None = None, *, effects: Any = None
) -> pd.DataFrame:
    """Return ``effect_x, effect_y, kind`` ("mode" or "ellipse"), ``share, level, x, y``."""
    fit = fit_of(fit, "ellipse")
    wide = [item.label for item in fit.varcorr if len(item.effects) > 1]
    one = term_of(fit, term or (wide[0] if wide else None), "ellipse")
    if len(one.effects) < 2:
        raise OptionError(
            f"`ellipse` needs two effects, and `{one.label}` has one.",
            got=f"effects: {', '.join(one.effects)}",
            suggestion='`fit.plot("caterpillar")`',
            argument="term",
        )
    names = chosen(effects, one.effects, "effects", f"an effect of `{one.label}`")
    names = names[:4] if effects is None else names
    found = modes(fit, one.label).pivot_table(
        index="level", columns="effect", values="value", sort=False
    )
    parts = []
    for first, second in combinations(names, 2):
        cov = one.cov.loc[[first, second], [first, second]].to_numpy()
        dots = {"kind": "mode", "level": list(found.index), "x": found[first], "y": found[second]}
        parts.append(pd.DataFrame(dots).assign(effect_x=first, effect_y=second))
        for share in LEVELS:
            line = outline(cov, share)
            parts.append(
                pd.DataFrame(line, columns=["x", "y"]).assign(
                    kind="ellipse", share=share, effect_x=first, effect_y=second
                )
            )
    order = ["effect_x", "effect_y", "kind", "share", "level", "x", "y"]
    return pd.concat(parts, ignore_index=True)[order]


def outline(cov: FloatArray, share: float, points: int = 121) -> FloatArray:
    """Ellipse that holds a share of a bivariate normal about zero, (points, 2).

    A covariance on the boundary gives a line or a point.
    """
    value, vector = np.linalg.eigh(cov)
    radius = np.sqrt(-2.0 * np.log1p(-share))
    angle = np.linspace(0.0, 2.0 * np.pi, points)
    circle = np.column_stack([np.cos(angle), np.sin(angle)])
    return np.asarray(radius * circle * np.sqrt(np.maximum(value, 0.0)) @ vector.T)
