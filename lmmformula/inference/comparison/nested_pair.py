"""Whether one model contains another: by names where they tell, by arithmetic where not."""

from __future__ import annotations

from typing import Any

import numpy as np

from lmmformula.errors import InferenceWarning, OptionError
from lmmformula.inference.comparison.nesting import check_nested
from lmmformula.inference.comparison.random_change import random_change
from lmmformula.inference.comparison.residual_nesting import (
    residuals_are_nested,
    with_exchangeable_residuals,
)
from lmmformula.inference.comparison.structure_match import has_structures, match_terms
from lmmformula.matrices import ModelMatrices

__all__ = ["is_nested", "not_nested_warning"]

INSTEAD = "compare nested models; `aic` and `bic` need no nesting"


def is_nested(small: ModelMatrices, large: ModelMatrices) -> bool | None:
    """Whether ``large`` contains ``small``; None where it cannot be known without the rows.

    Parameters
    ----------
    small, large : ModelMatrices
        Designs of the same rows, which may be gone.
    """
    small = with_exchangeable_residuals(small, large)
    if not residuals_are_nested(small.residual, large.residual):
        return False
    has_fixed = set(small.fixed_names) <= set(large.fixed_names)
    by_name = has_fixed and _same_relationships(small, large)
    if by_name and not random_change(small.random, large.random).reason:
        return True
    if has_fixed and has_structures(large.random) and match_terms(small.random, large.random):
        return True
    if not (small.n_obs and large.n_obs):
        return None
    try:
        check_nested(small, large, ("small", "large"))
    except OptionError:
        return False
    return True


def _same_relationships(small: ModelMatrices, large: ModelMatrices) -> bool:
    """Whether factors of one name have levels that are related alike."""
    in_large = {block.group: block.relationship for block in large.random}
    for block in small.random:
        one, other = block.relationship, in_large.get(block.group)
        if block.group not in in_large or (one is None and other is None):
            continue
        if one is None or other is None or not np.allclose(one @ one.T, other @ other.T):
            return False
    return True


def not_nested_warning(
    small: str, large: str, suggestion: str = INSTEAD, **facts: Any
) -> InferenceWarning:
    """Say that a comparison has no p-value."""
    return InferenceWarning(
        f"`{small}` is no special case of `{large}`: a likelihood-ratio test needs nested models.",
        got="a missing `pvalue` in its row",
        suggestion=suggestion,
        models=(small, large),
        **facts,
    )
