"""Linear mixed models from R-style formulas.

>>> import lmmformula as lf
>>> fit = lf.lmer("Reaction ~ Days + (Days | Subject)", lf.load_dataset("sleepstudy"))
>>> fit.converged
True
"""

from __future__ import annotations

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
    LMMError,
    LMMWarning,
    NumericalError,
    OptionError,
    RankWarning,
    SingularFitWarning,
)
from lmmformula.inference.likelihood_ratio import anova
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
    "LMMError",
    "LMMWarning",
    "LinearMixedModel",
    "LinearMixedResults",
    "NumericalError",
    "OptionError",
    "RankWarning",
    "SingularFitWarning",
    "anova",
    "list_datasets",
    "lmer",
    "lmm",
    "load",
    "load_dataset",
]

__version__ = "0.1.0"
