"""Frames for the problems: stored data, external data, generated data.

External data are read from a directory that the user names (``--data-dir`` or the variable
``LMMFORMULA_BENCH_DATA``); their licences are unknown, so they are not part of the project.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

__all__ = [
    "ENVIRONMENT_VARIABLE",
    "ROOT",
    "DataNotAvailableError",
    "fresh",
    "load_external",
    "load_problem_data",
    "load_reference",
    "million",
]

ENVIRONMENT_VARIABLE = "LMMFORMULA_BENCH_DATA"
ROOT = Path(__file__).resolve().parent.parent
REFERENCE = ROOT / "tests" / "reference" / "data"
BUNDLED = ROOT / "lmmformula" / "datasets" / "data"


class DataNotAvailableError(Exception):
    """The data of a problem are not on this machine."""


def _stored_file(name: str) -> Path:
    for directory in (REFERENCE, BUNDLED):
        for suffix in (".csv", ".csv.gz"):
            path = directory / f"{name}{suffix}"
            if path.exists():
                return path
    raise DataNotAvailableError(f"{name} is not among the stored reference data")


def load_reference(name: str) -> pd.DataFrame:
    """Read a stored reference data set with the column types of its schema."""
    schema_file = REFERENCE / "schema.json"
    if not schema_file.exists():
        raise DataNotAvailableError("tests/reference/data is missing")
    columns = json.loads(schema_file.read_text())["datasets"][name]["columns"]
    factors = {c: v for c, v in columns.items() if v["type"] == "factor"}
    frame = pd.read_csv(
        _stored_file(name),
        na_values=["NA"],
        keep_default_na=False,
        float_precision="round_trip",
        dtype={c: str if c in factors else float for c in columns},
    )
    for column, spec in factors.items():
        frame[column] = pd.Categorical(
            frame[column], categories=spec["levels"], ordered=bool(spec.get("ordered"))
        )
    return frame


def load_external(pattern: str, data_dir: str | os.PathLike[str] | None) -> pd.DataFrame:
    """Read the file of the external data whose name matches ``pattern``."""
    directory = data_dir or os.environ.get(ENVIRONMENT_VARIABLE)
    if not directory:
        raise DataNotAvailableError(f"pass --data-dir or set {ENVIRONMENT_VARIABLE}")
    found = sorted(Path(directory).glob(pattern))
    if not found:
        raise DataNotAvailableError(f"{pattern} is not in the directory given")
    return pd.read_csv(found[0], float_precision="round_trip")


def _signs(frame: pd.DataFrame, low: dict[str, str]) -> None:
    """Code two-level columns as -1 for the level in ``low`` and +1 for the other, in place."""
    for column, level in low.items():
        frame[column] = np.where(frame[column] == level, -1.0, 1.0)


def _factors(frame: pd.DataFrame, *columns: str) -> None:
    for column in columns:
        frame[column] = pd.Categorical(frame[column].astype(str))


def _kb07(data_dir: str | None) -> pd.DataFrame:
    frame = load_external("kb07.csv.gz", data_dir)
    _signs(frame, {"spkr": "new", "prec": "break", "load": "no"})
    _factors(frame, "subj", "item")
    return frame[["rt_trunc", "spkr", "prec", "load", "subj", "item"]]


def _maximal_72(data_dir: str | None) -> pd.DataFrame:
    frame = load_external("maximal_72.csv.gz", data_dir)
    _factors(frame, "subj", "item")
    return frame[["RT", "A", "B", "C", "subj", "item"]]


def _mrk17(data_dir: str | None) -> pd.DataFrame:
    frame = load_external("mrk17_exp1.csv.gz", data_dir)
    two_level = ["F", "P", "Q", "lQ", "lT"]
    _signs(frame, {c: min(frame[c].unique()) for c in two_level})
    _factors(frame, "Item", "Subj")
    frame["speed"] = 1000.0 / frame["rt"]
    return frame[["speed", *two_level, "Item", "Subj"]]


def _kkl15(data_dir: str | None) -> pd.DataFrame:
    frame = load_external("kkl15.csv.gz", data_dir)
    _factors(frame, "tar", "subj")
    return frame[["rt", "tar", "subj"]]


def _kwdyz11(data_dir: str | None) -> pd.DataFrame:
    frame = load_external("kwdyz11.csv.gz", data_dir)
    _factors(frame, "tar", "subj", "item")
    return frame[["rt", "tar", "subj", "item"]]


def million(n: int = 1_000_000, n_groups: int = 10_000, seed: int = 20240501) -> pd.DataFrame:
    """Generate the large problem: correlated random intercepts and slopes, categorical keys."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, n_groups, n)
    x = rng.standard_normal(n)
    intercept = 0.8 * rng.standard_normal(n_groups)
    independent = rng.standard_normal(n_groups)
    slope = 0.5 * (0.4 * intercept / 0.8 + np.sqrt(1 - 0.16) * independent)
    y = 1 + 0.5 * x + intercept[codes] + slope[codes] * x + rng.standard_normal(n)
    labels = [f"g{i:05d}" for i in range(n_groups)]
    return pd.DataFrame({"y": y, "x": x, "g": pd.Categorical.from_codes(codes, categories=labels)})


_LOADERS: dict[str, Callable[[str | None], pd.DataFrame]] = {
    "kb07": _kb07,
    "maximal_72": _maximal_72,
    "mrk17": _mrk17,
    "kkl15": _kkl15,
    "kwdyz11": _kwdyz11,
    "million": lambda _: million(),
    "warm-up": lambda _: million(400, 20, 1),
}


def load_problem_data(key: str, data_dir: str | None = None) -> pd.DataFrame:
    """Return the frame of a problem's ``data`` key."""
    loader = _LOADERS.get(key)
    return load_reference(key) if loader is None else loader(data_dir)


def fresh(frame: pd.DataFrame) -> pd.DataFrame:
    """Rebuild a frame from new arrays and new indexes, so that nothing cached survives a call."""
    columns: dict[str, object] = {}
    for name in frame.columns:
        column = frame[name]
        if isinstance(column.dtype, pd.CategoricalDtype):
            columns[name] = pd.Categorical.from_codes(
                column.cat.codes.to_numpy(copy=True),
                categories=pd.Index(list(column.cat.categories)),
                ordered=column.cat.ordered,
            )
        else:
            columns[name] = column.to_numpy(copy=True)
    return pd.DataFrame(columns, index=pd.RangeIndex(len(frame)))
