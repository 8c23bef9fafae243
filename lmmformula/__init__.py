"""Linear mixed models from R-style formulas.

A tour
======

Fit. Data are a pandas, polars or pyarrow table, or a dict of arrays; `lf.list_datasets()` names
those that come with the package.

>>> import lmmformula as lf
>>> data = lf.load_dataset("sleepstudy")
>>> fit = lf.lmer("Reaction ~ Days + (Days | Subject)", data)  # REML; reml=False for ML
>>> fit.converged
True

Look. `print(fit.summary())` prints the tables, `fit.check()` says what is odd in plain sentences.

>>> fit.params.round(3).to_dict()                   # also bse, tvalues, pvalues, conf_int()
{'Intercept': 251.405, 'Days': 10.467}
>>> fit.varcorr.to_frame()["sdcor"].round(2).tolist()  # standard deviations, correlation, sigma
[24.74, 5.92, 0.07, 25.59]
>>> fit.random_effects["Subject"].shape              # conditional modes, level by effect
(18, 2)

Test and estimate. Degrees of freedom are Satterthwaite's, or `ddf="kenward-roger"`.

>>> fit.anova().round(2)["F"].tolist()               # F tests of terms, type III
[45.85]
>>> means = fit.marginal_means(at={"Days": [0, 9]})  # .contrasts("pairwise") compares them
>>> intervals = fit.conf_int(method="profile")       # or "boot", "kenward-roger", ...

Compare, predict, simulate.

>>> small = lf.lmer("Reaction ~ Days + (1 | Subject)", data)
>>> table = lf.anova(small, fit)                     # likelihood ratio; lf.compare for AIC
>>> fit.predict({"Days": [10], "Subject": ["308"]}).round(1).tolist()
[450.3]
>>> limits = fit.predict({"Days": [10]}, random="none", interval="confidence")

Show. `fit.plot()` draws (extra `plot`), `lf.etable(small, fit)` sets models side by side.

More of it: `fit.profile()`, `fit.bootstrap(n, seed)`, `fit.influence()`, `fit.icc()`, `fit.r2()`,
`fit.tidy()`, `fit.augment()`, `fit.save(path)`, `fit.to_json(path)`; `lf.power` and `lf.plan` for
studies to come; `lf.rm_anova`, `lf.aov` and `lf.one_way_random` for textbook designs; structures
such as `ar1(0 + visit | id)` in formulas, `residual=`, `variance=` and `relationship=` in `lf.lmm`;
`lf.LinearMixedRegressor` for scikit-learn; `lf.compare_with_lme4(fit)` where R is installed.

What can go wrong is said in sentences: errors are `lf.LMMError`, warnings `lf.LMMWarning`, with
what was found and what to try. `help(lf.LinearMixedResults)` lists everything that a fit can do. In
a shell the same program is called `lmmformula`.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

# Public names and the modules that define them. They are loaded when first used, so that importing
# the package costs nothing; the imports below tell type checkers and editors the same thing.
_HOMES = {
    "lmmformula.classical.aov_table": ("aov",),
    "lmmformula.classical.one_way_random": ("one_way_random",),
    "lmmformula.classical.rm_anova": ("rm_anova",),
    "lmmformula.datasets": ("list_datasets", "load_dataset"),
    "lmmformula.design.pedigree": ("pedigree_relationship",),
    "lmmformula.design.stream.open": ("stream",),
    "lmmformula.errors": (
        "ConvergenceWarning",
        "DataError",
        "DataWarning",
        "DesignError",
        "DesignWarning",
        "DimensionError",
        "DroppedRowsWarning",
        "FormulaError",
        "FormulaWarning",
        "InferenceWarning",
        "LMMError",
        "LMMWarning",
        "NumericalError",
        "OptionError",
        "RankWarning",
        "SingularFitWarning",
    ),
    "lmmformula.inference.bootstrap.lrt": ("bootstrap_lrt",),
    "lmmformula.inference.comparison.criteria": ("compare",),
    "lmmformula.inference.comparison.likelihood_ratio": ("anova",),
    "lmmformula.inference.comparison.restricted_lrt": ("exact_rlrt",),
    "lmmformula.interop.frames": ("as_frame",),
    "lmmformula.interop.lme4": ("compare_with_lme4",),
    "lmmformula.interop.record": ("FitRecord", "from_json"),
    "lmmformula.interop.regressor": ("LinearMixedRegressor",),
    "lmmformula.calls": ("lmer", "lmm", "load"),
    "lmmformula.model": ("LinearMixedModel",),
    "lmmformula.planning.curve": ("power_curve",),
    "lmmformula.planning.plan": ("plan",),
    "lmmformula.planning.power": ("power",),
    "lmmformula.planning.simulate_design": ("simulate_design",),
    "lmmformula.publish.etable": ("etable",),
    "lmmformula.results": ("LinearMixedResults",),
}
_MODULES = ("plot",)  # public as they are, loaded when first used

if TYPE_CHECKING:
    from lmmformula import plot
    from lmmformula.calls import lmer, lmm, load
    from lmmformula.classical.aov_table import aov
    from lmmformula.classical.one_way_random import one_way_random
    from lmmformula.classical.rm_anova import rm_anova
    from lmmformula.datasets import list_datasets, load_dataset
    from lmmformula.design.pedigree import pedigree_relationship
    from lmmformula.design.stream.open import stream
    from lmmformula.errors import (
        ConvergenceWarning,
        DataError,
        DataWarning,
        DesignError,
        DesignWarning,
        DimensionError,
        DroppedRowsWarning,
        FormulaError,
        FormulaWarning,
        InferenceWarning,
        LMMError,
        LMMWarning,
        NumericalError,
        OptionError,
        RankWarning,
        SingularFitWarning,
    )
    from lmmformula.inference.bootstrap.lrt import bootstrap_lrt
    from lmmformula.inference.comparison.criteria import compare
    from lmmformula.inference.comparison.likelihood_ratio import anova
    from lmmformula.inference.comparison.restricted_lrt import exact_rlrt
    from lmmformula.interop.frames import as_frame
    from lmmformula.interop.lme4 import compare_with_lme4
    from lmmformula.interop.record import FitRecord, from_json
    from lmmformula.interop.regressor import LinearMixedRegressor
    from lmmformula.model import LinearMixedModel
    from lmmformula.planning.curve import power_curve
    from lmmformula.planning.plan import plan
    from lmmformula.planning.power import power
    from lmmformula.planning.simulate_design import simulate_design
    from lmmformula.publish.etable import etable
    from lmmformula.results import LinearMixedResults

__all__ = [
    "ConvergenceWarning",
    "DataError",
    "DataWarning",
    "DesignError",
    "DesignWarning",
    "DimensionError",
    "DroppedRowsWarning",
    "FitRecord",
    "FormulaError",
    "FormulaWarning",
    "InferenceWarning",
    "LMMError",
    "LMMWarning",
    "LinearMixedModel",
    "LinearMixedRegressor",
    "LinearMixedResults",
    "NumericalError",
    "OptionError",
    "RankWarning",
    "SingularFitWarning",
    "anova",
    "aov",
    "as_frame",
    "bootstrap_lrt",
    "compare",
    "compare_with_lme4",
    "etable",
    "exact_rlrt",
    "from_json",
    "list_datasets",
    "lmer",
    "lmm",
    "load",
    "load_dataset",
    "one_way_random",
    "pedigree_relationship",
    "plan",
    "plot",
    "power",
    "power_curve",
    "rm_anova",
    "simulate_design",
    "stream",
]


def __getattr__(name: str) -> Any:
    """Load a public name from its module."""
    if name in _MODULES:
        return import_module(f"{__name__}.{name}")
    for home, names in _HOMES.items():
        if name in names:
            value = getattr(import_module(home), name)
            globals()[name] = value
            return value
    # with the module at hand, Python itself suggests the nearest name
    raise AttributeError(
        f"module {__name__!r} has no attribute {name!r}", name=name, obj=sys.modules[__name__]
    )


def __dir__() -> list[str]:
    """Public names only."""
    return [*__all__, "__version__"]
