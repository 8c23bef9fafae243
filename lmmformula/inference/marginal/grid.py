"""Rows of a reference grid, and averages over some of its variables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy import sparse

from lmmformula._arrays import BoolArray, FloatArray, IntArray

__all__ = ["WEIGHTS", "Combinations", "Grid", "average"]

WEIGHTS: dict[str, str] = {
    "equal": "every combination counts the same",
    "proportional": "as frequent as the combination is in the data",
    "outer": "as frequent as its levels are in the data, one by one",
    "cells": "as frequent as the combination is in the cell itself",
    "flat": "combinations that occur in the cell count the same",
}

ESTIMABLE = 1e-6
"""Share of a column's root mean square beyond which what X cannot make of it matters."""


@dataclass(frozen=True, slots=True, eq=False)
class Combinations:
    """Linear combinations of the fixed effects.

    Attributes
    ----------
    L : ndarray, shape (m, p)
        Coefficients; NaN in rows that stand for nothing.
    excess : ndarray, shape (m, d)
        What they ask of columns that X does not have; zero where estimable.
    offset : ndarray, shape (m,)
        Known part of the predictor.
    """

    L: FloatArray
    excess: FloatArray
    offset: FloatArray

    def combined(self, weights: Any) -> Combinations:
        """Return linear combinations of the rows.

        Parameters
        ----------
        weights : ndarray or sparse array, shape (k, m)
            One row per new combination; rows without a meaning spoil those that use them.
        """
        empty: BoolArray = np.asarray(np.isnan(self.L).any(axis=1))
        L: FloatArray = weights @ np.where(empty[:, None], 0.0, self.L)
        if empty.any():
            L[np.asarray(abs(weights) @ empty, dtype=bool)] = np.nan
        excess, offset = np.nan_to_num(self.excess), np.nan_to_num(self.offset)
        return Combinations(L, weights @ excess, weights @ offset)

    def taken(self, rows: Any) -> Combinations:
        """Return the chosen rows."""
        return Combinations(self.L[rows], self.excess[rows], self.offset[rows])

    @property
    def is_estimable(self) -> BoolArray:
        """Whether every choice of the columns kept in X gives the same value."""
        beyond = np.abs(self.excess).max(axis=1, initial=0.0) > ESTIMABLE
        return np.asarray(~beyond & ~np.isnan(self.L).any(axis=1))


@dataclass(frozen=True, eq=False)
class Grid:
    """Combinations of the levels of some variables, the first variable varying fastest.

    Attributes
    ----------
    levels : dict of str to tuple
        Values of each variable.
    codes : ndarray of int, shape (n, n_variables)
        Positions in the levels.
    rows : Combinations
        The linear predictor in each combination.
    counts : ndarray, shape (n,)
        Rows of the data in each combination.
    """

    levels: Mapping[str, tuple[Any, ...]]
    codes: IntArray
    rows: Combinations
    counts: FloatArray

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Variables in order."""
        return tuple(self.levels)

    def columns(self, names: Sequence[str]) -> list[IntArray]:
        """Codes of some variables."""
        return [self.codes[:, self.names.index(name)] for name in names]

    def values(self, name: str) -> list[Any]:
        """Return the values of one variable, row by row."""
        return [self.levels[name][code] for code in self.codes[:, self.names.index(name)]]

    def taken(self, rows: Any) -> Grid:
        """Return the chosen rows."""
        return Grid(self.levels, self.codes[rows], self.rows.taken(rows), self.counts[rows])

    def keys(self, names: Sequence[str]) -> IntArray:
        """One number per combination of some variables, the first varying fastest."""
        key = np.zeros(len(self.codes), dtype=np.int64)
        for name, codes in zip(reversed(names), reversed(self.columns(names)), strict=True):
            key = key * len(self.levels[name]) + codes
        return key


def average(grid: Grid, keep: Sequence[str], weights: str, within: Sequence[str] = ()) -> Grid:
    """Average over all variables but some.

    Parameters
    ----------
    grid : Grid
        What is averaged.
    keep : sequence of str
        Variables to keep, in the order wanted.
    weights : str
        One of ``WEIGHTS``.
    within : sequence of str
        Frequencies are taken within the combinations of these variables.

    Returns
    -------
    Grid
        Combinations of ``keep``; NaN where the weights are all zero.
    """
    present, group = np.unique(grid.keys(keep), return_inverse=True)
    w = _frequencies(grid, keep, weights, within)
    totals = np.bincount(group, weights=w, minlength=len(present))
    with np.errstate(divide="ignore", invalid="ignore"):
        share = w / totals[group]
    n = len(group)
    mean = sparse.csr_array((share, (group, np.arange(n))), shape=(len(present), n))
    codes = np.zeros((len(present), len(keep)), dtype=np.int64)
    codes[group] = np.stack([*grid.columns(keep)], axis=1) if keep else codes[group]
    counts = np.bincount(group, weights=grid.counts, minlength=len(present)).astype(np.float64)
    return Grid({name: grid.levels[name] for name in keep}, codes, grid.rows.combined(mean), counts)


def _frequencies(
    grid: Grid, keep: Sequence[str], weights: str, within: Sequence[str]
) -> FloatArray:
    counts = grid.counts if grid.counts.any() else np.ones_like(grid.counts)
    others = [name for name in grid.names if name not in keep]
    if weights == "proportional":
        return _sums(grid, [*within, *others], counts)
    if weights == "outer":
        w = np.ones_like(counts)
        for name in others:
            w = w * _sums(grid, [*within, name], counts)
        return w
    if weights == "cells":
        return counts
    if weights == "flat":
        return (counts > 0).astype(np.float64)
    return np.ones_like(counts)


def _sums(grid: Grid, names: Sequence[str], counts: FloatArray) -> FloatArray:
    """Return, row by row, the total count of the row's combination of some variables."""
    _, group = np.unique(grid.keys(names), return_inverse=True)
    return np.asarray(np.bincount(group, weights=counts)[group])
