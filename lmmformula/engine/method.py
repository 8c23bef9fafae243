"""Which engine a model is for: sizes, memory and time of each way, and the choice between them.

The cost of an evaluation (criterion and gradient) is predicted from counts, with constants
measured on one core of a 2020s server at about 3 GHz; they are right to a factor of two or so,
which is enough to tell seconds from hours.

- *First factor*: ``LEVEL_SECONDS`` for every level and pair of its columns.
- *Coupling*: ``MAP_SECONDS`` for every pair of tail columns that share a level of the first factor.
  Where these are too many, or the crossing is crowded, products of dense matrices instead.
- *Dense blocks* (crossed factors whole, nested ones in small blocks): m^3 operations for a block of
  m columns, at ``DENSE_RATE``; ``blocks_held`` copies in memory.
- *Sparse*: operations of the fronts at ``FRONT_RATE``, ``FRONT_SECONDS`` for every entry that is
  moved between them, and ``BATCH_SECONDS`` for every batch, after the fill-reducing order.
- *Krylov methods*: ``ITERATIONS`` of the conjugate gradients for every factor beyond the first,
  with ``PROBES`` columns for every effect and one for each of X and y, at ``PRODUCT_SECONDS`` for a
  pair of levels that occur together (for every pair of their effects). Memory: ``WORKING_ARRAYS``
  of ``COLUMNS_AT_ONCE`` columns. Nested factors need more probes and take two or three times as
  long.

Exact ways come first: the quicker one of those that fit in memory and keep an evaluation below
``EVALUATION_LIMIT``. Only where there is none is the model for Krylov methods, with random probes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import numpy as np

from lmmformula._memory import available_memory
from lmmformula.engine.block_layout import (
    SPARSE_MAP_LIMIT,
    BlockTailLayout,
    blocks_held,
    sparse_map_size,
    tail_layout,
)
from lmmformula.engine.crossproducts import PairBlocks, no_pairs
from lmmformula.engine.layout import FactorLayout, TailLayout
from lmmformula.engine.sparse.layout import SparseTailLayout, coupled_levels
from lmmformula.engine.summation import DataSums

__all__ = ["EVALUATION_LIMIT", "Cost", "Method", "Plan", "layout_for", "plan"]

Method: TypeAlias = Literal["blocks", "dense", "sparse", "krylov"]

LEVEL_SECONDS = 3e-8
MAP_SECONDS = 4e-9
MAP_BYTES = 60
DENSE_RATE = 2.5e10
BATCHED_RATE = 0.6e10
PRODUCT_RATE = 2e10
FRONT_RATE = 1e10
FRONT_SECONDS = 6e-9
BATCH_SECONDS = 1e-4
PAIR_BYTES = 40
ITERATIONS = 5
PROBES = 8
PRODUCT_SECONDS = 1.1e-9
COLUMNS_AT_ONCE = 32
WORKING_ARRAYS = 6
UNKNOWN_MEMORY = 8e9

EVALUATION_LIMIT = 60.0
"""Seconds of an evaluation above which an exact fit, of about ten evaluations, takes too long."""
QUICK = 0.1
"""Seconds of an evaluation with dense blocks below which nothing else is looked at."""
SMALL_TAIL = 400
"""Random effects after the first factor up to which nothing is predicted at all."""
CROWDED = 0.1
"""Share of coupled level pairs above which elimination fills the tail anyway."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What one way of fitting would take.

    Attributes
    ----------
    memory : float
        Bytes at the peak of an evaluation.
    seconds : float
        For the criterion and its gradient, once; by Krylov methods a share of what a fit takes.
    operations : float
        Floating-point operations of the dense work in it.
    entries : int
        Numbers that the elimination of the tail stores, padding included; of Krylov methods, those
        of the columns that are solved for at once.
    """

    memory: float
    seconds: float
    operations: float
    entries: int


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """How a model will be fitted, and why.

    Attributes
    ----------
    method : {"blocks", "dense", "sparse", "krylov"}
        "blocks": the coupled levels form small blocks (or there is one factor only); "dense": one
        block; "sparse": a sparse factor in a fill-reducing order; "krylov": no factor at all.
    levels, columns : dict of str to int
        Levels and random effects of every grouping factor; the first one is eliminated first.
    tail_columns : int
        Random effects of all factors but the first.
    pairs : int
        Pairs of levels that occur together, over all pairs of factors.
    components, largest_block : int
        Groups of coupled levels among the factors after the first, and the columns of the largest.
    costs : dict of Method to Cost
        Of the ways that were looked at; that of Krylov methods wherever an exact way is not quick.
    memory_limit : float
        Bytes that were allowed.
    reasons : tuple of str
        Sentences.
    layout : TailLayout
        How the tail would be stored by the method, or by the exact way that came nearest.
    """

    method: Method
    levels: dict[str, int]
    columns: dict[str, int]
    tail_columns: int
    pairs: int
    components: int
    largest_block: int
    costs: dict[Method, Cost]
    memory_limit: float
    reasons: tuple[str, ...]
    layout: TailLayout = field(repr=False)

    @property
    def cost(self) -> Cost | None:
        """That of the method chosen."""
        return self.costs.get(self.method)


def plan(sums: DataSums, *, memory_limit: float | None = None) -> Plan:
    """Choose the way to fit a model.

    Parameters
    ----------
    sums : DataSums
        Sums over all rows.
    memory_limit : float, optional
        Bytes that a fit may take; by default half of what is available.

    Notes
    -----
    Takes milliseconds, and for a large tail as long as its fill-reducing order: about a second for
    100,000 levels.
    """
    return _planned(_Sizes.of(sums, _blocks_of(sums)), memory_limit)


def layout_for(sums: DataSums, method: str | None = None) -> TailLayout:
    """How an exact engine stores the factors after the first.

    Parameters
    ----------
    sums : DataSums
    method : {None, "exact", "blocks", "dense", "sparse"}
        "blocks" and "dense": blocks of coupled levels; "sparse": a sparse factor, but for related
        levels, which are all coupled; otherwise the plan's choice.
    """
    tail = _blocks_of(sums)
    related = any(factor.relationship is not None for factor in tail.factors)
    if method in ("blocks", "dense") or related or not tail.factors:
        return tail
    if method == "sparse":
        return _Sizes.of(sums, tail).ordered()
    return tail if tail.n_columns <= SMALL_TAIL else _planned(_Sizes.of(sums, tail), None).layout


def _planned(sizes: _Sizes, memory_limit: float | None) -> Plan:
    """The quickest exact way that is within the limits."""
    limit = (available_memory() or UNKNOWN_MEMORY) / 2.0 if memory_limit is None else memory_limit
    block = sizes.block_cost()
    whole: Method = "dense" if sizes.tail.is_single else "blocks"
    costs = {whole: block}
    if not sizes.tail.factors:
        return sizes.plan("blocks", costs, limit, ("there is one grouping factor at most.",))
    if sizes.related:
        return sizes.plan(whole, costs, limit, ("related levels are all coupled.",))
    if block.seconds <= QUICK and block.memory <= limit:
        return sizes.plan(whole, costs, limit, ("dense blocks are quick at this size.",))
    reasons = [f"{_described(whole)} would take {_told(block)}."]
    layout = sizes.sparse_layout()
    if layout is None:
        reasons.append("the factors cross so widely that a sparse factor would fill up.")
    else:
        costs["sparse"] = sizes.sparse_cost(layout)
        reasons.append(f"a sparse factor would take {_told(costs['sparse'])}.")
    fits = {
        name: cost
        for name, cost in costs.items()
        if cost.memory <= limit and cost.seconds <= EVALUATION_LIMIT
    }
    costs["krylov"] = sizes.krylov_cost()
    if fits:
        best = min(fits, key=lambda name: fits[name].seconds)
        return sizes.plan(best, costs, limit, reasons, layout if best == "sparse" else None)
    reasons.append(
        f"neither is within {1e-9 * limit:.1f} GB and {EVALUATION_LIMIT:.0f} s an evaluation."
    )
    return sizes.plan("krylov", costs, limit, reasons, layout)


def _pairs(sums: DataSums) -> list[PairBlocks]:
    """Pairs of the first factor's levels with those of the others."""
    first, rest, found = sums.layouts[0], sums.layouts[1:], sums.total.pairs
    return [found.get((0, g), no_pairs(first, right)) for g, right in enumerate(rest, 1)]


