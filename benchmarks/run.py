"""Time the contenders: ``python -m benchmarks.run --run NAME`` (see README.md).

Cells that a run already has are kept unless ``--force``, so a run can be interrupted and resumed.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import report
from benchmarks.contenders import CONTENDERS, Contender, contender_named
from benchmarks.data import ENVIRONMENT_VARIABLE, DataNotAvailableError, load_problem_data
from benchmarks.machine import write_configuration, write_environment
from benchmarks.problems import PROBLEMS, Problem, problem_named
from benchmarks.session import Session, SilenceError, WorkerDiedError, remove, write_frame
from benchmarks.store import RETRY, Row, read_rows, with_ratios, write_rows

RESULTS = Path(__file__).resolve().parent / "results"
SCRIPTS = Path(__file__).resolve().parent / "contenders"
START_LIMIT = 300.0
NEAR = 0.01
STAGE_REPETITIONS = 7
Versions = dict[str, dict[str, str]]


@dataclass(frozen=True)
class Options:
    """How cells are run."""

    threads: int
    time_limit: float
    memory_limit_gb: float | None
    data_dir: str | None
    rscript: str
    pythons: dict[str, str]
    venvs: str | None

    def recorded(self) -> dict[str, int | float | bool | str]:
        """Return the settings that matter for a figure, without paths."""
        return {
            "threads": self.threads,
            "time_limit_seconds": self.time_limit,
            "memory_limit_gib": self.memory_limit_gb or 0.0,
            "external_data": bool(self.data_dir or os.environ.get(ENVIRONMENT_VARIABLE)),
            "repetitions": "15 below 0.1 s, 7 below 2 s, 3 below 60 s, else the first call",
            "tolerance": "1e-6 + 1e-10 |reference|",
        }

    def command(self, contender: Contender) -> list[str]:
        """Command line of a contender's worker."""
        if contender.language == "r":
            return [self.rscript, "--vanilla", str(SCRIPTS / contender.adapter)]
        python = self.pythons.get(contender.name) or self.pythons.get(contender.environment)
        if python is None and self.venvs:
            candidate = Path(self.venvs).resolve() / contender.environment / "bin" / "python"
            python = str(candidate) if candidate.exists() else None
        return [python or sys.executable, "-m", "benchmarks.worker"]


def repetitions(first_call: float) -> int:
    """Number of timed calls after a warm-up of ``first_call`` seconds.

    At least 7, at least 3 above 2 s; none above 60 s, where the warm-up itself is the figure.
    """
    if first_call > 60:
        return 0
    if first_call > 2:
        return 3
    return 7 if first_call > 0.1 else 15


def judge(problem: Problem, criterion: str, objective: float) -> tuple[str, float | None]:
    """Status and gap of an objective against the reference."""
    reference = problem.reference(criterion)
    if reference is None:
        return "no reference", None
    gap, tolerance = objective - reference, problem.tolerance(criterion)
    if math.isnan(gap):
        return "failed", None
    if abs(gap) <= tolerance:
        return "ok", gap
    if gap < 0:
        return "below reference", gap
    return ("near" if gap <= NEAR else "above reference"), gap


def _request(
    problem: Problem, stage: str, contender: Contender, options: Options
) -> dict[str, Any]:
    request: dict[str, Any] = {
        "contender": contender.name,
        "problem": problem.name,
        "stage": stage,
        "data_dir": options.data_dir,
        "memory_limit_gb": options.memory_limit_gb,
        "repetitions": STAGE_REPETITIONS,
    }
    if contender.language == "r":
        frame = load_problem_data(problem.data, options.data_dir)
        request["frame_dir"] = str(write_frame(frame))
        request |= {"formula": problem.formula, "criterion": problem.criterion}
    return request


