"""The one style of all pictures: colours, sizes of journals, and matplotlib's settings.

Settings hold while a picture is drawn; the user's own ``rcParams`` are never changed.

References
----------
Okabe and Ito (2008), Color Universal Design (a palette that colour-blind readers can tell apart).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "CYCLE",
    "DOUBLE",
    "FAINT",
    "INK",
    "MARKERS",
    "MUTED",
    "OKABE_ITO",
    "SETTINGS",
    "SINGLE",
    "dress",
    "name_point",
    "styled",
]

SINGLE, DOUBLE = 85.0, 170.0
"""Widths of one and of two columns of a journal, in millimetres."""

OKABE_ITO = {
    "black": "#000000",
    "orange": "#E69F00",
    "sky": "#56B4E9",
    "green": "#009E73",
    "yellow": "#F0E442",
    "blue": "#0072B2",
    "vermillion": "#D55E00",
    "purple": "#CC79A7",
}
CYCLE = [OKABE_ITO[name] for name in ("blue", "orange", "green", "purple", "vermillion", "sky")]
"""In the order in which groups get them; yellow is too light for lines on white."""
MARKERS = ("o", "s", "^", "D", "v", "P")
"""Groups differ in shape as well as in colour, so that a black-and-white print can be read."""
INK, MUTED, FAINT = "#222222", "#7A7A7A", "#D0D0D0"

SETTINGS: dict[str, Any] = {
    "axes.axisbelow": True,
    "axes.edgecolor": INK,
    "axes.facecolor": "white",
    "axes.formatter.useoffset": False,
    "axes.grid": False,
    "axes.labelcolor": INK,
    "axes.labelpad": 3.0,
    "axes.labelsize": 8.0,
    "axes.linewidth": 0.6,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlepad": 4.0,
    "axes.titlesize": 8.0,
    "axes.titleweight": "normal",
    "axes.unicode_minus": True,
    "axes.xmargin": 0.04,
    "axes.ymargin": 0.05,
    "figure.dpi": 150.0,
    "figure.facecolor": "white",
    "figure.labelsize": 8.0,
    "figure.titlesize": 9.0,
    "font.size": 8.0,
    "legend.borderaxespad": 0.2,
    "legend.fontsize": 7.0,
    "legend.frameon": False,
    "legend.handlelength": 1.8,
    "legend.title_fontsize": 7.0,
    "lines.linewidth": 1.1,
    "lines.markersize": 3.6,
    "mathtext.default": "regular",
    "text.color": INK,
    "xtick.color": INK,
    "xtick.direction": "out",
    "xtick.labelsize": 7.0,
    "xtick.major.size": 2.5,
    "xtick.major.width": 0.6,
    "ytick.color": INK,
    "ytick.direction": "out",
    "ytick.labelsize": 7.0,
    "ytick.major.size": 2.5,
    "ytick.major.width": 0.6,
}


@contextmanager
def styled() -> Iterator[None]:
    """Hold the house's settings while something is drawn."""
    from matplotlib import rc_context

    settings: Any = SETTINGS  # names of settings differ between versions, and so do their types
    with rc_context(settings):
        yield


def dress(axes: Axes) -> None:
    """Give axes that the caller made the same frame as our own."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_linewidth(SETTINGS["axes.linewidth"])
    size, width = SETTINGS["xtick.major.size"], SETTINGS["xtick.major.width"]
    axes.tick_params(labelsize=SETTINGS["xtick.labelsize"], length=size, width=width)
    axes.set_axisbelow(True)
    for label in (axes.xaxis.label, axes.yaxis.label):
        label.set_fontsize(SETTINGS["axes.labelsize"])


def name_point(axes: Axes, text: str, point: Any, shift: float, **style: Any) -> None:
    """Write beside a point, so many points to its right; over lines it has a white rim."""
    from matplotlib.patheffects import withStroke

    axes.annotate(
        text,
        point,
        xytext=(shift, 0.0),
        textcoords="offset points",
        ha="left" if shift > 0.0 else "right",
        va="center",
        path_effects=[withStroke(linewidth=1.6, foreground="white")],
        **style,
    )
