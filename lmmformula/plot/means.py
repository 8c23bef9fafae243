"""Marginal means with what compares them, and interaction plots."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from lmmformula.design.notify import notify
from lmmformula.errors import InferenceWarning, OptionError
from lmmformula.inference.marginal import MarginalEstimates
from lmmformula.plot.canvas import canvas
from lmmformula.plot.comparison import arrows
from lmmformula.plot.style import CYCLE, INK, MARKERS, OKABE_ITO, SINGLE
from lmmformula.plot.subjects import chosen, fit_of, not_a_subject, one_of
from lmmformula.results import LinearMixedResults

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["interaction", "interaction_data", "marginal_means", "marginal_means_data"]

COMPARISONS = ("arrows", "letters", "none")


def marginal_means(
    means: MarginalEstimates | LinearMixedResults,
    variables: Any = None,
    *,
    comparisons: str = "arrows",
    adjust: str | None = None,
    ax: Any = None,
    figure: Any = None,
    **options: Any,
) -> Figure:
    """Marginal means (or slopes), their intervals, and arrows or letters that compare them.

    Parameters
    ----------
    means : MarginalEstimates or LinearMixedResults
        What ``fit.marginal_means(...)`` returns, or a fit.
    variables : str or sequence of str, optional
        Of a fit: what means are wanted of; further arguments of ``marginal_means`` by name.
    comparisons : {"arrows", "letters", "none"}
        Arrows overlap, and means share a letter, where two means of a family are not told apart.
    adjust : str, optional
        Adjustment of the pairwise comparisons; default: Tukey's.
    ax, figure
        Axes or an empty figure to draw in.
    **options
        ``by``, ``at``, ``weights``, ``ddf``, ``alpha`` of ``fit.marginal_means``.

    Returns
    -------
    Figure
        Bands are the means' own intervals; whether these overlap says little about differences.

    Warns
    -----
    InferenceWarning
        No arrows show every comparison truly; letters are drawn.
    """
    found = _means_of(means, variables, "marginal_means", options)
    frame = marginal_means_data(found, comparisons=comparisons, adjust=adjust)
    names = list(found.grid.names)
    inner = [name for name in names if name not in found.by] or names
    outer = [name for name in names if name not in inner]
    families = frame.groupby(outer, sort=False, observed=True).ngroups if outer else 1
    height = 15.0 + 5.2 * len(frame) + 5.2 * (families if outer else 0)
    with canvas(ax, figure, width=SINGLE, height=height) as place:
        axes = place.panels[0]
        at = _positions(axes, frame, inner, outer)
        _band(axes, frame, at)
        if "arrow_lower" in frame:
            _draw_arrows(axes, frame, at)
        axes.plot(frame[found.kind], at, "o", color=INK, ms=3.8)
        if "letters" in frame and "arrow_lower" not in frame:
            _draw_letters(axes, frame, at)
        what = f"Marginal {found.kind} of {_response(found)}"
        axes.set_xlabel(f"{what}, {100 * (1 - found.alpha):g} % interval")
    return place.figure


def marginal_means_data(
    means: MarginalEstimates | LinearMixedResults,
    variables: Any = None,
    *,
    comparisons: str = "arrows",
    adjust: str | None = None,
    **options: Any,
) -> pd.DataFrame:
    """Return the table of the means with ``arrow_lower, arrow_upper`` or ``letters``."""
    found = _means_of(means, variables, "marginal_means", options)
    one_of(comparisons, COMPARISONS, "comparisons", "a way to compare means")
    if comparisons == "none":
        return found.to_frame()
    if comparisons == "letters":
        return found.letters(adjust)
    frame = found.to_frame()
    ends = {"arrow_lower": np.full(len(frame), np.nan), "arrow_upper": np.full(len(frame), np.nan)}
    for family in found.compared(adjust):
        value = frame[found.kind].to_numpy()[family.means]
        lengths = arrows(value, family.critical, family.differ)
        if lengths is None:
            notify(
                InferenceWarning(
                    "no arrows show all comparisons of these means truly; letters are drawn.",
                    suggestion='`comparisons="letters"`',
                )
            )
            return found.letters(adjust)
        ends["arrow_lower"][family.means] = value - lengths[0]
        ends["arrow_upper"][family.means] = value + lengths[1]
    return frame.assign(**ends)


def interaction(
    fit: LinearMixedResults,
    x: str | None = None,
    trace: str | None = None,
    *,
    intervals: bool = True,
    ax: Any = None,
    figure: Any = None,
    **options: Any,
) -> Figure:
    """Marginal means of two variables, a line for every level of the second.

    Parameters
    ----------
    fit : LinearMixedResults
        A fit.
    x : str, optional
        Variable along the axis; default: the first factor of the model.
    trace : str, optional
        Variable that has the lines; default: the next factor.
    intervals : bool, default True
        Draw the intervals of the means.
    ax, figure
        Axes or an empty figure to draw in.
    **options
        ``at``, ``weights``, ``ddf``, ``alpha`` of ``fit.marginal_means``; a numeric variable
        needs its values, ``at={"temp": [180, 200, 220]}``.

    Returns
    -------
    Figure
        Parallel lines are no interaction.
    """
    frame = interaction_data(fit, x, trace, **options)
    x, trace = (str(name) for name in frame.columns[:2])
    levels, lines = (list(dict.fromkeys(frame[name])) for name in (x, trace))
    is_number = bool(pd.api.types.is_numeric_dtype(frame[x]))
    step = 0.012 * (max(levels) - min(levels) if is_number else len(levels) - 1)
    with canvas(ax, figure, width=SINGLE, height=68.0) as place:
        axes, handles = place.panels[0], []
        for number, level in enumerate(lines):
            mine = frame[frame[trace] == level]
            at = mine[x].to_numpy(dtype=float) if is_number else _codes(mine[x], levels)
            at = at + step * (number - (len(lines) - 1) / 2.0)
            handles.append(_trace(axes, at, mine, number, str(level), intervals))
        if is_number:
            axes.locator_params(axis="x", nbins=6)
        else:
            axes.set_xticks(range(len(levels)), [str(level) for level in levels])
            axes.set_xlim(-0.3, len(levels) - 0.7)
        axes.set_xlabel(x)
        axes.set_ylabel(f"Marginal mean of {fit.response_name}")
        place.legend(handles, title=trace, ncols=min(len(handles), 6))
    return place.figure


def _trace(
    axes: Axes, at: Any, frame: pd.DataFrame, number: int, label: str, intervals: bool
) -> Any:
    """Draw one line of an interaction plot."""
    colour, marker = CYCLE[number % len(CYCLE)], MARKERS[number % len(MARKERS)]
    if intervals:
        axes.vlines(at, frame["lower"], frame["upper"], color=colour, lw=0.9, alpha=0.7)
    style: dict[str, Any] = {"color": colour, "ms": 4.2, "mec": "white", "mew": 0.5}
    (line,) = axes.plot(at, frame["mean"], "-", marker=marker, label=label, **style)
    return line


def interaction_data(
    fit: LinearMixedResults, x: str | None = None, trace: str | None = None, **options: Any
) -> pd.DataFrame:
    """Return both variables, then ``mean, se, df, lower, upper``."""
    columns = fit_of(fit, "interaction").design.spec.predictors.columns
    names = [item.name for item in columns]
    given = [name for name in (x, trace) if name is not None]
    free = [item.name for item in columns if item.is_factor and item.name not in given]
    for argument, name in (("x", x), ("trace", trace)):
        if name is not None:
            chosen(name, names, argument, "a variable of the fixed effects")
    if len({*given, *free}) < 2 or len(set(given)) < len(given):
        raise OptionError(
            "`interaction` needs two different variables of the fixed effects.",
            got=f"`x={x!r}, trace={trace!r}`; variables: {', '.join(names) or 'none'}",
            suggestion='`fit.plot("interaction", x="a", trace="b")`',
            argument="trace",
        )
    x = x if x is not None else free.pop(0)
    trace = trace if trace is not None else free.pop(0)
    return fit.marginal_means([x, trace], **options).to_frame()


def _means_of(means: Any, variables: Any, what: str, options: dict[str, Any]) -> MarginalEstimates:
    if isinstance(means, LinearMixedResults):
        predictors = means.design.spec.predictors.columns
        factors = [item.name for item in predictors if item.is_factor]
        if variables is None and not factors:
            raise OptionError(
                f"`{what}` needs variables, and the model has no factor to take.",
                got=f"`{means.formula}`",
                suggestion=f'`fit.plot("{what}", "x", at={{"x": [0, 1]}})`',
                argument="variables",
            )
        return means.marginal_means(factors[0] if variables is None else variables, **options)
    if not isinstance(means, MarginalEstimates):
        raise not_a_subject(means, what, "marginal means", 'fit.marginal_means("f")')
    if variables is not None or options:
        raise OptionError(
            "the variables of these marginal means are settled already.",
            got=", ".join([*(["`variables`"] if variables is not None else []), *options]),
            suggestion=f"`lf.plot.{what}(fit, ...)` with the fit",
            argument="variables",
        )
    return means


def _response(found: MarginalEstimates) -> str:
    return found.title.rpartition(" of ")[2] or "Response"


def _codes(values: Any, levels: Sequence[Any]) -> Any:
    return np.array([levels.index(value) for value in values], dtype=float)


def _positions(axes: Axes, frame: pd.DataFrame, inner: list[str], outer: list[str]) -> Any:
    """Rows from the top; families are set apart and named by their levels."""
    texts = [" ".join(_words(row)) for row in _rows(frame, inner)]
    at, ticks, place, before = [], [], 0.0, None
    for row, text in zip(_rows(frame, outer), texts, strict=True):
        words = zip(outer, _words(row), strict=True)
        family = ", ".join(f"{name} {word}" for name, word in words)
        if outer and family != before:
            ticks.append((place, family, True))
            place, before = place + 1.0, family
        at.append(place)
        ticks.append((place, text, False))
        place += 1.0
    axes.set_yticks([tick[0] for tick in ticks], [tick[1] for tick in ticks])
    for label, (_, _, is_family) in zip(axes.get_yticklabels(), ticks, strict=True):
        label.set_fontweight("bold" if is_family else "normal")
    axes.set_ylim(place - 0.3, -0.7)
    axes.tick_params(axis="y", length=0)
    axes.set_ylabel(", ".join(inner))
    return np.array(at)


def _rows(frame: pd.DataFrame, names: list[str]) -> list[tuple[Any, ...]]:
    """Rows of some columns; empty ones of none."""
    columns = [list(frame[name]) for name in names]
    return list(zip(*columns, strict=True)) if columns else [()] * len(frame)


def _words(row: Any) -> list[str]:
    return [f"{value:g}" if isinstance(value, float) else str(value) for value in row]


def _band(axes: Axes, frame: pd.DataFrame, at: Any) -> None:
    width = frame["upper"] - frame["lower"]
    axes.use_sticky_edges = False
    axes.barh(at, width, left=frame["lower"], height=0.45, color="#CFE2F0", lw=0.0)


def _draw_arrows(axes: Axes, frame: pd.DataFrame, at: Any) -> None:
    style: dict[str, Any] = {
        "arrowstyle": "-|>,head_length=0.35,head_width=0.15",
        "color": OKABE_ITO["vermillion"],
        "lw": 1.1,
        "shrinkA": 0.0,
        "shrinkB": 0.0,
    }
    value = 0.5 * (frame["lower"] + frame["upper"])
    for end in ("arrow_lower", "arrow_upper"):
        for start, stop, place in zip(value, frame[end], at, strict=True):
            if np.isfinite(stop) and stop != start:
                axes.annotate("", (stop, place), (start, place), arrowprops=style)
    low = np.nanmin(frame[["lower", "arrow_lower"]].to_numpy())
    high = np.nanmax(frame[["upper", "arrow_upper"]].to_numpy())
    axes.update_datalim([(low, at[0]), (high, at[0])])


def _draw_letters(axes: Axes, frame: pd.DataFrame, at: Any) -> None:
    for end, place, letters in zip(frame["upper"], at, frame["letters"], strict=True):
        style: dict[str, Any] = {
            "xytext": (4.0, 0.0),
            "textcoords": "offset points",
            "va": "center",
        }
        axes.annotate(letters, (end, place), fontsize=8.0, annotation_clip=False, **style)
    axes.margins(x=0.12)
