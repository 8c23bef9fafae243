"""Small data for the tests of the design."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from lmmformula.design import Design, materialize
from lmmformula.formula import parse

N = 24
FULL = "y ~ x + (x | g)"


def frame(**columns: Any) -> pd.DataFrame:
    """24 rows, 6 groups of 4; functions of the frame make further columns."""
    rng = np.random.default_rng(11)
    data = pd.DataFrame(
        {
            "y": rng.normal(size=N),
            "x": rng.normal(size=N),
            "z": rng.normal(size=N),
            "g": np.repeat(list("abcdef"), 4),
            "h": np.tile(list("abcd"), 6),
        }
    )
    for name, values in columns.items():
        data[name] = values(data) if callable(values) else values
    return data


def design(formula: str = FULL, data: Any = None, **options: Any) -> Design:
    """Parse and materialize."""
    return materialize(parse(formula), frame() if data is None else data, **options)