def _converse(
    session: Session, row: Row, problem: Problem, limit: float, versions: Versions
) -> Row:
    """Check the answer, then collect the times; returns the finished row."""
    event = session.hear(START_LIMIT)
    if event["event"] == "loaded":
        row = replace(row, frame_mb=event["frame_mb"], version=event["version"])
        versions[row.contender] = {"version": event["version"], **event["versions"]}
        event = session.hear(limit)
    if event["event"] == "stopped":
        return replace(row, status=event["status"], note=event["reason"])
    row, notes = _check(row, problem, event)
    first = float(event["seconds"])
    planned = repetitions(first)
    session.say({"repetitions": planned})
    seconds = [first] if planned == 0 else []
    if planned == 0:
        notes.append("one repetition, the first call")
    try:
        while (event := session.hear(limit))["event"] == "time":
            seconds.append(float(event["seconds"]))
    except SilenceError:
        notes.append(f"a later call passed {limit:.0f} s")
        seconds = seconds or [first]
    return _timed(replace(row, note="; ".join(notes)), seconds)


def _check(row: Row, problem: Problem, event: dict[str, Any]) -> tuple[Row, list[str]]:
    """Compare the answer of the warm-up call with the reference."""
    status, gap = judge(problem, event["criterion"], event["objective"])
    notes = [event["message"]] if event["message"] else []
    if event["criterion"] != problem.criterion:
        notes.append(f"{event['criterion']} ({problem.criterion} not offered)")
    row = replace(
        row,
        criterion=event["criterion"],
        status=status,
        objective=event["objective"],
        objective_gap=gap,
        evaluations=event["evaluations"],
        evaluations_kind=event["evaluations_kind"],
        peak_memory_mb=event["peak_mb"],
    )
    return row, notes


def _timed(row: Row, seconds: list[float]) -> Row:
    return replace(
        row,
        seconds_median=median(seconds),
        seconds_min=min(seconds),
        seconds_max=max(seconds),
        repetitions=len(seconds),
    )


def run_cell(
    problem: Problem, stage: str, contender: Contender, options: Options, versions: Versions
) -> Row:
    """Time one cell; whatever goes wrong becomes the row's status."""
    row = Row(problem.name, problem.structure, contender.name, stage, threads=options.threads)
    limit = contender.time_limit or options.time_limit
    request: dict[str, Any] = {}
    try:
        request = _request(problem, stage, contender, options)
        with Session(options.command(contender), options.threads) as session:
            session.say(request)
            return _converse(session, row, problem, limit, versions)
    except DataNotAvailableError as error:
        return replace(row, status="data not available", note=str(error))
    except FileNotFoundError as error:
        return replace(row, status="not installed", note=f"{error.strerror}")
    except SilenceError:
        return replace(row, status="time limit", note=f"no answer within {limit:.0f} s")
    except WorkerDiedError as error:
        return replace(row, status="failed", note=str(error))
    finally:
        if "frame_dir" in request:
            remove(Path(request["frame_dir"]))


def run_stages(problem: Problem, contender: Contender, options: Options) -> list[Row]:
    """Time the stages of our own call: parse, materialize, assemble, optimize, evaluate."""
    row = Row(problem.name, problem.structure, contender.name, "stages", threads=options.threads)
    row = replace(row, criterion=problem.criterion)
    try:
        with Session(options.command(contender), options.threads) as session:
            session.say(_request(problem, "stages", contender, options))
            event = session.hear(options.time_limit)
    except (SilenceError, WorkerDiedError) as error:
        return [replace(row, status="failed", note=str(error) or "time limit")]
    if event["event"] == "stopped":
        return [replace(row, status=event["status"], note=event["reason"])]
    version = event["version"]
    return [
        _timed(replace(row, stage=stage, status="ok", version=version), seconds)
        for stage, seconds in event["seconds"].items()
    ]


def cells(
    problems: list[Problem], contenders: list[Contender], stages: set[str]
) -> Iterator[tuple[Problem, str, Contender]]:
    """Cells in order: problem, stage, contender."""
    for problem in problems:
        for stage in problem.stages:
            if stage in stages:
                yield from ((problem, stage, contender) for contender in contenders)
        if "stages" in stages:
            ours = (c for c in contenders if c.name == "lmmformula")
            yield from ((problem, "stages", contender) for contender in ours)


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run", description=__doc__)
    add = parser.add_argument
    add("--run", default="local", help="name of the folder under benchmarks/results")
    add("--results", type=Path, default=RESULTS, help="where runs are kept")
    add("--only", help="problems, comma separated (default: all)")
    add("--contenders", help="contenders, comma separated (default: all)")
    add("--stages", default="call,refit,stages", help="call, refit, stages (our own only)")
    add("--threads", type=int, default=2, help="threads of every contender")
    add("--time-limit", type=float, default=300.0, help="seconds for one call (lme4: 1200)")
    add("--memory-limit", type=float, default=12.0, help="GiB of address space; 0 for none")
    add("--data-dir", help="directory of the external data")
    add("--rscript", default="Rscript", help="Rscript with lme4 and jsonlite")
    add("--venvs", help="directory with one virtual environment per contender")
    add("--python", action="append", default=[], metavar="CONTENDER=PATH")
    add("--force", action="store_true", help="time again what the run already has")
    add("--list", action="store_true", help="list problems and contenders")
    return parser.parse_args(argv)


