"""Every subject in every cell: from long data to a complete table, or the reason why not."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from lmmformula._arrays import BoolArray, CodeArray, FloatArray, IntArray
from lmmformula.classical.rm_data import LongData
from lmmformula.design.notify import notify
from lmmformula.design.sources import listed
from lmmformula.errors import DataError, DesignError, DroppedRowsWarning

__all__ = ["CellTable", "tabulate"]

SHOWN = 6
SPARSEST, SMALL = 4, 10**6
"""Entries of the table per row of the data, and entries beside, beyond which it is no design."""


@dataclass(frozen=True, slots=True, eq=False)
class CellTable:
    """A complete design.

    Attributes
    ----------
    long : LongData
        Where it comes from.
    Y : ndarray, shape (N, p)
        Responses, a row per subject and a column per cell of the within factors; the first factor
        varies slowest.
    subjects : tuple of str, length N
        Labels of the rows.
    between : tuple of ndarray of int, each of shape (N,)
        Codes of the between factors.
    """

    long: LongData
    Y: FloatArray
    subjects: tuple[str, ...]
    between: tuple[CodeArray, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """Numbers of levels of the within factors."""
        return tuple(len(column.labels) for column in self.long.within)


def tabulate(long: LongData, aggregate: str | None, missing: str) -> CellTable:
    """Arrange long data by subject and cell.

    Parameters
    ----------
    long : LongData
        The data.
    aggregate : {None, "mean"}
        What to do with several rows of a subject in a cell.
    missing : {"raise", "drop"}
        What to do with subjects that lack a cell.

    Raises
    ------
    DataError
        Subjects lack cells, have several rows in one, or occur in several groups.
    DesignError
        A combination of between factors has no subject, or there are too few subjects.
    """
    _check_groups(long)
    cells, shape = _cell_codes(long)
    n_subjects, n_cells = len(long.subject.labels), math.prod(shape)
    _check_filled(long, n_subjects, n_cells)
    keys = long.subject.codes.astype(np.int64) * n_cells + cells
    known = ~np.isnan(long.y)
    counts = np.bincount(keys[known], minlength=n_subjects * n_cells)
    if aggregate is None and counts.max() > 1:
        _refuse_repeated(long, keys, counts, n_cells)
    sums = np.bincount(keys[known], weights=long.y[known], minlength=len(counts))
    complete = np.asarray((counts.reshape(n_subjects, n_cells) > 0).all(axis=1))
    if not complete.all():
        rows = np.bincount(keys, minlength=len(counts)).reshape(n_subjects, n_cells)
        _tell_incomplete(long, counts.reshape(rows.shape), rows, complete, missing)
    Y = sums.reshape(n_subjects, n_cells) / np.maximum(counts, 1).reshape(n_subjects, n_cells)
    first = np.zeros(n_subjects, dtype=np.int64)
    first[long.subject.codes] = np.arange(len(long.y))
    kept = np.flatnonzero(complete)
    between = tuple(column.codes[first][kept] for column in long.between)
    _check_sizes(long, between, len(kept))
    labels = tuple(long.subject.labels[i] for i in kept)
    return CellTable(long, Y[kept], labels, between)


def _check_filled(long: LongData, n_subjects: int, n_cells: int) -> None:
    """Refuse what can only be a mistake, before a table is made of it."""
    n = len(long.y)
    if n_subjects * n_cells <= SPARSEST * n + SMALL:
        return
    sizes = [f"{column.name}: {len(column.labels)} levels" for column in long.within]
    raise DataError(
        "the within factors have far more cells than the data have rows.",
        got=f"{n} rows, {n_subjects} subjects, {n_cells} cells ({listed(sizes)})",
        suggestion="factors with few levels; a measurement that varies within subjects is a "
        "covariate of a mixed model, `lf.lmer`",
        n_cells=n_cells,
        n_subjects=n_subjects,
    )


def _cell_codes(long: LongData) -> tuple[IntArray, tuple[int, ...]]:
    shape = tuple(len(column.labels) for column in long.within)
    cells = np.zeros(len(long.y), dtype=np.int64)
    for column, size in zip(long.within, shape, strict=True):
        cells = cells * size + column.codes
    return cells, shape


def _cell_name(long: LongData, cell: int) -> str:
    """Write a cell as ``phase=pre, hour=2``."""
    parts = []
    for column in reversed(long.within):
        cell, level = divmod(cell, len(column.labels))
        parts.append(f"{column.name}={column.labels[level]}")
    return ", ".join(reversed(parts))


def _check_groups(long: LongData) -> None:
    """Every subject has one level of each between factor."""
    for column in long.between:
        n_levels = len(column.labels)
        pairs = np.unique(long.subject.codes.astype(np.int64) * n_levels + column.codes)
        subjects, counts = np.unique(pairs // n_levels, return_counts=True)
        if counts.max() == 1:
            continue
        moving = subjects[counts > 1]
        shown = [
            f"{long.subject.labels[i]!r} in "
            + " and ".join(repr(column.labels[j]) for j in pairs[pairs // n_levels == i] % n_levels)
            for i in moving
        ]
        subject, name = long.roles.subject, column.name
        raise DataError(
            f"{len(moving)} of {len(subjects)} subjects are in several levels of the between "
            f"factor `{name}`.",
            got=listed(shown, SHOWN),
            suggestion=f"`{name}` among `within` if it varies within subjects; where labels are "
            f"used again in every group, labels of their own: `data[{subject!r}] = "
            f"data[{name!r}].astype(str) + data[{subject!r}].astype(str)`",
            column=name,
            subjects=tuple(long.subject.labels[i] for i in moving),
        )


def _refuse_repeated(long: LongData, keys: IntArray, counts: IntArray, n_cells: int) -> NoReturn:
    many = np.flatnonzero(counts > 1)
    shown = [
        f"subject {long.subject.labels[key // n_cells]!r} at {_cell_name(long, key % n_cells)}: "
        f"{counts[key]} rows"
        for key in many[:SHOWN].tolist()
    ]
    more = f"; {len(many) - SHOWN} more" if len(many) > SHOWN else ""
    raise DataError(
        "some subjects have several rows in one cell, where the analysis takes one number.",
        got="; ".join(shown) + more,
        suggestion='`aggregate="mean"` to analyse the means; a factor that tells the rows apart '
        f"among `within`; or a mixed model, `{long.mixed_call()}`",
        n_cells=len(many),
        rows=np.flatnonzero(counts[keys] > 1),
    )


def _tell_incomplete(
    long: LongData, counts: NDArray[Any], rows: NDArray[Any], complete: BoolArray, missing: str
) -> None:
    """Refuse subjects that lack cells, or warn that they are left out."""
    lacking: dict[str, tuple[str, ...]] = {}
    shown = []
    for i in np.flatnonzero(~complete).tolist():
        gaps = np.flatnonzero(counts[i] == 0).tolist()
        subject = long.subject.labels[i]
        lacking[subject] = tuple(_cell_name(long, cell) for cell in gaps)
        told = [
            name + (" (response missing)" if rows[i, cell] else "")
            for name, cell in zip(lacking[subject], gaps, strict=True)
        ]
        shown.append(f"{subject!r} lacks {listed([f'({text})' for text in told], 3)}")
    got = "; ".join(shown[:SHOWN])
    if len(shown) > SHOWN:
        got += f"; {len(shown) - SHOWN} more subjects"
    n = f"{len(lacking)} of {len(complete)} subjects"
    facts = {"subjects": tuple(lacking), "cells": lacking}
    mixed = f"`{long.mixed_call()}`, which uses every row"
    if missing == "drop" and complete.any():
        notify(
            DroppedRowsWarning(
                f"{n} were left out because they lack cells.", got=got, suggestion=mixed, **facts
            )
        )
        return
    n_complete = int(complete.sum())
    drop = f', or `missing="drop"` for the {n_complete} complete subjects' if n_complete > 1 else ""
    raise DataError(
        f"the analysis needs every subject in every cell, but {n} lack some.",
        got=got,
        suggestion=mixed + drop,
        **facts,
    )


def _check_sizes(long: LongData, between: Sequence[CodeArray], n_subjects: int) -> None:
    shape = tuple(len(column.labels) for column in long.between)
    n_groups = math.prod(shape)
    if n_subjects <= n_groups:
        names = ", ".join(long.roles.between)
        groups = f"{n_groups} groups of `{names}`" if between else "one group"
        raise DesignError(
            "there are too few subjects: none is left to tell subjects from error.",
            got=f"{n_subjects} subject{'s' if n_subjects > 1 else ''} in {groups}",
            suggestion=f"at least {n_groups + 1} subjects"
            + ("; check that `subject` names the subjects" if n_subjects == 1 else ""),
            n_subjects=n_subjects,
            n_groups=n_groups,
        )
    sizes = np.zeros(shape, dtype=np.int64)
    np.add.at(sizes, tuple(between), 1)
    empty = np.argwhere(sizes == 0)
    if between and len(empty):
        _refuse_empty(long, empty)


def _refuse_empty(long: LongData, empty: NDArray[Any]) -> NoReturn:
    names = [
        ", ".join(
            f"{column.name}={column.labels[level]}"
            for column, level in zip(long.between, levels, strict=True)
        )
        for levels in empty.tolist()
    ]
    raise DesignError(
        "a combination of the between factors has no complete subject, so their main effects and "
        "interactions cannot be told apart.",
        got=listed([f"({name})" for name in names], SHOWN),
        suggestion="one factor that combines them, or fewer between factors",
        cells=tuple(names),
    )
