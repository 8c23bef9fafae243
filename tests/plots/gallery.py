"""Every plot at a pinned theta, so that no optimizer can change the picture.

``python -m tests.plots.regenerate`` writes the stored images; look at the differences.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

import lmmformula as lf
from lmmformula.optimize import Optimum, OptimumStatus
from lmmformula.optimize.records import Step
from lmmformula.plot import PLOTS

BASELINE = Path(__file__).with_name("baseline")
VERSIONS = BASELINE / "versions.json"
DPI = 100
KINDS = tuple(PLOTS)
"""The package's own, whatever a page registers later."""


@cache
def slopes() -> lf.LinearMixedResults:
    """Return random slopes for sleepstudy, near the optimum."""
    data = lf.load_dataset("sleepstudy")
    return lf.lmm("Reaction ~ Days + (Days | Subject)", data).at([0.97, 0.015, 0.23])


@cache
def intercepts() -> lf.LinearMixedResults:
    """Return random intercepts for the same data."""
    data = lf.load_dataset("sleepstudy")
    return lf.lmm("Reaction ~ Days + (1 | Subject)", data).at([1.2])


@cache
def machines() -> lf.LinearMixedResults:
    """Return three correlated effects of few workers."""
    data = lf.load_dataset("machines")
    theta = [4.2, 7.2, 2.8, 5.4, 2.1, 2.9]
    return lf.lmm("score ~ 0 + Machine + (0 + Machine | Worker)", data).at(theta)


@cache
def cake() -> lf.LinearMixedResults:
    """Return a split plot with an interaction."""
    data = lf.load_dataset("cake")
    formula = "angle ~ recipe * temperature + (1 | recipe:replicate)"
    return lf.lmm(formula, data).at([1.4])


@cache
def penicillin() -> lf.LinearMixedResults:
    """Return crossed random effects."""
    data = lf.load_dataset("penicillin")
    return lf.lmm("diameter ~ 1 + (1 | plate) + (1 | sample)", data).at([1.54, 3.51])


@cache
def serial() -> lf.LinearMixedResults:
    """Return residuals correlated along the days of a subject."""
    data = lf.load_dataset("sleepstudy")
    model = lf.lmm("Reaction ~ Days", data, residual="ar1(Days | Subject)")
    return model.at([0.76])


@cache
def profile() -> Any:
    """Return profiles; they start from the maximum, which is certified, so they are pinned too."""
    data = lf.load_dataset("sleepstudy")
    return lf.lmm("Reaction ~ Days + (Days | Subject)", data).fit(reml=False).profile()


def way() -> Optimum:
    """Return an optimum with a trace of its own making."""
    rows = [
        (1795.2, 41.0, 0.0, "start"),
        (1771.8, 18.0, 0.7, "average"),
        (1790.1, np.nan, 0.9, "exact, rejected"),
        (1752.6, 3.1, 0.45, "exact"),
        (1751.95, 0.2, 0.12, "exact"),
        (1751.9394, 9e-4, 0.02, "exact"),
        (1751.9394, 2e-8, 1e-4, "exact"),
    ]
    steps = tuple(Step(number, *row) for number, row in enumerate(rows, start=1))
    status = OptimumStatus.CONVERGED
    return Optimum(np.array([0.97]), 1751.9394, status, len(rows), 2e-8, 0.1, steps)


def curve() -> Any:
    """Return a small power curve."""
    levels = {"Subject": [4, 6, 8, 12, 18]}
    return lf.power_curve(slopes(), "Days", 60, seed=3, effect=6.0, levels=levels, test="wald")


Case = tuple[str, Callable[[], Any], dict[str, Any]]

CASES: dict[str, Case] = {
    "overview": ("overview", slopes, {}),
    "panels": ("panels", slopes, {"order": "Intercept"}),
    "caterpillar": ("caterpillar", slopes, {}),
    "caterpillar-crossed": ("caterpillar", penicillin, {"term": "plate"}),
    "shrinkage": ("shrinkage", slopes, {}),
    "shrinkage-one": ("shrinkage", intercepts, {}),
    "ellipse": ("ellipse", slopes, {}),
    "ellipse-three": ("ellipse", machines, {}),
    "random_qq": ("random_qq", slopes, {"label": 2}),
    "residuals": ("residuals", slopes, {}),
    "scale_location": ("scale_location", slopes, {}),
    "qq": ("qq", slopes, {}),
    "residuals_by_group": ("residuals_by_group", slopes, {}),
    "influence": ("influence", slopes, {"exact": False}),
    "coefficients": (
        "coefficients",
        lambda: {"Additive": linear("+"), "With interaction": linear("*")},
        {},
    ),
    "marginal_means": ("marginal_means", cake, {"variables": "temperature"}),
    "marginal_means-letters": (
        "marginal_means",
        cake,
        {"variables": "temperature", "by": "recipe", "comparisons": "letters"},
    ),
    "contrasts": (
        "contrasts",
        lambda: cake().marginal_means("temperature").contrasts("consec"),
        {},
    ),
    "interaction": ("interaction", cake, {"x": "temperature", "trace": "recipe"}),
    "variance": (
        "variance",
        lambda: {"Intercepts": intercepts(), "Slopes": slopes()},
        {},
    ),
    "correlation": ("correlation", machines, {}),
    "correlation-residuals": ("correlation", serial, {}),
    "zeta": ("zeta", profile, {}),
    "density": ("density", profile, {}),
    "bootstrap": ("bootstrap", lambda: slopes().bootstrap(300, seed=1), {}),
    "power": ("power", curve, {}),
    "trace": ("trace", way, {}),
}


@cache
def linear(sign: str) -> lf.LinearMixedResults:
    """Return the split plot with a slope of the temperature, by ten degrees."""
    data = lf.load_dataset("cake")
    data["temp10"] = (data["temp"] - 200.0) / 10.0
    return lf.lmm(f"angle ~ recipe {sign} temp10 + (1 | recipe:replicate)", data).at([1.4])


@cache
def subject_of(case: str) -> Any:
    """Make what a case draws, once."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", lf.LMMWarning)
        return CASES[case][1]()


def make(case: str) -> Any:
    """Draw a case with matplotlib's own settings, whatever those of the machine."""
    import matplotlib as mpl

    kind, _, options = CASES[case]
    with mpl.rc_context(), warnings.catch_warnings():
        warnings.simplefilter("ignore", lf.LMMWarning)
        mpl.rcdefaults()
        mpl.rcParams["font.family"] = "DejaVu Sans"
        return PLOTS[kind].draw(subject_of(case), **options)


def pixels(figure: Any) -> Any:
    """Render with Agg: red, green and blue of every pixel, 0 to 255."""
    import matplotlib as mpl
    from matplotlib.image import imread

    with mpl.rc_context(), BytesIO() as stream:
        mpl.rcdefaults()
        figure.savefig(stream, format="png", dpi=DPI)
        stream.seek(0)
        return read(stream, imread)


def read(source: Any, imread: Any = None) -> Any:
    """Red, green and blue of a stored image, 0 to 255."""
    from matplotlib.image import imread as default

    return 255.0 * np.asarray((imread or default)(source), dtype=np.float64)[..., :3]


def versions() -> dict[str, str]:
    """What decides over pixels."""
    import matplotlib as mpl
    from matplotlib import ft2font

    return {"matplotlib": mpl.__version__, "freetype": ft2font.__freetype_version__}
