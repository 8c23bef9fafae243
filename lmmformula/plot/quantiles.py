"""Normal quantile plots of residuals and of random effects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.special import ndtri

from lmmformula._arrays import FloatArray
from lmmformula.errors import OptionError
from lmmformula.inference.effects.wald import check_alpha
from lmmformula.plot.canvas import canvas
from lmmformula.plot.modes import MOST_LABELS, modes
from lmmformula.plot.residual_panels import MANY
from lmmformula.plot.style import DOUBLE, INK, MUTED, OKABE_ITO, SINGLE, name_point
from lmmformula.plot.subjects import chosen, count_of, fit_of, one_of, residual_kind, term_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from lmmformula.results import LinearMixedResults

__all__ = ["qq", "qq_data", "random_qq", "random_qq_data"]

ENVELOPES = ("pointwise", "simulation", "none")


def qq(
    fit: LinearMixedResults,
    residual: str | None = None,
    *,
    envelope: str = "pointwise",
    alpha: float = 0.05,
    n: int = 199,
    seed: Any = None,
    ax: Any = None,
    figure: Any = None,
) -> Figure:
    """Residuals against quantiles of the normal distribution, with an envelope.

    Parameters
    ----------
    fit : LinearMixedResults
        A fit with its rows.
    residual : str, optional
        "standardized", "normalized" or "scaled"; default as for ``residuals``.
    envelope : {"pointwise", "simulation", "none"}
        Where each order statistic of independent normal residuals would be; or where it is in
        responses simulated from the fit, with theta held; or nothing.
    alpha : float, default 0.05
        Each residual is outside its limits with this probability.
    n : int, default 199
        Responses to simulate.
    seed : int, SeedSequence or Generator
        Source of randomness, needed for "simulation".
    ax, figure
        Axes or an empty figure to draw in.

    Returns
    -------
    Figure

    Notes
    -----
    The i-th smallest of m uniform values has the beta distribution (i, m + 1 - i); its quantiles,
    taken to the normal scale, are the pointwise limits. Residuals of a mixed model are
    dependent, so that they are approximate; simulation is not.

    References
    ----------
    Atkinson (1985), Plots, Transformations and Regression, section 4.2.
    """
    frame = qq_data(fit, residual, envelope=envelope, alpha=alpha, n=n, seed=seed)
    with canvas(ax, figure, width=SINGLE, height=68.0) as place:
        axes = place.panels[0]
        if "lower" in frame:
            band: dict[str, Any] = {"color": OKABE_ITO["sky"], "alpha": 0.3, "lw": 0.0}
            axes.fill_between(frame["quantile"], frame["lower"], frame["upper"], **band)
        ends = frame["quantile"].iloc[[0, -1]]
        axes.plot(ends, ends, color=MUTED, lw=0.8)
        many = len(frame) > MANY
        face: dict[str, Any] = {"mfc": OKABE_ITO["blue"], "mec": "none", "ms": 1.5 if many else 3.0}
        axes.plot(frame["quantile"], frame["residual"], "o", rasterized=many, **face)
        axes.set_xlabel("Normal quantile")
        axes.set_ylabel(residual_kind(fit, residual)[1])
    return place.figure


def qq_data(
    fit: LinearMixedResults,
    residual: str | None = None,
    *,
    envelope: str = "pointwise",
    alpha: float = 0.05,
    n: int = 199,
    seed: Any = None,
) -> pd.DataFrame:
    """Return ``quantile, residual`` and, with an envelope, ``lower, upper``, indexed by row."""
    fit = fit_of(fit, "qq")
    _check_envelope(envelope, seed)
    level = check_alpha(alpha)
    used = residual_kind(fit, residual)[0]
    values = fit.residuals(used).dropna().sort_values(kind="stable")
    frame = pd.DataFrame({"quantile": normal_scores(len(values)), "residual": values})
    if envelope == "pointwise":
        frame["lower"], frame["upper"] = _beta_limits(len(values), level)
    elif envelope == "simulation":
        drawn = _simulated(fit, used, n, seed)
        frame["lower"], frame["upper"] = np.quantile(drawn, [level / 2, 1 - level / 2], axis=0)
    return frame


def random_qq(
    fit: LinearMixedResults,
    term: str | None = None,
    *,
    effects: Any = None,
    alpha: float = 0.05,
    label: int = 0,
    ax: Any = None,
    figure: Any = None,
) -> Figure:
    """Conditional modes against quantiles of the normal distribution, with their intervals.

    Parameters
    ----------
    fit : LinearMixedResults
        A fit with a random-effects term.
    term : str, optional
        Label of the term in ``varcorr``; default: the first.
    effects : str or sequence of str, optional
        Effects to draw, a panel each; default: all of the term.
    alpha : float, default 0.05
        One less the level of the intervals.
    label : int, default 0
        So many levels farthest from zero are named.
    ax, figure
        Axes for every panel, or an empty figure, to draw in.

    Returns
    -------
    Figure
        The line goes through the quartiles.

    Notes
    -----
    Modes are shrunken, the more the less their group tells: with unequal groups they need not
    look normal even where the random effects are.
    """
    frame = random_qq_data(fit, term, effects=effects, alpha=alpha)
    named = count_of(label, "label", 0)
    names = list(dict.fromkeys(frame["effect"]))
    size: dict[str, Any] = {"width": SINGLE if len(names) == 1 else DOUBLE, "height": 68.0}
    columns = min(len(names), 3)
    size["height"] *= -(-len(names) // columns)
    with canvas(ax, figure, count=len(names), columns=columns, **size) as place:
        for axes, name in zip(place.panels, names, strict=True):
            _random_panel(axes, frame[frame["effect"] == name], named)
            axes.set_ylabel(f"{frame['grp'].iloc[0]}: {name}")
            axes.set_xlabel("Normal quantile")
    return place.figure


def random_qq_data(
    fit: LinearMixedResults,
    term: str | None = None,
    *,
    effects: Any = None,
    alpha: float = 0.05,
) -> pd.DataFrame:
    """Return ``grp, level, effect, value, sd, lower, upper, quantile``, sorted by effect."""
    fit = fit_of(fit, "random_qq")
    one = term_of(fit, term, "random_qq")
    names = chosen(effects, one.effects, "effects", f"an effect of `{one.label}`")
    found, parts = modes(fit, one.label, alpha), []
    for name in names:
        frame = found[found["effect"] == name].sort_values("value", kind="stable")
        parts.append(frame.assign(quantile=normal_scores(len(frame))))
    return pd.concat(parts, ignore_index=True)


def normal_scores(count: int) -> FloatArray:
    """Quantiles at which the order statistics are expected (Blom's approximation)."""
    return np.asarray(ndtri((np.arange(1, count + 1) - 0.375) / (count + 0.25)))


def _beta_limits(count: int, alpha: float) -> tuple[FloatArray, FloatArray]:
    from scipy.special import betaincinv

    rank = np.arange(1.0, count + 1.0)
    lower, upper = (
        ndtri(betaincinv(rank, count + 1.0 - rank, p)) for p in (alpha / 2.0, 1.0 - alpha / 2.0)
    )
    return np.asarray(lower), np.asarray(upper)


def _simulated(fit: LinearMixedResults, kind: str, n: int, seed: Any) -> FloatArray:
    """Sorted residuals of simulated responses, (n, rows), theta held."""
    reml = fit.criterion == "REML"
    rows = []
    for response in fit.simulate(n, seed).to_numpy().T:
        again = fit.model.with_response(response).at(fit.theta, reml)
        rows.append(np.sort(again.residuals(kind).dropna().to_numpy()))
    return np.array(rows)


def _check_envelope(envelope: str, seed: Any) -> None:
    one_of(envelope, ENVELOPES, "envelope", "an envelope")
    if envelope == "simulation" and seed is None:
        raise OptionError(
            "a simulated envelope needs a seed, so that the picture can be made again.",
            got="`seed=None`",
            suggestion='`qq(fit, envelope="simulation", seed=1)`',
            argument="seed",
        )


def _random_panel(axes: Axes, frame: pd.DataFrame, label: int) -> None:
    x, y = frame["quantile"].to_numpy(), frame["value"].to_numpy()
    at = ndtri([0.25, 0.75])
    low, high = np.quantile(y, [0.25, 0.75])
    slope = (high - low) / (at[1] - at[0])
    ends = x[[0, -1]]
    axes.plot(ends, low + slope * (ends - at[0]), color=MUTED, lw=0.8)
    many = len(frame) > MOST_LABELS
    shade = "#9CC7E3" if many else OKABE_ITO["sky"]
    axes.vlines(x, frame["lower"], frame["upper"], color=shade, lw=0.3 if many else 0.9)
    face: dict[str, Any] = {"mfc": OKABE_ITO["blue"], "mec": "white", "mew": 0.0 if many else 0.4}
    axes.plot(x, y, "o", ms=1.4 if many else 3.2, **face)
    for place in np.argsort(-np.abs(y), kind="stable")[:label]:
        text, shift = str(frame["level"].iloc[place]), 4.0 if x[place] < 0 else -4.0
        name_point(axes, text, (x[place], y[place]), shift, fontsize=6.0, color=INK)
