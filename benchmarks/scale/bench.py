"""Runs jobs in processes of their own and keeps what they found."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.scale.files import stored
from benchmarks.scale.rows import Row
from benchmarks.scale.simulations import Simulation
from benchmarks.session import Session, SilenceError, WorkerDiedError

__all__ = ["Bench", "Outcome", "Source"]

WARM_UP_ROWS = 20_000


@dataclass(frozen=True)
class Source:
    """Data in files, with the model for them.

    Attributes
    ----------
    path, warm_up : Path
        The data, and small data of the same kind.
    formula : str
    n_rows : int
    levels : str
        Sizes of the factors, for the table.
    truth : dict of float
        Parameters that the data were drawn with; empty for real data.
    """

    path: Path
    warm_up: Path
    formula: str
    n_rows: int
    levels: str
    truth: dict[str, float]


@dataclass(frozen=True)
class Outcome:
    """What one contender did on one source, over its repetitions.

    ``status`` is ``done`` or the reason why there is no answer.
    """

    contender: str
    source: Source
    status: str
    seconds: list[float] = field(default_factory=list)
    peak_mb: float | None = None
    estimates: dict[str, float] = field(default_factory=dict)
    errors: dict[str, float] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def done(self) -> bool:
        """There is an answer."""
        return self.status == "done"

    def row(self, case: str, answer: str = "", **more: Any) -> Row:
        """Make a row of the table; without an answer the status says why."""
        row = Row(case, self.contender, self.source.n_rows, self.source.levels)
        if not self.done:
            return replace(row, answer=self.status, **more)
        return replace(
            row,
            seconds=median(self.seconds),
            least=min(self.seconds),
            greatest=max(self.seconds),
            repetitions=len(self.seconds),
            peak_mb=self.peak_mb,
            evaluations=self.facts.get("evaluations"),
            answer=answer,
            note=_notes(self.facts),
            **more,
        )


def _notes(facts: dict[str, Any]) -> str:
    """Facts worth a word beside the answer."""
    said = {
        "status": lambda v: "" if v == "converged" else str(v),
        "probes": lambda v: f"{v} probes",
        "solves": lambda v: f"{v} solves",
        "cg_steps": lambda v: f"{v} CG steps",
        "criterion_seconds": lambda v: f"{v:.3g} s of it for the criterion",
        "objective_error": lambda v: f"criterion's Monte Carlo error {v:.2g}",
    }
    return "; ".join(
        text for name, tell in said.items() if name in facts and (text := tell(facts[name]))
    )


class Bench:
    """What every case needs: where data are kept, how workers are started.

    Parameters
    ----------
    cache : Path
        Folder of the data.
    n_rows : int or None
        Rows to scale every case down to.
    threads : int
        For every library alike.
    time_limit : float
        Seconds for one job.
    pythons : dict of str
        Interpreters by environment; where there is none, this one.
    """

    def __init__(
        self,
        cache: Path,
        n_rows: int | None,
        threads: int,
        time_limit: float,
        pythons: dict[str, str],
    ) -> None:
        self.cache = cache
        self.n_rows = n_rows
        self.threads = threads
        self.time_limit = time_limit
        self.pythons = pythons
        self.versions: dict[str, dict[str, str]] = {}

    def source(self, data: Simulation, n_rows: int | None = None, parts: int = 1) -> Source:
        """Draw the data (or find them), scaled down if that was asked for."""
        smallest = min(n for n in (n_rows, self.n_rows, data.n_rows) if n is not None)
        drawn = data.scaled(smallest)
        small = data.scaled(min(WARM_UP_ROWS, smallest))
        return Source(
            stored(drawn, self.cache, min(parts, drawn.n_pieces)),
            stored(small, self.cache),
            drawn.formula,
            drawn.n_rows,
            ", ".join(f"{f.n_levels:,} {f.name}" for f in drawn.factors),
            drawn.truth(),
        )

    def run(
        self,
        contender: str,
        job: str,
        source: Source,
        *,
        repetitions: int = 1,
        environment: str = "lmmformula",
        **options: Any,
    ) -> Outcome:
        """Run a job, each time in a new process; failures are outcomes with their reason."""
        outcome = Outcome(contender, source, "not run")
        for _ in range(repetitions):
            event = self._once(job, source, environment, options)
            if event["event"] != "done":
                reason = event.get("reason", "")
                return replace(outcome, status=": ".join(t for t in (event["status"], reason) if t))
            self.versions[environment] = event["versions"]
            outcome = Outcome(
                contender,
                source,
                "done",
                [*outcome.seconds, event["seconds"]],
                max(event["peak_mb"] or 0.0, outcome.peak_mb or 0.0) or None,
                event["estimates"],
                event["errors"],
                event["facts"],
            )
            print(
                f"  {contender}: {event['seconds']:.3g} s, {event['peak_mb']:.0f} MiB", flush=True
            )
        return outcome

    def _once(
        self, job: str, source: Source, environment: str, options: dict[str, Any]
    ) -> dict[str, Any]:
        python = self.pythons.get(environment, sys.executable)
        request = {
            "job": job,
            "path": str(source.path),
            "warm_up": str(source.warm_up),
            "formula": source.formula,
            "options": options,
        }
        try:
            with Session([python, "-m", "benchmarks.scale.worker"], self.threads) as session:
                session.say(request)
                return session.hear(self.time_limit)
        except SilenceError:
            reason = f"no answer within {self.time_limit:.0f} s"
            return {"event": "stopped", "status": "time limit", "reason": reason}
        except WorkerDiedError as error:
            return {"event": "stopped", "status": "failed", "reason": str(error)}
