"""Against the exact engine at the same parameters: what is exact, and what has an error."""

from __future__ import annotations

import numpy as np
import pytest

from lmmformula.engine import Objective, assemble
from lmmformula.engine.estimates import modes
from lmmformula.engine.hessian import average_information
from lmmformula.engine.information import entry_moves
from lmmformula.engine.krylov import KrylovObjective, evaluation, system
from lmmformula.engine.moments import moment_matrix
from lmmformula.engine.summation import sum_products
from lmmformula.errors import DesignError
from tests.unit.engine.cases import CASES
from tests.unit.engine.krylov.designs import DESIGNS, TAILED, both, krylov

EXACT = 1e-8
MOST_ERRORS = 4.0
"""Standard errors by which a mean over fixed probes may miss."""


HALVES = [(True, False), (False, True)], [(True, True), (False, False)]
"""REML and a singular theta: half of the combinations, and the other half."""


def pairwise(*few):
    """Combinations of ``few, reml, singular`` in which every two of them meet in every way."""
    return [(size, *pair) for i, size in enumerate(few) for pair in HALVES[i % 2]]


@pytest.fixture
def probes_only(monkeypatch):
    """No factor is small enough to do without probes, none is a border."""
    monkeypatch.setattr(evaluation.KrylovEvaluation, "is_exact", lambda self, factor: False)
    monkeypatch.setattr(system, "FEW_ROWS", 0)


def close(ours, expected):
    scale = np.abs(expected).max(initial=0.0)
    np.testing.assert_allclose(ours, expected, rtol=0.0, atol=EXACT * scale + 1e-14)


@pytest.mark.parametrize(("few", "reml", "singular"), pairwise(0, 64))
@pytest.mark.parametrize("name", DESIGNS)
def test_parts_without_probes(name, few, reml, singular, monkeypatch):
    monkeypatch.setattr(system, "FEW_ROWS", few)
    point, exact = both(name, reml, singular=singular)
    ours, theirs = point.evaluation, exact.evaluation
    close(ours.S, theirs.S)
    close(ours.beta, theirs.beta)
    close(ours.Phi, theirs.Phi)
    assert ours.pwrss == pytest.approx(theirs.pwrss, rel=EXACT)
    for a, b in zip(modes(ours), modes(theirs), strict=True):
        close(a, b)
    for a, b in zip(ours.residual_blocks, theirs.residual_blocks, strict=True):
        close(a, b)
    close(average_information(ours), average_information(theirs))
    close(entry_moves(ours), entry_moves(theirs))


@pytest.mark.parametrize(("few", "reml", "singular"), pairwise(0, 12, 64))
@pytest.mark.parametrize("name", DESIGNS)
def test_traces_level_by_level(name, few, reml, singular, monkeypatch):
    """With unit vectors for probes nothing is random: every splitting gives the exact traces."""
    monkeypatch.setattr(evaluation, "FEW_LEVELS", 1_000)
    monkeypatch.setattr(system, "FEW_ROWS", few)
    point, exact = both(name, reml, singular=singular)
    pairs = zip(point.evaluation.trace_blocks, exact.evaluation.trace_blocks, strict=True)
    for ours, theirs in pairs:
        close(ours, theirs)
    close(point.gradient, exact.gradient)
    assert np.abs(point.monte_carlo_covariance()).max(initial=0.0) < EXACT


@pytest.mark.usefixtures("probes_only")
@pytest.mark.parametrize("singular", [False, True])
@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("name", TAILED)
def test_traces_by_probes(name, reml, singular):
    point, exact = both(name, reml, singular=singular, n_probes=60)
    draws = point.evaluation.trace_draws
    for term, theirs in enumerate(exact.evaluation.trace_blocks):
        own = np.array([draw[term] for draw in draws])
        error = own.std(axis=0, ddof=1) / np.sqrt(len(own))
        size = np.abs(theirs).max()
        assert np.all(np.abs(own.mean(axis=0) - theirs) <= MOST_ERRORS * error + EXACT * size)


def test_start_and_moments():
    for rows in (DESIGNS["three factors"], DESIGNS["mixed structures"]):
        sums = sum_products([rows])
        ours, exact = KrylovObjective(krylov(rows)), Objective(assemble([rows]))
        close(ours.start(), exact.start())
        close(krylov(rows).moments[0], moment_matrix(sums.total, sums.layouts))


def test_more_probes_keep_the_first_ones():
    few, _ = both("crossed", True, n_probes=3)
    with_more, _ = both("crossed", True, n_probes=5)
    pairs = zip(few.evaluation.trace_draws, with_more.evaluation.trace_draws, strict=False)
    for ours, theirs in pairs:
        for a, b in zip(ours, theirs, strict=True):
            close(a, b)


def test_related_levels_are_refused():
    with pytest.raises(DesignError, match="known relationship"):
        krylov(CASES["related"])


def test_overflow_is_infinite():
    ours = KrylovObjective(krylov(DESIGNS["crossed"]))
    assert ours.evaluate(np.full(ours.n_phi, 1e200)).value == np.inf
