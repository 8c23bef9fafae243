"""What can be wrong with a relationship matrix, in the user's labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
from scipy.linalg import eigvalsh
from scipy.sparse import issparse

from lmmformula._arrays import FloatArray, LabelArray
from lmmformula.design.notify import notify
from lmmformula.design.sources import listed
from lmmformula.errors import DataError, DataWarning

__all__ = [
    "check_labels",
    "check_levels",
    "check_numbers",
    "check_size",
    "not_definite",
    "unreadable",
    "warn_about_scale",
]

ASYMMETRY = 1e-8
"""Difference of two elements that are meant to be equal, relative to the largest one."""
USUAL_SCALE = 1e4
"""A mean diagonal element beyond this, or below its inverse, is unlikely to be meant."""


def unreadable(message: str, **parts: Any) -> DataError:
    """Every error about a relationship says which option it is."""
    return DataError(message, option="relationship", **parts)


def check_size(group: str, shape: tuple[int, ...], n_labels: int | None, n_levels: int) -> None:
    """Refuse what is not square, or does not have one row for each label or level."""
    if len(shape) != 2 or shape[0] != shape[1]:
        raise unreadable(
            f"the relationship of `{group}` is not a square matrix.",
            got=f"shape {shape}",
            suggestion="one row and one column for each level",
            group=group,
            shape=shape,
        )
    if n_labels is not None and n_labels != shape[0]:
        raise unreadable(
            f"the relationship of `{group}` does not have one label for each row.",
            got=f"{n_labels} labels, {shape[0]} rows",
            suggestion="`(matrix, labels)` with the labels in the order of the rows",
            group=group,
        )
    if n_labels is None and n_levels != shape[0]:
        raise unreadable(
            f"the relationship of `{group}` has no labels and not as many rows as the factor has "
            "levels, so they cannot be matched.",
            got=f"{shape[0]} rows, {n_levels} levels in the rows used",
            suggestion="`(matrix, labels)`, or a DataFrame with the levels as rows and columns",
            group=group,
            n_levels=n_levels,
        )


def check_labels(group: str, labels: Sequence[str]) -> None:
    """Refuse labels that occur twice."""
    if len(set(labels)) == len(labels):
        return
    twice = [label for label, count in Counter(labels).items() if count > 1]
    raise unreadable(
        f"the relationship of `{group}` has labels that occur more than once.",
        got=f"{listed(twice)}",
        suggestion="one row for each level; average or drop the others",
        group=group,
        labels=tuple(twice),
    )


def check_levels(group: str, levels: LabelArray, known: Collection[str]) -> None:
    """Refuse a relationship that leaves levels of the data out."""
    missing = [str(level) for level in levels if str(level) not in known]
    if not missing:
        return
    example = listed([str(label) for label in list(known)[:3]])
    raise unreadable(
        f"the relationship of `{group}` leaves levels out that the data have.",
        got=f"{listed(missing)} ({len(missing)} of {len(levels)} levels); it has {example}, ...",
        suggestion="add their rows and columns, drop their rows with `subset`, or check how the "
        "labels are written",
        group=group,
        missing=tuple(missing),
    )


def check_numbers(group: str, matrix: Any, labels: Sequence[str]) -> Any:
    """Refuse missing or infinite elements and asymmetry; return the exactly symmetric matrix."""
    values: FloatArray = matrix.data if _is_sparse(matrix) else matrix
    bad = ~np.isfinite(values)
    if bad.any():
        raise unreadable(
            f"the relationship of `{group}` has elements that are missing or infinite.",
            got=f"{int(bad.sum())} elements, the first between {_pair(matrix, labels)}",
            suggestion="fill them in; 0 where two levels are not related",
            group=group,
        )
    size = float(np.max(np.abs(values), initial=0.0))
    gap = abs(matrix - matrix.T)
    if float(gap.max()) > ASYMMETRY * size:
        i, j = divmod(int(gap.argmax()), len(labels))
        raise unreadable(
            f"the relationship of `{group}` is not symmetric.",
            got=f"{matrix[i, j]:.6g} and {matrix[j, i]:.6g} between `{labels[i]}` and "
            f"`{labels[j]}`",
            suggestion="`(K + K.T) / 2` if the difference is rounding",
            group=group,
            pair=(labels[i], labels[j]),
        )
    return 0.5 * (matrix + matrix.T)


def _pair(matrix: Any, labels: Sequence[str]) -> str:
    if _is_sparse(matrix):
        at = matrix.tocoo()
        first = int(np.flatnonzero(~np.isfinite(at.data))[0])
        i, j = int(at.coords[0][first]), int(at.coords[1][first])
    else:
        i, j = (int(part) for part in np.argwhere(~np.isfinite(matrix))[0])
    return f"`{labels[i]}` and `{labels[j]}`"


def _is_sparse(matrix: Any) -> bool:
    return bool(issparse(matrix))


def not_definite(group: str, matrix: FloatArray, which: str) -> DataError:
    """A matrix that is no covariance."""
    smallest = float(eigvalsh(matrix, subset_by_index=[0, 0])[0])
    advice = f"`K + {max(1e-6, -2.0 * smallest):.2g} * np.eye(len(K))` if it is rounding"
    if not np.any(np.diag(matrix)):
        advice = "`np.exp(-D / D.mean())`: a matrix of distances is not a covariance"
    where = f" {which}" if which else ""
    return unreadable(
        f"the relationship of `{group}` is not positive definite{where}, so it is no covariance.",
        got=f"smallest eigenvalue {smallest:.3g}, largest diagonal {np.diag(matrix).max():.3g}",
        suggestion=f"{advice}, or `lf.pedigree_relationship(id, sire, dam)` for a pedigree",
        group=group,
        smallest_eigenvalue=smallest,
    )


def warn_about_scale(group: str, matrix: FloatArray) -> None:
    """The variance of the term is in units of the matrix; tell where these are unusual."""
    scale = float(np.mean(np.diag(matrix)))
    if scale <= 0.0 or 1.0 / USUAL_SCALE <= scale <= USUAL_SCALE:
        return
    notify(
        DataWarning(
            f"the diagonal of the relationship of `{group}` is far from one, and the variance of "
            "the term is in its units.",
            got=f"mean of the diagonal {scale:.3g}",
            suggestion="`K / np.diag(K).mean()`, for the variance of an average level",
            group=group,
            scale=scale,
        )
    )
