"""The one table of plots, and how they are asked for by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from lmmformula.design.sources import closest_name, listed
from lmmformula.errors import OptionError
from lmmformula.plot import (
    deletions,
    ellipses,
    forest,
    four_panels,
    groups,
    heatmap,
    means,
    modes,
    optimizer,
    profile,
    quantiles,
    replicates,
    residual_panels,
    shares,
    shrinking,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["PLOTS", "Plot", "data", "draw"]

FIT = "fit"


@dataclass(frozen=True, slots=True)
class Plot:
    """One kind of plot.

    Attributes
    ----------
    draw : callable
        Subject and options to a figure.
    data : callable
        The same to the frame behind the figure.
    of : str
        What it draws: "fit", or what else must be made of one first.
    caption : str
        What it shows, in a line.
    """

    draw: Callable[..., Figure]
    data: Callable[..., pd.DataFrame]
    of: str
    caption: str


def data(kind: str, subject: Any, *args: Any, **options: Any) -> pd.DataFrame:
    """Return the numbers behind a plot; matplotlib is not needed.

    Parameters
    ----------
    kind : str
        Name of the plot.
    subject : object
        What it draws: a fit, a profile, ...
    *args, **options
        Options of the plot that choose what is drawn.

    Returns
    -------
    DataFrame

    Raises
    ------
    OptionError
        There is no such plot, or it has no such option.

    Examples
    --------
    >>> import lmmformula as lf
    >>> fit = lf.lmer("Yield ~ 1 + (1 | Batch)", lf.load_dataset("dyestuff"))
    >>> lf.plot.data("caterpillar", fit)["level"].tolist()
    ['F', 'D', 'A', 'B', 'C', 'E']
    """
    frame: pd.DataFrame = _call(_plot(kind).data, kind, subject, args, options)
    return frame


def draw(kind: str, subject: Any, *args: Any, **options: Any) -> Figure:
    """Draw a plot by its name: ``draw("qq", fit)`` is ``lf.plot.qq(fit)``.

    Parameters
    ----------
    kind : str
        Name of the plot.
    subject : object
        What it draws.
    *args, **options
        Its options.

    Returns
    -------
    Figure

    Raises
    ------
    OptionError
        There is no such plot, or it has no such option.
    """
    figure: Figure = _call(_plot(kind).draw, kind, subject, args, options)
    return figure


def _plot(kind: str) -> Plot:
    if isinstance(kind, str) and kind in PLOTS:
        return PLOTS[kind]
    closest = closest_name(str(kind), list(PLOTS))
    raise OptionError(
        f"there is no plot called {kind!r}.",
        got=f"available: {listed(list(PLOTS), limit=len(PLOTS))}",
        suggestion=f"`{closest or 'overview'}`",
        argument="kind",
        value=kind,
        closest=closest,
        available=tuple(PLOTS),
    )


def _call(
    function: Callable[..., Any],
    kind: str,
    subject: Any,
    args: tuple[Any, ...],
    options: dict[str, Any],
) -> Any:
    """Call with options that exist, or say which do."""
    parameters = inspect.signature(function).parameters
    takes_any = any(item.kind is item.VAR_KEYWORD for item in parameters.values())
    known = [name for name in list(parameters)[1:] if name != "options"]
    wrong = [name for name in options if name not in known]
    if wrong and not takes_any:
        closest = closest_name(wrong[0], known)
        raise OptionError(
            f"the plot {kind!r} has no option `{wrong[0]}`.",
            got=f"options: {', '.join(known)}",
            suggestion=f"`{closest}=`" if closest else f"`help(lf.plot.{kind})`",
            argument=wrong[0],
            closest=closest,
            available=tuple(known),
        )
    try:
        inspect.signature(function).bind(subject, *args, **options)
    except TypeError as error:
        raise OptionError(
            f"the plot {kind!r} cannot be called like this.",
            got=str(error),
            suggestion=f"`help(lf.plot.{kind})`",
            available=tuple(known),
        ) from None
    return function(subject, *args, **options)


PLOTS: dict[str, Plot] = {
    "overview": Plot(
        four_panels.overview,
        four_panels.overview_data,
        FIT,
        "Four panels at a glance",
    ),
    "panels": Plot(
        groups.panels, groups.panels_data, FIT, "Groups with the population's line and their own"
    ),
    "caterpillar": Plot(
        modes.caterpillar,
        modes.caterpillar_data,
        FIT,
        "Random effects with their intervals, sorted",
    ),
    "shrinkage": Plot(
        shrinking.shrinkage,
        shrinking.shrinkage_data,
        FIT,
        "From estimates within groups to those of the model",
    ),
    "ellipse": Plot(
        ellipses.ellipse, ellipses.ellipse_data, FIT, "Covariance of random effects as ellipses"
    ),
    "random_qq": Plot(
        quantiles.random_qq, quantiles.random_qq_data, FIT, "Normal quantiles of random effects"
    ),
    "residuals": Plot(
        residual_panels.residuals,
        residual_panels.residuals_data,
        FIT,
        "Residuals against fitted values",
    ),
    "scale_location": Plot(
        residual_panels.scale_location,
        residual_panels.scale_location_data,
        FIT,
        "Spread of the residuals against fitted values",
    ),
    "qq": Plot(
        quantiles.qq, quantiles.qq_data, FIT, "Normal quantiles of residuals with an envelope"
    ),
    "residuals_by_group": Plot(
        residual_panels.residuals_by_group,
        residual_panels.residuals_by_group_data,
        FIT,
        "Residuals in every group",
    ),
    "influence": Plot(
        deletions.influence, deletions.influence_data, FIT, "What leaving out a group changes"
    ),
    "coefficients": Plot(
        forest.coefficients,
        forest.coefficients_data,
        FIT,
        "Fixed effects of one or several models",
    ),
    "marginal_means": Plot(
        means.marginal_means,
        means.marginal_means_data,
        FIT,
        "Marginal means with comparison arrows or letters",
    ),
    "contrasts": Plot(
        forest.contrasts,
        forest.contrasts_data,
        "contrasts",
        "Contrasts with simultaneous intervals",
    ),
    "interaction": Plot(
        means.interaction, means.interaction_data, FIT, "Marginal means of two variables"
    ),
    "variance": Plot(shares.variance, shares.variance_data, FIT, "Shares of the variance"),
    "correlation": Plot(
        heatmap.correlation,
        heatmap.correlation_data,
        FIT,
        "Correlations of effects or of residuals",
    ),
    "zeta": Plot(profile.zeta, profile.zeta_data, FIT, "Profile zeta, and its intervals"),
    "density": Plot(
        profile.density, profile.density_data, FIT, "Densities that profiles stand for"
    ),
    "bootstrap": Plot(
        replicates.bootstrap,
        replicates.bootstrap_data,
        "bootstrap replicates",
        "Bootstrap replicates, estimate and interval",
    ),
    "power": Plot(
        replicates.power, replicates.power_data, "a power curve", "Power by the size of a study"
    ),
    "trace": Plot(optimizer.trace, optimizer.trace_data, FIT, "The optimizer's way to the minimum"),
}
