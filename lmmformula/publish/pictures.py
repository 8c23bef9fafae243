"""Pictures inside a file, as data that a browser shows without another file."""

from __future__ import annotations

import html
from base64 import b64encode
from collections.abc import Iterator, Sequence
from io import BytesIO
from typing import Any

from lmmformula.errors import LMMError, OptionError
from lmmformula.plot import PLOTS
from lmmformula.plot.canvas import require_matplotlib

__all__ = ["check_kinds", "figure_html"]

FIGURES = ("overview", "panels", "random_qq", "coefficients")
DPI = 200
MOST_GROUPS = 40
"""Groups whose panels can be read on one page."""


def check_kinds(figures: bool | Sequence[str]) -> bool | tuple[str, ...]:
    """Return the kinds asked for if they are plots of a fit."""
    if isinstance(figures, bool):
        return figures
    kinds = (figures,) if isinstance(figures, str) else tuple(figures)
    known = [kind for kind, plot in PLOTS.items() if plot.of == "fit"]
    for kind in kinds:
        if kind not in known:
            raise OptionError(
                f"there is no picture {kind!r} of a fit.",
                got=f"available: {', '.join(known)}",
                suggestion='`figures=True`, or `figures=["overview"]`',
                argument="figures",
                available=tuple(known),
            )
    return kinds


def figure_html(fit: Any, figures: bool | tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Name and ``figure`` element of every picture; those that do not suit a fit are left out.

    Raises
    ------
    OptionError
        Matplotlib is missing, or a picture that was asked for by name cannot be drawn.
    """
    require_matplotlib()
    if figures is False:
        return
    for kind in _suitable(fit) if figures is True else figures:
        try:
            picture = fit.plot(kind)
        except LMMError:
            if figures is not True:
                raise
            continue
        yield kind, _element(picture, PLOTS[kind].caption)


def _suitable(fit: Any) -> Iterator[str]:
    largest = max(fit.ngroups.values(), default=0)
    for kind in FIGURES:
        if kind == "panels" and not 0 < largest <= MOST_GROUPS:
            continue
        if kind == "random_qq" and not largest:
            continue
        if kind == "coefficients" and fit.n_fixed < 3:
            continue
        yield kind


def _element(picture: Any, caption: str) -> str:
    with BytesIO() as stream:
        picture.savefig(stream, format="png", dpi=DPI, facecolor="white")
        data = b64encode(stream.getvalue()).decode("ascii")
    text = html.escape(caption)
    width, height = (round(96 * inches) for inches in picture.get_size_inches())
    return (
        f'<figure><img alt="{text}" width="{width}" height="{height}" '
        f'src="data:image/png;base64,{data}"><figcaption>{text}.</figcaption></figure>'
    )
