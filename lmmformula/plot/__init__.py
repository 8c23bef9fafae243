"""Pictures of mixed models, ready for a paper (``pip install "lmmformula[plot]"``).

Every function takes what it draws first, and ``ax=`` (axes of yours, one for each panel) or
``figure=`` (an empty figure of yours, or a part of one); it returns the figure. ``fit.plot(kind)``
calls the function of that name, and ``data(kind, subject)`` gives the numbers behind it as a frame.
Pages: ``docs/how-to/plots.md``, ``docs/gallery.md``.
"""

from __future__ import annotations

from lmmformula.plot.deletions import influence
from lmmformula.plot.ellipses import ellipse
from lmmformula.plot.forest import coefficients, contrasts
from lmmformula.plot.four_panels import overview
from lmmformula.plot.groups import panels
from lmmformula.plot.heatmap import correlation
from lmmformula.plot.means import interaction, marginal_means
from lmmformula.plot.modes import caterpillar
from lmmformula.plot.optimizer import trace
from lmmformula.plot.profile import density, zeta
from lmmformula.plot.quantiles import qq, random_qq
from lmmformula.plot.registry import PLOTS, data, draw
from lmmformula.plot.replicates import bootstrap, power
from lmmformula.plot.residual_panels import residuals, residuals_by_group, scale_location
from lmmformula.plot.shares import variance
from lmmformula.plot.shrinking import shrinkage
from lmmformula.plot.style import OKABE_ITO

__all__ = [
    "OKABE_ITO",
    "PLOTS",
    "bootstrap",
    "caterpillar",
    "coefficients",
    "contrasts",
    "correlation",
    "data",
    "density",
    "draw",
    "ellipse",
    "influence",
    "interaction",
    "marginal_means",
    "overview",
    "panels",
    "power",
    "qq",
    "random_qq",
    "residuals",
    "residuals_by_group",
    "scale_location",
    "shrinkage",
    "trace",
    "variance",
    "zeta",
]


def __dir__() -> list[str]:
    """Plots only."""
    return list(__all__)
