"""A local Dask cluster of worker processes, one of which can be killed on the way."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from distributed import Client, LocalCluster
from distributed.diagnostics.plugin import SchedulerPlugin

__all__ = ["Killer", "local_cluster"]


@contextmanager
def local_cluster(workers: int) -> Iterator[Client]:
    """Client of a cluster of single-threaded worker processes."""
    with (
        tempfile.TemporaryDirectory() as scratch,
        LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            dashboard_address=None,
            local_directory=scratch,
        ) as cluster,
        Client(cluster) as client,
    ):
        client.wait_for_workers(workers)
        yield client


class Killer(SchedulerPlugin):  # type: ignore[misc]
    """Counts finished tasks, and kills (SIGKILL) the worker that finishes the n-th.

    What that worker held is lost and has to be computed again elsewhere.

    Parameters
    ----------
    client : Client
        Of a cluster whose scheduler is in this process.
    after : int
        Number of the task; zero spares all workers.
    """

    def __init__(self, client: Client, after: int) -> None:
        self.finished = self.killed = 0
        self._after, self._pids = after, client.run(os.getpid)
        client.cluster.scheduler.add_plugin(self, name="killer")

    def transition(self, key: Any, start: str, finish: str, *args: Any, **kwargs: Any) -> None:
        """Called by the scheduler whenever a task changes its state."""
        if start != "processing" or finish != "memory":
            return
        self.finished += 1
        if self.finished == self._after:
            os.kill(self._pids[kwargs["worker"]], signal.SIGKILL)
            self.killed += 1
