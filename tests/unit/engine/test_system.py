"""Assembly: what the record says of itself, its limits, and a response put in its place."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest

from lmmformula.engine import Objective, assemble, estimate, replace_response, system
from lmmformula.errors import DesignError, DimensionError
from tests.tolerances import EVALUATION_RTOL, assert_close
from tests.unit.engine.cases import CASES, draw


@pytest.mark.parametrize("name", CASES)
def test_counts(name):
    rows = CASES[name]
    ours = assemble([rows])
    assert (ours.n_obs, ours.p) == (rows.n_obs, rows.p)
    assert ours.q == sum(b.n_levels * b.n_effects for b in rows.random)
    assert [t.index for t in ours.terms] == list(range(len(rows.random)))
    assert [t.text for t in ours.terms] == [b.text for b in rows.random]
    widths = [(b.n_effects, b.structure) for b in rows.random]
    assert ours.n_theta == sum(k if s == "diag" else k * (k + 1) // 2 for k, s in widths)
    assert f"q={ours.q}" in repr(ours)
    assert "\n" not in repr(ours)


@pytest.mark.parametrize("name", CASES)
def test_entry_order_puts_covariance_entries_in_the_models_order(name):
    ours = assemble([CASES[name]])
    by_elimination = [
        (term.index, entry)
        for factor in ours.factors
        for term in factor.terms
        for entry in range(len(term.structure.multiplicity))
    ]
    order = range(len(by_elimination)) if ours.entry_order is None else ours.entry_order
    assert [by_elimination[i] for i in order] == sorted(by_elimination)


def test_no_chunks_is_an_error():
    with pytest.raises(DesignError, match="no rows"):
        assemble([])


def test_a_tail_beyond_memory_is_refused_before_it_is_built(monkeypatch):
    monkeypatch.setattr(system, "MEMORY_LIMIT", 100.0)
    rows = CASES["crossed"]
    with pytest.raises(DesignError, match="memory") as caught:
        assemble([rows])
    for block in rows.random:
        assert f"{block.group}: {block.n_levels * block.n_effects}" in caught.value.got


def test_related_levels_beyond_memory_are_refused(monkeypatch):
    monkeypatch.setattr(system, "MEMORY_LIMIT", 100.0)
    with pytest.raises(DesignError, match="related levels") as caught:
        assemble([CASES["related"]])
    assert "animal: " in caught.value.got


def test_one_factor_needs_no_dense_block(monkeypatch):
    monkeypatch.setattr(system, "MEMORY_LIMIT", 100.0)
    assert assemble([CASES["one factor"]]).tail.storage == 0


@pytest.mark.parametrize("name", CASES)
def test_survives_pickling(name):
    ours = assemble([CASES[name]])
    again = pickle.loads(pickle.dumps(ours))
    objective = Objective(ours)
    theta = objective.theta(draw(objective, 1))
    expected = estimate(ours, theta).objective
    assert estimate(again, theta).objective == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("name", CASES)
def test_another_response_equals_a_fresh_assembly(name, reml):
    rows = CASES[name]
    y = 3.0 + np.random.default_rng(5).normal(size=rows.n_obs)
    first = assemble([rows])
    before = first.xy.copy()
    replaced, fresh = replace_response(first, rows, y), assemble([replace(rows, y=y)])
    objective = Objective(fresh, reml)
    theta = objective.theta(draw(objective, 2))
    one, other = estimate(replaced, theta, reml), estimate(fresh, theta, reml)
    assert one.objective == pytest.approx(other.objective, rel=EVALUATION_RTOL)
    assert_close(one.beta, other.beta, 1e-8)
    assert_close(one.vcov_beta, other.vcov_beta, 1e-8)
    for ours, theirs in zip(one.random, other.random, strict=True):
        assert_close(ours, theirs, 1e-8)
    np.testing.assert_array_equal(first.xy, before)


def test_another_response_of_the_wrong_length():
    rows = CASES["one factor"]
    with pytest.raises(DimensionError):
        replace_response(assemble([rows]), rows, rows.y[1:])
