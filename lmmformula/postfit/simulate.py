"""New responses from a fitted model."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from lmmformula._arrays import FloatArray
from lmmformula.design import Design
from lmmformula.engine import Estimates
from lmmformula.errors import OptionError
from lmmformula.postfit.predict import linear_predictor, random_part

__all__ = ["simulate"]


def simulate(
    design: Design, estimates: Estimates, n: int, seed: Any, *, random: str = "new"
) -> pd.DataFrame:
    """Draw responses at the estimates.

    Parameters
    ----------
    design : Design
        The fitted rows.
    estimates : Estimates
        Parameters to simulate from.
    n : int
        Number of responses.
    seed : int, SeedSequence or Generator
        Source of randomness; the first columns do not depend on ``n``.
    random : {"new", "fitted"}
        Draw new random effects, or keep the conditional modes.

    Returns
    -------
    DataFrame
        Columns ``sim_1`` to ``sim_n``, on the scale of the left side of the formula; rows as
        fitted.
    """
    if random not in ("new", "fitted"):
        raise OptionError(
            f"`random={random!r}` is not a way to draw random effects.",
            suggestion='`random="new"` or `random="fitted"`',
            available=("new", "fitted"),
        )
    if isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 1:
        raise OptionError(
            "`n` must be a whole number of simulations, at least 1.",
            got=f"`n={n!r}`",
            suggestion="`simulate(100, seed=1)`",
        )
    rng = _generator(seed)
    m = design.matrices
    groups = {block.group for block in m.random} if random == "fitted" else set[str]()
    mean = linear_predictor(design, estimates, groups)
    sd: FloatArray | float = estimates.sigma
    if m.weights is not None:
        sd = estimates.sigma / np.sqrt(m.weights)
    draws = np.empty((m.n_obs, n), order="F")
    for i in range(n):
        eta = mean
        if random == "new":
            eta = mean + random_part(m.random, _draw(design, estimates, rng), m.n_obs)
        draws[:, i] = eta + sd * rng.standard_normal(m.n_obs)
    names = [f"sim_{i + 1}" for i in range(n)]
    return pd.DataFrame(draws, index=design.spec.index, columns=names)


def _draw(design: Design, estimates: Estimates, rng: np.random.Generator) -> list[FloatArray]:
    """Random effects of every level, from their estimated distribution."""
    return [
        estimates.sigma * rng.standard_normal((block.n_levels, block.n_effects)) @ template.T
        for block, template in zip(design.matrices.random, estimates.templates, strict=True)
    ]


def _generator(seed: Any) -> np.random.Generator:
    if seed is None:
        raise OptionError(
            "`simulate` needs a seed, so that its draws can be repeated.",
            got="`seed=None`",
            suggestion="`simulate(100, seed=1)`, or pass a `numpy.random.Generator`",
        )
    try:
        return np.random.default_rng(seed)
    except (TypeError, ValueError) as error:
        raise OptionError(
            "`seed` must be a whole number, a SeedSequence or a numpy Generator.",
            got=f"`seed={seed!r}`",
            suggestion="`simulate(100, seed=1)`",
        ) from error
