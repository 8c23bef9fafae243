"""Check how many evaluations fits need and where they arrive: ``python -m benchmarks.evaluations``.

Nothing is timed. Every computation of the criterion counts, and the count that the package reports
is compared with one made outside it. Each model is fitted from its default start and from the
identity times 1, 0.1 and 3; all must arrive at the best known value. Further checks: a saddle
point must be left, and the units of a column must not matter.
"""

from __future__ import annotations

import argparse
import json
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

import lmmformula as lf
from benchmarks.data import (
    ROOT,
    DataNotAvailableError,
    load_external,
    load_problem_data,
    load_reference,
)
from benchmarks.problems import problem_named
from lmmformula.engine import objective as engine_objective

MODELS = ROOT / "tests" / "reference" / "models"
STARTS = (1.0, 0.1, 3.0)
LIMIT_REFERENCE = 12
REFERENCE_SETS = (
    "sleepstudy",
    "dyestuff",
    "dyestuff2",
    "penicillin",
    "pastes",
    "insteval",
    "timss",
)
LIMITS = {"kb07": 16, "kwdyz11": 16, "maximal_72": 14, "mrk17": 22}


@dataclass(frozen=True)
class Case:
    """One model with its limit of evaluations and its best known criterion."""

    name: str
    formula: str
    data: pd.DataFrame
    reml: bool
    reference: float
    limit: int | None = None
    options: dict[str, Any] = field(default_factory=dict)


class Verdicts:
    """Prints each check and remembers failures."""

    def __init__(self) -> None:
        self.failures = 0

    def note(self, name: str, passed: bool, facts: str) -> None:
        """Record one check."""
        self.failures += not passed
        print(f"{'ok  ' if passed else 'FAIL'} {name:<38} {facts}", flush=True)


@contextmanager
def counted() -> Iterator[list[int]]:
    """Count computations of the criterion from outside the package."""
    original, count = engine_objective.Evaluation, [0]

    class Counting(original):  # type: ignore[misc, valid-type]
        """Counts its instances."""

        def __init__(self, *arguments: Any, **keywords: Any) -> None:
            count[0] += 1
            super().__init__(*arguments, **keywords)

    engine_objective.Evaluation = Counting  # type: ignore[misc]
    try:
        yield count
    finally:
        engine_objective.Evaluation = original  # type: ignore[misc]


def _fit(case: Case, start: float | None = None) -> tuple[Any, int]:
    """Fit a case; the result and the outside count."""
    with warnings.catch_warnings():
        # Singular and unidentified fits are among the cases: their status is printed and judged.
        warnings.simplefilter("ignore")
        model = lf.lmm(case.formula, case.data, **case.options)
        with counted() as count:
            result = model.fit(reml=case.reml, start=start)
    return result, count[0]


def reference_cases() -> Iterator[Case]:
    """Stored reference models on the data sets that have a limit."""
    for path in sorted(MODELS.glob("*.json")):
        model = json.loads(path.read_text())
        if model["dataset"] not in REFERENCE_SETS:
            continue
        options: dict[str, Any] = {k: model[k] for k in ("weights", "offset") if model[k]}
        if model["contrasts"]:
            options["contrasts"] = {
                k: v.removeprefix("contr.") for k, v in model["contrasts"].items()
            }
        yield Case(
            model["id"],
            model["formula"],
            load_reference(model["dataset"]),
            bool(model["reml"]),
            float(model["criterion"]),
            LIMIT_REFERENCE,
            options,
        )


def external_cases(data_dir: str | None) -> Iterator[Case]:
    """Return the problems on external data that have a limit."""
    for name, limit in LIMITS.items():
        problem = problem_named(name)
        reference = problem.reference(problem.criterion)
        assert reference is not None
        data = load_problem_data(problem.data, data_dir)
        yield Case(name, problem.formula, data, problem.criterion == "REML", reference, limit)


def saddle_case(data_dir: str | None) -> Case:
    """Return the bioequivalence data with one variance that the data do not identify."""
    data = load_external("*saddlepoint.csv", data_dir)
    for column in ("sub", "seq", "per", "trt"):
        data[column] = pd.Categorical(data[column].astype(str))
    data["row"] = np.arange(1, len(data) + 1)
    for level in ("R", "T"):
        data[f"dummy_{level}"] = (data["trt"] == level).astype(float)
    formula = (
        "log(AUCT) ~ trt + seq + per + (0 + trt | sub) + (0 + dummy_R | row) + (0 + dummy_T | row)"
    )
    return Case("saddle", formula, data, True, -286.169416, None, {"checks": "ignore"})


