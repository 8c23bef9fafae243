"""Orders, the elimination tree and the fronts: against elimination one level at a time."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_array, tril

from lmmformula.engine.sparse import ordering
from lmmformula.engine.sparse.fronts import fronts_of
from lmmformula.engine.sparse.ordering import (
    elimination_tree,
    fill_reducing_order,
    minimum_degree,
)
from tests.unit.engine.sparse.graphs import GRAPHS, filled, fronts_by_nature, grid


@pytest.fixture(params=GRAPHS)
def pattern(request):
    return GRAPHS[request.param]


@pytest.fixture(params=["by nature", "relaxed"])
def relaxed(request, monkeypatch):
    """Fronts as the pattern has them, or as they are taken together."""
    if request.param == "by nature":
        fronts_by_nature(monkeypatch)
    return request.param == "relaxed"


def test_minimum_degree_is_an_order(pattern):
    assert sorted(minimum_degree(pattern)) == list(range(pattern.shape[0]))


def test_minimum_degree_fills_little():
    pattern = grid(14)
    n = pattern.shape[0]
    ours = np.triu(filled(pattern, minimum_degree(pattern))).sum()
    by_rows = np.triu(filled(pattern, np.arange(n))).sum()
    assert ours < 0.7 * by_rows


@pytest.mark.parametrize("name", ["path", "star"])
def test_a_tree_fills_nothing(name):
    pattern = GRAPHS[name]
    after = filled(pattern, minimum_degree(pattern))
    assert after.sum() == pattern.nnz


def test_nested_dissection_is_an_order(monkeypatch):
    pytest.importorskip("pymetis", reason="optional package")
    monkeypatch.setattr(ordering, "DISSECTED", 2)
    for pattern in GRAPHS.values():
        assert sorted(fill_reducing_order(pattern)) == list(range(pattern.shape[0]))


def test_without_the_optional_package(monkeypatch):
    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr(ordering, "DISSECTED", 2)
    monkeypatch.setattr(ordering, "import_module", missing)
    pattern = GRAPHS["grid"]
    np.testing.assert_array_equal(fill_reducing_order(pattern), minimum_degree(pattern))


def test_elimination_tree(pattern):
    """The parent is the first later level that a level is coupled to after the elimination."""
    order = minimum_degree(pattern)
    after = filled(pattern, order)
    ordered = csr_array(pattern[order][:, order])
    parents = elimination_tree(csr_array(tril(ordered, -1)))
    for j, parent in enumerate(parents):
        later = np.flatnonzero(after[j, j + 1 :])
        assert parent == (later[0] + j + 1 if len(later) else -1)


@pytest.mark.parametrize("wide", [False, True])
def test_fronts_hold_the_fill(pattern, relaxed, wide):
    """Every entry that elimination makes has its place in the front of its earlier level."""
    n = pattern.shape[0]
    weights = np.ones(n, dtype=np.int64) + (np.arange(n) % 2 if wide else 0)
    fronts = fronts_of(pattern, weights)
    order = np.argsort(fronts.position)
    after = filled(pattern, order)
    members = [np.flatnonzero(fronts.front_of == s) for s in range(fronts.n)]
    assert sum(len(own) for own in members) == n
    stored = 0
    for s, own in enumerate(members):
        boundary = fronts.boundary[fronts.pointer[s] : fronts.pointer[s + 1]]
        assert not set(boundary) & set(own)
        assert np.all(np.diff(fronts.position[boundary]) > 0)
        assert np.all(fronts.front_of[boundary] > s)
        reach = set(own) | set(boundary)
        for j in fronts.position[own]:
            assert {order[i] for i in np.flatnonzero(after[j, j:]) + j} <= reach
        stored += len(own) * (len(own) + 1) // 2 + len(own) * len(boundary)
    if not relaxed and not wide:
        assert stored == np.triu(after).sum()


def test_parents_take_the_whole_boundary(pattern, relaxed):
    fronts = fronts_of(pattern, np.ones(pattern.shape[0], dtype=np.int64))
    for s, parent in enumerate(fronts.parent):
        boundary = set(fronts.boundary[fronts.pointer[s] : fronts.pointer[s + 1]])
        if parent < 0:
            assert not boundary
            continue
        assert parent > s
        above = set(fronts.boundary[fronts.pointer[parent] : fronts.pointer[parent + 1]])
        assert boundary <= above | set(np.flatnonzero(fronts.front_of == parent))


def test_small_subtrees_are_one_front():
    pattern = GRAPHS["path"]
    fronts = fronts_of(pattern, np.ones(60, dtype=np.int64))
    assert fronts.n <= 6
