"""Items of ``inference_speed``: calls that are timed, and how their answers are checked."""

from __future__ import annotations

import csv
import gc
import statistics
import time
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd

import lmmformula as lf
from benchmarks.data import load_reference, million

__all__ = ["ITEMS", "Row", "save", "versions"]

SLEEPSTUDY = "Reaction ~ Days + (Days | Subject)"
PENICILLIN = "diameter ~ 1 + (1 | plate) + (1 | sample)"


class R(Protocol):
    """Runs an item in R."""

    def run(self, item: str, repetitions: int) -> dict[str, Any] | None:
        """Times and answers, or None."""


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes
    ----------
    item : str
    seconds, least, greatest : float
        Median and range of our times.
    repetitions : int
    other : str
        What it is compared with.
    other_seconds : float
    ratio : float
        Ours over the other.
    target : float
        What the ratio (or, without a comparison, the time) must not exceed; NaN for none.
    met : bool or None
    answer : str
        "ok", with what was compared, or what differs.
    """

    item: str
    seconds: float
    least: float
    greatest: float
    repetitions: int
    other: str
    other_seconds: float
    ratio: float
    target: float
    met: bool | None
    answer: str


def compared(
    item: str,
    ours: list[float],
    answer: str,
    *,
    other: str = "",
    theirs: list[float] | float | None = None,
    target: float = np.nan,
) -> Row:
    """Make a row; without a comparison the target is in seconds."""
    seconds = statistics.median(ours)
    other_seconds = np.nan if theirs is None else float(np.median(theirs))
    ratio = seconds / other_seconds
    value = seconds if not other else ratio
    met = None if np.isnan(target) or np.isnan(value) else bool(value <= target)
    ends = (seconds, min(ours), max(ours))
    return Row(item, *ends, len(ours), other, other_seconds, ratio, target, met, answer)


def timed(call: Callable[[], Any], n: int) -> list[float]:
    """Time ``n`` calls after one that does not count."""
    call()
    out = []
    for _ in range(n):
        gc.collect()
        start = time.perf_counter()
        call()
        out.append(time.perf_counter() - start)
    return out


def _close(worst: float, limit: float, what: str) -> str:
    return f"{'ok' if worst <= limit else 'DIFFERS'}: {what} {worst:.1e}"


def bootstrap(name: str, formula: str, target: float) -> Callable[[R, bool], list[Row]]:
    """A thousand parametric replicates; 20 responses of R are fitted here as well."""

    def item(r: R, quick: bool) -> list[Row]:
        n_theirs = 30 if quick else 1000
        data = load_reference(name)
        model = lf.lmm(formula, data)
        fit = model.fit()
        replicates = fit.bootstrap(1000, seed=1)
        theirs = r.run(f"bootstrap_{name}", n_theirs)
        answer = f"ok: {replicates.n_failed} failed, R left out"
        if theirs is not None:
            answer = _same_bootstrap(model, replicates, theirs)
        ours = timed(lambda: fit.bootstrap(1000, seed=1).to_frame(), 2 if quick else 9)
        return [
            compared(
                f"1000 parametric bootstrap replicates, {name}",
                ours,
                answer,
                other="lme4 bootMer",
                theirs=None if theirs is None else theirs["seconds"] * 1000 / n_theirs,
                target=target,
            )
        ]

    return item


def _same_bootstrap(model: Any, ours: Any, theirs: dict[str, Any]) -> str:
    """Criteria of R's responses, and standard errors within four Monte Carlo errors."""
    gaps = [
        model.with_response(np.array(y)).fit().objective - criterion
        for y, criterion in zip(theirs["responses"], theirs["criteria"], strict=True)
    ]
    frame = ours.to_frame()
    names = [*model.fit().params.index, "sigma"]
    ratio = frame[names].std().to_numpy() / np.array(theirs["sd"])
    error = np.sqrt(0.5 / len(frame) + 0.5 / theirs["replicates"])
    off = float(np.abs(np.log(ratio)).max() / error)
    right = max(gaps) <= 1e-6 and min(gaps) > -1e-3 and off <= 4.0 and ours.n_failed == 0
    return (
        f"{'ok' if right else 'DIFFERS'}: criteria of 20 responses {min(gaps):+.0e} to "
        f"{max(gaps):+.0e}, standard errors within {off:.1f} Monte Carlo errors"
    )


