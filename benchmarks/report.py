"""Tables from the rows of a run: ``python -m benchmarks.report RUN``; nothing is timed."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

from benchmarks.contenders import CONTENDERS
from benchmarks.problems import PROBLEMS, PUBLISHED, TARGETS, Target
from benchmarks.store import Row, read_rows, with_ratios

__all__ = ["main", "write_tables"]

RESULTS = Path(__file__).resolve().parent / "results"
MARKS = {"near": " ~", "above reference": " !", "below reference": " ?"}
STAGES = ("parse", "materialize", "assemble", "optimize", "evaluate")
LARGE = {p.name for p in PROBLEMS if p.n > 20_000}
Cells = dict[tuple[str, str, str], Row]


def _markdown(header: list[str], rows: list[list[str]]) -> str:
    lines = ["| " + " | ".join(header) + " |", "|" + " --- |" * len(header)]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines)


def _seconds(value: float) -> str:
    if value >= 100:
        return f"{value:.0f}"
    if value >= 0.1:
        return f"{value:.3g}"
    return f"{1000 * value:.3g} ms"


def _cell(row: Row | None, show: Callable[[Row], str]) -> str:
    if row is None:
        return ""
    if row.seconds_median is None:
        return row.status
    return show(row)


def _grid(cells: Cells, stage: str, show: Callable[[Row], str], published: bool = False) -> str:
    """Problems down, contenders across."""
    names = [c.name for c in CONTENDERS if any(k[1:] == (stage, c.name) for k in cells)]
    header = ["problem", *names, *(["MixedModels.jl, published"] if published else [])]
    body = []
    for problem in PROBLEMS:
        row = [_cell(cells.get((problem.name, stage, name)), show) for name in names]
        if not any(row):
            continue
        if published:
            figures = PUBLISHED.get(problem.name)
            row.append(f"{figures.derivative_free} / {figures.gradient}" if figures else "")
        body.append([problem.name, *row])
    return _markdown(header, body)


def _ratio(row: Row) -> str:
    if row.ratio is None:
        return ""
    text = f"{row.ratio:.0f}" if row.ratio >= 20 else f"{row.ratio:.2g}"
    return text + MARKS.get(row.status, "")


def _evaluations(row: Row) -> str:
    if row.evaluations is None:
        return "not told"
    kind = row.evaluations_kind.removeprefix("criterion").removeprefix(", ")
    return f"{row.evaluations} {kind}".strip()


def _gap(row: Row) -> str:
    return "" if row.objective_gap is None else f"{row.objective_gap:.1e}"


def _memory(row: Row) -> str:
    if row.peak_memory_mb is None or not row.frame_mb:
        return ""
    return f"{row.peak_memory_mb:.0f} ({row.peak_memory_mb / row.frame_mb:.1f}x)"


def _measure(target: Target, cells: Cells) -> tuple[str, float | None, float | None]:
    """Goal as text, measured value, and the limit it is held to (None where not measured)."""
    ours = cells.get((target.problem, target.stage, "lmmformula"))
    if target.quantity == "memory":
        done = ours is not None and ours.peak_memory_mb is not None and ours.frame_mb
        value = ours.peak_memory_mb / ours.frame_mb if ours and done else None  # type: ignore[operator]
        return f"peak memory < {target.limit:g} x frame", value, target.limit
    value = ours.seconds_median if ours else None
    if target.contender is None:
        return f"<= {_seconds(target.limit or 0.0)}", value, target.limit
    theirs = cells.get((target.problem, target.stage, target.contender))
    divisor = 1 / (target.fraction or 1.0)
    goal = f"<= {target.contender}" if divisor == 1 else f"<= {target.contender} / {divisor:.3g}"
    if theirs is None or theirs.seconds_median is None:
        return goal, value, None
    return goal, value, theirs.seconds_median * (target.fraction or 1.0)


def _targets(cells: Cells) -> str:
    body = []
    for target in TARGETS:
        goal, value, limit = _measure(target, cells)
        show = (lambda v: f"{v:.2f} x") if target.quantity == "memory" else _seconds
        verdict = "" if value is None or limit is None else "yes" if value <= limit else "**no**"
        body.append(
            [
                f"{target.problem}, {target.stage}",
                goal,
                "" if limit is None else show(limit),
                "" if value is None else show(value),
                verdict,
            ]
        )
    return _markdown(["what", "goal", "limit here", "lmmformula", "reached"], body)


def _stages(cells: Cells) -> str:
    body = []
    for problem in PROBLEMS:
        found = [cells.get((problem.name, stage, "lmmformula")) for stage in STAGES]
        if any(found):
            shown = [_cell(f, lambda r: _seconds(r.seconds_median or 0.0)) for f in found]
            body.append([problem.name, *shown])
    return _markdown(["problem", *STAGES], body)


def _remarks(rows: list[Row]) -> str:
    noted = [r for r in rows if r.note or (r.seconds_median is None and r.status)]
    body = [[r.problem, r.stage, r.contender, r.status, r.note.replace("|", "/")] for r in noted]
    return _markdown(["problem", "stage", "contender", "status", "note"], body)


def _preamble(folder: Path, rows: list[Row]) -> str:
    path = folder / "environment.json"
    if not path.exists():
        return ""
    environment = json.loads(path.read_text())
    machine = environment["machine"]
    threads = sorted({r.threads for r in rows if r.threads})
    versions = ", ".join(
        f"{name} {found['version']}" for name, found in environment["versions"].items()
    )
    return (
        f"{machine['processor']}, {machine['cores']} cores, {machine['system']}, "
        f"Python {machine['python']}; threads: {', '.join(map(str, threads))}. {versions}."
    )


LEGEND = """\
Median seconds of a whole call, from formula and frame to params, bse, theta, sigma and objective,
after one warm-up call. The answer was compared with the best known criterion first: no mark, the
same optimum (1e-6 + 1e-10 |f|); `~`, within 0.01; `!`, more than 0.01 above; `?`, below it.
MixedModels.jl's figures are those its authors published (version 5.8 in development, 4 threads,
**other hardware**): seconds without derivatives / with an analytic gradient, evaluations in
parentheses. glmm-lean is glmm without degrees of freedom and with lme4's standard errors, which is
the work that the other calls do."""


def tables(folder: Path) -> str:
    """Return the report of a run as Markdown."""
    rows = with_ratios(read_rows(folder / "results.csv"))
    cells = {row.key: row for row in rows}

    def seconds(row: Row) -> str:
        return _seconds(row.seconds_median or 0.0) + MARKS.get(row.status, "")

    parts = [
        f"# Benchmark run: {folder.name}",
        _preamble(folder, rows),
        LEGEND,
        "## Seconds of a call",
        _grid(cells, "call", seconds, published=True),
        "## Times as long as lmmformula",
        _grid(cells, "call", _ratio),
        "## Evaluations of the criterion",
        "What a package does not count as evaluations is named.",
        _grid(cells, "call", _evaluations),
        "## Criterion above the reference",
        _grid(cells, "call", _gap),
        "## Peak memory of a call",
        "MiB above the process with the frame loaded, and as a multiple of the frame's size.",
        _grid({k: v for k, v in cells.items() if k[0] in LARGE}, "call", _memory),
        "## Refit of a new response",
        _grid(cells, "refit", seconds),
        "## Stages of an lmmformula call",
        "`evaluate` is one computation of the criterion with its estimates.",
        _stages(cells),
        "## Goals",
        _targets(cells),
        "## Notes",
        _remarks(rows),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def write_tables(folder: Path) -> None:
    """Write table.md beside the rows."""
    (folder / "table.md").write_text(tables(folder))


def main(argv: list[str] | None = None) -> None:
    """Write the tables of the runs named."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.report", description=__doc__)
    parser.add_argument("run", nargs="+", help="folder under benchmarks/results")
    parser.add_argument("--results", type=Path, default=RESULTS)
    arguments = parser.parse_args(argv)
    for run in arguments.run:
        write_tables(arguments.results / run)


if __name__ == "__main__":
    main()
