"""The process that runs one job, and talks JSON lines with the runner.

Protocol::

    runner  {"job", "path", "warm_up", "formula", "options"}
    worker  {"event": "done", "seconds", "peak_mb", "estimates", "errors", "facts", "versions"}

or ``{"event": "stopped", "status", "reason"}``. The job runs once on small data of the same kind,
so that libraries are loaded; then once on the data. The peak is that of the whole process, with
Python and its libraries, and of its child processes.
"""

from __future__ import annotations

import time
import warnings
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from benchmarks import memory
from benchmarks.contenders.base import NotSupportedError
from benchmarks.scale.family import FamilyPeak
from benchmarks.scale.jobs import JOBS
from benchmarks.worker import Line

_REASONS: tuple[tuple[type[BaseException], str], ...] = (
    (NotSupportedError, "not supported"),
    (ModuleNotFoundError, "not installed"),
    (MemoryError, "memory limit"),
)
_LIBRARIES = ("lmmformula", "numpy", "scipy", "pyarrow", "pandas", "dask", "gpboost")


def versions() -> dict[str, str]:
    """Versions of the libraries that are installed here."""
    found = {}
    for library in _LIBRARIES:
        try:
            found[library] = version(library)
        except PackageNotFoundError:
            continue
    return found


def serve(line: Line, request: dict[str, Any]) -> None:
    """Warm up, run, report."""
    job, options = JOBS[request["job"]], request["options"]
    warm = {**options, "kill_after": 0}
    job(Path(request["warm_up"]), request["formula"], **warm)
    memory.reset_peak()
    with FamilyPeak() as family:
        reading = job(Path(request["path"]), request["formula"], **options)
    line.say(
        "done",
        seconds=reading.seconds,
        peak_mb=family.peak_mb,
        estimates=reading.estimates,
        errors=reading.errors,
        facts=reading.facts,
        versions=versions(),
    )


def main() -> None:
    """Serve one request."""
    # Contenders warn of what they drop or deprecate; the runner checks the answers.
    warnings.simplefilter("ignore")
    line = Line()
    request = line.hear()
    start = time.perf_counter()
    try:
        serve(line, request)
    except Exception as error:  # a failure is a row with its reason
        status = next((s for kind, s in _REASONS if isinstance(error, kind)), "failed")
        text = " ".join(str(error).split()) or type(error).__name__
        seconds = time.perf_counter() - start
        line.say("stopped", status=status, reason=text[:300], seconds=seconds)


if __name__ == "__main__":
    main()