def profile(r: R, quick: bool) -> list[Row]:
    """Profile intervals of all parameters; R's names are in the same order."""
    fit = lf.lmer(SLEEPSTUDY, load_reference("sleepstudy"))
    theirs = r.run("profile", 1 if quick else 3)
    limits, answer = fit.profile().conf_int().to_numpy(), "ok: R left out"
    if theirs is not None:
        reference = np.array(theirs["limits"])
        width = (reference[:, 1] - reference[:, 0])[:, None]
        answer = _close(np.abs((limits - reference) / width).max(), 5e-4, "of the width")
    ours = timed(lambda: fit.profile().conf_int(), 3 if quick else 15)
    return [
        compared(
            "profile intervals, sleepstudy",
            ours,
            answer,
            other="lme4 confint",
            theirs=None if theirs is None else theirs["seconds"],
            target=1 / 10,
        )
    ]


def summary(r: R, quick: bool) -> list[Row]:
    """Fit and Satterthwaite summary, and the summary alone (of a result made anew)."""
    data, n = load_reference("sleepstudy"), 5 if quick else 31
    theirs = r.run("summary", n)
    frame, answer = lf.lmer(SLEEPSTUDY, data).summary().frame, "ok: R left out"
    if theirs is not None:
        columns = frame[["estimate", "se", "df", "statistic"]].to_numpy()
        reference = np.array(theirs["table"])[:, :4]
        answer = _close(np.abs(columns / reference - 1).max(), 1e-4, "relative")
    whole = timed(lambda: lf.lmer(SLEEPSTUDY, data).summary().frame, n)
    fits = iter([lf.lmer(SLEEPSTUDY, data) for _ in range(n + 1)])
    alone = timed(lambda: next(fits).summary().frame, n)
    times = (None, None) if theirs is None else (theirs["seconds"], theirs["alone"])
    label = "lmerTest summary"
    return [
        compared(
            f"{what}, sleepstudy", ours, answer, other=f"{label}{extra}", theirs=t, target=1 / 3
        )
        for what, ours, t, extra in (
            ("fit and Satterthwaite summary", whole, times[0], " and fit"),
            ("Satterthwaite summary alone", alone, times[1], ""),
        )
    ]


def kenward_roger_million(r: R, quick: bool) -> list[Row]:
    """Kenward-Roger at 10^6 rows in 10^4 groups against the fit; adjustment must be tiny."""
    data, n = million(), 1 if quick else 3

    def call() -> lf.LinearMixedResults:
        return lf.lmer("y ~ x + (x | g)", data)

    fits = [call() for _ in range(n + 1)]
    first = fits[0].approximation("kenward-roger")
    wald = np.sqrt(np.diagonal(fits[0].estimates.vcov_beta))
    ratio = np.sqrt(np.diagonal(first.vcov)) / wald
    df = first.df(np.eye(2))
    fine = bool((np.abs(ratio - 1) < 1e-3).all() and (np.abs(df / 9999 - 1) < 0.05).all())
    answer = (
        f"{'ok' if fine else 'DIFFERS'}: df {df[0]:.0f} and {df[1]:.0f}, standard errors changed "
        f"by {np.abs(ratio - 1).max():.0e}"
    )
    waiting = iter(fits)
    ours = timed(lambda: next(waiting).approximation("kenward-roger"), n)
    fitting = timed(call, n)
    return [
        compared(
            "Kenward-Roger, 10^6 rows, 10^4 groups, (x | g)",
            ours,
            answer,
            other="our fit",
            theirs=fitting,
            target=2.0,
        )
    ]


def kenward_roger_insteval(r: R, quick: bool) -> list[Row]:
    """Kenward-Roger where three factors cross; or the memory that it would need."""
    data = load_reference("insteval")
    formula = "y ~ service + (1 | s) + (1 | d) + (1 | dept:service)"
    fit = lf.lmer(formula, data)
    item = "Kenward-Roger, InstEval (73,421 rows, 4,128 levels)"
    try:
        start = time.perf_counter()
        used = fit.approximation("kenward-roger")
        seconds = time.perf_counter() - start
    except lf.NumericalError as error:
        refused = f"ok: refused, {error.got}"
        return [compared(item, [np.nan], refused)]
    satterthwaite = fit.approximation("satterthwaite").df(np.eye(2))
    df = used.df(np.eye(2))
    right = bool((np.abs(df / satterthwaite - 1) < 0.1).all())
    told = f"df {df[0]:.2f} and {df[1]:.2f} (Satterthwaite {satterthwaite[0]:.2f}, "
    told += f"{satterthwaite[1]:.2f})"
    again = timed(lambda: lf.lmer(formula, data), 1)
    return [
        compared(
            item,
            [seconds],
            f"{'ok' if right else 'DIFFERS'}: {told}",
            other="our fit",
            theirs=again,
        )
    ]


