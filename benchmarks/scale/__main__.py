"""Run cases: ``python -m benchmarks.scale [case ...]`` (see README.md beside this file).

Writes ``benchmarks/results/scale/{results.csv,table.md,environment.json}``, where rows of cases
that are not run again stay. With ``--rows`` a case is scaled down, levels in proportion, and
nothing is recorded unless ``--folder`` says where. Exits with 1 where an answer differs or a target
is missed.
"""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

from benchmarks.machine import write_environment
from benchmarks.scale.bench import Bench
from benchmarks.scale.cases import CASES
from benchmarks.scale.files import NoRoomError, default_cache
from benchmarks.scale.rows import Row, merged, read_rows, save

RESULTS = Path(__file__).resolve().parent.parent / "results" / "scale"


def arguments(argv: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__)
    parser.add_argument("cases", nargs="*", metavar="case", help=", ".join(CASES))
    parser.add_argument("--rows", type=int, help="scale every case down to so many rows")
    parser.add_argument("--cache", type=Path, default=default_cache(), help="folder for the data")
    parser.add_argument("--venvs", type=Path, help="made by benchmarks.install (for GPBoost)")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--time-limit", type=float, default=1800.0, help="seconds for one job")
    parser.add_argument("--folder", type=Path, help="where to record (default: results/scale)")
    chosen = parser.parse_args(argv)
    unknown = [name for name in chosen.cases if name not in CASES]
    if unknown:
        parser.error(f"no case {unknown[0]!r}; there are {', '.join(CASES)}")
    return chosen


def main(argv: list[str] | None = None) -> int:
    """Run from the command line."""
    chosen = arguments(argv)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # workers are stopped on the way out
    pythons = {}
    if chosen.venvs:
        pythons["gpboost"] = str(chosen.venvs.resolve() / "gpboost" / "bin" / "python")
    bench = Bench(chosen.cache, chosen.rows, chosen.threads, chosen.time_limit, pythons)
    folder = chosen.folder or (None if chosen.rows else RESULTS)
    fine = True
    for name in chosen.cases or CASES:
        print(name, flush=True)
        try:
            rows = CASES[name](bench)
        except NoRoomError as error:
            print(f"  left out: {error}", file=sys.stderr)
            fine = False
            continue
        for row in rows:
            print(f"  {row.contender}, {row.rows:,} rows: {row.answer}", flush=True)
        fine = fine and all(row.fine for row in rows)
        if folder is not None:
            record(rows, folder, bench)
    return int(not fine)


def record(rows: list[Row], folder: Path, bench: Bench) -> None:
    """Merge rows into those of the folder."""
    from dataclasses import replace

    new = [replace(row, threads=bench.threads) for row in rows]
    save(merged(read_rows(folder / "results.csv"), new, list(CASES)), folder)
    write_environment(folder, bench.versions)


if __name__ == "__main__":
    sys.exit(main())
