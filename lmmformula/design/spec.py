"""The design of a model: its matrices, and the record that rebuilds their rows for new data."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from lmmformula._arrays import BoolArray, FloatArray, IntArray
from lmmformula.design.encode import Aliased, Encoding, FactorLevels
from lmmformula.design.grouping import GroupCoding
from lmmformula.design.places import Places
from lmmformula.design.predictors import Predictors
from lmmformula.design.relationship import RelatedLevels
from lmmformula.design.replay import replay_effects, replay_rows
from lmmformula.design.residual import ResidualSpec, replay_residual
from lmmformula.design.terms import FormulaPart
from lmmformula.formula.terms import MixedFormula, RandomTerm
from lmmformula.matrices import ModelMatrices, RandomBlock, ResidualRows

__all__ = ["Design", "DesignSpec", "FixedTerm", "NewRows", "RandomSpec"]


@dataclass(frozen=True, slots=True)
class FixedTerm:
    """One term of the fixed effects and its columns in X.

    Attributes
    ----------
    label : str
        ``Intercept``, ``Days``, ``recipe:temperature``.
    columns : tuple of int
        Positions in X; empty when all its columns were dropped.
    variables : tuple of str
        What interacts in it, by label; empty for the intercept.
    """

    label: str
    columns: tuple[int, ...]
    variables: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class RandomSpec:
    """One random-effects term as it was encoded.

    Attributes
    ----------
    term : RandomTerm
        The term of the formula.
    part : FormulaPart
        Its effects, read.
    encoding : Encoding
        Its columns.
    grouping : GroupCoding
        Its grouping factor; one object for all terms with the same factor.
    places : Places or None
        Positions of its effects, for structures over times or places (``encoding`` then has
        names only).
    related : RelatedLevels or None
        Known relationship between the levels; None where they are independent.
    """

    term: RandomTerm
    part: FormulaPart
    encoding: Encoding
    grouping: GroupCoding
    places: Places | None = None
    related: RelatedLevels | None = None


@dataclass(frozen=True, slots=True, eq=False)
class NewRows:
    """New data in the columns of a fitted model.

    Attributes
    ----------
    index : pandas.Index
        Labels of the rows.
    complete : ndarray of bool, shape (n,)
        Rows in which nothing that was needed is missing; the others hold NaN and -1.
    X : ndarray, shape (n, p)
        Fixed-effects columns that the model kept.
    random : tuple of RandomBlock
        Terms asked for, in the order of the fitted model; codes are -1 for unknown levels. Members
        of a relationship that had no data follow the fitted levels. Where
        effects belong to positions, a row at a position that was not fitted has zeros in ``z``.
    places : tuple of (ndarray, shape (n, d), or None)
        For each of these terms, the coordinates of the rows where effects belong to positions.
    unseen : dict of str to list of str
        Unknown levels by grouping factor, in order of appearance; factors without any are absent.
    offset : ndarray, shape (n,), or None
        ``offset()`` terms and an offset named by column; an offset given as an array stays behind.
    weights : ndarray, shape (n,), or None
        Prior weights, where the model's were named by columns that the new data have too.
    excess : ndarray, shape (n, n_aliased)
        Columns that were left out of X, less what X makes of them, in units of their root mean
        squares in the fitted rows. A row in which any of them is not zero is not estimable.
    """

    index: pd.Index[Any]
    complete: BoolArray
    X: FloatArray
    random: tuple[RandomBlock, ...]
    places: tuple[FloatArray | None, ...]
    unseen: dict[str, list[str]]
    offset: FloatArray | None
    weights: FloatArray | None
    excess: FloatArray

    def __repr__(self) -> str:
        return f"NewRows(n={len(self.complete)}, p={self.X.shape[1]}, random={list(self.random)!r})"


@dataclass(frozen=True, slots=True, eq=False)
class DesignSpec:
    """Everything about a design but its rows.

    Attributes
    ----------
    formula : MixedFormula
        The formula.
    response_name : str
        Expression of the response.
    index : pandas.Index
        Labels of the rows used.
    n_rows_data : int
        Rows of the data that were passed in.
    dropped_columns : tuple of str
        Columns of X that others determine, left out.
    dropped_rows : ndarray of int
        Positions of rows left out because values are missing.
    fixed_terms : tuple of FixedTerm
        Terms of the fixed effects in R's order, the intercept first.
    factors : dict of str to tuple of str
        Levels of the categorical variables of the fixed effects.
    weights_name, offset_name : str or None
        Columns named by the arguments.
    has_array_offset : bool
        An offset was given as an array; new rows cannot have it.
    encoding : Encoding
        Columns of X that were kept.
    part : FormulaPart
        Terms of the fixed effects.
    random : tuple of RandomSpec
        Random-effects terms in the order of ``ModelMatrices.random``.
    variables : dict of str to FactorLevels or None
        Expressions of fixed and random effects; None for numeric ones.
    state : dict
        What stateful transforms learned (knots, polynomial coefficients, scales).
    predictors : Predictors
        Levels, means and combinations of the columns behind the fixed effects.
    aliased : Aliased or None
        What ``dropped_columns`` are made of.
    residual : ResidualSpec or None
        Structure of the residuals; None for independent ones of equal variance.
    subset : str or None
        Condition on the columns that chose the rows; None for all rows, or an array.
    """

    formula: MixedFormula
    response_name: str
    index: pd.Index[Any]
    n_rows_data: int
    dropped_columns: tuple[str, ...]
    dropped_rows: IntArray
    fixed_terms: tuple[FixedTerm, ...]
    factors: dict[str, tuple[str, ...]]
    weights_name: str | None
    offset_name: str | None
    has_array_offset: bool
    encoding: Encoding
    part: FormulaPart
    random: tuple[RandomSpec, ...]
    variables: Mapping[str, FactorLevels | None]
    state: Mapping[str, Any]
    predictors: Predictors = field(default_factory=Predictors)
    aliased: Aliased | None = None
    residual: ResidualSpec | None = None
    subset: str | None = None

    def replay(self, newdata: Any, *, random: Collection[str] | None = None) -> NewRows:
        """Encode new data as the fitted data were.

        Parameters
        ----------
        newdata : frame or mapping
            Needs the columns of the right-hand side only.
        random : collection of str, optional
            Labels of the grouping factors wanted; None for all, an empty one for none.

        Raises
        ------
        DataError
            A needed column is missing, or a fixed factor has a new category.
        """
        return NewRows(**replay_rows(self, newdata, random))

    def replay_effects(self, newdata: Any, position: int) -> tuple[FloatArray, FloatArray | None]:
        """Encode the effects of one random-effects term, whatever the levels.

        Parameters
        ----------
        newdata : frame or mapping
            Needs the columns of the term's effects only.
        position : int
            Place of the term in ``random``.

        Returns
        -------
        z : ndarray, shape (n, k)
            NaN in rows in which something is missing; zeros at a position that was not fitted.
        places : ndarray, shape (n, d), or None
            Coordinates of the rows, where effects belong to positions.
        """
        return replay_effects(self, newdata, position)

    def replay_residual(self, newdata: Any) -> ResidualRows | None:
        """Encode what the residual variance of new rows depends on.

        Parameters
        ----------
        newdata : frame or mapping
            Needs the columns of variance functions, and of the times where these have variances
            of their own.

        Returns
        -------
        ResidualRows or None
            ``codes`` are -1, since a new observation is independent of the fitted ones here;
            ``positions`` are NaN where all variances are equal. In rows in which something is
            missing, covariates and positions are NaN and strata -1. None for independent
            residuals of equal variance.

        Raises
        ------
        DataError
            A column is missing, or a level has no variance of its own.
        """
        return (
            None if self.residual is None else replay_residual(self.residual, self.state, newdata)
        )

    def __repr__(self) -> str:
        return (
            f"DesignSpec({self.formula.text!r}, n_obs={len(self.index)}, "
            f"p={len(self.encoding.names)})"
        )


@dataclass(frozen=True, slots=True, eq=False)
class Design:
    """Matrices of a model and the record that replays them.

    Attributes
    ----------
    matrices : ModelMatrices
        Rows used, as arrays.
    spec : DesignSpec
        Names, levels, rows and encodings.
    """

    matrices: ModelMatrices
    spec: DesignSpec
