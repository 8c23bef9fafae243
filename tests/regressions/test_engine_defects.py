"""Awkward inputs that once gave a wrong fit, a wrong error or a false status."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import lmmformula as lf
from lmmformula.engine import assemble, estimate, replace_response
from lmmformula.engine.cross import SparseCross
from lmmformula.errors import LMMError
from lmmformula.optimize import Cobyqa, Lbfgsb, Newton, OptimumStatus, minimize
from tests.properties.designs import take
from tests.unit.engine.cases import CASES, block, matrices
from tests.unit.optimize.objectives import Toy, quadratic


@pytest.mark.parametrize("factor", [1e14, 1e18, 1e-14])
def test_a_slope_in_far_away_units_keeps_its_variance(factor):
    data = lf.load_dataset("sleepstudy")
    scaled = data.assign(Days=data["Days"] * factor)
    ours = lf.lmm("Reaction ~ Days + (Days | Subject)", scaled).fit()
    expected = [0.96673295, 0.01516905, 0.23090959]
    np.testing.assert_allclose(ours.theta * [1.0, factor, factor], expected, rtol=1e-6)


@pytest.mark.parametrize("size", [300.0, 1e4])
def test_a_dominating_factor_does_not_hide_another(size):
    rng = np.random.default_rng(0)
    n = 20_000
    a, b = np.arange(n) // 2, rng.integers(0, 6, n)
    y = rng.normal(size=n) + rng.normal(size=n // 2)[a] + size * rng.normal(size=6)[b]
    ones = np.ones((n, 1))
    optimum, _ = minimize(assemble([matrices(y, ones, block(ones, a, "a"), block(ones, b, "b"))]))
    assert optimum.theta[0] == pytest.approx(1.0, abs=0.1)
    assert optimum.status is OptimumStatus.CONVERGED


@pytest.mark.parametrize("first", [0, 1])
def test_a_first_chunk_that_is_too_small_to_learn_from(first):
    rows = CASES["one factor"]
    order = np.arange(rows.n_obs)
    chunked = assemble([take(rows, order[:first]), take(rows, order[first:])])
    theta = np.ones(3)
    whole = estimate(assemble([rows]), theta).objective
    assert estimate(chunked, theta).objective == pytest.approx(whole, rel=1e-10)


@pytest.mark.parametrize("shift", [1e6, 1e8])
def test_another_response_far_from_the_first(shift):
    rows = CASES["one factor"]
    y = rows.y + shift
    theta = np.ones(3)
    ours = estimate(replace_response(assemble([rows]), rows, y), theta).objective
    assert ours == pytest.approx(
        estimate(assemble([replace(rows, y=y)]), theta).objective, rel=1e-9
    )


def test_another_response_that_is_reproduced_exactly():
    rows = CASES["one factor"]
    with pytest.raises(LMMError, match="exactly"):
        minimize(replace_response(assemble([rows]), rows, 0.0 * rows.y))


def test_disconnected_crossings_do_not_write_the_sparse_map_out(monkeypatch):
    monkeypatch.setattr("lmmformula.engine.block_layout.SPARSE_MAP_LIMIT", 1000)
    half, s, i = (v.ravel() for v in np.meshgrid([0, 1], range(20), range(15), indexing="ij"))
    ones = np.ones((len(half), 1))
    y = np.random.default_rng(0).normal(size=len(half))
    rows = matrices(y, ones, block(ones, half * 20 + s, "s"), block(ones, half * 15 + i, "i"))
    assert not isinstance(assemble([rows]).cross, SparseCross)


def test_a_faint_saddle_is_not_a_proven_minimum():
    toy = Toy(lambda phi: quadratic(phi, 1.0, -1e-6))
    found = Newton().minimize(toy, np.array([1.0, 0.0]))
    assert found.status is not OptimumStatus.CONVERGED


def test_escapes_respect_the_limit_of_evaluations():
    toy = Toy(lambda phi: (float(phi @ phi), 2.0 * phi, -2.0 * np.eye(2)))
    Newton(max_evaluations=3).minimize(toy, np.zeros(2))
    assert toy.n_evaluations <= 3


@pytest.mark.parametrize("optimizer", [Lbfgsb(max_evaluations=3), Cobyqa(max_evaluations=8)])
def test_other_optimizers_name_the_limit(optimizer):
    system = lf.lmm("Reaction ~ Days + (Days | Subject)", lf.load_dataset("sleepstudy")).system
    optimum, _ = minimize(system, start=3.0, optimizer=optimizer)
    assert optimum.status is OptimumStatus.MAX_EVALUATIONS
    assert optimum.trace[0].kind in ("lbfgsb", "cobyqa")
