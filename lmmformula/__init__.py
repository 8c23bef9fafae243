"""Linear mixed models from R-style formulas.

>>> import lmmformula as lf
>>> fit = lf.lmer("Reaction ~ Days + (Days | Subject)", lf.load_dataset("sleepstudy"))
>>> fit.converged
True
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

# Public names and the modules that define them. They are loaded when first used, so that importing
# the package costs nothing; the imports below tell type checkers and editors the same thing.
_HOMES = {
    "lmmformula.datasets": ("list_datasets", "load_dataset"),
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
    "lmmformula.inference.comparison.likelihood_ratio": ("anova",),
    "lmmformula.inference.comparison.restricted_lrt": ("exact_rlrt",),
    "lmmformula.model": ("LinearMixedModel", "lmer", "lmm", "load"),
    "lmmformula.results": ("LinearMixedResults",),
}

if TYPE_CHECKING:
    from lmmformula.datasets import list_datasets, load_dataset
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
    from lmmformula.inference.comparison.likelihood_ratio import anova
    from lmmformula.inference.comparison.restricted_lrt import exact_rlrt
    from lmmformula.model import LinearMixedModel, lmer, lmm, load
    from lmmformula.results import LinearMixedResults

__all__ = [
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
    "LinearMixedModel",
    "LinearMixedResults",
    "NumericalError",
    "OptionError",
    "RankWarning",
    "SingularFitWarning",
    "anova",
    "bootstrap_lrt",
    "exact_rlrt",
    "list_datasets",
    "lmer",
    "lmm",
    "load",
    "load_dataset",
]


def __getattr__(name: str) -> Any:
    """Load a public name from its module."""
    for home, names in _HOMES.items():
        if name in names:
            value = getattr(import_module(home), name)
            globals()[name] = value
            return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """Public names only."""
    return [*__all__, "__version__"]