def endpoint_case(data_dir: str | None) -> Case:
    """Return a scalar model on which an optimizer was once reported to stop early."""
    data = load_external("*833.csv", data_dir)
    data["period"] = pd.Categorical(data["period"].astype(str))
    formula = "endpoint ~ formulation + sequence + period + (1 | id)"
    return Case("endpoint", formula, data, True, 1143.363049)


def _tolerance(reference: float, digits: float = 1e-6) -> float:
    return digits + 1e-10 * abs(reference)


def check_case(case: Case, verdicts: Verdicts, starts: tuple[float, ...]) -> None:
    """Check limit, count, criterion and status from the default start, criterion from others."""
    for start in (None, *starts):
        result, outside = _fit(case, start)
        optimum, gap = result.optimum, result.objective - case.reference
        counts_agree = outside == optimum.n_evaluations
        within = start is not None or case.limit is None or outside <= case.limit
        arrived = gap <= _tolerance(case.reference)
        settled = result.converged or optimum.status == "not_identified"
        label = "default" if start is None else f"{start:g} I"
        limit = f"/{case.limit}" if start is None and case.limit else ""
        facts = f"{outside:>3}{limit} evaluations  gap {gap:+.1e}  {optimum.status}"
        if not counts_agree:
            facts += f"  (reported {optimum.n_evaluations})"
        passed = counts_agree and within and arrived and bool(settled)
        verdicts.note(f"{case.name}, {label}", passed, facts)


def check_saddle(case: Case, verdicts: Verdicts) -> None:
    """The saddle lies at -284.331; the minimum is 1.84 lower."""
    result, outside = _fit(case)
    estimate = float(np.exp(result.params.filter(like="trt").iloc[0]))
    passed = abs(result.objective - case.reference) < 2e-6 and abs(estimate - 0.932909) < 2e-6
    facts = f"{outside} evaluations  {result.objective:.6f}  exp(trt) {estimate:.6f}"
    verdicts.note("saddle, left", passed, f"{facts}  {result.optimum.status}")


def check_scale(factor: float, reml: bool, verdicts: Verdicts) -> None:
    """Days in other units must give the same fit, to 1e-8 relative."""
    data = load_reference("sleepstudy")
    formula = "Reaction ~ Days + (Days | Subject)"
    base, _ = _fit(Case("", formula, data, reml, 0.0))
    scaled, _ = _fit(Case("", formula, data.assign(Days=data["Days"] * factor), reml, 0.0))
    shift = 2 * np.log(factor) if reml else 0.0
    units = np.array([1.0, factor])
    pairs = [
        (base.objective, scaled.objective - shift),
        (base.params.to_numpy(), scaled.params.to_numpy() * units),
        (base.bse.to_numpy(), scaled.bse.to_numpy() * units),
        (base.sigma, scaled.sigma),
        (base.theta, scaled.theta * np.array([1.0, factor, factor])),
        (base.fittedvalues.to_numpy(), scaled.fittedvalues.to_numpy()),
    ]
    worst = max(float(np.max(np.abs(np.subtract(a, b)) / np.abs(a))) for a, b in pairs)
    same = base.optimum.n_evaluations == scaled.optimum.n_evaluations
    name = f"Days x {factor:g}, {'REML' if reml else 'ML'}"
    verdicts.note(name, worst <= 1e-8 and same, f"largest relative difference {worst:.1e}")


def main(argv: list[str] | None = None) -> int:
    """Run every check; the number of failures decides the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.evaluations", description=__doc__)
    parser.add_argument("--data-dir", help="directory of the external data")
    parser.add_argument("--only", help="cases whose name contains this")
    parser.add_argument("--default-start-only", action="store_true")
    arguments = parser.parse_args(argv)
    verdicts = Verdicts()
    starts = () if arguments.default_start_only else STARTS

    def wanted(name: str) -> bool:
        return not arguments.only or arguments.only in name

    for case in reference_cases():
        if wanted(case.name):
            check_case(case, verdicts, starts)
    for factor in (1e5, 1e-5):
        for reml in (True, False):
            if wanted("scale"):
                check_scale(factor, reml, verdicts)
    try:
        for case in external_cases(arguments.data_dir):
            if wanted(case.name):
                check_case(case, verdicts, starts)
        if wanted("saddle"):
            check_saddle(saddle_case(arguments.data_dir), verdicts)
        if wanted("endpoint"):
            check_case(endpoint_case(arguments.data_dir), verdicts, starts)
    except DataNotAvailableError as error:
        print(f"external data left out: {error}")
    print(f"{verdicts.failures} failed" if verdicts.failures else "all checks passed")
    return int(verdicts.failures > 0)


if __name__ == "__main__":
    raise SystemExit(main())
