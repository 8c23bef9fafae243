"""Whether one model contains another: by names where they tell, by arithmetic where not."""

from __future__ import annotations

from typing import Any

from lmmformula.errors import InferenceWarning, OptionError
from lmmformula.inference.comparison.nesting import check_nested
from lmmformula.inference.comparison.random_change import random_change
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
    has_fixed = set(small.fixed_names) <= set(large.fixed_names)
    if has_fixed and not random_change(small.random, large.random).reason:
        return True
    if not (small.n_obs and large.n_obs):
        return None
    try:
        check_nested(small, large, ("small", "large"))
    except OptionError:
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
