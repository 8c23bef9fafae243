"""The choice between the ways to fit, from sizes alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lmmformula.engine import Objective, arranged, method, sum_products
from lmmformula.engine.block_layout import blocks_held
from lmmformula.engine.method import layout_for, plan
from tests.unit.engine.cases import CASES
from tests.unit.engine.krylov.designs import ratings
from tests.unit.engine.sparse.graphs import neighbourhoods


def sums_of(name):
    return sum_products([CASES[name]])


def hurried(monkeypatch, sparse=None, block=None):
    """Costs as given, in seconds, for designs too small to cost anything."""
    monkeypatch.setattr(method, "QUICK", 0.0)
    monkeypatch.setattr(method, "SMALL_TAIL", 0)
    for name, seconds in (("sparse_cost", sparse), ("block_cost", block)):
        if seconds is not None:
            original = getattr(method._Sizes, name)
            monkeypatch.setattr(
                method._Sizes,
                name,
                lambda self, *args, f=original, s=seconds: replace(f(self, *args), seconds=s),
            )


def test_one_factor_has_blocks():
    found = plan(sums_of("one factor"))
    assert (found.method, found.tail_columns, found.components) == ("blocks", 0, 0)
    assert found.layout.kind == "none"


def test_sizes_are_those_of_the_model():
    matrices = CASES["three factors"]
    found = plan(sum_products([matrices]))
    assert found.levels == {b.group: b.n_levels for b in matrices.random}
    assert found.columns == {b.group: b.n_levels * b.n_effects for b in matrices.random}
    together = {b.group: b.codes for b in matrices.random}
    expected = sum(
        len(np.unique(np.column_stack([together[f], together[g]]), axis=0))
        for f in together
        for g in together
        if f < g
    )
    assert found.pairs == expected
    assert found.largest_block == found.tail_columns
    assert found.components == 1


def test_small_tails_are_not_looked_at_further():
    crossed, nested = plan(sums_of("crossed")), plan(sums_of("nested in three levels"))
    assert (crossed.method, nested.method) == ("dense", "blocks")
    assert set(crossed.costs) == {"dense"}
    assert nested.components > 1


def test_costs_grow_as_the_blocks_do():
    """One dense block of m columns: m^2 numbers and m^3 operations; a sparse factor has fewer."""
    found = plan(sums_of("crossed"))
    m = found.largest_block
    assert found.costs["dense"].entries == m**2
    assert found.costs["dense"].operations == m**3
    assert found.costs["dense"].memory > 8 * m**2


def test_a_sparse_factor_holds_what_its_fronts_do(monkeypatch):
    hurried(monkeypatch)
    found = plan(sum_products([neighbourhoods(1, n_pupils=150)]))
    layout = layout_for(sum_products([neighbourhoods(1, n_pupils=150)]), "sparse")
    assert found.costs["sparse"].entries == layout.factor_entries
    assert found.costs["sparse"].entries < found.costs["dense"].entries


def test_related_levels_are_dense(monkeypatch):
    hurried(monkeypatch)
    sums = sums_of("related, crossed")
    assert plan(sums).method == "dense"
    assert layout_for(sums, "sparse").kind == "dense"


@pytest.mark.parametrize(("sparse", "chosen"), [(0.5, "sparse"), (2.0, "dense")])
def test_the_quicker_exact_way_is_taken(monkeypatch, sparse, chosen):
    hurried(monkeypatch, sparse=sparse, block=1.0)
    sums = sum_products([neighbourhoods(1)])
    found = plan(sums)
    assert found.method == chosen
    assert found.layout.kind == chosen
    assert found.cost is not None
    assert found.cost.seconds == min(sparse, 1.0)
    assert layout_for(sums).kind == chosen


def test_a_sparse_factor_that_would_fill_is_not_ordered(monkeypatch):
    hurried(monkeypatch, block=1.0)
    found = plan(sums_of("crossed"))
    assert "sparse" not in found.costs
    assert any("fill up" in reason for reason in found.reasons)


def test_krylov_only_where_nothing_exact_will_do(monkeypatch):
    sums = sum_products([neighbourhoods(1)])
    hurried(monkeypatch, sparse=100.0, block=1000.0)
    slow = plan(sums)
    assert slow.method == "krylov"
    assert slow.cost is slow.costs["krylov"]
    assert any("neither is within" in reason for reason in slow.reasons)
    monkeypatch.undo()
    assert plan(sums, memory_limit=1e3).method == "krylov"
    assert plan(sums).method == "dense"


def test_krylov_is_told_wherever_exact_ways_are_not_quick(monkeypatch):
    """Work in proportion to pairs and effects, memory to levels; it is never preferred."""
    rows = neighbourhoods(1, n_pupils=150)
    assert set(plan(sum_products([rows])).costs) == {"dense"}
    hurried(monkeypatch, sparse=50.0, block=50.0)
    found = plan(sum_products([rows]))
    assert found.method != "krylov"
    cost = found.costs["krylov"]
    assert cost.entries == method.COLUMNS_AT_ONCE * sum(found.columns.values())
    columns = method.PROBES * len(found.levels) + len(rows.fixed_names) + 1
    iterations = method.ITERATIONS * (len(found.levels) - 1)
    assert cost.operations == 2 * iterations * columns * found.pairs
    assert cost.seconds == pytest.approx(method.PRODUCT_SECONDS * cost.operations / 2)
    assert 8 * cost.entries < cost.memory < found.costs["dense"].memory


def test_slopes_cost_krylov_four_times_as_much(monkeypatch):
    hurried(monkeypatch)
    one, two = (plan(sum_products([ratings(slopes=slopes)])) for slopes in (False, True))
    assert one.pairs == two.pairs
    columns = [method.PROBES * k + 3 for k in (2, 4)]
    quotient = two.costs["krylov"].operations / one.costs["krylov"].operations
    assert quotient == pytest.approx(4 * columns[1] / columns[0])


def test_dense_blocks_count_all_copies_that_a_fit_makes():
    found = plan(sums_of("crossed"))
    k = CASES["crossed"].random[0].n_effects
    assert blocks_held(1) == 10.0
    assert blocks_held(3) > blocks_held(2) > 15.0
    assert found.costs["dense"].memory > 8 * blocks_held(k) * found.costs["dense"].entries


def test_memory_decides_as_well(monkeypatch):
    sums = sum_products([neighbourhoods(1, n_pupils=150)])
    hurried(monkeypatch, sparse=2.0, block=1.0)
    costs = plan(sums).costs
    assert costs["sparse"].memory < costs["dense"].memory
    between = 0.5 * (costs["sparse"].memory + costs["dense"].memory)
    assert plan(sums, memory_limit=between).method == "sparse"


@pytest.mark.parametrize("chosen", [None, "exact", "blocks", "dense", "sparse"])
def test_every_way_gives_the_same_criterion(chosen):
    sums = sum_products([neighbourhoods(2)])
    system = arranged(sums, layout_for(sums, chosen))
    reference = Objective(arranged(sums))
    phi = reference.start(1.0)
    expected = reference.evaluate(phi).value
    assert Objective(system).evaluate(phi).value == pytest.approx(expected, rel=1e-12)
    assert (system.tail.kind == "sparse") == (chosen == "sparse")
