"""Known relationships between the levels of grouping factors: pedigrees, kinship, phylogenies."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from scipy.linalg import solve_triangular
from scipy.sparse import csr_array, issparse

from lmmformula._arrays import CodeArray, FloatArray, IntArray, LabelArray, frozen
from lmmformula.covariance import semidefinite_cholesky
from lmmformula.design.columns import category_label
from lmmformula.design.relationship_checks import (
    check_labels,
    check_levels,
    check_numbers,
    check_size,
    not_definite,
    unreadable,
    warn_about_scale,
)
from lmmformula.design.sources import closest_name, listed
from lmmformula.errors import OptionError

__all__ = ["RelatedLevels", "Relationships", "factor_solved", "read_relationship"]

SINGULAR = 1e-12
"""A pivot below this share of its diagonal element is a zero: the level is a copy of others."""
FACTORED = 1e-10
"""Largest error of a factor, relative to the largest diagonal element."""
INCONSISTENT = 1e-7
"""The same for a factor with members without data, whose part solves for those with data."""


@dataclass(frozen=True, eq=False)
class RelatedLevels:
    """The relationship between a factor's levels, and with further members that have no data.

    Attributes
    ----------
    group : str
        Label of the grouping factor.
    factor : ndarray, shape (J, J)
        Lower-triangular L with LL' the relationship between the fitted levels.
    others : ndarray of str, shape (m,)
        Labels of the members without data.
    between : ndarray, shape (J, m)
        Relationship of the fitted levels with them.
    among : ndarray or sparse array, shape (m, m)
        Relationship between them.
    """

    group: str
    factor: FloatArray
    others: LabelArray
    between: FloatArray
    among: Any

    @cached_property
    def code_of(self) -> dict[str, int]:
        """Code of every member without data; they follow the fitted levels."""
        n_fitted = len(self.factor)
        return {str(label): n_fitted + i for i, label in enumerate(self.others)}

    def extended(self, members: IntArray) -> FloatArray:
        """Factor of the relationship between the fitted levels and some of the others.

        Parameters
        ----------
        members : ndarray of int, shape (a,)
            Positions in ``others``.

        Returns
        -------
        ndarray, shape (J + a, J + a)
            Lower triangular; its first rows are ``factor``.

        Raises
        ------
        DataError
            The relationship is not positive semidefinite with these members.
        """
        n_fitted, n = len(self.factor), len(self.factor) + len(members)
        factor = np.zeros((n, n))
        factor[:n_fitted, :n_fitted] = self.factor
        told = factor_solved(self.factor, self.between[:, members]).T
        factor[n_fitted:, :n_fitted] = told
        own = _dense(self.among[np.ix_(members, members)])
        rest = own - told @ told.T
        size = max(float(np.max(np.diag(own), initial=0.0)), 1e-300)
        # What the fitted levels tell completely leaves rounding only.
        rest[np.abs(rest) < FACTORED * size] = 0.0
        factor[n_fitted:, n_fitted:] = semidefinite_cholesky(rest, SINGULAR)
        whole = self._whole(members)
        if np.max(np.abs(factor @ factor.T - whole), initial=0.0) > INCONSISTENT * size:
            labels = [str(self.others[i]) for i in members]
            raise not_definite(self.group, whole, f"with {listed(labels)}")
        return factor

    def with_members(
        self, codes: CodeArray, levels: LabelArray
    ) -> tuple[CodeArray, LabelArray, FloatArray]:
        """Keep only those members without data that rows name.

        Parameters
        ----------
        codes : ndarray of int32, shape (n,)
            Fitted levels, or members by ``code_of``; -1 for neither.
        levels : ndarray of str, shape (J,)
            The fitted levels.

        Returns
        -------
        codes : ndarray of int32, shape (n,)
        levels : ndarray of str, shape (J + a,)
        factor : ndarray, shape (J + a, J + a)
        """
        n_fitted = len(levels)
        named = np.unique(codes[codes >= n_fitted])
        if not named.size:
            return codes, levels, self.factor
        compact = np.where(codes >= n_fitted, n_fitted + np.searchsorted(named, codes), codes)
        members = named - n_fitted
        return (
            compact.astype(np.int32),
            np.concatenate([levels, self.others[members]]),
            self.extended(members.astype(np.int64)),
        )

    def _whole(self, members: IntArray) -> FloatArray:
        between = self.between[:, members]
        own = _dense(self.among[np.ix_(members, members)])
        return np.block([[self.factor @ self.factor.T, between], [between.T, own]])


class Relationships:
    """The ``relationship`` option, checked against the grouping factors of the formula.

    Parameters
    ----------
    given : mapping of str to object, or None
        The option.
    groups : sequence of str
        Labels of the grouping factors.

    Raises
    ------
    OptionError
        Not a mapping, or a key that is no grouping factor.
    """

    def __init__(self, given: Any, groups: Sequence[str]) -> None:
        self.given: dict[str, Any] = {}
        self._read: dict[str, RelatedLevels] = {}
        if given is None:
            return
        if not isinstance(given, Mapping):
            raise OptionError(
                "`relationship` must say which grouping factor each matrix belongs to.",
                got=f"an object of type `{type(given).__name__}`",
                suggestion=f'`relationship={{"{groups[0] if groups else "animal"}": K}}`',
                option="relationship",
            )
        for name in given:
            if name not in groups:
                raise _unknown_factor(str(name), groups)
        self.given = dict(given)

    def of(self, group: str, levels: LabelArray) -> RelatedLevels | None:
        """The relationship between a factor's levels; None where they are independent."""
        if group not in self.given:
            return None
        if group not in self._read:
            self._read[group] = read_relationship(group, self.given[group], levels)
        return self._read[group]


