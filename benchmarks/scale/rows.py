"""Rows of the scale benchmark: written, merged with those of earlier runs, shown as a table."""

from __future__ import annotations

import csv
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

__all__ = ["Row", "merged", "read_rows", "save"]


@dataclass(frozen=True)
class Row:
    """One contender on one case.

    ``answer`` begins with ``ok`` where the answer was checked and is right, with ``DIFFERS`` where
    it is not, and says why there is none otherwise. Memory is the peak of the whole process (with
    its children), Python and its libraries included.
    """

    case: str
    contender: str
    rows: int
    levels: str = ""
    seconds: float | None = None
    least: float | None = None
    greatest: float | None = None
    repetitions: int = 0
    peak_mb: float | None = None
    evaluations: int | None = None
    threads: int | None = None
    target: str = ""
    met: bool | None = None
    answer: str = ""
    note: str = ""

    @property
    def key(self) -> tuple[str, str, int]:
        """What identifies the row."""
        return (self.case, self.contender, self.rows)

    @property
    def fine(self) -> bool:
        """No wrong answer and no missed target."""
        return not self.answer.startswith("DIFFERS") and self.met is not False


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


def _value(text: str, kind: str) -> Any:
    if text == "":
        return "" if kind == "str" else None
    if kind.startswith("bool"):
        return text == "True"
    if kind.startswith("float"):
        return float(text)
    return int(text) if kind.startswith("int") else text


def merged(old: list[Row], new: list[Row], cases: list[str]) -> list[Row]:
    """Old rows, those measured again replaced, in the order of the cases."""
    kept = {row.key: row for row in (*old, *new)}
    return sorted(kept.values(), key=lambda r: cases.index(r.case) if r.case in cases else 99)


def save(rows: list[Row], folder: Path) -> None:
    """Write results.csv and table.md."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "results.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, [f.name for f in fields(Row)], lineterminator="\n")
        writer.writeheader()
        for row in rows:
            record = {k: "" if v is None else v for k, v in asdict(row).items()}
            writer.writerow(
                {k: f"{v:.6g}" if isinstance(v, float) else v for k, v in record.items()}
            )
    lines = [
        "| case | contender | rows | levels | time | peak memory | evaluations | target | answer |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    (folder / "table.md").write_text("\n".join(lines + [_line(row) for row in rows]) + "\n")


def _line(row: Row) -> str:
    bar = "\\|"
    target = row.target
    if target:
        target += ": " + {True: "met", False: "missed", None: "not tried"}[row.met]
    answer = "; ".join(text for text in (row.answer, row.note) if text)
    cells = (
        row.case,
        row.contender,
        f"{row.rows:,}",
        row.levels,
        "" if row.seconds is None else f"{row.seconds:.3g} s",
        _size(row.peak_mb),
        "" if row.evaluations is None else str(row.evaluations),
        target,
        answer,
    )
    return f"| {' | '.join(cell.replace('|', bar) for cell in cells)} |"


def _size(mb: float | None) -> str:
    if mb is None:
        return ""
    return f"{mb / 1024:.2f} GiB" if mb >= 1024 else f"{mb:.0f} MiB"
