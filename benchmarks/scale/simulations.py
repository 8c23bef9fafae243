"""Seeded data sets with known parameters, drawn in pieces of bounded memory.

A data set is a list of pieces of about a million rows. Each piece has a generator of its own,
seeded by the data set's seed and the number of the piece, so that a piece does not depend on those
before it, and the whole is the same in whatever order, number of files or process it is drawn.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

__all__ = ["Factor", "Simulation"]

VERSION = 1  # of the draws: raise it when the same arguments give other data
_EFFECTS, _LABELS, _ROWS = 1, 2, 3


@dataclass(frozen=True)
class Factor:
    """One grouping factor and its random effects.

    Attributes
    ----------
    name : str
        Column.
    n_levels : int
        Every one of them has at least one row.
    sds : tuple of float
        Standard deviation of the intercepts, then of the slopes.
    slopes : tuple of str
        Columns with random slopes.
    correlation : float
        Between any two effects of a level.
    exponent, offset : float
        Popularity of the r-th most frequent level is proportional to (r + offset)^-exponent;
        ``offset`` is given as a share of the number of levels. Exponent zero: all alike.
    """

    name: str
    n_levels: int
    sds: tuple[float, ...]
    slopes: tuple[str, ...] = ()
    correlation: float = 0.0
    exponent: float = 0.0
    offset: float = 0.0

    @property
    def covariance(self) -> np.ndarray:
        """Covariance of the effects of one level, shape (k, k)."""
        k = len(self.sds)
        correlation = np.full((k, k), self.correlation)
        np.fill_diagonal(correlation, 1.0)
        return correlation * np.outer(self.sds, self.sds)


@dataclass(frozen=True)
class Simulation:
    """A data set that can be drawn again: what is in it, and the model that made it.

    Attributes
    ----------
    name : str
    formula : str
        The model, in lme4's notation.
    n_rows : int
    beta : tuple of (str, float)
        Fixed effects by column; ``Intercept`` first.
    factors : tuple of Factor
    sigma : float
        Residual standard deviation.
    seed : int
    piece_rows : int
        Rows of a piece; other pieces are other draws.

    Examples
    --------
    >>> data = Simulation("d", "y ~ x + (1 | g)", 1000, (("Intercept", 1.0), ("x", 0.5)),
    ...                   (Factor("g", 20, (0.8,)),), 1.0, 7)
    >>> {name: values.dtype.name for name, values in data.piece(0).items()}
    {'y': 'float64', 'x': 'float64', 'g': 'int32'}
    """

    name: str
    formula: str
    n_rows: int
    beta: tuple[tuple[str, float], ...]
    factors: tuple[Factor, ...]
    sigma: float
    seed: int
    piece_rows: int = 1 << 20

    def __post_init__(self) -> None:
        crowded = [f.name for f in self.factors if f.n_levels > self.n_rows]
        if crowded:
            raise ValueError(f"{crowded[0]} has more levels than there are rows")

    def __getstate__(self) -> dict[str, Any]:
        return {name: self.__dict__[name] for name in self.__dataclass_fields__}

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the data, the response first."""
        return ("y", *self.covariates, *(factor.name for factor in self.factors))

    @property
    def covariates(self) -> tuple[str, ...]:
        """Columns with standard normal values."""
        return tuple(name for name, _ in self.beta if name != "Intercept")

    @property
    def n_pieces(self) -> int:
        """Number of pieces."""
        return -(-self.n_rows // self.piece_rows)

    @property
    def key(self) -> str:
        """Everything that decides the data, as text."""
        return json.dumps({"version": VERSION, **asdict(self)}, sort_keys=True)

    def truth(self) -> dict[str, float]:
        """Parameters by the names that a fit gives them; correlations are left out."""
        found = dict(self.beta)
        for factor in self.factors:
            effects = ("Intercept", *factor.slopes)
            for effect, sd in zip(effects, factor.sds, strict=True):
                found[f"sd_{effect}|{factor.name}"] = sd
        return found | {"sigma": self.sigma}

    def scaled(self, n_rows: int | None) -> Simulation:
        """Return the same model with fewer (or more) rows, and levels in proportion."""
        if n_rows is None or n_rows == self.n_rows:
            return self
        share = n_rows / self.n_rows
        factors = tuple(
            replace(f, n_levels=min(n_rows, max(10, round(f.n_levels * share))))
            for f in self.factors
        )
        return replace(self, n_rows=n_rows, factors=factors)

    def reseeded(self, seed: int) -> Simulation:
        """Return the same model with other draws."""
        return replace(self, seed=seed)

    @cached_property
    def effects(self) -> tuple[np.ndarray, ...]:
        """Random effects of every level, shape (J, k) per factor."""
        return tuple(self._effects(f) for f in range(len(self.factors)))

    def _effects(self, f: int) -> np.ndarray:
        factor = self.factors[f]
        rng = np.random.default_rng([self.seed, _EFFECTS, f])
        root = np.linalg.cholesky(factor.covariance)
        return rng.standard_normal((factor.n_levels, len(factor.sds))) @ root.T

    @cached_property
    def _popularity(self) -> tuple[tuple[np.ndarray, np.ndarray] | None, ...]:
        return tuple(self._cumulative(f) for f in range(len(self.factors)))

    def _cumulative(self, f: int) -> tuple[np.ndarray, np.ndarray] | None:
        """Cumulative popularity by rank, and the level at each rank (labels tell no rank)."""
        factor = self.factors[f]
        if not factor.exponent:
            return None
        ranks = np.arange(1.0, factor.n_levels + 1)
        cumulative = np.cumsum((ranks + factor.offset * factor.n_levels) ** -factor.exponent)
        rng = np.random.default_rng([self.seed, _LABELS, f])
        levels = rng.permutation(factor.n_levels).astype(np.int32)
        return cumulative / cumulative[-1], levels

    def _codes(self, f: int, rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        n_levels, popularity = self.factors[f].n_levels, self._popularity[f]
        if popularity is None:
            codes = rng.integers(0, n_levels, len(rows), dtype=np.int32)
        else:
            cumulative, levels = popularity
            codes = levels[np.searchsorted(cumulative, rng.random(len(rows)), side="right")]
        # Level j has a row at about j n / J, whatever is drawn: no level is without rows.
        due = rows * n_levels // self.n_rows
        first = due != (rows - 1) * n_levels // self.n_rows
        codes[first] = due[first]
        return codes

    def piece(self, i: int) -> dict[str, np.ndarray]:
        """Draw rows from ``i * piece_rows`` on; equal calls give equal rows.

        Returns
        -------
        dict of ndarray, shape (m,)
            ``y`` and covariates as float64, factors as int32.
        """
        rows = np.arange(i * self.piece_rows, min((i + 1) * self.piece_rows, self.n_rows))
        rng = np.random.default_rng([self.seed, _ROWS, i])
        x = {name: rng.standard_normal(len(rows)) for name in self.covariates}
        codes = [self._codes(f, rows, rng) for f in range(len(self.factors))]
        y = self.sigma * rng.standard_normal(len(rows))
        for name, value in self.beta:
            y += value * x[name] if name in x else value
        for factor, code, effects in zip(self.factors, codes, self.effects, strict=True):
            y += effects[code, 0]
            for j, name in enumerate(factor.slopes, start=1):
                y += effects[code, j] * x[name]
        named = {f.name: code for f, code in zip(self.factors, codes, strict=True)}
        return {"y": y, **x, **named}

    def pieces(self) -> Iterator[dict[str, np.ndarray]]:
        """Draw the pieces one after the other."""
        return (self.piece(i) for i in range(self.n_pieces))
