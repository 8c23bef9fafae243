"""The cluster that the scale benchmark kills a worker of."""

from __future__ import annotations

import time
import warnings

import pytest

pytest.importorskip("distributed")


def square(i: int) -> int:
    time.sleep(0.05)
    return i * i


@pytest.mark.slow
def test_a_worker_is_killed_and_the_work_is_done_all_the_same() -> None:
    from benchmarks.scale.cluster import Killer, local_cluster

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Dask's own, of a worker that is gone
        with local_cluster(2) as client:
            killer = Killer(client, 5)
            found = client.gather(client.map(square, range(20)))
            assert killer.killed == 1
            assert killer.finished > 20  # what the worker held was computed again
    assert found == [i * i for i in range(20)]


@pytest.mark.slow
def test_no_worker_is_killed_unless_asked() -> None:
    from benchmarks.scale.cluster import Killer, local_cluster

    with local_cluster(2) as client:
        killer = Killer(client, 0)
        client.gather(client.map(square, range(3)))
        assert (killer.killed, killer.finished) == (0, 3)