def _select(names: str | None, everything: tuple[Any, ...], find: Any) -> list[Any]:
    return [find(n.strip()) for n in names.split(",")] if names else list(everything)


def _is_done(existing: dict[tuple[str, str, str], Row], key: tuple[str, str, str]) -> bool:
    if key[1] == "stages":
        return (key[0], "optimize", key[2]) in existing
    row = existing.get(key)
    return row is not None and row.status not in RETRY


def _keep(existing: dict[tuple[str, str, str], Row], row: Row) -> None:
    """Store a row, unless it only says that today something is missing that once was there."""
    before = existing.get(row.key)
    if row.status not in RETRY or before is None or before.seconds_median is None:
        existing[row.key] = row


def _order(rows: list[Row]) -> list[Row]:
    problems = [p.name for p in PROBLEMS]
    contenders = [c.name for c in CONTENDERS]
    stages = ["call", "refit", "parse", "materialize", "assemble", "optimize", "evaluate", "stages"]
    return sorted(
        rows,
        key=lambda r: (
            problems.index(r.problem),
            stages.index(r.stage),
            contenders.index(r.contender),
        ),
    )


def _print(row: Row) -> None:
    time = "" if row.seconds_median is None else f"{row.seconds_median:.4g} s x {row.repetitions}"
    gap = "" if row.objective_gap is None else f"gap {row.objective_gap:.1e}"
    count = "" if row.evaluations is None else f"{row.evaluations} evaluations"
    facts = [f"{row.problem:<11}{row.stage:<12}{row.contender:<12}", row.status, time, count, gap]
    print("  ".join(f for f in (*facts, row.note) if f), flush=True)


def main(argv: list[str] | None = None) -> None:
    """Run what is missing and write CSV, environment, configuration and tables."""
    arguments = _arguments(argv)
    if arguments.list:
        print("problems:  ", ", ".join(p.name for p in PROBLEMS))
        print("contenders:", ", ".join(c.name for c in CONTENDERS))
        return
    options = Options(
        threads=arguments.threads,
        time_limit=arguments.time_limit,
        memory_limit_gb=arguments.memory_limit or None,
        data_dir=arguments.data_dir and str(Path(arguments.data_dir).resolve()),
        rscript=arguments.rscript,
        pythons=dict(item.split("=", 1) for item in arguments.python),
        venvs=arguments.venvs,
    )
    folder = arguments.results / arguments.run
    folder.mkdir(parents=True, exist_ok=True)
    table = folder / "results.csv"
    existing = {row.key: row for row in read_rows(table)}
    wanted = cells(
        _select(arguments.only, PROBLEMS, problem_named),
        _select(arguments.contenders, CONTENDERS, contender_named),
        set(arguments.stages.split(",")),
    )
    write_configuration(folder, options.recorded())
    versions: Versions = {}
    for problem, stage, contender in wanted:
        if not arguments.force and _is_done(existing, (problem.name, stage, contender.name)):
            continue
        if stage == "stages":
            rows = run_stages(problem, contender, options)
        else:
            rows = [run_cell(problem, stage, contender, options, versions)]
        for row in rows:
            _print(row)
            _keep(existing, row)
        write_rows(table, with_ratios(_order(list(existing.values()))))
        write_environment(folder, versions)
    report.write_tables(folder)
    print(f"wrote {table.name}, environment.json, config.toml and table.md in {folder.name}/")


if __name__ == "__main__":
    main()
