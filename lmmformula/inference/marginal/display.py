"""Marginal quantities as frames and as printed tables."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from lmmformula.inference.marginal.grid import Grid
from lmmformula.report.printed import Printed
from lmmformula.report.render import Medium, render
from lmmformula.report.table import Column, Kind, Table

__all__ = ["FrameResult", "factor_columns", "method_note"]

HEADINGS: dict[str, tuple[str, Kind]] = {
    "mean": ("Mean", "estimate"),
    "slope": ("Slope", "estimate"),
    "estimate": ("Estimate", "estimate"),
    "se": ("Std. error", "estimate"),
    "df": ("df", "df"),
    "statistic": ("t", "statistic"),
    "pvalue": ("P>|t|", "p_value"),
}
METHODS = {
    "wald": "Normal distribution (Wald).",
    "satterthwaite": "Degrees of freedom by Satterthwaite's method.",
    "kenward-roger": "Covariance and degrees of freedom by Kenward and Roger's method.",
}


def method_note(method: str) -> str:
    """Say in a sentence where the degrees of freedom come from."""
    return METHODS.get(method, f"Degrees of freedom: {method}.")


def factor_columns(grid: Grid, names: Sequence[str]) -> dict[str, Any]:
    """Return the values of some variables of a grid, text as categoricals in the model's order."""
    columns: dict[str, Any] = {}
    for name in names:
        levels, codes = grid.levels[name], grid.codes[:, grid.names.index(name)]
        if all(isinstance(level, str) for level in levels):
            columns[name] = pd.Categorical.from_codes(codes, categories=pd.Index(levels))
        else:
            columns[name] = np.array(levels)[codes]
    return columns


class FrameResult(Printed):
    """A table of estimates that prints itself and gives itself as a frame.

    What a DataFrame can be asked for (columns by name, ``loc``, ``set_index``, ...) is answered by
    a copy of that frame.
    """

    alpha: float
    title: str
    notes: tuple[str, ...]

    @cached_property
    @abstractmethod
    def frame(self) -> pd.DataFrame:
        """The table."""

    def to_frame(self) -> pd.DataFrame:
        """Return the table as a frame of its own."""
        return self.frame.copy()

    def _write(self, medium: Medium) -> str:
        return render(self._table(), medium)

    def _table(self) -> Table:
        frame = self.frame
        is_normal = bool(np.isinf(frame["df"]).all())
        shown = [name for name in frame.columns if not (name == "df" and is_normal)]
        columns = [self._column(name, shown, is_normal) for name in shown]
        values = [
            [v if c.kind != "text" else str(v) for v in frame[name].tolist()]
            for name, c in zip(shown, columns, strict=True)
        ]
        return Table(self.title, tuple(columns), tuple(zip(*values, strict=True)), self.notes)

    def _column(self, name: str, shown: list[str], is_normal: bool) -> Column:
        if name in ("lower", "upper"):
            share = self.alpha / 2 if name == "lower" else 1 - self.alpha / 2
            return Column(f"{100 * share:g} %", "estimate", shown.index("se"))
        if name not in HEADINGS:
            return Column(name)
        heading, kind = HEADINGS[name]
        if is_normal:
            heading = {"t": "z", "P>|t|": "P>|z|"}.get(heading, heading)
        like = shown.index("se") if kind == "estimate" else None
        return Column(heading, kind, like)

    def __getitem__(self, name: Any) -> Any:
        return self.frame[name]

    def __len__(self) -> int:
        return len(self.frame)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.frame)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or not hasattr(pd.DataFrame, name):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return getattr(self.to_frame(), name)
