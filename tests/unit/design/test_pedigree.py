"""The numerator relationship matrix: textbook values, and pedigrees that cannot be."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import pytest

import lmmformula as lf
from lmmformula.errors import DataError, DimensionError


def coancestry(parents, depth):
    """Coancestry by its recursive definition (Malecot): nothing of the tabular method."""

    @cache
    def between(a, b):
        if depth[a] < depth[b]:
            a, b = b, a
        if a == b:
            f = between(*sorted(parents[a])) if len(parents[a]) == 2 else 0.0
            return 0.5 * (1.0 + f)
        return 0.5 * sum(between(parent, b) for parent in parents[a])

    return between


def test_mating_of_half_siblings():
    relationship = lf.pedigree_relationship(["c", "d", "e"], ["a", "a", "c"], ["b", None, "d"])
    assert list(relationship.index) == list(relationship.columns) == ["a", "b", "c", "d", "e"]
    expected = [
        [1.0, 0.0, 0.5, 0.5, 0.5],
        [0.0, 1.0, 0.5, 0.0, 0.25],
        [0.5, 0.5, 1.0, 0.25, 0.625],
        [0.5, 0.0, 0.25, 1.0, 0.625],
        [0.5, 0.25, 0.625, 0.625, 1.125],
    ]
    np.testing.assert_array_equal(relationship.to_numpy(), expected)


def test_any_pedigree_in_any_order_has_twice_the_coancestry():
    rng = np.random.default_rng(3)
    names = [f"n{i:02d}" for i in range(24)]
    parents, depth = {}, {}
    for i, name in enumerate(names):
        pair = [names[j] for j in rng.integers(0, i, 2)] if i > 3 else []
        parents[name] = pair[: int(rng.integers(0, 3))]
        depth[name] = i
    order = rng.permutation(names)
    sire = [parents[name][0] if parents[name] else None for name in order]
    dam = [parents[name][1] if len(parents[name]) > 1 else np.nan for name in order]
    ours = lf.pedigree_relationship(order, sire, dam)
    assert list(ours.index) == list(order)
    between = coancestry(parents, depth)
    expected = [[2.0 * between(a, b) for b in order] for a in order]
    np.testing.assert_allclose(ours, expected, atol=1e-13)
    assert np.linalg.eigvalsh(ours)[0] > 0.0


def test_selfing():
    ours = lf.pedigree_relationship(["s", "t"], ["p", "s"], ["p", "s"])
    np.testing.assert_array_equal(np.diag(ours), [1.0, 1.5, 1.75])


@pytest.mark.parametrize("unknown", [None, np.nan, pd.NA, "", "0", 0, ".", "*", "NA"])
def test_ways_to_write_an_unknown_parent(unknown):
    ours = lf.pedigree_relationship(["a", "b"], [unknown, "a"], [unknown, unknown])
    assert list(ours.index) == ["a", "b"]
    np.testing.assert_array_equal(ours, [[1.0, 0.5], [0.5, 1.0]])


def test_an_animal_may_be_called_0():
    ours = lf.pedigree_relationship([0, 1], [None, 0], [None, None])
    assert ours.loc["1", "0"] == 0.5


def test_numbers_are_named_as_levels_are():
    data = pd.DataFrame({"id": [1, 2, 3], "sire": [np.nan, np.nan, 1.0], "dam": [None, None, 2]})
    ours = lf.pedigree_relationship(data["id"], data["sire"], data["dam"])
    assert list(ours.index) == ["1", "2", "3"]
    assert ours.loc["3", "1"] == 0.5


@pytest.mark.parametrize(
    ("columns", "kind", "fact"),
    [
        ((["a", "a"], [None, None], [None, None]), DataError, "animals"),
        ((["a", None], [None, None], [None, None]), DataError, "rows"),
        ((["a"], ["a"], [None]), DataError, "animals"),
        ((["a", "b", "c"], ["b", "c", "a"], [None] * 3), DataError, "animals"),
    ],
)
def test_pedigrees_that_cannot_be(columns, kind, fact):
    with pytest.raises(kind) as caught:
        lf.pedigree_relationship(*columns)
    assert fact in caught.value.facts


def test_a_loop_is_shown_from_an_animal_back_to_itself():
    with pytest.raises(DataError) as caught:
        lf.pedigree_relationship(
            ["f", "a", "b", "c"], [None, "b", "c", "a"], [None, "f", None, None]
        )
    loop = caught.value.animals
    assert loop[0] == loop[-1]
    assert set(loop) == {"a", "b", "c"}


def test_columns_of_different_length():
    with pytest.raises(DimensionError, match="one sire and one dam"):
        lf.pedigree_relationship(["a", "b"], [None], [None, None])


@pytest.mark.parametrize("id_", ["abc", 3])
def test_what_is_not_a_column(id_):
    with pytest.raises(DataError, match="three columns"):
        lf.pedigree_relationship(id_, [None], [None])
