"""Sums over partitions give what all data together give."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from lmmformula.engine import (
    Objective,
    assemble,
    conditional_covariances,
    estimate,
    kenward_roger_pieces,
    variance_information,
)
from lmmformula.engine.partitioned.assembly import partitioned
from lmmformula.engine.partitioned.mapping import InProcess, added
from lmmformula.errors import DesignError
from lmmformula.matrices import ModelMatrices
from lmmformula.optimize import minimize
from tests.tolerances import assert_close
from tests.unit.engine.cases import CASES, draw, with_zeros

NESTED = (
    "one factor",
    "one factor, weights and offset",
    "uncorrelated",
    "nested",
    "nested in three levels",
)
SAME = 1e-9
"""The same sums in another order; what is left of a fit's own tolerance (1e-12 in the criterion,
then one more Newton step) is far below. Largest gap seen: 3e-14."""


def rows_of(matrices: ModelMatrices, rows: np.ndarray) -> ModelMatrices:
    """Return some rows, with the codes and levels of all."""
    random = tuple(replace(b, z=b.z[rows], codes=b.codes[rows]) for b in matrices.random)
    weights, offset = (None if v is None else v[rows] for v in (matrices.weights, matrices.offset))
    return replace(
        matrices,
        y=matrices.y[rows],
        X=matrices.X[rows],
        weights=weights,
        offset=offset,
        rows=matrices.rows[rows],
        random=random,
    )


def divided(matrices: ModelMatrices, n: int) -> list[ModelMatrices]:
    """Return ``n`` pieces by the grouping factor with fewest levels, and one without rows."""
    top = min(matrices.random, key=lambda block: block.n_levels)
    part = top.codes % n
    return [rows_of(matrices, np.flatnonzero(part == i)) for i in range(n + 1)]


def both(name: str, n: int = 3):
    """Return the case as a whole and divided, in the same basis."""
    whole = assemble([CASES[name]])
    return whole, partitioned(divided(CASES[name], n), basis=whole.basis)


class Counting:
    """Counts map-reduces by what is mapped."""

    def __init__(self, inner) -> None:
        self.inner, self.calls = inner, []

    def __call__(self, function):
        self.calls.append(type(function).__name__)
        return self.inner(function)


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("singular", [False, True])
@pytest.mark.parametrize("name", [*NESTED, "two terms on a factor"])
def test_an_evaluation_is_that_of_all_rows(name, reml, singular):
    whole, parts = both(name)
    objective, ours = Objective(whole, reml), parts.objective(reml)
    phi = draw(objective, 1)
    phi = with_zeros(objective, phi) if singular else phi
    expected, point = objective.evaluate(phi), ours.evaluate(phi)
    assert point.value == pytest.approx(expected.value, rel=1e-12)
    assert_close(point.gradient, expected.gradient, SAME)
    for exact in (True, False):
        assert_close(point.hessian(exact=exact), expected.hessian(exact=exact), SAME)


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("name", NESTED)
def test_a_fit_is_that_of_all_rows(name, reml):
    whole = assemble([CASES[name]])
    parts = partitioned(divided(CASES[name], 3))  # in a basis learned from the first of them
    expected_end, expected = minimize(whole, reml)
    end, found = minimize(parts, reml)
    assert end.status is expected_end.status
    assert found.objective == pytest.approx(expected.objective, rel=1e-12)
    for part in ("theta", "beta", "vcov_beta", "sigma", "logdet_L", "logdet_RX", "pwrss"):
        assert_close(getattr(found, part), getattr(expected, part), SAME, part)
    for ours, theirs in zip(found.random, expected.random, strict=True):
        assert_close(ours, theirs, SAME)


@pytest.mark.parametrize("name", NESTED)
def test_what_tests_of_fixed_effects_need(name):
    whole, parts = both(name)
    theta = Objective(whole).theta(draw(Objective(whole), 2))
    ours, theirs = (variance_information(system, theta) for system in (parts, whole))
    for part in ("vcov", "covariance"):
        assert_close(getattr(ours, part), getattr(theirs, part), SAME, part)
    contrast = np.ones(whole.p)
    for found in zip(ours.derivatives, theirs.derivatives, strict=True):
        one, other = (abs(contrast @ D @ contrast) for D in found)  # eigenvectors have no sign
        assert one == pytest.approx(other, rel=1e-8, abs=1e-12)
    ours, theirs = parts.kenward_roger_pieces(theta), kenward_roger_pieces(whole, theta)
    to_user = ours.to_user, theirs.to_user
    for part in ("Phi", "P", "Q"):
        one, other = (
            T @ getattr(x, part) @ T.T for T, x in zip(to_user, (ours, theirs), strict=True)
        )
        assert_close(one, other, SAME, part)
    for part in ("expected", "observed"):
        assert_close(getattr(ours, part), getattr(theirs, part), SAME, part)


@pytest.mark.parametrize("name", NESTED)
def test_conditional_covariances(name):
    whole, parts = both(name)
    theta = Objective(whole).theta(draw(Objective(whole), 3))
    for system in (whole, parts):
        assert estimate(system, theta).n_theta == len(theta)
    pairs = [conditional_covariances(s, estimate(s, theta)) for s in (parts, whole)]
    for ours, theirs in zip(*pairs, strict=True):
        assert_close(ours, theirs, SAME)


def test_every_evaluation_is_one_map_reduce():
    _, parts = both("nested in three levels")
    parts.mapper = counting = Counting(parts.mapper)
    optimum, estimates = minimize(parts)
    assert counting.calls.count("EvaluateAt") == optimum.n_evaluations + 1  # once for tests
    assert counting.calls.count("ModesAt") == 1
    assert len(counting.calls) == optimum.n_evaluations + 2
    parts.mapper = None  # the partitions are gone
    assert parts.variance_information(estimates.theta).n_flat == 0
    assert parts.kenward_roger_pieces(estimates.theta).expected.shape == (8, 8)


def by_joblib(function, partitions):
    joblib = pytest.importorskip("joblib")
    return joblib.Parallel(2, backend="threading")(map(joblib.delayed(function), partitions))


@pytest.mark.parametrize("pool", ["threads", "joblib"])
def test_workers_give_the_same_numbers(pool):
    pieces = divided(CASES["nested"], 5)
    alone = estimate(partitioned(pieces), np.ones(partitioned(pieces).n_theta))
    with ThreadPoolExecutor(2) as threads:
        run = threads.map if pool == "threads" else by_joblib
        together = estimate(partitioned(pieces, run), alone.theta)
    assert together.objective == pytest.approx(alone.objective, rel=1e-14)
    assert_close(together.beta, alone.beta, 1e-13)


def test_a_partition_may_be_as_small_as_a_group():
    matrices = CASES["one factor"]
    whole = assemble([matrices])
    n_levels = matrices.random[0].n_levels
    parts = partitioned(divided(matrices, n_levels), basis=whole.basis)
    expected, found = (minimize(system)[1] for system in (whole, parts))
    assert_close(found.theta, expected.theta, SAME)


def test_survives_pickling():
    _, parts = both("nested")
    again = pickle.loads(pickle.dumps(parts))
    theta = np.ones(parts.n_theta)
    assert estimate(again, theta).objective == estimate(parts, theta).objective


def test_sums_do_not_depend_on_who_adds_them():
    values = list(np.random.default_rng(1).normal(size=100))
    assert added(values) == pytest.approx(sum(values), rel=1e-14)
    tens = [added(values[i : i + 8]) for i in range(0, 100, 8)]
    assert added(tens) == added(values)


def test_a_divided_group_is_named():
    matrices = CASES["nested"]
    pieces = [rows_of(matrices, np.arange(matrices.n_obs)[i::2]) for i in range(2)]
    top = min(matrices.random, key=lambda block: block.n_levels)
    with pytest.raises(DesignError, match="divided") as caught:
        partitioned(pieces)
    assert caught.value.group == top.group
    assert caught.value.level in top.levels
    assert caught.value.partitions == (0, 1)
    assert top.group in caught.value.suggestion


def test_crossed_factors_are_refused():
    with pytest.raises(DesignError, match="crosses") as caught:
        partitioned(divided(CASES["crossed"], 3))
    assert caught.value.level


def test_related_levels_are_refused():
    with pytest.raises(DesignError, match="independent groups"):
        partitioned([CASES["related"]])


def test_no_rows_is_an_error():
    with pytest.raises(DesignError, match="no rows"):
        partitioned([rows_of(CASES["nested"], np.zeros(0, dtype=np.int64))])


def test_in_process_reduces_in_order():
    parts = [np.array([float(i)]) for i in range(20)]
    assert InProcess(parts)(lambda part: part.copy())[0] == 190.0
