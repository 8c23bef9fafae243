"""Running sums over pairs of levels: whatever the order, the same pairs with the same sums."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lmmformula.engine.crossproducts import PairBlocks
from lmmformula.engine.pair_sums import PairSums

LEFT, RIGHT = 5, 7
SHAPE = (2, 1)


@st.composite
def blocks(draw):
    """Some pairs in order, each with a small whole number, so that sums are exact."""
    pairs = sorted(draw(st.sets(st.tuples(st.integers(0, LEFT - 1), st.integers(0, RIGHT - 1)))))
    left, right = (
        (np.array(side, dtype=np.int32) for side in zip(*pairs, strict=True))
        if (pairs)
        else (np.empty(0, np.int32), np.empty(0, np.int32))
    )
    numbers = st.integers(-8, 8)
    count = SHAPE[0] * SHAPE[1] * len(pairs)
    values = draw(st.lists(numbers, min_size=count, max_size=count))
    return PairBlocks(left, right, np.array(values, dtype=float).reshape(*SHAPE, len(pairs)))


def whole(parts):
    """All sums as one array, and the pairs that occur."""
    total = np.zeros((*SHAPE, LEFT, RIGHT))
    occurs = np.zeros((LEFT, RIGHT), dtype=bool)
    for part in parts:
        total[:, :, part.left, part.right] += part.values
        occurs[part.left, part.right] = True
    return total, occurs


@given(st.lists(blocks(), min_size=1, max_size=9))
def test_sums_are_those_of_all_blocks(parts):
    before = [part.values.copy() for part in parts]
    running = PairSums(RIGHT)
    for part in parts:
        running.add(part)
    found = running.total()
    total, occurs = whole(parts)
    assert (found.left.dtype, found.right.dtype) == (np.int32, np.int32)
    keys = found.left.astype(int) * RIGHT + found.right
    assert (np.diff(keys) > 0).all()
    np.testing.assert_array_equal(keys, np.flatnonzero(occurs))
    np.testing.assert_array_equal(found.values, total[:, :, found.left, found.right])
    assert all(np.array_equal(part.values, old) for part, old in zip(parts, before, strict=True))


def test_no_more_than_two_copies_are_held():
    """Many small blocks of other pairs: runs halve in size, so together they are below two."""
    rng = np.random.default_rng(1)
    running = PairSums(10_000)
    for _ in range(60):
        right = np.sort(rng.choice(10_000, 50, replace=False)).astype(np.int32)
        running.add(PairBlocks(np.zeros(50, np.int32), right, np.ones((1, 1, 50))))
        sizes = [len(key) for key, _ in running._runs]
        assert sum(sizes) <= 2 * max(sizes)
    assert running.total().values.sum() == 3000.0
