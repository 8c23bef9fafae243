"""What judges and records the scale benchmark."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.scale import __main__ as command
from benchmarks.scale.bench import Bench, Outcome, Source
from benchmarks.scale.cases import CASES
from benchmarks.scale.checks import against_exact, against_truth, same
from benchmarks.scale.coverage import covered_shares
from benchmarks.scale.family import FamilyPeak
from benchmarks.scale.problems import CLUSTERED
from benchmarks.scale.rows import Row, merged, read_rows, save

SOURCE = Source(Path("d"), Path("w"), "y ~ x + (1 | g)", 100, "5 g", {"x": 1.0, "sigma": 2.0})


@pytest.fixture
def outcome() -> Outcome:
    return Outcome(
        "exact",
        SOURCE,
        "done",
        [2.0, 1.0, 4.0],
        512.0,
        {"x": 1.1, "sigma": 2.2},
        {"x": 0.1, "sigma": 0.1},
        {"objective": 300.0, "n_obs": 100, "evaluations": 4, "probes": 50},
    )


def moved(outcome: Outcome, **estimates: float) -> Outcome:
    return replace(outcome, contender="other", estimates={**outcome.estimates, **estimates})


def test_equal_answers_are_equal(outcome: Outcome) -> None:
    assert same(moved(outcome), outcome) == "ok: relative to exact 0.0e+00"
    assert same(moved(outcome, x=1.1 * (1 + 1e-8)), outcome).startswith("DIFFERS: relative to")
    fewer = replace(outcome, facts={**outcome.facts, "n_obs": 99})
    assert same(fewer, outcome).startswith("DIFFERS")


def test_the_truth_is_met_within_errors(outcome: Outcome) -> None:
    assert against_truth(outcome) == "ok: within 2 SE of the truth (sigma)"
    assert against_truth(moved(outcome, x=1.5)).startswith("DIFFERS: within 5 SE")
    assert against_truth(moved(outcome, x=float("nan"))).startswith("DIFFERS")
    assert against_truth(replace(outcome, errors={})).startswith("DIFFERS: nothing to compare")
    bare = replace(outcome, errors={})
    assert against_truth(bare, errors=outcome) == against_truth(outcome)


def test_an_exact_fit_is_met_in_its_errors(outcome: Outcome) -> None:
    near = against_exact(moved(outcome, x=1.101), outcome)
    assert near == "ok: within 0.01 SE of exact (x), standard errors to 0.0e+00"
    assert against_exact(moved(outcome, x=1.103), outcome).startswith("DIFFERS: within 0.03 SE")


def test_what_failed_is_not_compared(outcome: Outcome) -> None:
    failed = Outcome("other", SOURCE, "time limit: no answer within 1 s")
    assert same(failed, outcome) == against_exact(failed, outcome) == "not compared"
    assert failed.row("scan").answer == "time limit: no answer within 1 s"


def test_a_row_has_the_median_and_the_facts(outcome: Outcome) -> None:
    row = outcome.row("scan", "ok", target="1 s", met=False)
    assert (row.seconds, row.least, row.greatest, row.repetitions) == (2.0, 1.0, 4.0, 3)
    assert (row.evaluations, row.note, row.fine) == (4, "50 probes", False)


def test_rows_are_merged_and_read_back(tmp_path) -> None:
    old = Row("scan", "streamed", 100, seconds=1.5, met=True, target="4 times", answer="ok")
    other = Row("chunked", "streamed", 100, answer="failed: no room | left")
    new = replace(old, seconds=2.5)
    rows = merged([old], [other, new], ["chunked", "scan"])
    assert rows == [other, new]
    save(rows, tmp_path)
    assert read_rows(tmp_path / "results.csv") == rows
    assert read_rows(tmp_path / "none.csv") == []
    table = (tmp_path / "table.md").read_text()
    assert "| 4 times: met | ok |" in table
    assert r"no room \| left" in table


def test_coverage_counts_what_holds_the_truth() -> None:
    fits = [{"x": (0.0, 1.0), "s": (2.0, 3.0)}, {"x": (1.0, 2.0), "s": (0.0, 1.0)}]
    assert covered_shares(fits, {"x": 1.0, "s": 9.0}) == {"x": 1.0, "s": 0.0}


def test_a_job_that_fails_is_a_row_with_its_reason(tmp_path) -> None:
    bench = Bench(tmp_path, 200, 1, 60.0, {})
    source = bench.source(CLUSTERED)
    failed = bench.run("none", "none", source)
    assert failed.status.startswith("failed: 'none'")
    late = Bench(tmp_path, 200, 1, 0.0, {}).run("scan", "scan", source)
    assert late.status == "time limit: no answer within 0 s"


def test_a_job_runs_in_a_process_of_its_own(tmp_path) -> None:
    bench = Bench(tmp_path, 200, 1, 60.0, {})
    scan = bench.run("scan", "scan", bench.source(CLUSTERED), repetitions=2)
    assert scan.done
    assert len(scan.seconds) == 2
    assert scan.facts["n_obs"] == 200
    assert scan.facts["sums"]["g"] == sum(CLUSTERED.scaled(200).piece(0)["g"])


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="no /proc")
def test_memory_of_children_is_counted() -> None:
    code = "import sys; held = bytearray(2**26); print(flush=True); sys.stdin.read()"
    child = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    child.stdout.readline()
    with FamilyPeak() as family:
        family.sampled.wait()
        child.communicate()
    assert family.peak_mb >= 64.0 + 10.0  # of the child, and some of this process


def test_unknown_cases_are_refused(capsys) -> None:
    with pytest.raises(SystemExit):
        command.arguments(["chunks"])
    assert "no case 'chunks'; there are chunked, scan" in capsys.readouterr().err
    assert set(command.arguments(["scan", "dask"]).cases) <= set(CASES)
