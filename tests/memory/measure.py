"""Bytes of a call, by tracemalloc, and how they grow from small data to data twice as large."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

__all__ = ["Bytes", "crossed", "grouped", "growth", "traced"]


@dataclass(frozen=True)
class Bytes:
    """What a call needed at most, and what it left behind."""

    peak: float
    held: float


def traced(call: Callable[[], Any]) -> tuple[Any, Bytes]:
    """Return what the call returns, and its bytes over those in use before."""
    gc.collect()
    running = tracemalloc.is_tracing()
    if not running:
        tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    tracemalloc.reset_peak()
    try:
        value = call()
        peak = tracemalloc.get_traced_memory()[1] - before
        gc.collect()
        held = tracemalloc.get_traced_memory()[0] - before
    finally:
        if not running:
            tracemalloc.stop()
    return value, Bytes(peak, held)


def growth(call: Callable[[Any], Any], small: Any, large: Any, units: int) -> Bytes:
    """Bytes for each further unit (row, level, pair) between two sizes.

    What does not grow, caches and whatever is loaded on first use, is the same in both.
    """
    call(small)
    gc.freeze()  # collections look at what the calls leave, not at all that other tests have loaded
    try:
        _, first = traced(lambda: call(small))
        _, second = traced(lambda: call(large))
    finally:
        gc.unfreeze()
    return Bytes((second.peak - first.peak) / units, (second.held - first.held) / units)


def grouped(n: int, n_levels: int = 50, kind: str = "float64", keys: str = "category") -> Any:
    """Rows in groups: ``y``, ``x1``, ``x2`` of a dtype, ``g`` in every group."""
    rng = np.random.default_rng(n)
    codes = np.arange(n, dtype=np.int32) % n_levels
    columns = {name: rng.standard_normal(n).astype(kind) for name in ("y", "x1", "x2")}
    level = rng.standard_normal((2, n_levels)).astype(kind)
    columns["y"] += level[0, codes] + 0.5 * level[1, codes] * columns["x1"]
    labels = [f"g{i:05d}" for i in range(n_levels)]
    kept = pd.Categorical.from_codes(codes, categories=labels) if keys == "category" else codes
    return pd.DataFrame({**columns, "g": kept})


def crossed(n: int, n_left: int, n_right: int) -> Any:
    """Rows whose pairs of levels of ``g`` and ``h`` are all different: n pairs."""
    frame = grouped(n, n_left)
    assert n <= n_left * n_right
    right = (np.arange(n) // n_left + np.arange(n) % n_left) % n_right
    labels = [f"h{i:05d}" for i in range(n_right)]
    return frame.assign(h=pd.Categorical.from_codes(right, categories=labels))
