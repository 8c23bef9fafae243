"""Whether the residuals' covariance of one model is a special case of another's."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from lmmformula._arrays import CodeArray, FloatArray
from lmmformula.matrices import ModelMatrices, RandomBlock, ResidualRows
from lmmformula.residual_covariance import CORRELATIONS, variance_rows

__all__ = ["residuals_are_nested", "with_exchangeable_residuals"]

CONTAINED: dict[str, frozenset[str]] = {
    "cs": frozenset({"cs"}),
    "ar1": frozenset({"ar1"}),
    "car1": frozenset({"car1"}),
    "arma": frozenset({"arma", "ar1"}),
    "toep": frozenset({"toep", "arma", "ar1", "cs"}),
    "us": frozenset({"us", "toep", "arma", "ar1", "cs"}),
}
"""Families of correlation that a family has as special cases."""


def residuals_are_nested(small: ResidualRows | None, large: ResidualRows | None) -> bool:
    """Whether every covariance of the smaller model's residuals is one of the larger's.

    Parameters
    ----------
    small, large : ResidualRows or None
        Structures over the same rows; None is independent residuals of equal variance.
    """
    if small is None:
        return True
    if large is None:
        return False
    variances = {part.text for part in large.variances}
    if not {part.text for part in small.variances} <= variances:
        return False
    own = [rows.text for rows in variance_rows(small)[len(small.variances) :]]
    has_own = len(variance_rows(large)) > len(large.variances)
    if own and not has_own:
        return False
    return small.correlation is None or _correlations_are_nested(small, large)


def _correlations_are_nested(small: ResidualRows, large: ResidualRows) -> bool:
    if large.correlation is None or small.correlation is None:
        return False
    one, other = CORRELATIONS[small.correlation], CORRELATIONS[large.correlation]
    if one.family not in CONTAINED[other.family] or not _same_groups(small.codes, large.codes):
        return False
    exchangeable = one.time == "none"
    return exchangeable or _same_groups(small.positions, large.positions)


def _same_groups(one: CodeArray | FloatArray, other: CodeArray | FloatArray) -> bool:
    """Whether rows fall into the same classes, whatever their numbers."""
    if len(one) != len(other):
        return False
    left, right = (np.unique(codes, return_inverse=True)[1].ravel() for codes in (one, other))
    pairs = np.unique(np.column_stack([left, right]), axis=0)
    return len(pairs) == len(np.unique(left)) == len(np.unique(right))


def with_exchangeable_residuals(small: ModelMatrices, large: ModelMatrices) -> ModelMatrices:
    """The smaller model with a random intercept written as the correlation that it implies.

    Only where the larger one has a correlation over the same levels and lacks the random intercept:
    ``(1 | g)`` is a special case of ``residual="us(t | g)"``.
    """
    residual = large.residual
    if residual is None or residual.correlation is None or small.residual is not None:
        return small
    if residual.group in {block.group for block in large.random}:
        return small
    for index, block in enumerate(small.random):
        if _is_intercept(block) and _same_groups(block.codes, residual.codes):
            kept = tuple(other for i, other in enumerate(small.random) if i != index)
            shared = replace(residual, correlation="homcs", variances=())
            return replace(small, random=kept, residual=shared)
    return small


def _is_intercept(block: RandomBlock) -> bool:
    return block.n_effects == 1 and block.relationship is None and bool(np.all(block.z == 1.0))
