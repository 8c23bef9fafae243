"""Tests of random effects by single-term deletions (``ranova``)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from lmmformula.design.notify import notify
from lmmformula.errors import InferenceWarning
from lmmformula.inference.boundary import (
    Fitted,
    check_boundary,
    mixture_for,
    no_mixture_warning,
)
from lmmformula.inference.deletion_table import check_estimated, deletion_frame
from lmmformula.inference.mixtures import Mixture
from lmmformula.inference.nested_pair import is_nested
from lmmformula.inference.submodels import (
    Submodel,
    SubmodelFit,
    fit_submodel,
    random_reductions,
)

__all__ = ["ranova_frame"]


def ranova_frame(results: Any, *, reduce_terms: bool, boundary: Any) -> pd.DataFrame:
    """Test every random effect; see ``LinearMixedResults.ranova``."""
    check_boundary(boundary)
    check_estimated(results, "ranova")
    reml = results.criterion == "REML"
    models = list(random_reductions(results.design, reduce_terms=reduce_terms))
    fits = [fit_submodel(model, results, reml=reml) for model in models]
    table = deletion_frame(results, models, fits)
    for model in models:
        if not is_nested(model.matrices, results.design.matrices):
            table.loc[model.label, "pvalue"] = np.nan
            notify(_not_nested(model, results.formula))
    return table if boundary is None else _corrected(table, results, models, fits)


def _corrected(
    table: pd.DataFrame, results: Any, models: list[Submodel], fits: list[SubmodelFit]
) -> pd.DataFrame:
    full = Fitted.of(results)
    texts = [""]
    for row, (model, fit) in enumerate(zip(models, fits, strict=True), start=1):
        matrices = model.matrices
        small = Fitted(matrices.p, matrices.random, fit.templates, fit.system)
        found = "the models are not nested"
        if table["df"].iloc[row] > 0 and not np.isnan(table["pvalue"].iloc[row]):
            found = mixture_for(small, full, is_nested=True)
        texts.append("")
    return table.assign(mixture=texts)


def _not_nested(model: Submodel, formula: str) -> InferenceWarning:
    return InferenceWarning(
        f"`{model.label}` has no p-value: what is left is no special case of the full model.",
        got=f"`{model.formula}` against `{formula}`",
        suggestion="`ranova(reduce_terms=False)` drops whole terms",
        term=model.label,
    )
