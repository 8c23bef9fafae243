"""The contract between the front end (``design``) and the engine: plain arrays with names.

Nothing here knows formulas or data frames, and the engine knows nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from lmmformula._arrays import CodeArray, FloatArray, IntArray, LabelArray

__all__ = ["ModelMatrices", "RandomBlock", "ResidualRows", "VarianceRows"]


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
    positions : ndarray, shape (k, d), or None
        Coordinates of the effects, for structures over times or places.
    relationship : ndarray, shape (J, J), or None
        Lower Cholesky factor of the known relationship K between the levels:
        Var(b) = sigma^2 K (x) Sigma. None: independent levels.
    """

    z: FloatArray
    codes: CodeArray
    levels: LabelArray
    effect_names: tuple[str, ...]
    group: str
    structure: str
    text: str
    positions: FloatArray | None = None
    relationship: FloatArray | None = None

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
class VarianceRows:
    """How the residual standard deviation of a row depends on a covariate or a stratum.

    Attributes
    ----------
    function : str
        Name of the variance function (a key of ``residual_covariance.VARIANCES``).
    covariate : ndarray, shape (n,), or None
        Values of x where the function has one.
    codes : ndarray of int32, shape (n,)
        Stratum of every row (zeros where there is one).
    levels : tuple of str
        Labels of the strata; the first is the reference of ``ident``.
    text : str
        The function as written, ``power(age)``.
    """

    function: str
    covariate: FloatArray | None
    codes: CodeArray
    levels: tuple[str, ...]
    text: str


@dataclass(frozen=True, slots=True, eq=False)
class ResidualRows:
    """Covariance of the residuals as arrays: correlation within groups, and variances.

    Attributes
    ----------
    correlation : str or None
        Name of the correlation structure (a key of ``residual_covariance.CORRELATIONS``); None
        where residuals are independent.
    codes : ndarray of int32, shape (n,)
        Group of every row (zeros without a correlation).
    levels : ndarray of str
        Labels of the groups.
    positions : ndarray, shape (n,)
        Position of every row in its group: whole numbers from zero, or times for structures in
        continuous time. No two rows of a group share one.
    labels : tuple of str
        Labels of the whole-number positions, in order; empty for times.
    group : str
        Name of the grouping variable.
    text : str
        The structure as written, ``ar1(visit | Subject)``.
    variances : tuple of VarianceRows
        Variance functions; their standard deviations multiply.
    """

    correlation: str | None
    codes: CodeArray
    levels: LabelArray
    positions: FloatArray
    labels: tuple[str, ...]
    group: str
    text: str
    variances: tuple[VarianceRows, ...]

    def taken(self, rows: IntArray) -> ResidualRows:
        """Some of the rows, with all levels."""
        variances = tuple(
            replace(
                part,
                codes=part.codes[rows],
                covariate=None if part.covariate is None else part.covariate[rows],
            )
            for part in self.variances
        )
        return replace(
            self, codes=self.codes[rows], positions=self.positions[rows], variances=variances
        )


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
    residual : ResidualRows or None
        Structure of the residuals; None for independent ones of equal variance (over weights).
    """

    y: FloatArray
    X: FloatArray
    fixed_names: tuple[str, ...]
    random: tuple[RandomBlock, ...]
    weights: FloatArray | None
    offset: FloatArray | None
    rows: IntArray
    residual: ResidualRows | None = None

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
