"""One BLAS thread while the engine works.

Wheels of NumPy and SciPy bring a thread pool each; the idle workers of one spin while the other
works, and on a machine that others use as well they wait for each other at every barrier.
Measured: with two threads on a busy two-core machine a fit took twelve times as long as with one,
and two pools made a Cholesky factorization 25 times slower; on an idle one the gain from the second
thread was a third. So the engine works on one thread.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, ExitStack
from functools import lru_cache
from threading import Lock

from scipy.linalg import blas
from threadpoolctl import ThreadpoolController

from lmmformula._arrays import FloatArray

__all__ = ["limited_threads", "product"]

_lock = Lock()
_users = 0
_restore: ExitStack | None = None


@lru_cache(maxsize=1)
def _pools() -> ThreadpoolController:
    """The loaded BLAS libraries; looking them up takes milliseconds, so it is done once."""
    return ThreadpoolController().select(user_api="blas")


class _OneThread:
    """The setting is the process's, so the first user makes it and the last one takes it back."""

    def __enter__(self) -> None:
        global _users, _restore
        with _lock:
            _users += 1
            if _users == 1:
                _restore = ExitStack()
                _restore.enter_context(_pools().limit(limits=1))

    def __exit__(self, *_: object) -> None:
        global _users, _restore
        with _lock:
            _users -= 1
            if _users == 0 and _restore is not None:
                _restore.close()
                _restore = None


def limited_threads() -> AbstractContextManager[None]:
    """One BLAS thread inside; nested and concurrent uses share one setting."""
    return _OneThread()


def product(left: FloatArray, right: FloatArray) -> FloatArray:
    """Matrix product of two C-ordered matrices by SciPy's BLAS, without copies."""
    result: FloatArray = blas.dgemm(1.0, right.T, left.T).T
    return result
