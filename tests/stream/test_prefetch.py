"""Reading ahead: the same items, a bound on how many wait, errors and ends where they belong."""

from __future__ import annotations

import threading

import pytest

from lmmformula.design.stream.prefetch import prefetched


def test_items_and_their_order():
    assert list(prefetched(iter(range(50)))) == list(range(50))
    assert list(prefetched(iter([]))) == []


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_errors_arrive_after_the_items_before_them(error):
    def items():
        yield 1
        raise error("here")

    ready = prefetched(items())
    assert next(ready) == 1
    with pytest.raises(error, match="here"):
        next(ready)


@pytest.mark.parametrize("depth", [1, 2])
def test_no_more_than_the_depth_is_read_ahead(depth):
    made, taken = [], threading.Semaphore(0)

    def items():
        for i in range(20):
            made.append(i)
            taken.release()
            yield i

    ready = prefetched(items(), depth)
    next(ready)
    for _ in range(depth + 2):  # one in use, those that wait, one in the reader's hands
        assert taken.acquire(timeout=5)
    assert not taken.acquire(timeout=0.05)
    assert len(made) == depth + 2
    ready.close()


def test_the_reader_is_closed_in_its_own_thread():
    ended = []

    def items():
        try:
            yield from range(1000)
        finally:
            ended.append(threading.current_thread().name)

    ready = prefetched(items())
    next(ready)
    ready.close()
    assert ended == ["lmmformula-reader"]
    assert "lmmformula-reader" not in [thread.name for thread in threading.enumerate()]
