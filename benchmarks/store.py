"""Rows of a run: read, written and keyed, so that a run can be resumed."""

from __future__ import annotations

import csv
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

__all__ = ["RETRY", "Row", "read_rows", "with_ratios", "write_rows"]

RETRY = frozenset({"not installed", "data not available", "interrupted"})


@dataclass(frozen=True)
class Row:
    """One cell: a contender on a stage of a problem.

    ``status`` is ``ok`` (the reference is met within the tolerance), ``near`` (within 0.01),
    ``above reference``, ``below reference``, or the reason why there is no time. Memory is the peak
    increase of the warm-up call over the loaded frame; ``ratio`` is seconds over lmmformula's.
    """

    problem: str
    structure: str
    contender: str
    stage: str
    criterion: str = ""
    status: str = ""
    seconds_median: float | None = None
    seconds_min: float | None = None
    seconds_max: float | None = None
    repetitions: int | None = None
    ratio: float | None = None
    evaluations: int | None = None
    evaluations_kind: str = ""
    objective: float | None = None
    objective_gap: float | None = None
    peak_memory_mb: float | None = None
    frame_mb: float | None = None
    threads: int | None = None
    version: str = ""
    note: str = ""

    @property
    def key(self) -> tuple[str, str, str]:
        """What identifies the cell."""
        return (self.problem, self.stage, self.contender)


def _value(text: str, kind: str) -> Any:
    if text == "":
        return "" if kind == "str" else None
    if kind.startswith("float"):
        return float(text)
    return int(text) if kind.startswith("int") else text


def read_rows(path: Path) -> list[Row]:
    """Read results.csv; no file, no rows."""
    if not path.exists():
        return []
    kinds = {f.name: str(f.type) for f in fields(Row)}
    with path.open(newline="") as handle:
        return [
            Row(**{k: _value(v, kinds[k]) for k, v in record.items() if k in kinds})
            for record in csv.DictReader(handle)
        ]


def write_rows(path: Path, rows: list[Row]) -> None:
    """Write results.csv, replacing it in one step."""
    partial = path.with_suffix(".partial")
    with partial.open("w", newline="") as handle:
        writer = csv.DictWriter(handle, [f.name for f in fields(Row)])
        writer.writeheader()
        for row in rows:
            record = {k: "" if v is None else v for k, v in asdict(row).items()}
            writer.writerow({k: _text(k, v) for k, v in record.items()})
    partial.replace(path)


def _text(name: str, value: Any) -> Any:
    if not isinstance(value, float):
        return value
    if name == "objective":
        return f"{value:.9f}"
    return f"{value:.3e}" if name == "objective_gap" else f"{value:.6g}"


def with_ratios(rows: list[Row]) -> list[Row]:
    """Fill ``ratio``: seconds divided by lmmformula's on the same problem and stage."""
    ours = {(r.problem, r.stage): r.seconds_median for r in rows if r.contender == "lmmformula"}

    def ratio(row: Row) -> float | None:
        base = ours.get((row.problem, row.stage))
        if not base or row.seconds_median is None:
            return None
        return row.seconds_median / base

    return [replace(row, ratio=ratio(row)) for row in rows]
