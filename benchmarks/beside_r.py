"""What comparisons with R share: the options, R's side, and what is written and judged."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.machine import thread_variables, write_environment

if TYPE_CHECKING:
    from benchmarks.inference_items import Row

__all__ = ["RESULTS", "Rscript", "options", "publish", "restart_with_threads"]

HERE = Path(__file__).parent
RESULTS = HERE / "results"
RESTARTED = "LMMFORMULA_BENCHMARK_THREADS"


class Rscript:
    """Runs one item of a script of R.

    Parameters
    ----------
    program : str or None
        The interpreter; None leaves R out.
    script : str
        File beside this one.
    """

    def __init__(self, program: str | None, script: str) -> None:
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


def options(description: str, folder: Path) -> argparse.ArgumentParser:
    """Return the options that every comparison has."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--rscript", default="Rscript")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--only", help="names of items, separated by commas")
    parser.add_argument("--folder", type=Path, default=folder)
    return parser


def restart_with_threads(module: str, threads: int) -> None:
    """Run the command again with so many threads, unless it has them: BLAS reads them once."""
    if os.environ.get(RESTARTED) == str(threads):
        return
    environment = {**os.environ, **thread_variables(threads), RESTARTED: str(threads)}
    command = [sys.executable, "-m", module, *sys.argv[1:]]
    sys.exit(subprocess.run(command, env=environment, check=False).returncode)


def publish(named_rows: Iterable[tuple[str, Row]], r: Rscript, folder: Path) -> None:
    """Write the rows; exit with 1 where an answer differs or a target is missed."""
    from benchmarks.inference_items import save, versions

    rows: list[Row] = []
    for name, row in named_rows:
        print(f"{name}: {row}", flush=True)
        rows.append(row)
    folder.mkdir(parents=True, exist_ok=True)
    save(rows, folder)
    write_environment(folder, {"lmmformula": versions(), "R": r.versions})
    wrong = [row for row in rows if not row.answer.startswith("ok") or row.met is False]
    sys.exit(1 if wrong else 0)
