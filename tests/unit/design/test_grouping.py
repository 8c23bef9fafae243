"""Codes, labels and interactions of grouping factors."""

import numpy as np
import pytest

from lmmformula.design.columns import Categories, Numbers
from lmmformula.design.grouping import compressed, grouping
from tests.unit.design.frames import N, design, frame


def test_unused_codes_go_and_order_stays():
    codes, present = compressed(np.array([5, 2, 5, 9]), 10)
    assert (codes.tolist(), present.tolist()) == ([1, 0, 1, 2], [2, 5, 9])
    sparse, far = compressed(np.array([5, 2, 5, 9 + 10**9]), 10**9 + 10)
    assert (sparse.tolist(), far.tolist()) == ([1, 0, 1, 2], [2, 5, 9 + 10**9])
    assert codes.dtype == sparse.dtype == np.int32


@pytest.mark.parametrize("values", [[7, -3, 7], [7.0, -3.0, 7.0], [10**15, -(10**15), 10**15]])
def test_numbers_sort_as_numbers(values):
    made = grouping(("i",), [Numbers("i", np.array(values))], "(1 | i)")
    assert made.codes.tolist() == [1, 0, 1]
    assert made.coding.levels.tolist() == [str(int(values[1])), str(int(values[0]))]


def test_interaction_levels_vary_slowest_in_the_first_factor():
    a = Categories("a", np.array([1, 0, 1, 0]), ["z", "y"])
    b = Numbers("b", np.array([10, 9, 9, 9]))
    made = grouping(("a", "b"), [a, b], "(1 | a:b)")
    assert made.coding.levels.tolist() == ["z:9", "y:9", "y:10"]
    assert made.codes.tolist() == [2, 0, 1, 0]


def test_terms_with_one_factor_share_codes_and_levels():
    made = design("y ~ x + (1 | g) + (0 + x | g) + (1 | g:h)", checks="ignore")
    by_group = {}
    for block in made.matrices.random:
        by_group.setdefault(block.group, []).append(block)
    first, second = by_group["g"]
    assert first.codes is second.codes
    assert first.levels is second.levels


def test_effects_are_views_of_x_where_they_can_be():
    matrices = design(
        "y ~ x + z + (1 + x + z | k) + (1 | h) + (0 + z | h) + (0 + x:z | g)",
        frame(k=np.arange(N) % 2),
        checks="ignore",
    ).matrices
    z = {block.text: block.z for block in matrices.random}
    assert z["(1 + x + z | k)"] is matrices.X
    assert np.shares_memory(z["(1 | h)"], matrices.X)
    assert np.shares_memory(z["(0 + z | h)"], matrices.X)
    assert z["(0 + z | h)"][:, 0].tolist() == matrices.X[:, 2].tolist()
    assert not np.shares_memory(z["(0 + x:z | g)"], matrices.X)


def test_effects_outside_of_x_are_made_once():
    matrices = design("y ~ 1 + (x | g) + (x | h)", checks="ignore").matrices
    assert matrices.random[0].z is matrices.random[1].z


def test_terms_come_in_the_order_of_lme4():
    data = frame(two=np.arange(N) % 2, six=np.arange(N) // 4, three=np.arange(N) % 3)
    order = [
        b.group for b in design("y ~ 1 + (1 | two) + (1 | six) + (1 | three)", data).matrices.random
    ]
    assert order == ["six", "three", "two"]
    same = design("y ~ 1 + (1 | six) + (0 + x | six) + (1 | three)", data).matrices.random
    assert [b.text for b in same] == ["(1 | six)", "(0 + x | six)", "(1 | three)"]
    # rev(order(n_levels)) reverses equal ones when it has to sort at all
    turned = design("y ~ 1 + (1 | two) + (1 | six) + (0 + x | six)", data).matrices.random
    assert [b.text for b in turned] == ["(0 + x | six)", "(1 | six)", "(1 | two)"]


def test_expressions_group():
    made = design(
        "y ~ x + (1 | factor(k)) + (1 | ifelse(k > 2, 'high', 'low'))", frame(k=np.arange(N) % 5)
    )
    assert [b.levels.tolist() for b in made.matrices.random] == [list("01234"), ["high", "low"]]


def test_no_fixed_effects_at_all():
    made = design("y ~ 0 + (1 | g)")
    assert made.matrices.X.shape == (N, 0)
    assert made.matrices.fixed_names == ()
    assert made.spec.fixed_terms == ()