def _unknown_factor(name: str, groups: Sequence[str]) -> OptionError:
    closest = closest_name(name, groups) or (groups[0] if groups else None)
    hint = f'`relationship={{"{closest}": K}}`' if closest else "write `(1 | animal)`"
    return OptionError(
        f"`relationship` names `{name}`, which is not a grouping factor of the model.",
        got=f"grouping factors: {listed(groups) or 'none'}",
        suggestion=hint,
        option="relationship",
        group=name,
        available=tuple(groups),
    )


def read_relationship(group: str, given: Any, levels: LabelArray) -> RelatedLevels:
    """Check one matrix and bring it into the order of the factor's levels.

    Parameters
    ----------
    group : str
        Label of the grouping factor.
    given : DataFrame, tuple of (matrix, labels), or matrix
        Symmetric positive semidefinite; a matrix without labels is in the order of the levels.
    levels : ndarray of str, shape (J,)
        The factor's levels.

    Raises
    ------
    DataError
        Whatever is wrong with the matrix or its labels.
    """
    matrix, labels = _labelled(group, given, levels)
    check_labels(group, labels)
    position = {label: i for i, label in enumerate(labels)}
    check_levels(group, levels, position)
    matrix = check_numbers(group, matrix, labels)
    first = np.array([position[str(level)] for level in levels], dtype=np.int64)
    known = set(map(str, levels))
    rest = np.array([i for i, label in enumerate(labels) if label not in known], dtype=np.int64)
    fitted = _dense(matrix[np.ix_(first, first)])
    warn_about_scale(group, fitted)
    others = np.empty(len(rest), dtype=object)
    others[:] = [labels[i] for i in rest]
    return RelatedLevels(
        group,
        frozen(_factored(group, fitted)),
        others,
        frozen(_dense(matrix[np.ix_(first, rest)])),
        matrix[np.ix_(rest, rest)],
    )


def _labelled(group: str, given: Any, levels: LabelArray) -> tuple[Any, list[str]]:
    """The matrix as numbers (dense or sparse), and a label for each of its rows."""
    labels: Any = None
    if isinstance(given, tuple) and len(given) == 2:
        given, labels = given
        if isinstance(given, pd.DataFrame):
            given = given.to_numpy()
        if not isinstance(labels, Iterable):
            raise _not_labels(group, labels)
        labels = [category_label(label) for label in labels]
    if isinstance(given, pd.DataFrame):
        rows = [category_label(label) for label in given.index]
        columns = [category_label(label) for label in given.columns]
        check_labels(group, rows)
        if set(rows) != set(columns):
            raise _different_labels(group, rows, columns)
        order = {label: j for j, label in enumerate(columns)}
        given, labels = given.iloc[:, [order[label] for label in rows]], rows
    matrix = _numbers(group, given)
    check_size(group, matrix.shape, None if labels is None else len(labels), len(levels))
    return matrix, [str(level) for level in levels] if labels is None else labels


def _not_labels(group: str, labels: Any) -> Exception:
    return unreadable(
        f"the labels of the relationship of `{group}` are not a sequence.",
        got=f"an object of type `{type(labels).__name__}`",
        suggestion="`(matrix, labels)` with the labels in the order of the rows",
        group=group,
    )


def _different_labels(group: str, rows: list[str], columns: list[str]) -> Exception:
    alone = sorted(set(rows) ^ set(columns))
    return unreadable(
        f"the relationship of `{group}` has rows and columns of different levels.",
        got=f"in one but not the other: {listed(alone)}",
        suggestion="`pd.DataFrame(K, index=labels, columns=labels)`",
        group=group,
        labels=tuple(alone),
    )


def _numbers(group: str, given: Any) -> Any:
    """Float values, dense or sparse; never the caller's memory."""
    try:
        if issparse(given):
            sparse: Any = given
            return csr_array(sparse.astype(np.float64), copy=True)
        return np.array(given, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise unreadable(
            f"the relationship of `{group}` is not a matrix of numbers.",
            got=f"an object of type `{type(given).__name__}`",
            suggestion="a DataFrame with the levels as rows and columns, or `(matrix, labels)`",
            group=group,
        ) from error


def _dense(matrix: Any) -> FloatArray:
    dense: Any = matrix.toarray() if hasattr(matrix, "toarray") else matrix
    return np.asarray(dense, dtype=np.float64)


def _factored(group: str, matrix: FloatArray) -> FloatArray:
    """Lower-triangular factor; exact zeros on its diagonal where the matrix is singular."""
    try:
        return np.asarray(np.linalg.cholesky(matrix), dtype=np.float64)
    except np.linalg.LinAlgError:
        factor = semidefinite_cholesky(matrix, SINGULAR)
    size = float(np.max(np.diag(matrix)))
    if size <= 0.0 or np.max(np.abs(factor @ factor.T - matrix)) > FACTORED * size:
        raise not_definite(group, matrix, "")
    return factor


def factor_solved(factor: FloatArray, right: FloatArray) -> FloatArray:
    """Solution of ``factor @ x = right``; the one of least size if the factor is singular."""
    diagonal = np.diag(factor)
    if len(factor) and diagonal.min() > np.sqrt(SINGULAR) * diagonal.max():
        return np.asarray(solve_triangular(factor, right, lower=True))
    return np.asarray(np.linalg.lstsq(factor, right, rcond=np.sqrt(SINGULAR))[0])
