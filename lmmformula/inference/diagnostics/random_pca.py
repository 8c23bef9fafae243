"""Principal components of the random effects: how many dimensions their covariance really has.

References
----------
Bates, Kliegl, Vasishth and Baayen (2015), Parsimonious mixed models, arXiv:1506.04967.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.linalg import block_diag

from lmmformula._arrays import FloatArray
from lmmformula.errors import OptionError
from lmmformula.postfit.requirements import require_random_effects
from lmmformula.postfit.singular import effect_scales
from lmmformula.report.render import render
from lmmformula.report.table import Column, Table

__all__ = ["RandomEffectsPCA", "random_effects_pca"]


@dataclass(frozen=True, slots=True, eq=False)
class GroupComponents:
    """Components of the effects of one grouping factor.

    Attributes
    ----------
    group : str
        Grouping factor.
    effects : tuple of str, length k
        Its effects, over all its terms.
    sd : ndarray, shape (k,)
        Standard deviations of the components over sigma, as lme4's ``rePCA``.
    loadings : ndarray, shape (k, k)
        Directions of the components, in columns.
    """

    group: str
    effects: tuple[str, ...]
    sd: FloatArray
    loadings: FloatArray

    @property
    def proportion(self) -> FloatArray:
        """Share of every component in the variance."""
        total = float(np.sum(self.sd**2))
        return self.sd**2 / total if total > 0.0 else np.full(len(self.sd), np.nan)

    def rank(self, tolerance: float = 1e-4) -> int:
        """Number of components whose standard deviation is not negligible beside the first."""
        return int(np.sum(self.sd > tolerance * max(float(self.sd[0]), tolerance)))


@dataclass(frozen=True, slots=True, eq=False)
class RandomEffectsPCA:
    """Principal components of the random effects, by grouping factor.

    Attributes
    ----------
    groups : tuple of GroupComponents
        In the model's order; ``pca["Subject"]`` picks one.
    """

    groups: tuple[GroupComponents, ...]

    def __getitem__(self, group: str) -> GroupComponents:
        for one in self.groups:
            if one.group == group:
                return one
        available = tuple(one.group for one in self.groups)
        raise OptionError(
            f"`{group}` is not a grouping factor of the model.",
            got=f"grouping factors: {', '.join(available)}",
            suggestion=f'`pca["{available[0]}"]`',
            available=available,
        )

    def to_frame(self) -> pd.DataFrame:
        """Columns ``grp, component, sd, proportion, cumulative``."""
        rows = [
            (one.group, f"PC{i + 1}", sd, share, total)
            for one in self.groups
            for i, (sd, share, total) in enumerate(
                zip(one.sd, one.proportion, np.cumsum(one.proportion), strict=True)
            )
        ]
        return pd.DataFrame(rows, columns=["grp", "component", "sd", "proportion", "cumulative"])

    def loadings(self) -> pd.DataFrame:
        """Columns ``grp, effect, PC1, PC2, ...``; components that a factor lacks are missing."""
        rows = [
            {"grp": one.group, "effect": effect}
            | {f"PC{j + 1}": value for j, value in enumerate(one.loadings[i].tolist())}
            for one in self.groups
            for i, effect in enumerate(one.effects)
        ]
        return pd.DataFrame(rows)

    def __repr__(self) -> str:
        columns = (
            Column("Group"),
            Column("Component"),
            Column("Std. dev. / sigma", "estimate"),
            Column("Proportion", "correlation"),
            Column("Cumulative", "correlation"),
        )
        rows = tuple(tuple(row) for row in self.to_frame().itertuples(index=False))
        return render(Table("Principal components of the random effects", columns, rows))


def random_effects_pca(results: Any, scaled: bool = False) -> RandomEffectsPCA:
    """Principal components of the random effects of a fit.

    Parameters
    ----------
    results : LinearMixedResults
        The fit.
    scaled : bool
        Measure every effect in units of the root mean square of its column.
    """
    require_random_effects(
        results.design.matrices, "`repca()`", "a model with random effects, `(1 + x | g)`"
    )
    blocks, templates = results.design.matrices.random, results.estimates.templates
    scales = effect_scales(results.any_system)
    groups = []
    for group in dict.fromkeys(block.group for block in blocks):
        members = [i for i, block in enumerate(blocks) if block.group == group]
        units = [scales[i][:, None] if scaled else 1.0 for i in members]
        factor = block_diag(*(unit * templates[i] for unit, i in zip(units, members, strict=True)))
        loadings, sd, _ = np.linalg.svd(factor)
        sign = np.sign(loadings[np.argmax(np.abs(loadings), axis=0), np.arange(len(sd))])
        effects = tuple(name for i in members for name in blocks[i].effect_names)
        groups.append(GroupComponents(group, effects, sd, loadings * sign))
    return RandomEffectsPCA(tuple(groups))
