"""Merging of terms, elimination order, the tail's components and their storage."""

from __future__ import annotations

import numpy as np
import pytest

from lmmformula.engine import assemble
from lmmformula.engine.layout import factor_layouts
from tests.unit.engine.cases import CASES, block, matrices

WITH_TAIL = [name for name, rows in CASES.items() if len({b.group for b in rows.random}) > 1]


def coupled(rows, tail):
    """Tail columns that some level of the first factor ties together, transitively closed."""
    first = rows.random[factor_layouts(rows)[0].terms[0].index]
    levels = [tail_codes(rows, factor) for factor in tail.factors]
    touched = np.zeros((first.n_levels, tail.n_columns), dtype=bool)
    for factor, start, codes in zip(tail.factors, tail.starts, levels, strict=True):
        for effect in range(factor.k):
            touched[first.codes, start + codes * factor.k + effect] = True
    reach = (touched.T.astype(int) @ touched.astype(int)) > 0
    while True:
        wider = (reach.astype(int) @ reach.astype(int)) > 0
        if (wider == reach).all():
            return reach
        reach = wider


def tail_codes(rows, factor):
    return rows.random[factor.terms[0].index].codes


def test_terms_of_one_factor_are_merged():
    (layout,) = factor_layouts(CASES["two terms on a factor"])
    widths = [b.n_effects for b in CASES["two terms on a factor"].random]
    assert [t.columns for t in layout.terms] == [
        slice(0, widths[0]),
        slice(widths[0], sum(widths)),
    ]
    assert layout.k == sum(widths)
    assert layout.n_columns == layout.n_levels * layout.k


def test_merged_factor_is_block_diagonal_by_term():
    rows = CASES["mixed structures"]
    for layout in factor_layouts(rows):
        factors = {t.index: np.full((t.structure.k,) * 2, t.index + 1.0) for t in layout.terms}
        merged = layout.merged(factors)
        for one in layout.terms:
            for other in layout.terms:
                expected = one.index + 1.0 if one is other else 0.0
                assert (merged[one.columns, other.columns] == expected).all()


def test_directions_are_the_derivatives_of_sigma_by_its_entries():
    for layout in factor_layouts(CASES["mixed structures"]):
        rng = np.random.default_rng(0)
        total, position = np.zeros((layout.k, layout.k)), 0
        Sigma = np.zeros((layout.k, layout.k))
        for term in layout.terms:
            k = term.structure.k
            part = rng.normal(size=(k, k))
            Sigma[term.columns, term.columns] = part = part + part.T
            entries = part[term.structure.pairs]
            n = len(entries)
            total += np.tensordot(entries, layout.directions[position : position + n], 1)
            position += n
        assert position == len(layout.directions)
        np.testing.assert_allclose(total, Sigma)


@pytest.mark.parametrize("name", CASES)
def test_the_factor_with_most_columns_is_eliminated_first(name):
    layouts = factor_layouts(CASES[name])
    sizes = [(layout.relationship is None, layout.n_columns) for layout in layouts]
    if layouts[0].terms:
        assert sizes == sorted(sizes, reverse=True)
    else:
        assert sizes[0] == (True, 0)
        assert not any(unrelated for unrelated, _ in sizes[1:])
    found = sorted(term.index for layout in layouts for term in layout.terms)
    assert found == list(range(len(CASES[name].random)))


@pytest.mark.parametrize("name", WITH_TAIL)
def test_components_are_those_of_the_coupling_graph(name):
    rows = CASES[name]
    tail = assemble([rows]).tail
    together = (tail.bucket_of[:, None] == tail.bucket_of) & (tail.row_of[:, None] == tail.row_of)
    np.testing.assert_array_equal(together, coupled(rows, tail))


def test_crossed_factors_are_one_component():
    assert assemble([CASES["crossed"]]).tail.is_single
    assert assemble([CASES["three factors"]]).tail.is_single


def test_nested_factors_are_a_component_for_each_top_level():
    system = assemble([CASES["nested"]])
    assert sum(len(b.columns) for b in system.tail.buckets) == system.tail.factors[0].n_levels
    system = assemble([CASES["nested in three levels"]])
    schools = {f.group: f.n_levels for f in system.factors}["school"]
    assert sum(len(b.columns) for b in system.tail.buckets) == schools


@pytest.mark.parametrize("name", WITH_TAIL)
def test_every_column_has_one_slot(name):
    tail = assemble([CASES[name]]).tail
    used = np.concatenate([b.columns[b.columns < tail.n_columns] for b in tail.buckets])
    np.testing.assert_array_equal(np.sort(used), np.arange(tail.n_columns))
    for number, bucket in enumerate(tail.buckets):
        here = np.nonzero(tail.bucket_of == number)[0]
        np.testing.assert_array_equal(bucket.columns[tail.row_of[here], tail.slot_of[here]], here)
        assert bucket.size == np.prod(bucket.shape)
        stops = [slots.stop for slots, _ in bucket.parts]
        assert stops[-1] == bucket.columns.shape[1]
        for (slots, n), factor in zip(bucket.parts, tail.factors, strict=True):
            assert slots.stop - slots.start == n * factor.k


@pytest.mark.parametrize("name", WITH_TAIL)
def test_padding_stays_small(name):
    tail = assemble([CASES[name]]).tail
    for bucket in tail.buckets:
        for (slots, n), _ in zip(bucket.parts, tail.factors, strict=True):
            present = (bucket.columns[:, slots] < tail.n_columns).sum(axis=1)
            assert (2 * present >= slots.stop - slots.start).all() or n <= 2


@pytest.mark.parametrize("name", WITH_TAIL)
def test_gather_and_scatter_are_inverse(name):
    tail = assemble([CASES[name]]).tail
    values = np.random.default_rng(0).normal(size=(tail.n_columns, 3))
    parts = tail.gather(values)
    for bucket, part in zip(tail.buckets, parts, strict=True):
        assert part.shape == (*bucket.columns.shape, 3)
        assert (part[bucket.columns == tail.n_columns] == 0.0).all()
    np.testing.assert_array_equal(tail.scatter(parts), values)


@pytest.mark.parametrize("name", WITH_TAIL)
def test_address_points_into_the_blocks(name):
    tail = assemble([CASES[name]]).tail
    flat = np.arange(float(tail.storage))
    blocks = tail.blocks(flat)
    together = (tail.bucket_of[:, None] == tail.bucket_of) & (tail.row_of[:, None] == tail.row_of)
    left, right = np.nonzero(together)
    ours = flat[tail.address(left, right)]
    expected = [
        blocks[tail.bucket_of[a]][tail.row_of[a], tail.slot_of[a], tail.slot_of[b]]
        for a, b in zip(left, right, strict=True)
    ]
    np.testing.assert_array_equal(ours, expected)
    assert len(np.unique(ours)) == len(ours)


def test_components_of_one_shape_share_a_bucket():
    n = 64
    inner, outer = np.arange(n) // 2, np.arange(n) // 8
    ones = np.ones((n, 1))
    rows = matrices(
        np.random.default_rng(0).normal(size=n),
        ones,
        block(ones, inner, "i"),
        block(ones, outer, "o"),
    )
    tail = assemble([rows]).tail
    assert [b.shape for b in tail.buckets] == [(8, 1, 1)]


def test_no_tail():
    tail = assemble([CASES["one factor"]]).tail
    assert tail.n_columns == 0
    assert tail.storage == 0
    assert not tail.is_single
