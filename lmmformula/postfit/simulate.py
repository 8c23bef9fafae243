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
from lmmformula.postfit.progress import Progress, watched
from lmmformula.postfit.residual_structure import ResidualStructure, structure_of

__all__ = ["simulate"]


def simulate(
    design: Design,
    estimates: Estimates,
    n: int,
    seed: Any,
    *,
    random: str = "new",
    structure: ResidualStructure | None = None,
    progress: Progress = False,
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
    structure : ResidualStructure, optional
        Covariance of structured residuals, if it is at hand; else it is that of the design.
    progress : bool, callable or None
        Whether to show progress.

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
    if structure is None:
        structure = structure_of(m, estimates)
    groups = {block.group for block in m.random} if random == "fitted" else set[str]()
    mean = linear_predictor(design, estimates, groups)
    draws = np.empty((m.n_obs, n), order="F")
    for i in watched(range(n), progress, "simulation", "responses"):
        eta = mean
        if random == "new":
            eta = mean + random_part(m.random, _draw(design, estimates, rng), m.n_obs)
        draws[:, i] = eta + _residuals(design, estimates, structure, rng)
    names = [f"sim_{i + 1}" for i in range(n)]
    return pd.DataFrame(draws, index=design.spec.index, columns=names)


def _residuals(
    design: Design,
    estimates: Estimates,
    structure: ResidualStructure | None,
    rng: np.random.Generator,
) -> FloatArray:
    """Residuals of all rows."""
    if structure is not None:
        return structure.draw(rng)
    m = design.matrices
    sd = estimates.sigma if m.weights is None else estimates.sigma / np.sqrt(m.weights)
    return np.asarray(sd * rng.standard_normal(m.n_obs))


def _draw(design: Design, estimates: Estimates, rng: np.random.Generator) -> list[FloatArray]:
    """Random effects of every level, from their estimated distribution."""
    drawn = []
    for block, template in zip(design.matrices.random, estimates.templates, strict=True):
        u = rng.standard_normal((block.n_levels, block.n_effects))
        if block.relationship is not None:
            u = block.relationship @ u
        drawn.append(estimates.sigma * u @ template.T)
    return drawn


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
