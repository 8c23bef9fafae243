"""Members of a known relationship that had no data: what their relatives tell of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from lmmformula._arrays import FloatArray
from lmmformula.design import Design
from lmmformula.design.relationship import factor_solved
from lmmformula.engine import BlockedSystem, Estimates, conditional_covariances
from lmmformula.errors import OptionError
from lmmformula.matrices import RandomBlock
from lmmformula.postfit.effects import ranef_frame
from lmmformula.postfit.records import ModelLike
from lmmformula.postfit.requirements import EXACT, require_exact_engine

__all__ = ["RelativeAccessors", "unobserved_effects", "with_relatives"]


class RelativeAccessors:
    """Random effects of members without data."""

    _model: ModelLike
    _estimates: Estimates

    def ranef_unobserved(self, group: str | None = None, condvar: bool = False) -> pd.DataFrame:
        """Conditional modes of the members of a relationship that have no rows in the data.

        Parameters
        ----------
        group : str, optional
            A grouping factor with a relationship; default: all of them.
        condvar : bool, default False
            Add ``sd``, the conditional standard deviation given theta and sigma.

        Returns
        -------
        DataFrame
            Columns ``grp, level, effect, value[, sd]``, as ``ranef``; without rows where the
            relationship has no further members.

        Raises
        ------
        OptionError
            The factor has no relationship.

        Notes
        -----
        With K split into members with data (o) and without (u), the best linear unbiased
        predictor is b_u = K_uo K_oo^-1 b_o, effect by effect. ``predict`` uses it for rows of
        such members.

        References
        ----------
        Henderson (1977), J. Dairy Sci. 60, 783-787.

        Examples
        --------
        >>> import lmmformula as lf
        >>> K = lf.pedigree_relationship(["calf"], ["A"], ["B"])
        >>> data = {"y": [1.0, 3.0, 2.0, 7.0, 5.0, 6.0], "animal": ["A"] * 3 + ["B"] * 3}
        >>> fit = lf.lmer("y ~ 1 + (1 | animal)", data, relationship={"animal": K})
        >>> unobserved = fit.ranef_unobserved()
        >>> unobserved["level"].tolist(), abs(unobserved["value"].iloc[0]) < 1e-9
        (['calf'], np.True_)
        """
        require_exact_engine(self._model.any_system, "`ranef_unobserved`", EXACT)
        parts = (self._model.design, self._estimates, self._model.system)
        return unobserved_effects(*parts, group, condvar=condvar)


def with_relatives(block: RandomBlock, modes: FloatArray) -> FloatArray:
    """Conditional modes of the fitted levels and of those that follow them in a block.

    Parameters
    ----------
    block : RandomBlock
        Fitted levels first, then members without data.
    modes : ndarray, shape (J, k)
        Modes of the fitted levels.

    Returns
    -------
    ndarray, shape (block.n_levels, k)
    """
    n_fitted, factor = len(modes), block.relationship
    if factor is None or block.n_levels == n_fitted:
        return modes
    sources = factor_solved(factor[:n_fitted, :n_fitted], modes)
    return np.concatenate([modes, factor[n_fitted:, :n_fitted] @ sources])


def unobserved_effects(
    design: Design,
    estimates: Estimates,
    system: BlockedSystem,
    group: str | None = None,
    *,
    condvar: bool = False,
) -> pd.DataFrame:
    """Table of ``RelativeAccessors.ranef_unobserved``."""
    blocks, modes, spread = [], [], []
    wanted = _wanted(design, group)
    extended = [_extended(design, i) for i in range(len(design.matrices.random))]
    factors = {block.group: block.relationship for block in extended}
    covariances: Sequence[Any] = [None] * len(extended)
    if condvar:
        covariances = conditional_covariances(system, estimates, factors)
    for block, b, covariance in zip(extended, estimates.random, covariances, strict=True):
        if block.group not in wanted:
            continue
        n_fitted = len(b)
        blocks.append(replace(block, levels=block.levels[n_fitted:]))
        modes.append(with_relatives(block, b)[n_fitted:])
        spread.append(covariance[n_fitted:] if covariance is not None else np.zeros(0))
    return ranef_frame(blocks, modes, spread if condvar else None)


def _wanted(design: Design, group: str | None) -> tuple[str, ...]:
    related = tuple(
        dict.fromkeys(item.term.group for item in design.spec.random if item.related is not None)
    )
    if group is None and related:
        return related
    if group in related:
        return (str(group),)
    got = f"factors with a relationship: {', '.join(related) or 'none'}"
    raise OptionError(
        "the model has no relationship, so nothing is known of levels without data."
        if group is None
        else f"`{group}` is not a grouping factor with a relationship.",
        got=got,
        suggestion=f'`ranef_unobserved("{related[0]}")`'
        if related
        else '`lf.lmm(..., relationship={"animal": K})`',
        available=related,
    )


def _extended(design: Design, position: int) -> RandomBlock:
    """A fitted term with all members of its relationship as levels."""
    block, related = design.matrices.random[position], design.spec.random[position].related
    if related is None or not len(related.others):
        return block
    members = np.arange(len(related.others), dtype=np.int64)
    return replace(
        block,
        levels=np.concatenate([block.levels, related.others]),
        relationship=related.extended(members),
    )
