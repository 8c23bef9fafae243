"""Size of tests and coverage of intervals, by simulation.

    python -m benchmarks.simulation_study --data-sets 2000 --bootstrap-data-sets 1000

Chunks of data sets that ``results/simulation/counts.csv`` already holds are kept, so that an
interrupted study is resumed, and an ended one extended, by the same command. Every data set has a
seed of its own, that of the study and its position. Small numbers of all designs come first.
``results/simulation/{size,coverage,states}.csv`` and ``tables.md`` are made again after every run;
``--tables`` makes nothing else, and ``--page`` puts the tables into a page of the documentation.
"""

from __future__ import annotations

import argparse
import csv
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import lmmformula as lf
from benchmarks.simulation_designs import SCENARIOS
from benchmarks.simulation_outcomes import Outcome, Study
from benchmarks.simulation_tables import publish

__all__ = ["main"]

FOLDER = Path(__file__).parent / "results" / "simulation"
FIELDS = ("design", "part", "chunk", "kind", "target", "method", "data_sets", "defined", "count")
CHUNK = 100
REPLICATES = 199
WHOLE_PROFILES = 200
SEED = 20260521


@dataclass(frozen=True)
class Task:
    """One chunk of data sets of one design."""

    chunk: int
    part: str
    design: int


def tasks(data_sets: int, bootstrap_data_sets: int) -> list[Task]:
    """Return all chunks: small numbers of all designs first, one in four bootstrapped."""
    counts = {"main": data_sets, "bootstrap": bootstrap_data_sets}
    every = {"main": 1, "bootstrap": 4}
    found = [
        Task(chunk, part, design)
        for part, n in counts.items()
        for chunk in range(-(-n // CHUNK))
        for design in range(len(SCENARIOS))
    ]
    return sorted(found, key=lambda task: (task.chunk * every[task.part], task.part, task.design))


def run(task: Task, study: Study) -> Iterator[dict[str, str | int]]:
    """Rows of the counts of one chunk."""
    defined: Counter[tuple[str, str, str]] = Counter()
    count: Counter[tuple[str, str, str]] = Counter()
    for index in range(task.chunk * CHUNK, (task.chunk + 1) * CHUNK):
        for outcome in _outcomes(task, study, index):
            key = (outcome.kind, outcome.target, outcome.method)
            defined[key] += outcome.value is not None
            count[key] += bool(outcome.value)
    for key, n in defined.items():
        yield {
            "design": study.scenario.name,
            "part": task.part,
            "chunk": task.chunk,
            **dict(zip(("kind", "target", "method"), key, strict=True)),
            "data_sets": CHUNK,
            "defined": n,
            "count": count[key],
        }


def _outcomes(task: Task, study: Study, index: int) -> list[Outcome]:
    """Outcomes of one data set; an error counts as a failure of the whole data set."""
    seed = np.random.SeedSequence(SEED, spawn_key=(task.design, index))
    label = f"data set, {task.part}"
    try:
        if task.part == "main":
            found = list(study.main(seed, index < WHOLE_PROFILES))
        else:
            found = list(study.bootstrap(seed))
    except (lf.LMMError, ArithmeticError, np.linalg.LinAlgError):
        return [Outcome("state", label, "with an error", True)]
    return [*found, Outcome("state", label, "with an error", False)]


def finished(path: Path) -> set[tuple[str, str, int]]:
    """Chunks that the counts already hold."""
    if not path.exists():
        return set()
    with path.open(newline="") as file:
        return {(r["design"], r["part"], int(r["chunk"])) for r in csv.DictReader(file)}


def append(path: Path, rows: list[dict[str, str | int]]) -> None:
    """Add the rows of one chunk."""
    is_new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
        if is_new:
            writer.writeheader()
        writer.writerows(rows)


def simulate(data_sets: int, bootstrap_data_sets: int, minutes: float) -> None:
    """Run what is missing, for a limited time."""
    path, started = FOLDER / "counts.csv", time.monotonic()
    FOLDER.mkdir(parents=True, exist_ok=True)
    studies = [Study(make(), REPLICATES) for make in SCENARIOS]
    done = finished(path)
    for task in tasks(data_sets, bootstrap_data_sets):
        study = studies[task.design]
        if (study.scenario.name, task.part, task.chunk) in done:
            continue
        if time.monotonic() - started > 60.0 * minutes:
            print("out of time: the same command continues")
            return
        begun = time.process_time()
        append(path, list(run(task, study)))
        seconds = time.process_time() - begun
        print(f"{study.scenario.name} {task.part} {task.chunk}: {seconds:.1f} s", flush=True)


def main() -> None:
    """Run the study from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-sets", type=int, default=2000)
    parser.add_argument("--bootstrap-data-sets", type=int, default=1000)
    parser.add_argument("--minutes", type=float, default=60.0, help="stop after this time")
    parser.add_argument("--tables", action="store_true", help="only make the tables again")
    parser.add_argument("--page", type=Path, help="page whose tables are replaced")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", lf.LMMWarning)
    if not arguments.tables:
        simulate(arguments.data_sets, arguments.bootstrap_data_sets, arguments.minutes)
    publish(FOLDER, arguments.page)


if __name__ == "__main__":
    main()
