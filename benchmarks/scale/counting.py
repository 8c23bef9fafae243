"""Counts the iterations of conjugate gradients, from outside the package."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

__all__ = ["Iterations", "counted_iterations"]


@dataclass
class Iterations:
    """How often systems were solved, and with how many iterations in all."""

    solves: int = 0
    steps: int = 0


@contextmanager
def counted_iterations() -> Iterator[Iterations]:
    """Count what the Krylov engine solves while the block runs."""
    from lmmformula.engine.krylov import evaluation

    count, original = Iterations(), evaluation.conjugate_gradients

    def counting(*arguments: Any, **keywords: Any) -> Any:
        solved = original(*arguments, **keywords)
        count.solves += 1
        count.steps += solved.n_iterations
        return solved

    evaluation.conjugate_gradients = counting
    try:
        yield count
    finally:
        evaluation.conjugate_gradients = original
