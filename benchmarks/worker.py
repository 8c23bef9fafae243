"""The process that times one contender on one problem, and talks JSON lines with the runner.

Protocol, one JSON object a line::

    runner  {"contender", "problem", "stage", "data_dir"}
    worker  {"event": "loaded", "frame_mb", "version", "versions"}
    worker  {"event": "answer", "seconds", "peak_mb", "objective", "criterion", "evaluations", ...}
    runner  {"repetitions": k}
    worker  {"event": "time", "seconds"}            k times
    worker  {"event": "done"}

or, at any point, ``{"event": "stopped", "status", "reason"}``. A small model is fitted first, so
that lazily imported modules count neither as time nor as memory; the ``answer`` is the warm-up
call, and the runner checks it before anything is timed.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any, TextIO

import numpy as np
import pandas as pd

from benchmarks import memory
from benchmarks.contenders import contender_named
from benchmarks.contenders.base import Adapter, NotOfferedError, NotSupportedError, Plan
from benchmarks.data import DataNotAvailableError, fresh, load_problem_data
from benchmarks.problems import WARM_UP, Problem, problem_named

_LIBRARIES = ("numpy", "scipy", "pandas", "formulaic", "narwhals", "polars")


class Line:
    """The line to the runner; anything printed by a package goes elsewhere."""

    def __init__(self) -> None:
        self._out: TextIO = os.fdopen(os.dup(1), "w")
        os.dup2(2, 1)

    def say(self, event: str, **facts: Any) -> None:
        """Send one event."""
        self._out.write(json.dumps({"event": event, **facts}) + "\n")
        self._out.flush()

    @staticmethod
    def hear() -> dict[str, Any]:
        """Wait for the runner."""
        return json.loads(sys.stdin.readline())


def _versions() -> dict[str, str]:
    found = {"python": ".".join(map(str, sys.version_info[:3]))}
    for library in _LIBRARIES:
        with suppress(PackageNotFoundError):
            found[library] = version(library)
    return found


def _load_adapter(name: str) -> Adapter:
    module, _, cls = contender_named(name).adapter.partition(":")
    adapter: Adapter = getattr(import_module(module), cls)()
    return adapter


def _clock(call: Callable[[], Any]) -> tuple[float, Any]:
    gc.collect()
    start = time.perf_counter()
    value = call()
    return time.perf_counter() - start, value


def _warm_libraries(adapter: Adapter) -> None:
    with suppress(Exception):
        frame = load_problem_data(WARM_UP.data)
        adapter.fit(adapter.plan(WARM_UP), frame, WARM_UP.formula)


def _calls(
    adapter: Adapter, plan: Plan, problem: Problem, frame: pd.DataFrame, stage: str
) -> Callable[[int], Callable[[], Any]]:
    """Return a maker of timed calls; making one is outside the clock.

    Call 0 is the warm-up and fits the data as they are, so that its answer can be checked.
    """
    if stage == "call":

        def make(i: int) -> Callable[[], Any]:
            data, formula = fresh(frame), problem.formula_variant(i)
            return lambda: adapter.fit(plan, data, formula)

        return make
    refit = adapter.refitter(plan, fresh(frame), problem.formula)
    y = frame[problem.formula.split("~")[0].strip()].to_numpy(dtype=float)
    rng = np.random.default_rng(20240502)

    def make_refit(i: int) -> Callable[[], Any]:
        response = y + (0.1 * y.std() * rng.standard_normal(len(y)) if i else 0.0)
        return lambda: refit(response)

    return make_refit


def _serve(line: Line, request: dict[str, Any]) -> None:
    problem, stage = problem_named(request["problem"]), request["stage"]
    adapter = _load_adapter(request["contender"])
    plan = adapter.plan(problem)
    frame = load_problem_data(problem.data, request.get("data_dir"))
    frame_mb = float(frame.memory_usage(deep=True).sum()) / 2**20
    line.say("loaded", frame_mb=frame_mb, version=adapter.version, versions=_versions())
    _warm_libraries(adapter)
    make = _calls(adapter, plan, problem, frame, stage)
    call = make(0)
    tracked = memory.reset_peak()
    before = memory.resident_mb()
    seconds, reading = _clock(call)
    peak = memory.peak_mb() if tracked else None
    answer = adapter.answer(reading)
    line.say(
        "answer",
        seconds=seconds,
        peak_mb=None if peak is None or before is None else peak - before,
        criterion=plan.criterion,
        objective=answer.objective,
        evaluations=answer.evaluations,
        evaluations_kind=answer.evaluations_kind,
        message=answer.message,
    )
    del reading, call
    for i in range(line.hear()["repetitions"]):
        seconds, reading = _clock(make(i + 1))
        del reading
        line.say("time", seconds=seconds)
    line.say("done")


def _serve_stages(line: Line, request: dict[str, Any]) -> None:
    from benchmarks.contenders.lmmformula import LmmFormula, stage_seconds

    problem = problem_named(request["problem"])
    frame = load_problem_data(problem.data, request.get("data_dir"))
    seconds = stage_seconds(problem, lambda: fresh(frame), request["repetitions"])
    line.say("stages", seconds=seconds, version=LmmFormula().version)


_REASONS: tuple[tuple[type[BaseException], str], ...] = (
    (NotSupportedError, "not supported"),
    (NotOfferedError, "not offered"),
    (DataNotAvailableError, "data not available"),
    (ModuleNotFoundError, "not installed"),
    (MemoryError, "memory limit"),
)


def _limit_memory(gigabytes: float | None) -> None:
    if gigabytes:
        import resource

        limit = int(gigabytes * 2**30)
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def main() -> None:
    """Serve one request."""
    # Contenders warn of singular fits and deprecations; what counts is the answer, which the runner
    # checks before anything is timed.
    warnings.simplefilter("ignore")
    line = Line()
    request = line.hear()
    _limit_memory(request.get("memory_limit_gb"))
    try:
        (_serve_stages if request["stage"] == "stages" else _serve)(line, request)
    except Exception as error:  # a failure is a row with its reason
        status = next((s for kind, s in _REASONS if isinstance(error, kind)), "failed")
        text = " ".join(str(error).split()) or type(error).__name__
        line.say("stopped", status=status, reason=text[:300])


if __name__ == "__main__":
    main()