def influence(r: R, quick: bool) -> list[Row]:
    """Hat values and Cook's distances: sleepstudy as in R, then 10^5 rows."""
    fit = lf.lmer(SLEEPSTUDY, load_reference("sleepstudy"))
    n = 3 if quick else 15
    theirs = r.run("influence", n)
    hat, cook = fit.leverage().hat.to_numpy(), fit.influence().cooks_distance.to_numpy()
    answer = "ok: R left out"
    if theirs is not None:
        gaps = [
            np.abs(mine / np.array(other) - 1).max()
            for mine, other in ((hat, theirs["hat"]), (cook, theirs["cook"]))
        ]
        answer = _close(max(gaps), 1e-3, "relative")
    small = timed(partial(_diagnostics, fit), n)
    times = None if theirs is None else theirs["seconds"]
    label = "leverage and Cook's distance"
    rows = [compared(f"{label}, sleepstudy", small, answer, other="lme4", theirs=times)]
    for name, formula, data in _large():
        big = lf.lmer(formula, data)
        ours = timed(partial(_diagnostics, big), 1 if quick else 3)
        total = big.leverage().effective_parameters
        told = f"ok: sum of hat values {total:.1f}"
        rows.append(compared(f"{label}, 10^5 rows, {name}", ours, told, target=10.0))
    return rows


def _diagnostics(fit: lf.LinearMixedResults) -> None:
    fit.leverage()
    fit.influence()


def _large() -> list[tuple[str, str, pd.DataFrame]]:
    """One vector-valued factor; two crossed ones."""
    rng = np.random.default_rng(5)
    n, sizes = 100_000, (3000, 300)
    codes = [rng.integers(size, size=n) for size in sizes]
    x = rng.standard_normal(n)
    y = 1.0 + x + rng.standard_normal(n)
    for code, size in zip(codes, sizes, strict=True):
        y += rng.standard_normal(size)[code]
    crossed = pd.DataFrame({"y": y, "x": x, "s": codes[0].astype(str), "i": codes[1].astype(str)})
    return [
        ("1000 groups, (x given g)", "y ~ x + (x | g)", million(n, 1000, 7)),
        ("3000 by 300 crossed", "y ~ x + (1 | s) + (1 | i)", crossed),
    ]


ITEMS: dict[str, Callable[[R, bool], list[Row]]] = {
    "bootstrap_sleepstudy": bootstrap("sleepstudy", SLEEPSTUDY, 1 / 100),
    "bootstrap_penicillin": bootstrap("penicillin", PENICILLIN, 1 / 20),
    "profile": profile,
    "summary": summary,
    "kr_million": kenward_roger_million,
    "kr_insteval": kenward_roger_insteval,
    "influence": influence,
}


def versions() -> dict[str, str]:
    """Versions of what runs here."""
    return {name: version(name) for name in ("numpy", "scipy", "pandas")} | {
        "lmmformula": lf.__version__
    }


def save(rows: list[Row], folder: Path) -> None:
    """Write the rows as CSV and as a Markdown table."""
    with (folder / "results.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, [f.name for f in fields(Row)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(row) for row in rows)
    lines = [
        "| what | ours | beside | its time | ratio | target | answer |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [_line(row) for row in rows]
    (folder / "table.md").write_text("\n".join(lines) + "\n")


def _line(row: Row) -> str:
    ratio = "" if np.isnan(row.ratio) else _fraction(row.ratio)
    target = ""
    if not np.isnan(row.target):
        size = _fraction(row.target) if row.other else _duration(row.target)
        target = f"{size}, {'missed' if row.met is False else 'met' if row.met else 'not tried'}"
    theirs, bar = _duration(row.other_seconds), "\\|"
    cells = (row.item, _duration(row.seconds), row.other, theirs, ratio, target, row.answer)
    return f"| {' | '.join(cell.replace('|', bar) for cell in cells)} |"


def _duration(seconds: float) -> str:
    if np.isnan(seconds):
        return ""
    return f"{1e3 * seconds:.3g} ms" if seconds < 1 else f"{seconds:.3g} s"


def _fraction(ratio: float) -> str:
    return f"1/{1 / ratio:.3g}" if ratio < 1 else f"{ratio:.2g}"


# Small samples warn, some of them a thousand times; answers are compared, whatever was said.
warnings.simplefilter("ignore", lf.LMMWarning)
