"""Codings of categorical variables: names, formulaic objects, and what the formula says."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from formulaic.transforms.contrasts import (
    Contrasts,
    CustomContrasts,
    DiffContrasts,
    HelmertContrasts,
    PolyContrasts,
    SASContrasts,
    SumContrasts,
    TreatmentContrasts,
)
from formulaic.utils.sentinels import UNSET
from numpy.typing import NDArray

from lmmformula._arrays import FloatArray
from lmmformula.design.columns import category_label
from lmmformula.errors import DesignError, OptionError

__all__ = ["CONTRASTS", "Coding", "coding", "resolve_contrast", "resolve_contrasts"]


def resolve_contrasts(contrasts: Mapping[str, Any] | None) -> dict[str, Contrasts]:
    """Turn the ``contrasts`` argument into formulaic objects, one per variable."""
    if contrasts is None:
        return {}
    if not isinstance(contrasts, Mapping):
        raise OptionError(
            "`contrasts` must say which variable has which coding.",
            got=f"{contrasts!r}",
            suggestion="`contrasts={'store': 'sum'}`",
            option="contrasts",
        )
    return {name: resolve_contrast(value, name) for name, value in contrasts.items()}


def resolve_contrast(value: Any, variable: str) -> Contrasts:
    """Turn a contrast's name, class, object or matrix into a formulaic object."""
    if isinstance(value, str):
        name = value.removeprefix("contr.").lower()
        if name in CONTRASTS:
            contrast: Contrasts = CONTRASTS[name]()
            return contrast
    elif isinstance(value, Contrasts):
        return value
    elif inspect.isclass(value) and issubclass(value, Contrasts):
        made: Contrasts = value()
        return made
    elif isinstance(value, (np.ndarray, list, tuple, dict)):
        return CustomContrasts(value)
    raise OptionError(
        f"the contrast for `{variable}` is not known.",
        got=f"{value!r}; known are {', '.join(CONTRASTS)}",
        suggestion=f"`contrasts={{{variable!r}: 'sum'}}`, or a formulaic contrast object",
        option="contrasts",
        variable=variable,
        available=tuple(CONTRASTS),
    )


@dataclass(frozen=True, slots=True, eq=False)
class Coding:
    """Columns of a categorical variable.

    Attributes
    ----------
    fields : tuple of str
        Endings of the column names, ``[T.B]`` and the like.
    indicators : tuple of int or None
        The level that each column indicates, where columns are indicators.
    matrix : ndarray, shape (n_levels, n_columns), or None
        One row per level, where they are not.
    """

    fields: tuple[str, ...]
    indicators: tuple[int, ...] | None = None
    matrix: FloatArray | None = None

    def column(self, position: int, codes: NDArray[Any]) -> FloatArray:
        """Return one column for the rows of ``codes``."""
        if self.indicators is not None:
            chosen: FloatArray = np.equal(codes, self.indicators[position]).astype(np.float64)
            return chosen
        assert self.matrix is not None
        column: FloatArray = self.matrix[:, position].take(codes)
        return column


def coding(
    contrast: Contrasts | None, levels: Sequence[str], *, full: bool, variable: str
) -> Coding:
    """Return the columns of a categorical variable.

    Parameters
    ----------
    contrast : Contrasts or None
        Coding; None is treatment coding.
    levels : sequence of str
        Labels of the levels that occur.
    full : bool
        One indicator column per level, as R codes the first factor without an intercept.
    variable : str
        Name, for messages.
    """
    labels = list(levels)
    if full:
        return Coding(tuple(f"[{label}]" for label in labels), tuple(range(len(labels))))
    if len(labels) < 2:
        raise DesignError(
            f"`{variable}` has only one level, so it has no effect to estimate.",
            got=f"level {labels[0]!r} in all rows used" if labels else "no level at all",
            suggestion=f"take `{variable}` out of the formula, or look at the rows left out",
            variable=variable,
            levels=tuple(labels),
        )
    if contrast is None:
        return Coding(tuple(f"[T.{label}]" for label in labels[1:]), tuple(range(1, len(labels))))
    return _contrast_coding(contrast, labels, variable)


def _contrast_coding(contrast: Contrasts, labels: list[str], variable: str) -> Coding:
    """Ask a formulaic contrast object for its columns."""
    if isinstance(contrast, TreatmentContrasts) and contrast.base is not UNSET:
        contrast = replace(contrast, base=category_label(contrast.base))
    try:
        matrix = np.asarray(contrast.get_coding_matrix(labels, reduced_rank=True), dtype=np.float64)
        names = contrast.get_coding_column_names(labels, reduced_rank=True)
    except (ValueError, IndexError, TypeError) as error:
        raise OptionError(
            f"the contrast for `{variable}` does not fit its levels.",
            got=f"{type(contrast).__name__} for levels {labels}: {error}",
            suggestion="a coding with one row per level, and a base among the levels",
            option="contrasts",
            variable=variable,
        ) from error
    template = contrast.get_factor_format(labels, reduced_rank=True)
    fields = tuple(template.format(name="", field=field) for field in names)
    return Coding(fields, matrix=np.asfortranarray(_check_coding(matrix, labels, variable)))


def _check_coding(matrix: FloatArray, labels: Sequence[str], variable: str) -> FloatArray:
    if matrix.shape[0] == len(labels) and np.isfinite(matrix).all():
        return matrix
    raise OptionError(
        f"the contrast matrix for `{variable}` does not fit its levels.",
        got=f"shape {matrix.shape} for {len(labels)} levels",
        suggestion="a finite matrix with one row per level, in the order of the levels",
        option="contrasts",
        variable=variable,
    )


CONTRASTS: dict[str, type[Contrasts]] = {
    "treatment": TreatmentContrasts,
    "sum": SumContrasts,
    "poly": PolyContrasts,
    "helmert": HelmertContrasts,
    "diff": DiffContrasts,
    "sas": SASContrasts,
}
