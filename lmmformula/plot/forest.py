"""Coefficients of one or several models, and contrasts, with their intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from lmmformula.inference.effects.df import DEFAULT_METHOD
from lmmformula.inference.marginal import MarginalContrasts, MarginalEstimates
from lmmformula.plot.canvas import canvas
from lmmformula.plot.style import CYCLE, FAINT, INK, MARKERS, MUTED, OKABE_ITO, SINGLE
from lmmformula.plot.subjects import chosen, models_of, not_a_subject

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from lmmformula.results import LinearMixedResults

    Models = LinearMixedResults | Sequence[LinearMixedResults] | Mapping[str, LinearMixedResults]

__all__ = ["coefficients", "coefficients_data", "contrasts", "contrasts_data"]


def coefficients(
    models: Models,
    terms: Any = None,
    *,
    intercept: bool = False,
    ddf: str = DEFAULT_METHOD,
    alpha: float = 0.05,
    ax: Any = None,
    figure: Any = None,
) -> Figure:
    """Fixed effects with their intervals, of one model or of several side by side.

    Parameters
    ----------
    models : LinearMixedResults, sequence or mapping of str to LinearMixedResults
        A fit, or several; a mapping gives them names.
    terms : str or sequence of str, optional
        Coefficients, from the top; default: all in the order of the models.
    intercept : bool, default False
        Draw the intercept too, which usually is on another scale.
    ddf : str
        Degrees of freedom of the intervals, as for ``summary``.
    alpha : float, default 0.05
        One less the level of the intervals.
    ax, figure
        Axes or an empty figure to draw in.

    Returns
    -------
    Figure

    Examples
    --------
    >>> import lmmformula as lf
    >>> fit = lf.lmer("Reaction ~ Days + (Days | Subject)", lf.load_dataset("sleepstudy"))
    >>> lf.plot.data("coefficients", {"ML": fit.refit_ml(), "REML": fit})["model"].tolist()
    ['ML', 'REML']
    """
    frame = coefficients_data(models, terms, intercept=intercept, ddf=ddf, alpha=alpha)
    names = list(dict.fromkeys(frame["term"]))
    labels = list(dict.fromkeys(frame["model"]))
    height = 16.0 + (3.2 + 2.6 * len(labels)) * len(names) + (4.0 if len(labels) > 1 else 0.0)
    with canvas(ax, figure, width=SINGLE, height=height) as place:
        axes = place.panels[0]
        axes.axvline(0.0, color=FAINT, lw=0.8, zorder=0)
        step = min(0.22, 0.7 / len(labels))
        handles = []
        for number, model in enumerate(labels):
            mine = frame[frame["model"] == model]
            at = np.array([names.index(term) for term in mine["term"]], dtype=float)
            at += step * (number - (len(labels) - 1) / 2.0)
            colour, marker = CYCLE[number % len(CYCLE)], MARKERS[number % len(MARKERS)]
            axes.hlines(at, mine["lower"], mine["upper"], color=colour, lw=1.1)
            (dots,) = axes.plot(
                mine["estimate"], at, marker, color=colour, ms=4.0, mec="white", mew=0.5
            )
            dots.set_label(model)
            handles.append(dots)
        _rows(axes, names)
        axes.set_xlabel(f"Estimate, {100 * (1 - alpha):g} % interval")
        if len(labels) > 1:
            place.legend(handles)
    return place.figure


def coefficients_data(
    models: Models,
    terms: Any = None,
    *,
    intercept: bool = False,
    ddf: str = DEFAULT_METHOD,
    alpha: float = 0.05,
) -> pd.DataFrame:
    """Return ``model, term, estimate, se, df, lower, upper``."""
    parts = []
    for name, fit in models_of(models, "coefficients").items():
        frame = fit.coefficient_frame(ddf=ddf, alpha=alpha).reset_index(names="term")
        kept = ["term", "estimate", "se", "df", "lower", "upper"]
        parts.append(frame[kept].assign(model=name))
    every = pd.concat(parts, ignore_index=True)
    known = list(dict.fromkeys(every["term"]))
    wanted = chosen(terms, known, "terms", "a coefficient of the models")
    if terms is None and not intercept and len(wanted) > 1:
        wanted = [name for name in wanted if name != "Intercept"]
    order = {name: place for place, name in enumerate(wanted)}
    every = every[every["term"].isin(wanted)]
    models_first = ["model", "term", "estimate", "se", "df", "lower", "upper"]
    ordered: pd.DataFrame = every.assign(_=every["term"].map(order))
    return ordered.sort_values("_", kind="stable").reset_index(drop=True)[models_first]


def contrasts(
    contrasts: MarginalContrasts | MarginalEstimates,
    *,
    ax: Any = None,
    figure: Any = None,
) -> Figure:
    """Contrasts of marginal means or slopes with their simultaneous intervals.

    Parameters
    ----------
    contrasts : MarginalContrasts or MarginalEstimates
        What ``fit.marginal_means(...).contrasts(...)`` returns; of means, all pairs are compared.
    ax, figure
        Axes or an empty figure to draw in.

    Returns
    -------
    Figure
        Filled marks have intervals without zero.
    """
    frame = contrasts_data(contrasts)
    given: Any = contrasts
    families = [name for name in frame.columns[1 : list(frame.columns).index("estimate")]]
    texts = [
        ": ".join([", ".join(str(value) for value in row[1:]), str(row[0])]) if families else row[0]
        for row in frame[["contrast", *families]].itertuples(index=False)
    ]
    with canvas(ax, figure, width=SINGLE, height=16.0 + 5.5 * len(frame)) as place:
        axes, at = place.panels[0], np.arange(len(frame))
        clear = ((frame["lower"] > 0.0) | (frame["upper"] < 0.0)).to_numpy()
        value, colour = frame["estimate"].to_numpy(), OKABE_ITO["blue"]
        axes.axvline(0.0, color=MUTED, lw=0.6, ls=":", zorder=0)
        axes.hlines(at, frame["lower"], frame["upper"], color=colour, lw=1.1)
        axes.plot(value[clear], at[clear], "o", color=colour, ms=4.0)
        axes.plot(value[~clear], at[~clear], "o", mfc="white", mec=colour, ms=4.0, mew=0.9)
        _rows(axes, texts)
        axes.set_xlabel(f"Difference, {100 * (1 - given.alpha):g} % interval")
    return place.figure


def contrasts_data(contrasts: MarginalContrasts | MarginalEstimates) -> pd.DataFrame:
    """Return the table of the contrasts."""
    given: Any = contrasts
    if isinstance(given, MarginalEstimates):
        return given.contrasts().to_frame()
    if isinstance(given, MarginalContrasts):
        return given.to_frame()
    call = 'fit.marginal_means("f").contrasts()'
    raise not_a_subject(contrasts, "contrasts", "contrasts of marginal means", call)


def _rows(axes: Axes, names: list[str]) -> None:
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    for label in axes.get_yticklabels():
        label.set_color(INK)
