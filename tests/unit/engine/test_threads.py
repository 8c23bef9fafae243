"""The one BLAS pool: what is limited when, and the product that avoids the other pool."""

from __future__ import annotations

from contextlib import nullcontext

import numpy as np
import pytest
from threadpoolctl import ThreadpoolController

from lmmformula.engine import threads


def test_small_problems_touch_nothing():
    assert isinstance(threads.limited_threads(threads.SMALL - 1), nullcontext)


def test_pools_are_looked_up_once():
    assert threads._other_pools() is threads._other_pools()


def test_one_pool_for_all_is_left_alone(monkeypatch):
    monkeypatch.setattr(threads, "_other_pools", lambda: None)
    assert isinstance(threads.limited_threads(10_000), nullcontext)


def test_large_problems_hold_the_other_pools_at_one_thread():
    before = [pool["num_threads"] for pool in ThreadpoolController().info()]
    others = threads._other_pools()
    with threads.limited_threads(10_000):
        if others is not None:
            assert all(pool["num_threads"] == 1 for pool in others.info())
    assert [pool["num_threads"] for pool in ThreadpoolController().info()] == before


@pytest.mark.parametrize("shape", [(3, 4, 5), (1, 1, 1), (70, 70, 70)])
def test_product(shape):
    m, k, n = shape
    rng = np.random.default_rng(0)
    left, right = rng.normal(size=(m, k)), rng.normal(size=(k, n))
    ours = threads.product(left, right)
    np.testing.assert_allclose(ours, left @ right, rtol=1e-12, atol=1e-12)
    assert ours.flags.c_contiguous
