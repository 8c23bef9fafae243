"""Where a picture is drawn: a figure of its own, one that the caller has, or axes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from lmmformula.errors import OptionError
from lmmformula.plot.style import DOUBLE, SINGLE, dress, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Canvas", "canvas", "require_matplotlib"]

MILLIMETRE = 1.0 / 25.4


def require_matplotlib() -> None:
    """Raise, naming the extra to install, where matplotlib is missing."""
    try:
        import matplotlib as _  # noqa: F401
    except ImportError as error:
        raise OptionError(
            "plots need matplotlib, which is not installed.",
            got=str(error),
            suggestion='`pip install "lmmformula[plot]"`; `lf.plot.data(kind, fit)` gives the '
            "numbers without it",
            extra="plot",
        ) from None


@dataclass(frozen=True, slots=True)
class Canvas:
    """Panels to draw in.

    Attributes
    ----------
    panels : list of Axes
        One for every panel, row by row.
    columns : int
        Panels side by side.
    is_given : bool
        The caller brought the axes; legends and labels then belong inside them.
    """

    panels: list[Axes]
    columns: int
    is_given: bool

    @property
    def figure(self) -> Figure:
        """The figure itself, also where the panels are in a part of it."""
        figure: Any = self.panels[0].figure.figure
        return cast("Figure", figure)

    def label(self, x: str = "", y: str = "") -> None:
        """Name axes that the panels share, once."""
        if self.is_given or len(self.panels) == 1:
            for number, axes in enumerate(self.panels):
                if number % self.columns == 0:
                    axes.set_ylabel(y)
                if number >= len(self.panels) - self.columns:
                    axes.set_xlabel(x)
            return
        parent: Any = self.panels[0].figure
        if x:
            parent.supxlabel(x, fontsize=8.0)
        if y:
            parent.supylabel(y, fontsize=8.0)

    def legend(self, handles: Sequence[Any], **options: Any) -> None:
        """Explain marks above all panels, or inside the caller's first axes."""
        options = {"ncols": min(len(handles), 4), **options}
        if self.is_given:
            self.panels[0].legend(handles=list(handles), ncols=1, loc="best")
            return
        parent: Any = self.panels[0].figure
        parent.legend(handles=list(handles), loc="outside upper right", **options)

    def compress(self) -> None:
        """Let panels of a fixed shape keep their labels inside a figure of our own."""
        if not self.is_given and self.figure.get_layout_engine() is not None:
            self.figure.set_layout_engine("compressed")


@contextmanager
def canvas(
    ax: Any,
    figure: Any,
    *,
    count: int = 1,
    columns: int | None = None,
    width: float | None = None,
    height: float | None = None,
    share: str = "",
) -> Iterator[Canvas]:
    """Open panels, in the house's style until they are closed.

    Parameters
    ----------
    ax : Axes or sequence of Axes, optional
        Axes of the caller, one for each panel.
    figure : Figure or SubFigure, optional
        A figure of the caller; it should be empty.
    count : int
        Number of panels.
    columns : int, optional
        Panels side by side; default: all up to three.
    width, height : float, optional
        Size in millimetres of a figure of our own.
    share : str
        ``x``, ``y``, ``xy``: which axes all panels share; ``row``: y in every row.
    """
    require_matplotlib()
    columns = columns or min(count, 3)
    rows = ceil(count / columns)
    with styled():
        if ax is not None:
            given = _given_axes(ax, figure, count)
            for axes in given:
                dress(axes)
            yield Canvas(given, columns, True)
            return
        target = _target(figure, (width or (SINGLE if columns == 1 else DOUBLE), height or 65.0))
        made: list[Axes] = []
        for number in range(count):
            options: dict[str, Any] = {
                "sharex": made[0] if made and "x" in share else None,
                "sharey": made[0] if made and "y" in share else None,
            }
            made.append(target.add_subplot(rows, columns, number + 1, **options))
        _hide_inner_labels(made, columns, share)
        yield Canvas(made, columns, False)


def _given_axes(ax: Any, figure: Any, count: int) -> list[Axes]:
    from matplotlib.axes import Axes

    if figure is not None:
        raise OptionError(
            "`ax` and `figure` say twice where to draw.",
            got="both",
            suggestion="`ax=` for axes that exist, `figure=` for an empty figure",
            argument="ax",
        )
    flat = [ax] if isinstance(ax, Axes) else list(np.ravel(np.asarray(ax, dtype=object)))
    wrong = [item for item in flat if not isinstance(item, Axes)]
    if wrong or len(flat) != count:
        raise OptionError(
            f"this picture needs {count} axes in `ax`." if count > 1 else "`ax` must be Axes.",
            got=f"an object of {type(wrong[0]).__name__}" if wrong else f"{len(flat)} axes",
            suggestion="leave `ax` out, or make the axes with "
            f"`plt.subplots(1, {count})`; `figure=` lets the picture lay them out",
            argument="ax",
            needed=count,
        )
    return flat


def _target(figure: Any, size: tuple[float, float]) -> Any:
    from matplotlib.figure import FigureBase

    from lmmformula.plot.picture import Picture

    if figure is None:
        width, height = size
        return Picture(figsize=(width * MILLIMETRE, height * MILLIMETRE), layout="constrained")
    if not isinstance(figure, FigureBase):
        raise OptionError(
            "`figure` must be a Figure or SubFigure of matplotlib.",
            got=f"an object of {type(figure).__name__}",
            suggestion='`figure=plt.figure(layout="constrained")`',
            argument="figure",
        )
    return figure


def _hide_inner_labels(panels: Sequence[Axes], columns: int, share: str) -> None:
    """Number axes that are shared only where they are outermost."""
    for number, axes in enumerate(panels):
        if "x" in share and number + columns < len(panels):
            axes.tick_params(labelbottom=False)
        if "y" in share and number % columns:
            axes.tick_params(labelleft=False)
