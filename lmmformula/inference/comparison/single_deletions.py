"""Tests of fixed-effects terms by single-term deletions (``drop1``)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from lmmformula.design import DesignSpec
from lmmformula.design.terms import PartTerm
from lmmformula.errors import OptionError
from lmmformula.inference.comparison.deletion_table import check_estimated, deletion_frame
from lmmformula.inference.comparison.recoding import droppable
from lmmformula.inference.comparison.submodels import fit_submodel, without_fixed
from lmmformula.postfit.progress import Progress, watched

__all__ = ["drop1_frame"]


def drop1_frame(
    results: Any, scope: str | Sequence[str] | None, progress: Progress = None
) -> pd.DataFrame:
    """Test every term that no other contains; see ``DeletionTables.drop1``.

    Parameters
    ----------
    results : LinearMixedResults
        The fit, with its rows.
    scope : str, sequence of str or None
        Labels of the terms to take out.
    progress : bool, callable or None
        Whether to show progress.
    """
    check_estimated(results, "drop1")
    terms = _chosen(results.design.spec, scope)
    full = results.refit_ml()
    models = [without_fixed(results.design, term) for term in terms]
    fitting = watched(models, progress, "drop1", "fits")
    fits = [fit_submodel(model, full, reml=False) for model in fitting]
    return deletion_frame(full, models, fits)


def _chosen(spec: DesignSpec, scope: str | Sequence[str] | None) -> list[PartTerm]:
    labels = [term.label for term in spec.fixed_terms if term.variables]
    terms = dict(zip(labels, spec.part.terms, strict=True))
    allowed = droppable(spec.part)
    available = tuple(label for label, term in terms.items() if term in allowed)
    if scope is None:
        return [terms[label] for label in available]
    wanted = [scope] if isinstance(scope, str) else list(scope)
    for label in wanted:
        if label not in terms:
            raise _unknown(label, available)
        if label not in available:
            raise _contained(label, terms, available)
    return [terms[label] for label in labels if label in wanted]


def _unknown(label: Any, available: tuple[str, ...]) -> OptionError:
    return OptionError(
        f"`{label}` is not a term of the fixed effects that can be dropped.",
        got=f"terms: {', '.join(f'`{name}`' for name in available) or 'none'}",
        suggestion=f"`drop1(scope={list(available[:1])!r})`"
        if available
        else "a formula with terms",
        argument="scope",
        term=label,
        available=available,
    )


def _contained(label: str, terms: dict[str, PartTerm], available: tuple[str, ...]) -> OptionError:
    own = set(terms[label].factors)
    above = tuple(name for name, term in terms.items() if own < set(term.factors))
    return OptionError(
        f"`{label}` cannot be dropped while the model holds terms that contain it.",
        got=f"{', '.join(f'`{name}`' for name in above)}",
        suggestion=f"drop `{above[-1]}` first, or test it by `anova(type='II')`",
        argument="scope",
        term=label,
        contained_in=above,
        available=available,
    )
