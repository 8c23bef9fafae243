"""Array aliases and the few array helpers that every layer uses."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["BoolArray", "CodeArray", "FloatArray", "IntArray", "LabelArray", "frozen"]

FloatArray: TypeAlias = NDArray[np.float64]
IntArray: TypeAlias = NDArray[np.int64]
BoolArray: TypeAlias = NDArray[np.bool_]
CodeArray: TypeAlias = NDArray[np.int32]
"""Level codes of a grouping factor; -1 marks a level that was not in the fitted data."""
LabelArray: TypeAlias = NDArray[np.object_]
"""Level labels (Python strings)."""


def frozen(array: NDArray[Any]) -> NDArray[Any]:
    """Return a read-only view; the caller's array keeps its own flags."""
    view = array.view()
    view.flags.writeable = False
    return view
