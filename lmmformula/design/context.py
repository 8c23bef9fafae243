"""Functions that a formula may call."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from formulaic.transforms.contrasts import CustomContrasts

from lmmformula.design.contrasts import CONTRASTS, resolve_contrast
from lmmformula.formula.transforms import TRANSFORMS

__all__ = ["FUNCTIONS", "Coded"]


@dataclass(frozen=True, slots=True, eq=False)
class Coded:
    """Values marked as categorical inside a formula, with their coding and levels."""

    values: Any
    contrasts: Any
    levels: tuple[Any, ...] | None


def _categorical(
    values: Any, contrasts: Any = None, *, levels: Iterable[Any] | None = None, **_: Any
) -> Coded:
    """Mark values as categorical: ``C(store, contr.sum)``."""
    contrast = None if contrasts is None else resolve_contrast(contrasts, "C(...)")
    return Coded(values, contrast, None if levels is None else tuple(levels))


FUNCTIONS: Mapping[str, Any] = {
    **TRANSFORMS,
    "C": _categorical,
    "contr": SimpleNamespace(**CONTRASTS, SAS=CONTRASTS["sas"], custom=CustomContrasts),
}
"""Everything that expressions may name besides columns."""
