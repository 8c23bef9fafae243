"""Keep NumPy's and SciPy's BLAS thread pools from fighting over the same cores.

Wheels of the two libraries bring a pool each, and the idle workers of one spin while the other
works (measured: two pools on a busy two-core machine made a Cholesky factorization 25 times
slower). Large dense blocks therefore go through SciPy's BLAS alone, and NumPy's pool is held at
one thread meanwhile. Small problems wake neither.
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
def _other_pools() -> ThreadpoolController | None:
    """BLAS pools that SciPy does not use; None where there is one pool for all.

    Looking up the loaded libraries takes milliseconds, so it is done once.
    """
    pools = ThreadpoolController().select(user_api="blas")
    others = [info["filepath"] for info in pools.info() if "scipy.libs" not in info["filepath"]]
    if not others or len(others) == len(pools.info()):
        return None
    return pools.select(filepath=others)


def limited_threads(size: int) -> AbstractContextManager[Any]:
    """Context for dense blocks of ``size`` columns: one BLAS pool at work."""
    if size < SMALL:
        return nullcontext()
    pools = _other_pools()
    if pools is None:
        return nullcontext()
    context: AbstractContextManager[Any] = pools.limit(limits=1)
    return context


def product(left: FloatArray, right: FloatArray) -> FloatArray:
    """Matrix product of two C-ordered matrices by SciPy's BLAS, without copies."""
    result: FloatArray = blas.dgemm(1.0, right.T, left.T).T
    return result
