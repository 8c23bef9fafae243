"""The simulated null distribution of one variance component, as a comparison needs it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from lmmformula._arrays import FloatArray
from lmmformula.inference.bootstrap.run import seed_sequence
from lmmformula.inference.comparison.random_change import RandomChange
from lmmformula.inference.comparison.restricted_lrt import null_distribution
from lmmformula.matrices import ModelMatrices

__all__ = ["ExactNull", "exact_null"]

N_DRAWS = 10_000


@dataclass(frozen=True, slots=True, eq=False)
class ExactNull:
    """Draws of the statistic under the smaller model."""

    draws: FloatArray

    def survival(self, statistic: float) -> float:
        """Probability of a statistic at least as large, never zero."""
        return float((1 + np.sum(self.draws >= statistic)) / (1 + len(self.draws)))

    def __str__(self) -> str:
        return f"exact, {len(self.draws)} draws"


def exact_null(
    change: RandomChange, large: ModelMatrices, *, same_fixed: bool, reml: bool, seed: Any
) -> ExactNull | str:
    """Simulate the null distribution, or say why it is none of one variance.

    Parameters
    ----------
    change : RandomChange
        What the larger model adds.
    large : ModelMatrices
        Its design, with rows.
    same_fixed : bool
        The fixed effects are the same.
    reml : bool
        Criterion of the fits.
    seed : int, SeedSequence or Generator
        Source of randomness.
    """
    if change.n_free or len(change.variances) != 1 or not same_fixed:
        return "the exact distribution is one of a single variance and nothing else"
    if change.matched and not reml:
        return (
            "by maximum likelihood the exact distribution is known for one component only, by "
            "REML (`refit=False`) for one beside others"
        )
    if not large.n_obs:
        return "the exact distribution needs the rows of the data"
    position, effect = change.variances[0]
    root = seed_sequence(seed, 'lf.anova(small, large, refit=False, boundary="exact", seed=1)')
    return ExactNull(null_distribution(large, position, effect, n=N_DRAWS, seed=root, reml=reml))
