"""Reading CSV files with every digit that they hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

__all__ = ["read_csv"]

# pandas 3 reads floats exactly and deprecates the option that made earlier versions do so.
_EXACT: dict[str, Any] = (
    {"float_precision": "round_trip"} if int(pd.__version__.partition(".")[0]) < 3 else {}
)


def read_csv(path: Path, **options: Any) -> pd.DataFrame:
    """Read a CSV file; a float equals the number that is written."""
    frame: pd.DataFrame = pd.read_csv(path, **_EXACT, **options)
    return frame