def _blocks_of(sums: DataSums) -> BlockTailLayout:
    return tail_layout(sums.layouts[1:], _pairs(sums), sums.layouts[0].n_levels)


def _told(cost: Cost) -> str:
    return f"{cost.seconds:.2g} s an evaluation and {1e-9 * cost.memory:.2g} GB"


def _described(method: str) -> str:
    return "one dense block" if method == "dense" else "dense blocks"


@dataclass(frozen=True, slots=True, eq=False)
class _Sizes:
    """Counts from which costs are predicted."""

    factors: tuple[FactorLayout, ...]
    pairs: list[PairBlocks]
    counts: dict[tuple[int, int], int]
    p: int
    tail: BlockTailLayout
    map_size: float

    @classmethod
    def of(cls, sums: DataSums, tail: BlockTailLayout) -> _Sizes:
        """Those of a model."""
        first, rest, found = sums.layouts[0], sums.layouts[1:], sums.total.pairs
        pairs = _pairs(sums)
        blocks = first.k * (first.k + 1) / 2
        return cls(
            factors=sums.layouts,
            pairs=pairs,
            counts={pair: len(block.left) for pair, block in found.items()},
            p=len(sums.total.xy) - 1,
            tail=tail,
            map_size=blocks * sparse_map_size(rest, pairs, first.n_levels) if rest else 0.0,
        )

    @property
    def n_pairs(self) -> int:
        """Pairs of levels that occur together."""
        return sum(self.counts.values())

    @property
    def related(self) -> bool:
        """Whether a factor has related levels."""
        return any(factor.relationship is not None for factor in self.factors)

    def block_cost(self) -> Cost:
        """Of dense blocks."""
        sizes = [bucket.columns.shape for bucket in self.tail.buckets]
        seconds, operations = self._first_seconds(), 0.0
        for n, m in sizes:
            operations += n * float(m) ** 3
            seconds += n * float(m) ** 3 / (DENSE_RATE if n == 1 else BATCHED_RATE)
        q = float(self.tail.n_columns)
        coupling = MAP_BYTES * self.map_size
        if self.map_size > SPARSE_MAP_LIMIT:
            products = 3.0 * self.factors[0].n_columns * q**2
            operations, seconds = operations + products, seconds + products / PRODUCT_RATE
            coupling = 2.0 * 8.0 * self.factors[0].n_columns * q
        else:
            seconds += MAP_SECONDS * self.map_size
        entries = self.tail.storage
        held = 8.0 * blocks_held(self.factors[0].k) * entries
        return Cost(held + coupling + self._sums_memory(), seconds, operations, entries)

    def sparse_layout(self) -> SparseTailLayout | None:
        """The fill-reducing order; None where so many levels are coupled that it cannot help."""
        if self.map_size > SPARSE_MAP_LIMIT:
            return None
        rest = self.tail.factors
        pattern = coupled_levels(rest, self.pairs, self.factors[0].n_levels)
        if pattern.nnz > CROWDED * pattern.shape[0] ** 2:
            return None
        return SparseTailLayout(rest, pattern)

    def ordered(self) -> SparseTailLayout:
        """The fill-reducing order, whether it helps or not."""
        rest = self.tail.factors
        pattern = coupled_levels(rest, self.pairs, self.factors[0].n_levels)
        return SparseTailLayout(rest, pattern)

    def sparse_cost(self, layout: SparseTailLayout) -> Cost:
        """Of the fronts."""
        shapes = np.array([batch.shape for batch in layout.batches], dtype=np.float64)
        n, p, c = shapes.T
        operations = float(np.sum(n * (4.0 * p * c * (p + c) + 3.0 * p**3)))
        fronts = n * (p + c) ** 2
        seconds = self._first_seconds() + MAP_SECONDS * self.map_size
        seconds += BATCH_SECONDS * len(shapes) + operations / FRONT_RATE
        seconds += FRONT_SECONDS * float(np.sum(fronts))
        held = 2.0 * layout.factor_entries + float(np.sum(fronts)) + 4.0 * layout.storage
        memory = 8.0 * held + MAP_BYTES * self.map_size + self._sums_memory()
        return Cost(memory, seconds, operations, layout.factor_entries)

    def krylov_cost(self) -> Cost:
        """Of conjugate gradients and random probes."""
        effects = [float(factor.k) for factor in self.factors]
        columns = PROBES * sum(effects) + self.p + 1.0
        pairs = sum(effects[f] * effects[g] * count for (f, g), count in self.counts.items())
        products = ITERATIONS * (len(effects) - 1.0) * columns * pairs
        entries = COLUMNS_AT_ONCE * sum(factor.n_columns for factor in self.factors)
        memory = 8.0 * WORKING_ARRAYS * entries + self._sums_memory()
        return Cost(memory, PRODUCT_SECONDS * products, 2.0 * products, entries)

    def _first_seconds(self) -> float:
        first = self.factors[0]
        return LEVEL_SECONDS * first.n_columns * (first.k + self.p + 1.0)

    def _sums_memory(self) -> float:
        """Bytes of the sums themselves and of what an evaluation makes of them."""
        own = sum(factor.n_columns * (factor.k + self.p + 1.0) for factor in self.factors)
        return PAIR_BYTES * self.n_pairs + 6.0 * 8.0 * own

    def plan(
        self,
        method: Method,
        costs: dict[Method, Cost],
        limit: float,
        reasons: Sequence[str],
        layout: TailLayout | None = None,
    ) -> Plan:
        """The record."""
        named = [factor for factor in self.factors if factor.terms]
        sizes = [bucket.columns.shape for bucket in self.tail.buckets]
        return Plan(
            method=method,
            levels={factor.group: factor.n_levels for factor in named},
            columns={factor.group: factor.n_columns for factor in named},
            tail_columns=self.tail.n_columns,
            pairs=self.n_pairs,
            components=sum(n for n, _ in sizes),
            largest_block=max((m for _, m in sizes), default=0),
            costs=costs,
            memory_limit=limit,
            reasons=tuple(reasons),
            layout=self.tail if layout is None else layout,
        )
