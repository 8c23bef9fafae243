"""From the DATA argument to a frame: bundled data sets and files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from lmmformula.datasets import load_dataset
from lmmformula.datasets.csv import read_csv
from lmmformula.errors import DataError, OptionError

__all__ = ["READERS", "read"]


def read(source: str) -> pd.DataFrame:
    """Read a bundled data set or a file."""
    path = Path(source)
    suffix = "".join(path.suffixes[-2:]) if path.suffix == ".gz" else path.suffix
    if suffix not in READERS:
        if path.exists():
            raise OptionError(
                f"`{source}` is of a kind that cannot be read.",
                got=f"a file ending in `{suffix}`" if path.is_file() else "a directory",
                suggestion=f"convert it to one of {', '.join(READERS)}.",
            )
        return load_dataset(source)
    if not path.is_file():
        raise OptionError(
            f"there is no file `{source}`.",
            got=f"working directory {Path.cwd()}",
            suggestion="check the path, or name a bundled data set (`lmmformula datasets`).",
        )
    try:
        frame: pd.DataFrame = READERS[suffix](path)
    except (ValueError, OSError) as error:
        raise DataError(
            f"`{source}` cannot be read.",
            got=f"{type(error).__name__}: {error}".strip(),
            suggestion="open the file with pandas to see what is wrong with it.",
        ) from error
    _check_separator(source, frame)
    return frame


def _check_separator(source: str, frame: pd.DataFrame) -> None:
    """Refuse a table that came out as one column, because its fields have another separator."""
    header = str(frame.columns[0])
    found = [mark for mark in (";", "\t", "|") if mark in header]
    if len(frame.columns) == 1 and found:
        raise DataError(
            f"`{source}` does not have commas between its columns.",
            got=f"one column, `{header:.60}`",
            suggestion=f"`pandas.read_csv({source!r}, sep={found[0]!r})`, saved with commas",
            separator=found[0],
        )


def _read_arrow(path: Path) -> pd.DataFrame:
    """Read Parquet or Feather, which need pyarrow."""
    try:
        return pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_feather(path)
    except ImportError as error:
        raise OptionError(
            f"reading `{path}` needs pyarrow, which is not installed.",
            got=str(error),
            suggestion="`pip install 'lmmformula[arrow]'`, or convert the file to CSV.",
        ) from error


READERS: dict[str, Any] = {
    ".csv": read_csv,
    ".csv.gz": read_csv,
    ".parquet": _read_arrow,
    ".feather": _read_arrow,
}
"""What reads a file, by its ending."""
