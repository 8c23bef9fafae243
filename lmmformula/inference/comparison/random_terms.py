"""Tests of random effects by single-term deletions (``ranova``)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from lmmformula.design.notify import notify
from lmmformula.errors import InferenceWarning
from lmmformula.inference.comparison.boundary import (
    Boundary,
    Fitted,
    check_boundary,
    no_mixture_warning,
    null_for,
)
from lmmformula.inference.comparison.deletion_table import check_estimated, deletion_frame
from lmmformula.inference.comparison.nested_pair import is_nested, not_nested_warning
from lmmformula.inference.comparison.submodels import (
    Submodel,
    SubmodelFit,
    fit_submodel,
    random_reductions,
)
from lmmformula.postfit.progress import Progress, watched
from lmmformula.postfit.requirements import require_random_effects

__all__ = ["ranova_frame"]


def ranova_frame(
    results: Any, *, reduce_terms: bool, boundary: Any, seed: Any, progress: Progress = None
) -> pd.DataFrame:
    """Test every random effect; see ``DeletionTables.ranova``.

    Parameters
    ----------
    results : LinearMixedResults
        The fit, with its rows.
    reduce_terms : bool
        Take out effects rather than whole terms.
    boundary, seed
        As for ``lf.anova``.
    """
    check_boundary(boundary)
    check_estimated(results, "ranova")
    require_random_effects(
        results.design.matrices, "`ranova()`", "`lf.anova(...)` of fits with other `residual=`"
    )
    reml = results.criterion == "REML"
    models = list(random_reductions(results.design, reduce_terms=reduce_terms))
    fitting = watched(models, progress, "ranova", "fits")
    fits = [fit_submodel(model, results, reml=reml) for model in fitting]
    table = deletion_frame(results, models, fits)
    nested = [bool(is_nested(model.matrices, results.design.matrices)) for model in models]
    table["pvalue"] = table["pvalue"].where(np.array([True, *nested]))
    for model, holds in zip(models, nested, strict=True):
        if not holds:
            notify(_not_nested(model, results.formula))
    if boundary is None:
        return table
    return _corrected(table, results, models, fits, nested, Boundary(boundary, reml, seed))


def _corrected(
    table: pd.DataFrame,
    results: Any,
    models: Sequence[Submodel],
    fits: Sequence[SubmodelFit],
    nested: Sequence[bool],
    how: Boundary,
) -> pd.DataFrame:
    """Replace the p-values and say which distribution they come from."""
    full = Fitted.of(results)
    pvalues, texts = [np.nan], [""]
    for model, fit, holds, lrt in zip(models, fits, nested, table["lrt"][1:], strict=True):
        pvalue, text = np.nan, ""
        if holds:
            small = Fitted(model.matrices, fit.templates, fit.system)
            found = null_for(small, full, how, is_nested=True)
            if isinstance(found, str):
                notify(no_mixture_warning(found, model.formula, results.formula))
            else:
                pvalue, text = found.survival(float(lrt)), str(found)
        pvalues.append(pvalue)
        texts.append(text)
    return table.assign(pvalue=pvalues, mixture=pd.array(texts, dtype=object))


def _not_nested(model: Submodel, formula: str) -> InferenceWarning:
    suggestion = "`ranova(reduce_terms=False)`, which takes out whole terms"
    return not_nested_warning(model.formula, formula, suggestion, term=model.label)
