"""The contract between the front end (``design``) and the engine: plain arrays with names.

Nothing here knows formulas or data frames, and the engine knows nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lmmformula._arrays import CodeArray, FloatArray, IntArray, LabelArray

__all__ = ["ModelMatrices", "RandomBlock"]


@dataclass(frozen=True, slots=True, eq=False)
class RandomBlock:
    """One random-effects term as arrays.

    Attributes
    ----------
    z : ndarray, shape (n, k)
        Values of the k effects in every row (unweighted, unscaled).
    codes : ndarray of int32, shape (n,)
        Level of the grouping factor in every row; -1 for a level unknown at fitting time.
    levels : ndarray of str, shape (J,)
        Labels of the levels, in order of their codes. Every level occurs in the fitted rows.
    effect_names : tuple of str, length k
        Column names, as formulaic writes them (``Intercept``, ``Days``, ``Machine[T.B]``).
    group : str
        Label of the grouping factor (``Subject``, ``cask:batch``). Terms with the same label
        share ``codes`` and ``levels``.
    structure : str
        Name of the covariance structure (a key of ``covariance.STRUCTURES``).
    text : str
        The term as written, ``(Days | Subject)``.
    """

    z: FloatArray
    codes: CodeArray
    levels: LabelArray
    effect_names: tuple[str, ...]
    group: str
    structure: str
    text: str

    @property
    def n_levels(self) -> int:
        """Number of levels J of the grouping factor."""
        return len(self.levels)

    @property
    def n_effects(self) -> int:
        """Number of effects k per level."""
        return len(self.effect_names)

    def __repr__(self) -> str:
        return f"RandomBlock({self.text!r}, k={self.n_effects}, J={self.n_levels})"


@dataclass(frozen=True, slots=True, eq=False)
class ModelMatrices:
    """Rows of a mixed model as arrays: what the engine consumes (or one chunk of it).

    Attributes
    ----------
    y : ndarray, shape (n,)
        Response, before the offset is taken off.
    X : ndarray, shape (n, p)
        Fixed-effects design, full column rank (aliased columns are gone already).
    fixed_names : tuple of str, length p
        Names of the columns of ``X``.
    random : tuple of RandomBlock
        Random-effects terms in lme4's order: decreasing number of levels, formula order for one
        term per factor (``rev(order(n_levels))`` where the order must change at all).
    weights : ndarray, shape (n,), or None
        Prior weights: the residual variance of row i is sigma^2 / weights[i].
    offset : ndarray, shape (n,), or None
        Known part of the linear predictor.
    rows : ndarray of int, shape (n,)
        Positions of the rows in the data that were passed in.
    """

    y: FloatArray
    X: FloatArray
    fixed_names: tuple[str, ...]
    random: tuple[RandomBlock, ...]
    weights: FloatArray | None
    offset: FloatArray | None
    rows: IntArray

    @property
    def n_obs(self) -> int:
        """Number of rows used."""
        return len(self.y)

    @property
    def p(self) -> int:
        """Number of fixed-effects columns."""
        return int(self.X.shape[1])

    @property
    def working_response(self) -> FloatArray:
        """Response less the offset, shape (n,)."""
        return self.y if self.offset is None else np.subtract(self.y, self.offset)

    def __repr__(self) -> str:
        return f"ModelMatrices(n_obs={self.n_obs}, p={self.p}, random={list(self.random)!r})"
