"""Time of structured covariances beside nlme and glmmTMB, in one run; answers are checked first.

    python -m benchmarks.structures                # the whole, some minutes (R's fits)
    python -m benchmarks.structures --quick        # few repetitions, to try it

Writes ``results/structures/{results.csv,table.md,environment.json}``. R (nlme, glmmTMB, jsonlite)
is found as ``Rscript`` on the path; ``--rscript`` names another. Every library gets the same number
of threads.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

from benchmarks.inference_speed import HERE, Rscript
from benchmarks.machine import thread_variables, write_environment

__all__ = ["main"]

FOLDER = HERE / "results" / "structures"
RESTARTED = "LMMFORMULA_STRUCTURES"


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--rscript", default="Rscript")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--only", help="names of items, separated by commas")
    parser.add_argument("--folder", type=Path, default=FOLDER)
    arguments = parser.parse_args()
    if os.environ.get(RESTARTED) != str(arguments.threads):  # BLAS reads its threads once
        environment = {**os.environ, **thread_variables(arguments.threads)}
        environment[RESTARTED] = str(arguments.threads)
        command = [sys.executable, "-m", "benchmarks.structures", *sys.argv[1:]]
        sys.exit(subprocess.run(command, env=environment, check=False).returncode)
    measure(arguments)


def measure(arguments: argparse.Namespace) -> None:
    """Time all items and write the results."""
    from benchmarks.inference_items import Row, save, versions
    from benchmarks.structures_items import PROBLEMS, rows_of

    r = Rscript(arguments.rscript, "structures.R")
    chosen = arguments.only.split(",") if arguments.only else list(PROBLEMS)
    rows: list[Row] = []
    for name in chosen:
        for row in rows_of(name, r, quick=arguments.quick):
            print(f"{name}: {row}", flush=True)
            rows.append(row)
    arguments.folder.mkdir(parents=True, exist_ok=True)
    save(rows, arguments.folder)
    write_environment(arguments.folder, {"lmmformula": versions(), "R": r.versions})
    wrong = [row for row in rows if not row.answer.startswith("ok") or row.met is False]
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
