"""One BLAS thread while the engine works.

Wheels of NumPy and SciPy bring a thread pool each; the idle workers of one spin while the other
works, and on a machine that others use as well they wait for each other at every barrier.
Measured: with two threads on a busy two-core machine a fit took twelve times as long as with one,
and two pools made a Cholesky factorization 25 times slower; on an idle one the gain from the second
thread was a third. So blocks large enough to wake the pools run on one thread.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from typing import Any

from scipy.linalg import blas
from threadpoolctl import ThreadpoolController

from lmmformula._arrays import FloatArray

__all__ = ["limited_threads", "product"]

SMALL = 64


@lru_cache(maxsize=1)
def _pools() -> ThreadpoolController:
    """The loaded BLAS libraries; looking them up takes milliseconds, so it is done once."""
    return ThreadpoolController().select(user_api="blas")


def limited_threads(size: int) -> AbstractContextManager[Any]:
    """Context with one BLAS thread, for dense blocks of ``size`` columns."""
    if size < SMALL:
        return nullcontext()
    context: AbstractContextManager[Any] = _pools().limit(limits=1)
    return context


def product(left: FloatArray, right: FloatArray) -> FloatArray:
    """Matrix product of two C-ordered matrices by SciPy's BLAS, without copies."""
    result: FloatArray = blas.dgemm(1.0, right.T, left.T).T
    return result
