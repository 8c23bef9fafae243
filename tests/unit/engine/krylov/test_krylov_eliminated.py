"""What is known of the first factor without probes, and how little is left to them."""

from __future__ import annotations

import numpy as np
import pytest

from lmmformula.engine.krylov import Accuracy, KrylovEvaluation, KrylovObjective, system
from lmmformula.engine.krylov.eliminated import coupled_blocks, excess_trace
from tests.unit.engine.cases import block, draw, matrices
from tests.unit.engine.krylov.designs import DESIGNS, TAILED, krylov, ratings


def nested_slopes():
    """Return three nested factors and one across them, with slopes everywhere."""
    rows = ratings(slopes=True)
    users, items = rows.random
    X, n = rows.X, rows.n_obs
    rng = np.random.default_rng(2)
    terms = [users, items, block(X, items.codes // 5, "brand"), block(X, items.codes // 35, "kind")]
    terms.append(block(X, rng.integers(0, 6, n), "week"))
    return matrices(rows.y, X, *terms)


def at_some_point(rows, n_probes=8):
    objective = KrylovObjective(krylov(rows), True, Accuracy(n_probes=n_probes))
    return objective.unjudged(draw(objective, 1))


CASES = {**{name: DESIGNS[name] for name in TAILED}, "slopes in nested factors": nested_slopes()}


@pytest.mark.parametrize("few", [0, 64])
@pytest.mark.parametrize("name", CASES)
def test_blocks_are_those_of_the_whole_inverse(name, few, monkeypatch):
    monkeypatch.setattr(system, "FEW_ROWS", few)
    operator = at_some_point(CASES[name]).krylov.operator
    layout = operator.system.factors[0]
    q = operator.system.starts[-1]
    inverse = operator.reference.solve(np.eye(q))
    columns = operator.to_first(operator.system.tail_parts(operator.scaled(np.eye(q))))
    flat = columns.reshape(layout.n_columns, q)
    whole = flat @ inverse @ flat.T
    k, J = layout.k, layout.n_levels
    expected = np.einsum("ajbj->abj", whole.reshape(k, J, k, J))
    found = coupled_blocks(operator)
    np.testing.assert_allclose(found, expected, atol=1e-11 * np.abs(expected).max())


@pytest.mark.parametrize("few", [0, 64])
@pytest.mark.parametrize("brands", [False, True])
def test_little_is_left_to_the_probes(brands, few, monkeypatch):
    """Of the first factor: a draw is good to a thousandth of its trace."""
    monkeypatch.setattr(system, "FEW_ROWS", few)
    monkeypatch.setattr(KrylovEvaluation, "is_exact", lambda self, factor: False)
    rows = ratings(brands=brands)
    objective = KrylovObjective(krylov(rows), True, Accuracy(n_probes=64))
    theta = np.array([0.8, 0.7, 0.6])[: len(rows.random)]
    point = objective.unjudged(objective.phi_from_theta(theta)).krylov
    draws = np.array([draw[0][0, 0] for draw in point.trace_draws])
    assert 0.0 < np.std(draws, ddof=1) < 2e-3 * np.mean(draws)


@pytest.mark.parametrize("few", [0, 64])
@pytest.mark.parametrize("name", CASES)
def test_trace_of_the_preconditioned_complement(name, few, monkeypatch):
    monkeypatch.setattr(system, "FEW_ROWS", few)
    operator = at_some_point(CASES[name]).krylov.operator
    q = operator.system.starts[-1]
    expected = float(np.trace(operator.reference.solve(operator.apply(np.eye(q))))) - q
    assert excess_trace(operator) == pytest.approx(expected, abs=1e-10 * q)


def test_trace_is_not_known_of_crossed_factors_within_another(monkeypatch):
    """Departments and schools of one district, crossed: blocks between them are not stored."""
    monkeypatch.setattr(system, "FEW_ROWS", 0)
    rng = np.random.default_rng(0)
    rows = ratings()
    n = rows.n_obs
    district = rng.integers(0, 5, n)
    one = rows.X[:, :1]
    a, b = 8 * district + rng.integers(0, 8, n), 6 * district + rng.integers(0, 6, n)
    terms = [rows.random[0], block(one, a, "a"), block(one, b, "b"), block(one, district, "c")]
    objective = KrylovObjective(krylov(matrices(rows.y, rows.X, *terms)), True, Accuracy())
    point = objective.unjudged(objective.phi_from_theta(np.array([0.3, 0.15, 0.15, 0.15])))
    operator = point.krylov.operator
    assert sorted(operator.reference.chains.nesting.links) == [(1, 3), (2, 3)]
    assert excess_trace(operator) is None
