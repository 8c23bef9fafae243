"""New responses from a fitted model."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from lmmformula._arrays import FloatArray
from lmmformula.design import Design
from lmmformula.engine import Estimates
from lmmformula.errors import OptionError
from lmmformula.postfit.executors import in_order
from lmmformula.postfit.predict import linear_predictor, random_part
from lmmformula.postfit.progress import Progress, progress_bar
from lmmformula.postfit.residual_structure import ResidualStructure, structure_of

__all__ = ["simulate"]

COLUMNS = 16
"""Responses that are drawn by one task."""


def simulate(
    design: Design,
    estimates: Estimates,
    n: int,
    seed: Any,
    *,
    random: str = "new",
    structure: ResidualStructure | None = None,
    progress: Progress = False,
    executor: Any = None,
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
        Source of randomness; every column has a generator of its own, so that the first ones do
        not depend on ``n``, and none on ``executor``.
    random : {"new", "fitted"}
        Draw new random effects, or keep the conditional modes.
    structure : ResidualStructure, optional
        Covariance of structured residuals, if it is at hand; else it is that of the design.
    progress : bool, callable or None
        Whether to show progress.
    executor
        Where to draw, as ``postfit.executors`` says.

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
    m = design.matrices
    if structure is None:
        structure = structure_of(m, estimates)
    groups = {block.group for block in m.random} if random == "fitted" else set[str]()
    mean = linear_predictor(design, estimates, groups)
    draw = partial(_columns, design, estimates, structure, mean, has_new=random == "new")
    own = _generators(seed, int(n))
    tasks = [(own[start : start + COLUMNS],) for start in range(0, int(n), COLUMNS)]
    with progress_bar(progress, int(n), "simulation", "responses") as advance:
        drawn = in_order(draw, tasks, executor, lambda number: advance(len(tasks[number][0])))
    names = [f"sim_{i + 1}" for i in range(n)]
    return pd.DataFrame(np.hstack(drawn), index=design.spec.index, columns=names)


def _columns(
    design: Design,
    estimates: Estimates,
    structure: ResidualStructure | None,
    mean: FloatArray,
    generators: list[np.random.Generator],
    *,
    has_new: bool,
) -> FloatArray:
    """Responses, one column for each generator."""
    m = design.matrices
    draws = np.empty((m.n_obs, len(generators)), order="F")
    for i, rng in enumerate(generators):
        eta = mean
        if has_new:
            eta = mean + random_part(m.random, _draw(design, estimates, rng), m.n_obs)
        draws[:, i] = eta + _residuals(design, estimates, structure, rng)
    return draws


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


def _generators(seed: Any, n: int) -> list[np.random.Generator]:
    """One for each column; a generator that is given moves on, so that it draws others next."""
    if seed is None:
        raise OptionError(
            "`simulate` needs a seed, so that its draws can be repeated.",
            got="`seed=None`",
            suggestion="`simulate(100, seed=1)`, or pass a `numpy.random.Generator`",
        )
    if isinstance(seed, np.random.SeedSequence):  # spawning from the caller's would change it
        key, size = seed.spawn_key, seed.pool_size
        seed = np.random.SeedSequence(seed.entropy, spawn_key=key, pool_size=size)
    try:
        return np.random.default_rng(seed).spawn(n)
    except (TypeError, ValueError) as error:
        raise OptionError(
            "`seed` must be a whole number, a SeedSequence or a numpy Generator.",
            got=f"`seed={seed!r}`",
            suggestion="`simulate(100, seed=1)`",
        ) from error
