"""Pictures of recorded results: ``python -m benchmarks.figures RUN``; nothing is timed.

``speed.png`` and ``beside_r.png`` go to ``docs/explanation/figures``. Needs matplotlib.
"""

from __future__ import annotations

import argparse
import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.report import RESULTS
from benchmarks.store import Row, read_rows
from lmmformula.plot.canvas import canvas
from lmmformula.plot.style import CYCLE, DOUBLE, FAINT, INK, MARKERS, MUTED

__all__ = ["Pair", "evaluation_points", "main", "pairs", "speed_points"]

TARGET = Path(__file__).resolve().parents[1] / "docs" / "explanation" / "figures"
CONTENDERS = ("lmmformula", "lme4", "glmm", "mixedlm", "statsmodels")
FOUND = ("ok", "near")
IN_R = ("lme4", "lmerTest", "nlme", "glmmTMB")
LABELS = {"timss_full": "timss", "maximal_72": "72 parameters", "million": "1,000,000 rows"}
DPI = 150
ROOM_FOR_TEXT = 120.0


@dataclass(frozen=True)
class Pair:
    """One item here and in R."""

    item: str
    ours: float
    other: str
    seconds: float


def speed_points(rows: Sequence[Row]) -> dict[str, dict[str, tuple[float, bool]]]:
    """Seconds of a whole call, and whether the optimum was found, by problem and contender.

    Problems come in the order of lme4's times.
    """
    found: dict[str, dict[str, tuple[float, bool]]] = {}
    for row in rows:
        if row.stage == "call" and row.contender in CONTENDERS and row.seconds_median is not None:
            cells = found.setdefault(row.problem, {})
            cells[row.contender] = (row.seconds_median, row.status in FOUND)
    last = math.inf
    return dict(sorted(found.items(), key=lambda item: item[1].get("lme4", (last, True))[0]))


def evaluation_points(rows: Sequence[Row]) -> dict[str, dict[str, int]]:
    """Evaluations of the criterion, by problem and contender; lme4 and lmmformula."""
    found: dict[str, dict[str, int]] = {}
    for row in rows:
        is_counted = row.stage == "call" and row.evaluations is not None
        if is_counted and row.contender in CONTENDERS[:2]:
            found.setdefault(row.problem, {})[row.contender] = int(row.evaluations or 0)
    return found


def pairs(*files: Path) -> list[Pair]:
    """Items that R has been timed on too, and where the answers agreed."""
    found = []
    for file in files:
        with file.open(newline="", encoding="utf-8") as handle:
            for record in csv.DictReader(handle):
                is_r = record["other"].split(" ")[0] in IN_R
                if is_r and record["other_seconds"] and record["answer"].startswith("ok"):
                    ours, other = float(record["seconds"]), float(record["other_seconds"])
                    found.append(Pair(record["item"], ours, record["other"], other))
    return found


def draw_speed(rows: Sequence[Row]) -> Any:
    """Seconds on the left, evaluations on the right."""
    times, counts = speed_points(rows), evaluation_points(rows)
    names = list(times)
    with canvas(None, None, count=2, width=DOUBLE, height=22.0 + 5.6 * len(names)) as place:
        left, right = place.panels
        handles = [_points(left, names, times, i, name) for i, name in enumerate(CONTENDERS)]
        for i, name in enumerate(CONTENDERS[:2]):
            where = [y for y, problem in enumerate(names) if name in counts[problem]]
            values = [counts[names[y]][name] for y in where]
            right.plot(values, where, MARKERS[i], color=CYCLE[i], ms=4.2)
        _across(left, [[cell[0] for cell in times[name].values()] for name in names])
        _across(right, [list(counts[name].values()) for name in names])
        _rows(left, [LABELS.get(name, name) for name in names])
        _rows(right, [""] * len(names))
        left.set_xlabel("Seconds for a whole fit (open: optimum not found)")
        right.set_xlabel("Evaluations of the criterion")
        place.legend(handles, ncols=len(handles))
    return place.figure


def _points(axes: Any, names: list[str], times: Any, number: int, contender: str) -> Any:
    colour = CYCLE[number]
    for y, problem in enumerate(names):
        if contender in times[problem]:
            seconds, is_found = times[problem][contender]
            face = colour if is_found else "white"
            axes.plot(seconds, y, MARKERS[number], mfc=face, mec=colour, ms=4.2, mew=0.9)
    return axes.plot([], [], MARKERS[number], color=colour, ms=4.2, label=contender)[0]


def draw_pairs(found: Sequence[Pair]) -> Any:
    """Ours and R's, joined; the ratio at the end."""
    found = sorted(found, key=lambda pair: pair.seconds / pair.ours)
    with canvas(None, None, width=DOUBLE, height=20.0 + 5.6 * len(found)) as place:
        axes = place.panels[0]
        _across(axes, [[pair.ours, pair.seconds] for pair in found])
        for y, pair in enumerate(found):
            axes.plot(pair.ours, y, MARKERS[0], color=CYCLE[0], ms=4.2)
            axes.plot(pair.seconds, y, MARKERS[1], color=CYCLE[1], ms=4.2)
            axes.annotate(
                f"× {pair.seconds / pair.ours:.0f}, {pair.other}",
                (pair.seconds, y),
                xytext=(6, 0),
                textcoords="offset points",
                va="center",
                fontsize=7.0,
                color=MUTED,
            )
        _rows(axes, [pair.item.replace(" 2,000 subjects,", "") for pair in found])
        axes.set_xlim(right=ROOM_FOR_TEXT * max(pair.seconds for pair in found))
        axes.set_xlabel("Seconds")
        handles = [
            axes.plot([], [], MARKERS[i], color=CYCLE[i], ms=4.2, label=name)[0]
            for i, name in enumerate(("lmmformula", "R"))
        ]
        place.legend(handles)
    return place.figure


def _across(axes: Any, values: Sequence[Sequence[float]]) -> None:
    axes.set_xscale("log")
    for y, row in enumerate(values):
        axes.plot([min(row), max(row)], [y, y], color=FAINT, lw=1.4, zorder=0)


def _rows(axes: Any, names: Sequence[str]) -> None:
    axes.set_yticks(range(len(names)), names, color=INK)
    axes.set_ylim(-0.7, len(names) - 0.3)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color=FAINT, lw=0.4)
    axes.spines["left"].set_visible(False)


def main(arguments: Sequence[str] | None = None) -> None:
    """Draw both pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", help="folder under benchmarks/results")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--target", type=Path, default=TARGET)
    options = parser.parse_args(arguments)
    options.target.mkdir(parents=True, exist_ok=True)
    rows = read_rows(options.results / options.run / "results.csv")
    found = pairs(*(options.results / name / "results.csv" for name in ("inference", "structures")))
    for name, figure in (("speed", draw_speed(rows)), ("beside_r", draw_pairs(found))):
        path = options.target / f"{name}.png"
        figure.savefig(path, dpi=DPI, metadata={"Software": None})
        print(path)


if __name__ == "__main__":
    main()
