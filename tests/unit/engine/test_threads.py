"""One BLAS thread while the engine works, given back afterwards; a product of one pool."""

from __future__ import annotations

import numpy as np
import pytest
from threadpoolctl import ThreadpoolController

from lmmformula.engine import threads


def blas_threads():
    pools = ThreadpoolController().select(user_api="blas")
    return [pool["num_threads"] for pool in pools.info()]


@pytest.fixture(autouse=True)
def _several_threads():
    """Ask for two threads, so that there is something to limit."""
    with ThreadpoolController().limit(limits=2, user_api="blas"):
        yield


def test_the_engine_runs_on_one_thread():
    before = blas_threads()
    with threads.limited_threads():
        assert set(blas_threads()) <= {1}
    assert blas_threads() == before


def test_nested_uses_end_with_the_outermost():
    before = blas_threads()
    with threads.limited_threads():
        with threads.limited_threads():
            assert set(blas_threads()) <= {1}
        assert set(blas_threads()) <= {1}
    assert blas_threads() == before


def test_threads_are_given_back_after_an_error():
    before = blas_threads()
    with pytest.raises(ZeroDivisionError), threads.limited_threads():
        _ = 1 / 0
    assert blas_threads() == before
    with threads.limited_threads():
        assert set(blas_threads()) <= {1}


@pytest.mark.parametrize("shape", [(3, 4, 5), (1, 1, 1), (70, 70, 70)])
def test_product(shape):
    m, k, n = shape
    rng = np.random.default_rng(0)
    left, right = rng.normal(size=(m, k)), rng.normal(size=(k, n))
    ours = threads.product(left, right)
    np.testing.assert_allclose(ours, left @ right, rtol=1e-12, atol=1e-12)
    assert ours.flags.c_contiguous
