"""Bytes per level and per pair of levels in the engine; none per row."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

from lmmformula.design import materialize
from lmmformula.engine import sum_products
from lmmformula.engine.choice import build
from lmmformula.formula import parse
from lmmformula.optimize import minimize
from tests.memory.measure import Bytes, crossed, grouped, growth

SCALAR, VECTOR = "y ~ x1 + x2 + (1 | g)", "y ~ x1 + x2 + (x1 | g)"
P, BLOCK_ROWS = 3, 1 << 17


@cache
def matrices(text: str, n: int, n_levels: int, n_right: int = 0) -> Any:
    frame = crossed(n, n_levels, n_right) if n_right else grouped(n, n_levels)
    return materialize(parse(text), frame, checks="ignore").matrices


def sums_held(k: int) -> float:
    """Z'WZ and Z'W[X y] of a level, in float64."""
    return 8.0 * (k * k + k * (P + 1))


@pytest.mark.parametrize("text", [SCALAR, VECTOR])
def test_sums_need_nothing_for_rows_beyond_a_block(text: str) -> None:
    small, large = (matrices(text, n, 50) for n in (3 * BLOCK_ROWS, 4 * BLOCK_ROWS))
    found = growth(lambda m: sum_products([m]), small, large, BLOCK_ROWS)
    assert abs(found.held) < 0.01
    assert abs(found.peak) < 0.5


@pytest.mark.parametrize(("text", "k"), [(SCALAR, 1), (VECTOR, 2)])
def test_sums_hold_the_products_of_each_level(text: str, k: int) -> None:
    small, large = (matrices(text, 30_000, n_levels) for n_levels in (4_000, 8_000))
    found = growth(lambda m: sum_products([m]), small, large, 4_000)
    assert found.held == pytest.approx(sums_held(k), abs=1.0)
    assert found.peak < 4 * sums_held(k)


def test_sums_hold_a_number_and_two_codes_for_each_pair() -> None:
    text = "y ~ x1 + x2 + (1 | g) + (1 | h)"
    small, large = (matrices(text, n, 300, 200) for n in (20_000, 40_000))
    found = growth(lambda m: sum_products([m]), small, large, 20_000)
    assert found.held == pytest.approx(8 + 2 * 4, abs=0.5)


def test_codes_of_pairs_are_of_32_bits() -> None:
    sums = sum_products([matrices("y ~ x1 + x2 + (1 | g) + (1 | h)", 20_000, 300, 200)])
    (pair,) = sums.total.pairs.values()
    assert pair.left.dtype == pair.right.dtype == np.int32


@pytest.mark.parametrize(("text", "k"), [(SCALAR, 1), (VECTOR, 2)])
def test_arranging_and_fitting_hold_no_second_copy_of_the_sums(text: str, k: int) -> None:
    small, large = (sum_products([matrices(text, 30_000, n_levels)]) for n_levels in (4_000, 8_000))

    def fitted(sums: Any) -> Any:
        return minimize(build(sums, None), True)

    found: Bytes = growth(fitted, small, large, 4_000)
    effects = 8.0 * k
    assert found.held < effects + 8.0
    assert found.peak < FIT_PER_LEVEL[k]


FIT_PER_LEVEL = {1: 400.0, 2: 1000.0}
"""Bytes a level of an evaluation with its derivatives: a few tens of arrays (k, k) and (k, p)."""
