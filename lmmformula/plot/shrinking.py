"""From each group's own least-squares estimates to its conditional modes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from lmmformula.errors import OptionError
from lmmformula.plot.canvas import canvas
from lmmformula.plot.ellipses import outline
from lmmformula.plot.modes import MOST_LABELS
from lmmformula.plot.style import MUTED, OKABE_ITO, SINGLE, name_point
from lmmformula.plot.subjects import chosen, count_of, fit_of, term_of
from lmmformula.postfit.predict import linear_predictor
from lmmformula.postfit.requirements import require_uncorrelated_residuals

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from lmmformula.results import LinearMixedResults

__all__ = ["shrinkage", "shrinkage_data"]

SHORTEST_ARROW = 9.0
"""In points."""
MOST_ARROWS = 150


def shrinkage(
    fit: LinearMixedResults,
    term: str | None = None,
    *,
    effects: Any = None,
    label: int = 3,
    ax: Any = None,
    figure: Any = None,
) -> Figure:
    """Arrows from estimates within each group to the group's coefficients in the model.

    Parameters
    ----------
    fit : LinearMixedResults
        A fit with its rows.
    term : str, optional
        Label of the term in ``varcorr``; default: the first.
    effects : str or sequence of str, optional
        One effect, or two to draw against each other; default: the first two of the term.
    label : int, default 3
        So many groups that move furthest are named.
    ax, figure
        Axes or an empty figure to draw in.

    Returns
    -------
    Figure

    Notes
    -----
    Estimates within a group are least squares in its rows, with everything that is not an effect
    of the term kept as the model has it. Groups whose rows cannot tell the effects have none. The
    dotted ellipse holds 95 % of the groups' coefficients.
    """
    frame = shrinkage_data(fit, term, effects=effects)
    names = list(dict.fromkeys(frame["effect"]))
    one, named = term_of(fit, term, "shrinkage"), count_of(label, "label", 0)
    n = frame["level"].nunique()
    height = 78.0 if len(names) == 2 else 20.0 + 3.3 * n
    height = 100.0 if n > MOST_LABELS and len(names) == 1 else height
    with canvas(ax, figure, width=SINGLE, height=height) as place:
        axes = place.panels[0]
        if len(names) == 2:
            _plane(axes, frame, names, one.cov.loc[names, names].to_numpy(), named)
        else:
            _line(axes, frame, one.group)
        place.legend(_handles(len(names)), ncols=3)
    return place.figure


def shrinkage_data(
    fit: LinearMixedResults, term: str | None = None, *, effects: Any = None
) -> pd.DataFrame:
    """Return ``grp, level, effect, within, conditional, population``."""
    fit = fit_of(fit, "shrinkage")
    fit.model.require_rows("`shrinkage`")
    m = fit.design.matrices
    require_uncorrelated_residuals(m.residual, "`shrinkage`", '`fit.plot("caterpillar")`')
    one = term_of(fit, term, "shrinkage")
    names = chosen(effects, one.effects, "effects", f"an effect of `{one.label}`")
    names = names[:2] if effects is None else names
    if len(names) > 2:
        raise OptionError(
            "`shrinkage` draws one effect, or two against each other.",
            got=f"{len(names)} effects",
            suggestion=f"`effects={names[:2]!r}`",
            argument="effects",
        )
    position = [item.label for item in fit.varcorr].index(one.label)
    block, b = m.random[position], fit.estimates.random[position]
    population = np.array([fit.params.get(name, 0.0) for name in block.effect_names])
    own = np.einsum("ij,ij->i", block.z, b[block.codes] + population)
    groups = {item.group for item in m.random}
    response = m.y - (linear_predictor(fit.design, fit.estimates, groups) - own)
    root = np.ones(m.n_obs) if m.weights is None else np.sqrt(m.weights)
    if fit.residual_structure is not None:
        root = fit.sigma / fit.residual_structure.sd
    within = _within(block.z * root[:, None], response * root, block.codes, block.n_levels)
    conditional = b + population
    parts = []
    for name in names:
        place = block.effect_names.index(name)
        values = {"within": within[:, place], "conditional": conditional[:, place]}
        level = np.asarray(block.levels, dtype=object)
        frame = pd.DataFrame({"grp": block.group, "level": level, "effect": name} | values)
        parts.append(frame.assign(population=population[place]))
    return pd.concat(parts, ignore_index=True)


def _within(z: Any, y: Any, codes: Any, n_levels: int) -> Any:
    """Least squares in the rows of every level; NaN where they cannot tell."""
    k = z.shape[1]
    out = np.full((n_levels, k), np.nan)
    order = np.argsort(codes, kind="stable")
    ends = np.cumsum(np.bincount(codes, minlength=n_levels))[:-1]
    for level, rows in enumerate(np.split(order, ends)):
        found, _, rank, _ = np.linalg.lstsq(z[rows], y[rows], rcond=None)
        if rank == k:
            out[level] = found
    return out


def _plane(axes: Axes, frame: pd.DataFrame, names: list[str], cov: Any, label: int) -> None:
    wide = frame.pivot_table(
        index="level",
        columns="effect",
        values=["within", "conditional", "population"],
        sort=False,
        dropna=False,
    )
    start, end = wide["within"][names].to_numpy(), wide["conditional"][names].to_numpy()
    centre = wide["population"][names].to_numpy()[0]
    ring = outline(cov, 0.95) + centre
    axes.plot(ring[:, 0], ring[:, 1], ":", color=MUTED, lw=1.0)
    known, size = np.isfinite(start).all(axis=1), _dot(len(start))
    axes.plot(*start[known].T, "o", ms=size, mfc="white", mec=MUTED, mew=0.25 * size)
    axes.plot(*end.T, "o", ms=size, color=OKABE_ITO["blue"], mew=0.0)
    _arrows(axes, start[known], end[known])
    axes.plot(*centre, "D", ms=4.5, color=OKABE_ITO["vermillion"], mec="white", mew=0.6)
    axes.set_xlabel(names[0])
    axes.set_ylabel(names[1])
    spread = np.nanstd(start, axis=0)
    moved = np.where(known, np.hypot(*((end - start) / np.where(spread > 0, spread, 1.0)).T), -1.0)
    for furthest in np.argsort(-moved, kind="stable")[:label].tolist():
        if moved[furthest] <= 0.0:
            continue
        shift = 4.0 if start[furthest, 0] >= end[furthest, 0] else -4.0
        name_point(axes, str(wide.index[furthest]), start[furthest], shift, fontsize=6.5)


def _line(axes: Axes, frame: pd.DataFrame, group: str) -> None:
    frame = frame.sort_values("conditional", kind="stable")
    axes.axvline(frame["population"].iloc[0], ls=":", color=MUTED, lw=1.0)
    place, size = np.arange(len(frame)), _dot(len(frame))
    axes.plot(frame["within"], place, "o", ms=size, mfc="white", mec=MUTED, mew=0.25 * size)
    axes.plot(frame["conditional"], place, "o", ms=size, color=OKABE_ITO["blue"], mew=0.0)
    known = frame["within"].notna().to_numpy()
    paths = [np.column_stack([frame[name], place])[known] for name in ("within", "conditional")]
    _arrows(axes, *paths)
    many = len(frame) > MOST_LABELS
    axes.set_yticks([] if many else place, [] if many else [str(v) for v in frame["level"]])
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel(str(frame["effect"].iloc[0]))
    axes.set_ylabel(group)


def _arrows(axes: Axes, starts: Any, ends: Any) -> None:
    """Draw arrows, or lines where there is no room for a head; limits must be settled."""
    if len(starts) > MOST_ARROWS:
        from matplotlib.collections import LineCollection

        axes.add_collection(LineCollection(list(np.stack([starts, ends], 1)), colors=MUTED, lw=0.3))
        return
    axes.autoscale_view()
    style: dict[str, Any] = {"color": MUTED, "lw": 0.7, "shrinkA": 1.5, "shrinkB": 1.9}
    per_point = 72.0 / float(axes.figure.figure.dpi)
    for start, end in zip(starts, ends, strict=True):
        moved = per_point * np.hypot(*np.subtract(*axes.transData.transform([start, end])))
        if moved > SHORTEST_ARROW:
            head = "-|>,head_length=0.25,head_width=0.12"
            axes.annotate("", end, start, arrowprops={**style, "arrowstyle": head})
        else:
            axes.plot(*np.transpose([start, end]), "-", color=MUTED, lw=0.7, zorder=1.5)


def _dot(count: int) -> float:
    return 3.2 if count <= MOST_ARROWS else 1.2


def _handles(n_effects: int) -> list[Any]:
    from matplotlib.lines import Line2D

    plain: dict[str, Any] = {"ls": "", "marker": "o", "ms": 3.2}
    handles = [
        Line2D([], [], mfc="white", mec=MUTED, mew=0.8, label="Within group", **plain),
        Line2D([], [], color=OKABE_ITO["blue"], label="Model", **plain),
    ]
    if n_effects == 2:
        diamond: dict[str, Any] = {"ls": "", "marker": "D", "ms": 4.5, "mec": "white"}
        colour = OKABE_ITO["vermillion"]
        handles.append(Line2D([], [], color=colour, label="Population", **diamond))
    else:
        handles.append(Line2D([], [], color=MUTED, ls=":", lw=1.0, label="Population"))
    return handles
