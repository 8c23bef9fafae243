"""Runs blocks of replicates: one seed for all, wherever they run, progress."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, TypeVar

import numpy as np

from lmmformula.errors import OptionError
from lmmformula.postfit.executors import chosen_executor, in_order
from lmmformula.postfit.progress import Progress, progress_bar

__all__ = ["Blocks", "check_count", "run_blocks", "seed_sequence"]

Result = TypeVar("Result", covariant=True)


class Blocks(ABC):
    """Work that falls into blocks of replicates, each with a seed of its own."""

    @property
    @abstractmethod
    def size(self) -> int:
        """Replicates in a block; it must not depend on the number of replicates or processes."""

    @abstractmethod
    def run(self, n: int, seed: np.random.SeedSequence) -> Any:
        """Result of one block with ``n`` replicates."""


def seed_sequence(seed: Any, call: str) -> np.random.SeedSequence:
    """Root of all random numbers of a call; the caller's objects are not advanced but copied.

    Parameters
    ----------
    seed : int, SeedSequence or Generator
        A Generator is asked for four numbers.
    call : str
        Example for the error message.
    """
    if isinstance(seed, np.random.SeedSequence):
        return np.random.SeedSequence(seed.entropy, spawn_key=seed.spawn_key)
    if isinstance(seed, np.random.Generator):
        return np.random.SeedSequence(seed.integers(2**32, size=4).tolist())
    is_number = isinstance(seed, int | np.integer) and not isinstance(seed, bool)
    if not is_number or seed < 0:
        raise OptionError(
            "`seed` must be a whole number, a SeedSequence or a numpy Generator, so that the "
            "replicates can be repeated.",
            got=f"`seed={seed!r}`",
            suggestion=f"`{call}`",
            argument="seed",
        )
    return np.random.SeedSequence(int(seed))


def check_count(n: Any, call: str) -> int:
    """Number of replicates, at least 1."""
    if isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 1:
        raise OptionError(
            "`n` must be a whole number of replicates, at least 1.",
            got=f"`n={n!r}`",
            suggestion=f"`{call}`",
            argument="n",
        )
    return int(n)


def run_blocks(
    blocks: Blocks,
    n: int,
    seed: np.random.SeedSequence,
    *,
    progress: Progress = None,
    n_jobs: int = 1,
    executor: Any = None,
    name: str = "bootstrap",
) -> list[Any]:
    """Results of all blocks, in order.

    Parameters
    ----------
    blocks : Blocks
        Picklable where other processes work.
    n : int
        Replicates in all.
    seed : SeedSequence
        Every block gets a child of its own, so results do not depend on where it runs.
    progress : bool, callable or None
        A bar, or ``progress(done, n)`` after every block; see ``postfit.progress``.
    n_jobs, executor
        Where the blocks run; see ``postfit.executors``.
    name : str
        What the bar calls the work.
    """
    sizes = [min(blocks.size, n - start) for start in range(0, n, blocks.size)]
    tasks = list(zip(sizes, seed.spawn(len(sizes)), strict=True))
    where = chosen_executor(executor, n_jobs)
    with progress_bar(progress, n, name, "replicates") as advance:
        return in_order(blocks.run, tasks, where, lambda block: advance(sizes[block]))
