"""Time of inference beside R, in one run; every answer is checked before its time counts.

    python -m benchmarks.inference_speed                # the whole, about three minutes
    python -m benchmarks.inference_speed --quick        # few repetitions, to try it

Writes ``results/inference/{results.csv,table.md,environment.json}``. R (lme4, lmerTest, jsonlite)
is found as ``Rscript`` on the path; ``--rscript`` names another, and ``--without-r`` leaves out
what needs it. Every library gets the same number of threads.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.machine import thread_variables, write_environment

__all__ = ["main"]

HERE = Path(__file__).parent
FOLDER = HERE / "results" / "inference"
RESTARTED = "LMMFORMULA_INFERENCE_SPEED"


class Rscript:
    """Runs one item of a script of R.

    Parameters
    ----------
    program : str or None
        The interpreter; None leaves R out.
    script : str
        File beside this one.
    """

    def __init__(self, program: str | None, script: str = "inference_speed.R") -> None:
        self.program = program
        self.script = script
        self.versions: dict[str, str] = {}

    def run(self, item: str, repetitions: int, *more: str) -> dict[str, Any] | None:
        """Times and answers; ``more`` goes to the script."""
        if self.program is None:
            return None
        with tempfile.TemporaryDirectory() as directory:
            out = Path(directory) / "out.json"
            script = str(HERE / self.script)
            command = [self.program, "--vanilla", script, item, str(repetitions), str(out), *more]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            answer: dict[str, Any] = json.loads(out.read_text())
        self.versions |= answer.pop("versions")
        return answer


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--rscript", default="Rscript")
    parser.add_argument("--without-r", action="store_true")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--only", help="names of items, separated by commas")
    parser.add_argument("--folder", type=Path, default=FOLDER)
    arguments = parser.parse_args()
    if os.environ.get(RESTARTED) != str(arguments.threads):  # BLAS reads its threads once
        environment = {**os.environ, **thread_variables(arguments.threads)}
        environment[RESTARTED] = str(arguments.threads)
        command = [sys.executable, "-m", "benchmarks.inference_speed", *sys.argv[1:]]
        sys.exit(subprocess.run(command, env=environment, check=False).returncode)
    measure(arguments)


def measure(arguments: argparse.Namespace) -> None:
    """Time all items and write the results."""
    from benchmarks.inference_items import ITEMS, Row, save, versions

    r = Rscript(None if arguments.without_r else arguments.rscript)
    chosen: dict[str, Callable[[Rscript, bool], list[Row]]] = dict(ITEMS)
    if arguments.only:
        chosen = {name: chosen[name] for name in arguments.only.split(",")}
    rows: list[Row] = []
    for name, item in chosen.items():
        for row in item(r, arguments.quick):
            print(f"{name}: {row}", flush=True)
            rows.append(row)
    arguments.folder.mkdir(parents=True, exist_ok=True)
    save(rows, arguments.folder)
    write_environment(arguments.folder, {"lmmformula": versions(), "R": r.versions})
    wrong = [row for row in rows if not row.answer.startswith("ok") or row.met is False]
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
