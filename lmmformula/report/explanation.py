"""How a model would be fitted: its blocks, what each way would take, and the choice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from lmmformula.report.printed import Printed
from lmmformula.report.render import Medium, render_all
from lmmformula.report.table import Column, Table

__all__ = ["Explanation"]

EVALUATIONS = 8
"""Evaluations of a usual fit."""

WAYS = {
    "blocks": "exact, small dense blocks",
    "dense": "exact, one dense block",
    "sparse": "exact, sparse factor",
    "krylov": "Krylov methods with random probes",
}


class CostLike(Protocol):
    """What one way would take."""

    @property
    def memory(self) -> float:
        """Bytes."""

    @property
    def seconds(self) -> float:
        """Seconds of an evaluation."""

    @property
    def entries(self) -> int:
        """Numbers stored by the elimination."""


class PlanLike(Protocol):
    """The choice and what it rests on."""

    @property
    def method(self) -> str:
        """Way chosen."""

    @property
    def levels(self) -> Mapping[str, int]:
        """Levels by grouping factor, the one eliminated first at the front."""

    @property
    def columns(self) -> Mapping[str, int]:
        """Random effects by grouping factor."""

    @property
    def tail_columns(self) -> int:
        """Random effects of the other factors."""

    @property
    def pairs(self) -> int:
        """Pairs of levels that occur together."""

    @property
    def components(self) -> int:
        """Groups of coupled levels after the first factor."""

    @property
    def largest_block(self) -> int:
        """Columns of the largest of them."""

    @property
    def costs(self) -> Mapping[Any, CostLike]:
        """By way."""

    @property
    def memory_limit(self) -> float:
        """Bytes allowed."""

    @property
    def reasons(self) -> tuple[str, ...]:
        """Sentences."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Explanation(Printed):
    """What a fit would do, before it is done.

    Attributes
    ----------
    formula : str
    n_obs, p : int
        Rows and fixed effects.
    plan : Plan
        Sizes, costs and the choice.
    """

    formula: str
    n_obs: int
    p: int
    plan: PlanLike

    @property
    def method(self) -> str:
        """The way that a fit would take."""
        return self.plan.method

    @property
    def memory(self) -> float:
        """Bytes at the peak of the fit, predicted; NaN where nothing is known."""
        cost = self.plan.costs.get(self.method)
        return float("nan") if cost is None else cost.memory

    @property
    def seconds(self) -> float:
        """Seconds of the fit, predicted to a factor of two or so."""
        cost = self.plan.costs.get(self.method)
        return float("nan") if cost is None else EVALUATIONS * cost.seconds

    def _write(self, medium: Medium) -> str:
        return render_all((self._blocks(), self._ways()), medium)

    def _blocks(self) -> Table:
        plan = self.plan
        rows = [
            (group, count, plan.columns[group] // count, plan.columns[group], role)
            for (group, count), role in zip(plan.levels.items(), self._roles(), strict=True)
        ]
        columns = (
            Column("Grouping factor"),
            Column("Levels", "count"),
            Column("Effects each", "count"),
            Column("Random effects", "count"),
            Column("In the elimination"),
        )
        notes = [f"{self.n_obs} rows, {self.p} fixed effect{'' if self.p == 1 else 's'}."]
        if plan.tail_columns:
            notes.append(
                f"{plan.pairs} pairs of levels occur together; after the first factor "
                f"{plan.tail_columns} random effects remain, in {self._components()}."
            )
        return Table(
            "How the model would be fitted", columns, tuple(rows), tuple(notes), self.formula
        )

    def _roles(self) -> list[str]:
        after = "" if self.method == "krylov" else "after it"
        others = after or "by conjugate gradients"
        return ["first, level by level", *([others] * (len(self.plan.levels) - 1))]

    def _components(self) -> str:
        plan = self.plan
        if plan.components == 1:
            return "one block of coupled levels"
        return f"{plan.components} blocks of coupled levels, the largest of {plan.largest_block}"

    def _ways(self) -> Table:
        plan = self.plan
        rows: list[tuple[Any, ...]] = [
            (
                WAYS[name],
                cost.entries,
                _size(cost.memory),
                _time(cost.seconds),
                _time(EVALUATIONS * cost.seconds),
                "chosen" if name == plan.method else None,
            )
            for name, cost in plan.costs.items()
        ]
        if plan.method not in plan.costs:
            rows.append((WAYS[plan.method], None, None, None, None, "chosen"))
        columns = (
            Column("Way"),
            Column("Numbers stored", "count"),
            Column("Memory"),
            Column("An evaluation"),
            Column("A fit"),
            Column(""),
        )
        notes = [sentence[:1].upper() + sentence[1:] for sentence in plan.reasons]
        notes.append(f"Predicted to a factor of two or so; {_size(plan.memory_limit)} may be used.")
        return Table("What it takes", columns, tuple(rows), tuple(notes))


def _size(n_bytes: float) -> str:
    """Bytes in a unit that suits them."""
    for unit, size in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if n_bytes >= size:
            return f"{float(f'{n_bytes / size:.3g}'):g} {unit}"
    return f"{n_bytes:.0f} bytes"


def _time(seconds: float) -> str:
    """Seconds in a unit that suits them."""
    units = (("d", 86_400.0), ("h", 3600.0), ("min", 60.0), ("s", 1.0), ("ms", 1e-3))
    for unit, size in units:
        if seconds >= size:
            return f"{float(f'{seconds / size:.2g}'):g} {unit}"
    return "below 1 ms"
